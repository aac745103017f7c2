#!/usr/bin/python3
"""Compares the loaded packet filter with what is written in /etc/ufw and /etc/moorage/firewall, and repairs it.

usage: moorage-firewall check|apply|close

`check` prints each fault and exits 1 when there is one. `apply` repairs, in one transaction for each address family, so
that no packet finds a half-loaded filter. `close` does the same for what containers publish and no more: Docker runs it
before it starts and after, and must not be kept down by what somebody has done to ufw.
"""

from __future__ import annotations

import ipaddress
import re
import subprocess
import sys
from collections.abc import Callable
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

    def published(self) -> Filter:
        """The chain that guards what containers publish."""
        return Filter.parse((PUBLISHED / f"published{self.suffix}.rules").read_text())

    def host(self) -> Filter:
        """The host's own chains as the files have them, with the jumps that ufw itself adds when it loads them."""
        text = "".join((UFW / f"{kind}{self.suffix}.rules").read_text() for kind in ("before", "after", "user"))
        wanted = Filter.parse("\n".join(canonical(line) for line in text.splitlines()))
        # Of what ufw writes, its rules are enough: the rest is for its logging, which is off, and never changes.
        kept = [f"{self.ufw}-{kind}-{way}" for kind in ("before", "after", "user") for way in WAYS]
        wanted.chains = {name: wanted.chains.get(name, []) for name in kept}
        for way in WAYS:
            wanted.chains[f"{self.ufw}-before-{way}"].append(f"-j {self.ufw}-user-{way}")
        return wanted

    def loaded(self) -> Filter | None:
        """What is loaded; None where the kernel has no such family."""
        done = subprocess.run([self.program, "-w", "-S"], capture_output=True, text=True, check=False)
        return Filter.parse(done.stdout) if done.returncode == 0 else None

    def jumps(self) -> list[str]:
        """The rules of INPUT, in order."""
        return [f"-j {self.ufw}-{hook}-input" for hook in HOOKS]


FAMILIES = (Family("iptables", "ufw", ""), Family("ip6tables", "ufw6", "6"))


def canonical(line: str) -> str:
    """A rule as ufw writes it, in the words in which `iptables -S` gives it back."""
    match = re.fullmatch(r"(-A ufw6?-user-\w+) -p (tcp|udp) --dport (\d+)(?: -s (\S+))? -j ACCEPT", line)
    if match is None:
        return line
    chain, proto, port, source = match.groups()
    come_from = f"-s {ipaddress.ip_network(source)} " if source else ""
    return f"{chain} {come_from}-p {proto} -m {proto} --dport {port} -j ACCEPT"


def differing(wanted: Filter, loaded: Filter) -> list[str]:
    return [f"chain {name} differs" for name, rules in wanted.chains.items() if loaded.chains.get(name) != rules]


def published_faults(loaded: Filter, wanted: Filter) -> list[str]:
    """Why a port that a container publishes may be open, in words."""
    found = differing(wanted, loaded)
    if [r for r in loaded.chains.get("DOCKER-USER", []) if not bans(r)][:1] != [f"-j {CHAIN}"]:
        found.append(f"DOCKER-USER does not begin with {CHAIN}")
    if loaded.chains.get("FORWARD", [])[:1] != ["-j DOCKER-USER"]:
        found.append("FORWARD does not begin with DOCKER-USER")
    return found


def host_faults(family: Family, loaded: Filter, wanted: Filter) -> list[str]:
    """Why a port of the host itself may be open, in words."""
    found = differing(wanted, loaded)
    found += [f"policy of {c} is not DROP" for c in ("INPUT", "FORWARD") if loaded.policies.get(c) != "DROP"]
    rules = loaded.chains.get("INPUT", [])
    if [r for r in rules if r.startswith(f"-j {family.ufw}-")] != family.jumps():
        found.append("INPUT does not go through ufw")
    return found + [f"INPUT has a rule of its own: {rule}" for rule in foreign(rules)]


