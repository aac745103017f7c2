"""A lab host: a container that boots systemd, is reached over SSH, and can run an engine of its own."""

import hashlib
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import apt_archive
from tests.lab.engine import Engine
from tests.lab.errors import LabError
from tests.lab.machine import cgroup_version
from tests.lab.network import Plan
from tests.lab.progress import say
from tests.lab.recipes import ensure_image
from tests.lab.shapes import RELEASES, Shape

# A boot takes 2 s alone, and ten times that beside everything else that a test suite runs on two cores.
BOOT_SECONDS = 60


@dataclass(frozen=True)
class Key:
    """The key pair that opens every host of a lab."""

    private: Path

    @property
    def public(self) -> str:
        """The public half, one line."""
        return self.private.with_suffix(".pub").read_text().strip()

    @property
    def fingerprint(self) -> str:
        """Which key this is, for a container's label: the SHA-256 of its public half, in hexadecimal."""
        return hashlib.sha256(self.public.encode()).hexdigest()


@dataclass(frozen=True)
class Host:
    """One host of a lab. `place` gives its addresses; methods raise LabError or CommandError."""

    engine: Engine
    plan: Plan
    name: str
    place: int
    key: Key
    known_hosts: Path
    shape: Shape = field(default_factory=Shape)

    @property
    def container(self) -> str:
        """The container's name."""
        return self.plan.container(self.name)

    @property
    def address(self) -> str:
        """Where the outer machine reaches it, on the standard ports."""
        return self.plan.loopback(self.place)

    @property
    def bridge_address(self) -> str:
        """Where other hosts of the lab reach it."""
        return self.plan.bridge(self.place)

    @property
    def _volume(self) -> str:
        return f"{self.container}-docker"

    @property
    def id(self) -> str:
        """The container's full id; empty when there is none."""
        return self.engine.inspect("container", self.container, "{{.Id}}") or ""

    @property
    def cgroup_parent(self) -> str:
        """What the nested engine must put its containers under, or they escape this host's limits."""
        return f"/docker/{self.id}/nested" if cgroup_version() == 1 else ""

    def create(self) -> None:
        """Create the host when absent, without starting it."""
        if not self.id:
            image = ensure_image(self.engine, self.shape.image)
            say(f"creating {self.name}: {self.shape.image}, {self.shape.memory}, {self.shape.cpus:g} cpus")
            self.engine.run(*self._creation(image))

    def ensure(self) -> None:
        """Start the host when stopped, and wait until it answers over SSH. Raises LabError for another's host."""
        opened_by = self.engine.inspect("container", self.container, '{{index .Config.Labels "moorage.key"}}')
        if opened_by != self.key.fingerprint:
            raise LabError(
                f"{self.container} was made from another checkout, and the key at {self.key.private} does not open it."
                f" Work from there, or remove it: `python -m tests.lab down --name {self.plan.lab}`."
            )
        state = self.engine.inspect("container", self.container, "{{.State.Status}}")
        if state == "paused":
            self.unpause()
        if state != "running":
            self.engine.run("start", self.container)
        self.wait_ready()

    def _creation(self, image: str) -> list[str]:
        shape = self.shape
        words = ["create", "--name", self.container, "--hostname", self.name, "--label", self.plan.label]
        words += ["--label", f"moorage.host={self.name}", "--label", f"moorage.place={self.place}"]
        words += ["--label", f"moorage.shape={shape.to_label()}", "--label", f"moorage.key={self.key.fingerprint}"]
        words += ["--network", self.plan.network, "--ip", self.bridge_address]
        words += [word for alias in (self.name, *shape.aliases) for word in ("--network-alias", alias)]
        self.engine.run("volume", "create", "--label", self.plan.label, self._volume)
        words += shape.options(self.address, self._volume)
        archive = apt_archive.prepare(RELEASES[shape.image], self.container)
        words += ["-v", f"{archive}:/var/cache/apt/archives", image]
        return words if shape.init else [*words, "sleep", "infinity"]

    def exec(self, *command: str, check: bool = True, given: str | None = None, timeout: float = 300) -> str:
        """Run a command inside as root, without SSH, and return what it printed.

        A single word goes to a shell: `host.exec("ss -ltn | wc -l")`.
        """
        words = ["sh", "-c", command[0]] if len(command) == 1 else list(command)
        arguments = ["exec", "-i", self.container, *words]
        if check:
            return self.engine.run(*arguments, given=given, timeout=timeout)
        return self.engine.attempt(*arguments, given=given, timeout=timeout).stdout

    def ssh_arguments(self, user: str = "root") -> list[str]:
        """The start of an `ssh` command line to this host, without multiplexing."""
        options = ["IdentitiesOnly=yes", f"UserKnownHostsFile={self.known_hosts}", "BatchMode=yes"]
        options += ["StrictHostKeyChecking=yes", "ConnectTimeout=5", "ControlPath=none", "LogLevel=ERROR"]
        words = ["ssh", "-F", "none", "-i", str(self.key.private)]
        return [*words, *(word for option in options for word in ("-o", option)), f"{user}@{self.address}"]

    def ssh(self, command: str, user: str = "root", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command over SSH; return the finished process, whatever its code (255: ssh itself failed)."""
        words = [*self.ssh_arguments(user), command]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout)

    def user(self) -> str:
        """Who gets in: `deploy` once the host is provisioned, root before."""
        provisioned = self.exec("grep -s . /home/deploy/.ssh/authorized_keys", check=False)
        return "deploy" if provisioned else "root"

    def wait_ready(self) -> None:
        """Wait for a finished boot and for sshd, and make sure of the way in. Raises LabError after 60 s."""
        if not self.shape.init:
            return
        say(f"booting {self.name} at {self.address}", "systemd, then sshd")
        self._until("systemd to finish the boot", self._booted)
        self._authorise()
        self._until(f"sshd on {self.address}:22", self._greeted)

    def _booted(self) -> bool:
        return self.exec("systemctl is-system-running 2>&1", check=False).strip() in {"running", "degraded"}

    def _greeted(self) -> bool:
        try:
            with socket.create_connection((self.address, 22), timeout=2) as link:
                link.settimeout(2)
                return link.recv(4) == b"SSH-"
        except OSError:
            return False

    def _until(self, what: str, test: Callable[[], bool]) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while not test():
            if time.monotonic() > deadline:
                log = self.engine.attempt("logs", "--tail", "15", self.container).stdout
                failed = self.exec("systemctl --failed --no-legend --plain; systemctl list-jobs", check=False)
                raise LabError(f"{self.name}: waited {BOOT_SECONDS} s for {what}.\n{failed}\n{log}")
            time.sleep(0.2)

    def _authorise(self) -> None:
        # Only on a host that no role has been at: afterwards root has no way in, and must not get one back.
        script = (
            "[ -e /var/lib/lab-authorised ] || { umask 077; mkdir -p /root/.ssh;"
            " cat > /root/.ssh/authorized_keys; touch /var/lib/lab-authorised; };"
            " cat /etc/ssh/ssh_host_*_key.pub"
        )
        keys = self.exec(script, given=self.key.public + "\n").splitlines()
        mine = [f"{self.address} {' '.join(key.split()[:2])}" for key in keys]
        before = self.known_hosts.read_text().splitlines() if self.known_hosts.exists() else []
        others = [line for line in before if line.split()[0] != self.address]
        self.known_hosts.write_text("\n".join([*others, *mine]) + "\n")

    def upgrade(self) -> None:
        """Bring its packages up to date: it is as old as its image."""
        apt = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Options::=--force-confold"
        self.exec(f"apt-get -qq update && {apt} upgrade >/dev/null", timeout=600)

    def reboot(self) -> None:
        """Shut down cleanly, boot again, and wait until ready."""
        self.engine.run("restart", "-t", "60", self.container)
        self.wait_ready()

    def kill(self) -> None:
        """Cut the power."""
        self.engine.run("kill", self.container)

    def start(self) -> None:
        """Boot again after `kill`, and wait until ready."""
        self.engine.run("start", self.container)
        self.wait_ready()

    def pause(self) -> None:
        """Freeze every process: the host answers nothing, its connections stay open."""
        self.engine.run("pause", self.container)

    def unpause(self) -> None:
        """Undo `pause`."""
        self.engine.run("unpause", self.container)

    def disconnect(self) -> None:
        """Pull the network cable."""
        self.engine.run("network", "disconnect", self.plan.network, self.container)

    def connect(self) -> None:
        """Plug it in again, with the same address and names."""
        names = [word for alias in (self.name, *self.shape.aliases) for word in ("--alias", alias)]
        place = ["--ip", self.bridge_address, *names, self.plan.network]
        self.engine.run("network", "connect", *place, self.container)

    def remove(self) -> None:
        """Remove the host and its disk; packages it downloaded stay in the cache."""
        self.engine.attempt("rm", "-f", "-v", self.container)
        self.engine.attempt("volume", "rm", "-f", self._volume)
        apt_archive.drop(RELEASES[self.shape.image], self.container)
