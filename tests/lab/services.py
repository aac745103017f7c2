"""The lab's services on its bridge: the image registry, the certificate authority, a bucket elsewhere."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPResponse

from tests.lab.cache import cache_dir
from tests.lab.engine import Engine
from tests.lab.errors import LabError
from tests.lab.network import DOMAIN, SERVICES, Plan
from tests.lab.progress import say
from tests.lab.recipes import FOLDER, ensure_image

READY_SECONDS = 30
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _ensure_container(engine: Engine, plan: Plan, thing: str, image: str, name: str, *options: str) -> None:
    container = plan.container(thing)
    if engine.inspect("container", container, "{{.Config.Image}}") not in {None, image}:
        engine.run("rm", "-f", "-v", container)
    state = engine.inspect("container", container, "{{.State.Status}}")
    if state is None:
        place = ["--network", plan.network, "--ip", plan.bridge(SERVICES[thing]), "--network-alias", name]
        words = ["--name", container, "--label", plan.label, *place, *options, image]
        engine.run("create", *words)
        if thing == "authority":
            engine.run("cp", str(FOLDER / "authority/Caddyfile"), f"{container}:/etc/caddy/Caddyfile")
    if state != "running":
        engine.run("start", container)


@dataclass(frozen=True)
class Registry:
    """The lab's registry: plain HTTP, at one name on the bridge and on loopback for the outer engine's pushes.

    What is stored lies in the cache, so that a lab made again does not push its stand-ins again.
    """

    engine: Engine
    plan: Plan
    name = f"registry.{DOMAIN}:5000"

    @property
    def container(self) -> str:
        """The container's name."""
        return self.plan.container("registry")

    @property
    def outside(self) -> str:
        """How the outer machine calls it."""
        return f"{self.plan.loopback(1)}:5000"

    def ensure(self) -> None:
        """Start it, and wait until it answers. Raises LabError after 30 s."""
        image = ensure_image(self.engine, "registry")
        store = cache_dir("registry", self.plan.lab)
        options = ["-v", f"{store}:/var/lib/docker-registry", "-p", f"{self.outside}:5000"]
        _ensure_container(self.engine, self.plan, "registry", image, f"registry.{DOMAIN}", *options)
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                log = self.engine.attempt("logs", "--tail", "10", self.container).stderr
                raise LabError(f"The registry did not answer at {self.outside} within {READY_SECONDS} s:\n{log}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return self._ask("GET", "").status == 200
        except OSError:
            return False

    def _ask(self, method: str, path: str, body: bytes | None = None) -> HTTPResponse:
        headers = {"Accept": MANIFEST, "Content-Type": MANIFEST}
        request = urllib.request.Request(f"http://{self.outside}/v2/{path}", body, headers, method=method)
        # Loopback: whatever proxy the environment names must not be asked.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        answer: HTTPResponse = opener.open(request, timeout=10)
        return answer

    def digest(self, repository: str, tag: str) -> str | None:
        """What a tag points to, or None."""
        try:
            return self._ask("HEAD", f"{repository}/manifests/{tag}").headers["Docker-Content-Digest"]
        except urllib.error.HTTPError:
            return None

    def push(self, image: str, repository: str, tag: str) -> str:
        """Push a local image and return its digest."""
        there = f"{self.outside}/{repository}:{tag}"
        say(f"pushing {repository}:{tag}")
        self.engine.run("tag", image, there)
        try:
            self.engine.run("push", "-q", there)
        finally:
            self.engine.attempt("rmi", there)
        digest = self.digest(repository, tag)
        if digest is None:
            raise LabError(f"{repository}:{tag} was pushed, and the registry does not have it.")
        return digest

    def tag(self, repository: str, old: str, new: str) -> None:
        """Point the tag `new` to what `old` (a tag or a digest) points to."""
        manifest = self._ask("GET", f"{repository}/manifests/{old}").read()
        self._ask("PUT", f"{repository}/manifests/{new}", manifest)

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository; empty when there is none."""
        try:
            answer = json.load(self._ask("GET", f"{repository}/tags/list"))
        except urllib.error.HTTPError:
            return []
        return sorted(answer["tags"] or [])

    def stop(self) -> None:
        """Take it away: pulls fail."""
        self.engine.run("stop", "-t", "2", self.container)

    def start(self) -> None:
        """Bring it back."""
        self.ensure()


@dataclass(frozen=True)
class Authority:
    """An ACME authority that reaches the lab's main host by the product's public names."""

    engine: Engine
    plan: Plan

    def ensure(self) -> str:
        """Start it, and return its root certificate (PEM). Raises LabError after 30 s."""
        image = ensure_image(self.engine, "caddy")
        _ensure_container(self.engine, self.plan, "authority", image, f"acme.{DOMAIN}")
        container = self.plan.container("authority")
        deadline = time.monotonic() + READY_SECONDS
        while True:
            root = self.engine.attempt("exec", container, "cat", "/data/caddy/pki/authorities/local/root.crt")
            if root.returncode == 0 and root.stdout.rstrip().endswith("-----END CERTIFICATE-----"):
                return root.stdout
            if time.monotonic() > deadline:
                log = self.engine.attempt("logs", "--tail", "10", container).stderr
                raise LabError(f"The certificate authority made no root within {READY_SECONDS} s:\n{log}")
            time.sleep(0.1)


@dataclass(frozen=True)
class Bucket:
    """An S3 server that does not go with a host: where backups go. What is in it goes with its container."""

    engine: Engine
    plan: Plan
    endpoint = f"http://bucket.{DOMAIN}:9000"
    # As its image has them.
    access_key, secret_key = "labbucketaccesskey", "labbucketsecretaccesskey"

    def ensure(self) -> None:
        """Start it; whoever asks it tries again."""
        _ensure_container(self.engine, self.plan, "bucket", ensure_image(self.engine, "bucket"), f"bucket.{DOMAIN}")
