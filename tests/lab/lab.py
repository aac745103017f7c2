"""A lab: its network, its hosts, its registry and its certificate authority, under one name."""

import json
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.lab import engine as engines
from tests.lab.cache import lock
from tests.lab.engine import Engine
from tests.lab.errors import LabError
from tests.lab.facts import facts_of, forget_facts, state_dir, write_facts
from tests.lab.hosts import Host, Key
from tests.lab.network import DOMAIN, FIRST_HOST, Plan, ensure_network, write_names
from tests.lab.product import push_products
from tests.lab.progress import say
from tests.lab.recipes import PINNED, ensure_image
from tests.lab.services import Authority, Bucket, Registry
from tests.lab.shapes import Shape
from tests.lab.variants import Change, broken, push_variant

PUBLIC_NAMES = tuple(f"{name}.{DOMAIN}" for name in ("app", "api", "s3", "status"))
MAIN_HOST = "vps"
# Only one lab can have the product's names on this machine; the tests bring their own resolution.
NAMED_LAB = "demo"


@dataclass
class Lab:
    """One lab. `Lab.open("test")` gives it with its network and key; the rest is made when asked for."""

    plan: Plan
    engine: Engine
    hosts: dict[str, Host] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    root_certificate: str = ""

    @classmethod
    def open(cls, name: str) -> "Lab":
        """The lab `name`, made when absent. Raises LabError, with no engine or no such lab."""
        plan = Plan(name)
        _ = plan.number
        lab = cls(plan, engines.ensure())
        with lock(f"lab-{name}"):
            ensure_network(lab.engine, plan)
            lab._ensure_key()
            lab.hosts = lab._existing()
        return lab

    @classmethod
    def find(cls, name: str) -> "Lab":
        """The lab `name` as it is, nothing made. Raises LabError when no engine answers."""
        engine = engines.find()
        if engine is None:
            raise LabError("No Docker engine answers, so no lab is up: `python -m tests.lab up`.")
        lab = cls(Plan(name), engine)
        lab.hosts = lab._existing()
        return lab

    @property
    def folder(self) -> Path:
        """Where the lab's key, certificates and facts are."""
        return state_dir(self.plan.lab)

    @property
    def key(self) -> Key:
        """The key pair that opens the hosts."""
        return Key(self.folder / "id_ed25519")

    @property
    def registry(self) -> Registry:
        """The image registry."""
        return Registry(self.engine, self.plan)

    @property
    def authority(self) -> Authority:
        """The certificate authority."""
        return Authority(self.engine, self.plan)

    @property
    def bucket(self) -> Bucket:
        """A bucket elsewhere, made when asked for."""
        bucket = Bucket(self.engine, self.plan)
        bucket.ensure()
        return bucket

    def _ensure_key(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.key.private.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"moorage-lab {self.plan.lab}"]
            subprocess.run([*command, "-f", str(self.key.private)], check=True)

    def host(self, name: str, shape: Shape | None = None) -> Host:
        """A booted host, created when absent; `vps` also answers to the product's public names.

        An existing host keeps the shape that it was created with.
        """
        with lock(f"lab-{self.plan.lab}"):
            host = self.hosts.get(name) or self._described(name, shape or Shape())
            host.create()
        self.hosts[name] = host
        host.ensure()
        return host

    def peer(self, name: str = "peer", image: str = "debian13") -> Host:
        """A second machine on the bridge, to try things from outside: curl and Python, no systemd, no sshd."""
        return self.host(name, Shape(image=image, memory="512m", cpus=1, init=False))

    def forget(self, name: str) -> None:
        """Remove one host."""
        self.hosts.pop(name).remove()

    def _described(self, name: str, shape: Shape) -> Host:
        if name == MAIN_HOST:
            shape = replace(shape, aliases=(*PUBLIC_NAMES, *shape.aliases))
        taken = {FIRST_HOST, *(host.place for host in self._existing().values())}
        place = FIRST_HOST if name == MAIN_HOST else next(n for n in range(FIRST_HOST, 250) if n not in taken)
        return Host(self.engine, self.plan, name, place, self.key, self.folder / "known_hosts", shape)

    def _existing(self) -> dict[str, Host]:
        """The hosts there are, as their containers' labels tell."""
        found = {}
        containers = self.engine.labelled("container", self.plan.label)
        for container in containers:
            labels = json.loads(self.engine.inspect("container", container, "{{json .Config.Labels}}") or "{}")
            if "moorage.host" in labels:
                found[labels["moorage.host"]] = Host(
                    self.engine,
                    self.plan,
                    labels["moorage.host"],
                    int(labels["moorage.place"]),
                    self.key,
                    self.folder / "known_hosts",
                    Shape.from_label(labels.get("moorage.shape", "{}")),
                )
        return found

    def up(self, hosts: dict[str, str]) -> Path:
        """Bring up everything and these hosts (name to image), and write the facts; return where they are."""
        self.root_certificate = self.authority.ensure()
        (self.folder / "ca.pem").write_text(self.root_certificate)
        self.pins = self._push_stand_ins()
        for name, image in {**dict.fromkeys(self.hosts, ""), **hosts}.items():
            self.host(name, Shape(image=image))
        if self.plan.lab == NAMED_LAB and MAIN_HOST in self.hosts:
            write_names(NAMED_LAB, self.hosts[MAIN_HOST].address, list(PUBLIC_NAMES))
        return self.write_facts()

    def write_facts(self) -> Path:
        """Write `generated.yml` for the hosts known now; call it again after adding one."""
        first = sorted(self.hosts.values(), key=lambda host: host.name != MAIN_HOST)
        return write_facts(self.plan.lab, facts_of(self.plan, first, self.pins, self.root_certificate))

    def _push_stand_ins(self) -> dict[str, str]:
        """Production image names to what stands in for them, by digest."""
        self.registry.ensure()
        # Two at a time: a push is one core's compressing, a build is mostly the network's.
        with ThreadPoolExecutor(max_workers=2) as pool:
            return dict(pool.map(self._pin, PINNED))

    def _pin(self, official: str) -> tuple[str, str]:
        recipe, repository = PINNED[official]
        image = ensure_image(self.engine, recipe)
        tag = image.rpartition(":")[2]
        digest = self.registry.digest(repository, tag) or self.registry.push(image, repository, tag)
        return official, f"{self.registry.name}/{repository}@{digest}"

    def push(self, tag: str = "") -> dict[str, dict[str, str]]:
        """Build and push the product's images; see `product.push_products`."""
        self.registry.ensure()
        return push_products(self.engine, self.registry, tag)

    def variant(
        self,
        tag: str,
        product: str = "controlplane",
        base: str = "sha-one",
        dockerfile: str = "",
        files: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """The product's image at `base` with something on top, under a `tag` to release; see `push_variant`."""
        return push_variant(self.engine, self.registry, product, tag, base, Change(dockerfile, files or {}))

    def broken(self, tag: str, product: str, kind: str, base: str = "sha-one") -> dict[str, str]:
        """The same, spoilt in one of the ways of `variants.BROKEN`: never-healthy, crash-loop and so on."""
        return push_variant(self.engine, self.registry, product, tag, base, broken(product, kind))

    def down(self) -> None:
        """Remove every trace of the lab, and stop the engine when we started it and no lab is left."""
        remove(self.engine, self.plan)


def clear(engine: Engine, plan: Plan) -> None:
    """Remove a lab's containers, volumes and network, whatever their state and whichever checkout made them."""
    for host in Lab.find(plan.lab).hosts.values():
        say(f"removing {host.name}")
        host.remove()
    for kind, force in (("container", ["-f", "-v"]), ("volume", ["-f"]), ("network", [])):
        for thing in engine.labelled(kind, plan.label):
            engine.attempt(kind, "rm", *force, thing)


def remove(engine: Engine | None, plan: Plan) -> None:
    """Remove a lab's objects, names and files, whatever their state; without an engine, the latter two."""
    if engine:
        clear(engine, plan)
    write_names(plan.lab)
    forget_facts(plan.lab)
    engines.stop_when_idle()
