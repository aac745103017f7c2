"""What a lab host is made of, and the words that make it of a container."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from tests.lab.machine import cgroup_version

RELEASES = {"debian13": "trixie", "debian12": "bookworm"}
# SYS_TIME would let the host set the outer clock; the machine's bounding set may lack the two others.
CAPABILITIES = ("--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--cap-drop=SYS_TIME", "--cap-drop=SYS_MODULE")
UNCONFINED = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
PORTS = ("22", "80", "443", "443/udp")


@dataclass(frozen=True)
class Shape:
    """What a host is made of. Sizes are Docker's (`4g`).

    `docker_tmpfs` is the size of a small, volatile disk under /var/lib/docker, for tests that fill it.
    `ports` are published beside 22, 80 and 443 (`8443`, `53/udp`). `aliases` are more names on the bridge.
    `init` is false for a mere peer: no systemd, no sshd, just a place from which to reach others.
    """

    image: str = "debian13"
    memory: str = "4g"
    cpus: float = 2
    docker_tmpfs: str = ""
    ports: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    init: bool = True

    def to_label(self) -> str:
        """The shape as a container's label keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_label(cls, text: str) -> "Shape":
        """The shape that `to_label` wrote."""
        read: dict[str, Any] = json.loads(text)
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in read.items()}
        return cls(**fields)

    def options(self, address: str, volume: str) -> list[str]:
        """Options of `docker create` that make a host of this shape.

        Args:
            address: the loopback address that its ports are published on.
            volume: what its own engine's data lies on, unless `docker_tmpfs` is set.
        """
        words = [*CAPABILITIES, *(word for option in UNCONFINED for word in ("--security-opt", option))]
        # Without swap on top of the memory, or the limit is only half of what it seems.
        words += ["--memory", self.memory, "--memory-swap", self.memory, "--cpus", f"{self.cpus:g}"]
        if not self.init:
            return [*words, "--init"]
        words += ["--tmpfs", "/run", "--tmpfs", "/run/lock", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
        # The image's own signal; without it, stopping takes 21 s.
        words += ["--cgroupns=host", "-e", "container=docker", "--stop-signal", "SIGRTMIN+3"]
        if cgroup_version() == 1:  # systemd 256 and newer refuse the old hierarchy unless told twice
            legacy = "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
            words += ["-e", f"SYSTEMD_PROC_CMDLINE={legacy}"]
        for port in (*PORTS, *self.ports):
            words += ["-p", f"{address}:{port.split('/')[0]}:{port}"]
        if self.docker_tmpfs:
            return [*words, "--tmpfs", f"/var/lib/docker:size={self.docker_tmpfs},exec,dev,suid"]
        return [*words, "-v", f"{volume}:/var/lib/docker"]
