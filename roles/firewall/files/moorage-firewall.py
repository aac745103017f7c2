#!/usr/bin/python3
"""Compares the loaded packet filter with what is written in /etc/ufw and /etc/moorage/firewall, and repairs it.

usage: moorage-firewall check|apply

`check` prints each fault and exits 1 when there is one. `apply` repairs, in one transaction for each address family, so
that no packet finds a half-loaded filter. Docker runs `apply` before it starts and after (docker.service.d/moorage.conf).
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

UFW = Path("/etc/ufw")
PUBLISHED = Path("/etc/moorage/firewall")
CHAIN = "MOORAGE-PUBLISHED"
HOOKS = ("before-logging", "before", "after", "after-logging", "reject", "track")
WAYS = ("input", "output", "forward")


@dataclass
class Filter:
    """One family's filter table: policies of the built-in chains, and the rules of every chain, in iptables' words."""

    policies: dict[str, str] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Filter:
        """Read what `iptables -S` or a rules file says; comments and what is no rule is passed over."""
        table = cls()
        for line in text.splitlines():
            words = line.split()
            if words[:1] == ["-P"]:
                table.policies[words[1]] = words[2]
                table.chains[words[1]] = []
            elif words[:1] == ["-N"] or line.startswith(":"):
                table.chains.setdefault(words[1] if words[0] == "-N" else words[0][1:], [])
            elif words[:1] == ["-A"]:
                table.chains.setdefault(words[1], []).append(" ".join(words[2:]))
        return table


@dataclass(frozen=True)
class Family:
    program: str
    ufw: str  # the prefix of ufw's chains
    suffix: str  # of the rules files' names

    def wanted(self) -> Filter:
        """The chains as the files have them, with the jumps that ufw itself adds when it loads them."""
        files = [UFW / f"{kind}{self.suffix}.rules" for kind in ("before", "after", "user")]
        files.append(PUBLISHED / f"published{self.suffix}.rules")
        wanted = Filter.parse("".join(f"{file.read_text()}\n" for file in files))
        for way in WAYS:
            wanted.chains.setdefault(f"{self.ufw}-before-{way}", []).append(f"-j {self.ufw}-user-{way}")
        return wanted

    def loaded(self) -> Filter | None:
        """What is loaded; None where the kernel has no such family."""
        done = subprocess.run([self.program, "-w", "-S"], capture_output=True, text=True, check=False)
        return Filter.parse(done.stdout) if done.returncode == 0 else None

    def jumps(self) -> list[str]:
        """The rules of INPUT, in order."""
        return [f"-j {self.ufw}-{hook}-input" for hook in HOOKS]


FAMILIES = (Family("iptables", "ufw", ""), Family("ip6tables", "ufw6", "6"))


def faults(family: Family, wanted: Filter, loaded: Filter) -> list[str]:
    """What of `loaded` is not as it should be, in words."""
    found = [
        f"chain {name} differs" for name, rules in wanted.chains.items() if loaded.chains.get(name) != rules
    ]
    found += [f"policy of {c} is not DROP" for c in ("INPUT", "FORWARD") if loaded.policies.get(c) != "DROP"]
    rules = loaded.chains.get("INPUT", [])
    if [r for r in rules if r.startswith(f"-j {family.ufw}-")] != family.jumps():
        found.append("INPUT does not go through ufw")
    found += [f"INPUT has a rule of its own: {rule}" for rule in foreign(rules)]
    if [r for r in loaded.chains.get("DOCKER-USER", []) if not bans(r)][:1] != [f"-j {CHAIN}"]:
        found.append(f"DOCKER-USER does not begin with {CHAIN}")
    if loaded.chains.get("FORWARD", [])[:1] != ["-j DOCKER-USER"]:
        found.append("FORWARD does not begin with DOCKER-USER")
    return found


def foreign(rules: list[str]) -> list[str]:
    """Rules of INPUT that let something in beside ufw; jumps to chains of other programs are theirs to keep."""
    return [rule for rule in rules if rule.endswith("-j ACCEPT")]


def bans(rule: str) -> bool:
    """Whether a rule is fail2ban's jump: it goes before ours, and only ever closes more."""
    return rule.split(" -j ")[-1].removeprefix("-j ").startswith("f2b-")


def repair(family: Family, wanted: Filter, loaded: Filter) -> str:
    """The transaction that makes `loaded` as it should be. Chains declared with a colon are emptied by it."""
    fresh = [name for name in ("DOCKER-USER",) if name not in loaded.chains]
    lines = ["*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]"]
    lines += [f":{name} - [0:0]" for name in (*wanted.chains, *fresh)]
    lines += [f"-A {name} {rule}" for name, rules in wanted.chains.items() for rule in rules]

    rules = loaded.chains.get("INPUT", [])
    ours = [rule for rule in rules if rule.startswith(f"-j {family.ufw}-")]
    lines += [f"-D INPUT {rule}" for rule in foreign(rules)]
    if ours != family.jumps():
        lines += [f"-D INPUT {rule}" for rule in ours]
        lines += [f"-A INPUT {rule}" for rule in family.jumps()]

    for chain, rule in (("DOCKER-USER", f"-j {CHAIN}"), ("FORWARD", "-j DOCKER-USER")):
        lines += [f"-D {chain} {rule}" for found in loaded.chains.get(chain, []) if found == rule]
        lines.append(f"-I {chain} 1 {rule}")
    return "\n".join([*lines, "COMMIT", ""])


def apply(family: Family) -> None:
    """Repair one family; raises subprocess.CalledProcessError with what iptables said."""
    loaded = family.loaded()
    if loaded is None:
        return
    if f"{family.ufw}-user-input" not in loaded.chains:
        # Makes its thirty chains, and does nothing when they are there.
        subprocess.run(["/lib/ufw/ufw-init", "start"], capture_output=True, text=True, check=True)
        loaded = family.loaded() or Filter()
    wanted = family.wanted()
    if faults(family, wanted, loaded):
        restore = [f"{family.program}-restore", "-w", "--noflush"]
        transaction = repair(family, wanted, loaded)
        subprocess.run(restore, input=transaction, capture_output=True, text=True, check=True)


def check() -> list[str]:
    """The faults of both families."""
    found = []
    for family in FAMILIES:
        loaded = family.loaded()
        if loaded is not None:
            found += [f"{family.program}: {fault}" for fault in faults(family, family.wanted(), loaded)]
    return found


def main(arguments: list[str]) -> int:
    if arguments not in (["check"], ["apply"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if arguments == ["apply"]:
            for family in FAMILIES:
                apply(family)
        found = check()
    except FileNotFoundError as error:
        found = [f"{error.filename} is missing: run provision.yml"]
    except subprocess.CalledProcessError as error:
        found = [
            f"`{' '.join(error.cmd)}` exited {error.returncode}: {error.stderr.strip() or error.stdout.strip()}"
        ]
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