def foreign(rules: list[str]) -> list[str]:
    """Rules of INPUT that let something in beside ufw; jumps to chains of other programs are theirs to keep."""
    return [rule for rule in rules if rule.endswith("-j ACCEPT")]


def bans(rule: str) -> bool:
    """Whether a rule is fail2ban's jump: it goes before ours, and only ever closes more."""
    return rule.rsplit(" -j ", 1)[-1].removeprefix("-j ").startswith("f2b-")


def published_repair(loaded: Filter, wanted: Filter) -> list[str]:
    """Lines for iptables-restore. Chains declared with a colon are emptied by it, so DOCKER-USER only when new."""
    lines = [] if "DOCKER-USER" in loaded.chains else [":DOCKER-USER - [0:0]"]
    lines += loading(wanted)
    for chain, rule in (("DOCKER-USER", f"-j {CHAIN}"), ("FORWARD", "-j DOCKER-USER")):
        lines += [f"-D {chain} {rule}" for found in loaded.chains.get(chain, []) if found == rule]
        lines.append(f"-I {chain} 1 {rule}")
    return lines


def host_repair(family: Family, loaded: Filter, wanted: Filter) -> list[str]:
    """Lines for iptables-restore."""
    rules = loaded.chains.get("INPUT", [])
    ours = [rule for rule in rules if rule.startswith(f"-j {family.ufw}-")]
    lines = [":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", *loading(wanted)]
    lines += [f"-D INPUT {rule}" for rule in foreign(rules)]
    if ours != family.jumps():
        lines += [f"-D INPUT {rule}" for rule in ours]
        lines += [f"-A INPUT {rule}" for rule in family.jumps()]
    return lines


def loading(wanted: Filter) -> list[str]:
    declared = [f":{name} - [0:0]" for name in wanted.chains]
    return declared + [f"-A {name} {rule}" for name, rules in wanted.chains.items() for rule in rules]


def restore(family: Family, lines: list[str]) -> None:
    """One transaction; raises subprocess.CalledProcessError with what iptables said."""
    command = [f"{family.program}-restore", "-w", "--noflush"]
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    subprocess.run(command, input=text, capture_output=True, text=True, check=True)


def close(family: Family) -> None:
    """Repair what guards the containers."""
    loaded = family.loaded()
    if loaded is not None and published_faults(loaded, family.published()):
        restore(family, published_repair(loaded, family.published()))


def apply(family: Family) -> None:
    """Repair all of one family."""
    close(family)
    loaded = family.loaded()
    if loaded is None:
        return
    if f"{family.ufw}-user-input" not in loaded.chains:
        # Makes its thirty chains, and does nothing when they are there.
        subprocess.run(["/lib/ufw/ufw-init", "start"], capture_output=True, text=True, check=True)
        loaded = family.loaded() or Filter()
    if host_faults(family, loaded, family.host()):
        restore(family, host_repair(family, loaded, family.host()))


def faults(verb: str) -> list[str]:
    """What is wrong with both families; with what guards the containers only, after `close`."""
    found = []
    for family in FAMILIES:
        loaded = family.loaded()
        if loaded is not None:
            wrong = published_faults(loaded, family.published())
            wrong += host_faults(family, loaded, family.host()) if verb != "close" else []
            found += [f"{family.program}: {fault}" for fault in wrong]
    return found


VERBS: dict[str, Callable[[Family], None]] = {"check": lambda family: None, "apply": apply, "close": close}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in VERBS:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        for family in FAMILIES:
            VERBS[arguments[0]](family)
        found = faults(arguments[0])
    except FileNotFoundError as error:
        found = [f"{error.filename} is missing: run provision.yml"]
    except subprocess.CalledProcessError as error:
        found = [f"`{' '.join(error.cmd)}` exited {error.returncode}: {error.stderr.strip() or error.stdout.strip()}"]
    sys.stderr.writelines(f"{fault}\n" for fault in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
