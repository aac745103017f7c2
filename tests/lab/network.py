"""Names and addresses: each lab has a bridge, a loopback block for the outer machine, and fixed places."""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from tests.lab.engine import Engine
from tests.lab.errors import LabError

# A lab's number gives its loopback block 127.0.N.0/24 and its bridge 172.30.N.0/24. Other names, for work beside
# a running demo or test, get one of the rest by their hash.
NUMBERS = {"demo": 10, "test": 20, "release": 25}
OTHERS = range(30, 250)
DOMAIN = "moorage.test"
HOSTS_FILE = Path("/etc/hosts")
SERVICES = {"authority": 2, "registry": 3, "bucket": 4}
FIRST_HOST = 10


@dataclass(frozen=True)
class Plan:
    """Where everything of one lab is."""

    lab: str

    @property
    def number(self) -> int:
        """The lab's number; raises LabError for a name that cannot be one."""
        if not re.fullmatch("[a-z][a-z0-9]{0,11}", self.lab):
            raise LabError(f"{self.lab!r} cannot name a lab: use up to 12 lower-case letters and digits.")
        return NUMBERS.get(self.lab) or OTHERS[zlib.crc32(self.lab.encode()) % len(OTHERS)]

    @property
    def network(self) -> str:
        """The bridge's name."""
        return f"moorage-{self.lab}"

    @property
    def subnet(self) -> str:
        """The bridge's addresses."""
        return f"172.30.{self.number}.0/24"

    @property
    def gateway(self) -> str:
        """The outer machine's own address on the bridge: where everything from outside seems to come from."""
        return f"172.30.{self.number}.1"

    def bridge(self, place: int) -> str:
        """The bridge address of a place."""
        return f"172.30.{self.number}.{place}"

    def loopback(self, place: int) -> str:
        """The outer machine's loopback address of a place."""
        return f"127.0.{self.number}.{place}"

    def container(self, thing: str) -> str:
        """The name of a container, also the prefix of its volumes' names."""
        return f"moorage-{self.lab}-{thing}"

    @property
    def label(self) -> str:
        """The label on every object of this lab."""
        return f"moorage.lab={self.lab}"


def ensure_network(engine: Engine, plan: Plan) -> None:
    """Make the lab's bridge when absent."""
    if engine.inspect("network", plan.network, "{{.Id}}") is None:
        engine.run(
            "network", "create", "--driver", "bridge", "--subnet", plan.subnet, "--gateway", plan.gateway,
            "--label", plan.label, plan.network,
        )  # fmt: skip


def with_names(text: str, lab: str, address: str, names: list[str]) -> str:
    """`/etc/hosts` content with one marked line for the lab in place of any it had; none without names."""
    mark = f"# moorage-lab {lab}"
    lines = [line for line in text.splitlines() if not line.rstrip().endswith(mark)]
    if names:
        lines.append(f"{address} {' '.join(names)} {mark}")
    return "\n".join(lines) + "\n"


def write_names(lab: str, address: str = "", names: list[str] | None = None) -> None:
    """Set or clear the lab's line in the outer machine's hosts file, in place: it may be a mount."""
    before = HOSTS_FILE.read_text()
    after = with_names(before, lab, address, names or [])
    if after != before:
        HOSTS_FILE.write_text(after)
