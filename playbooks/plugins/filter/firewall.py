"""Rules of the firewall from the inventory, in the very words of who reads them: ufw, and `iptables -S`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

CHAIN = "MOORAGE-PUBLISHED"
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


def ufw_rules(allow: Iterable[Mapping[str, Any]], family: int) -> list[dict[str, str]]:
    """ufw's user rules for `family` (4 or 6): `tuple` is what its own tool reads, `rule` what it loads.

    Both as ufw itself writes them, so that `ufw reload`, which writes the file anew, changes nothing.
    Raises AnsibleFilterError naming the entry of firewall_allow that is wrong.
    """
    rules = []
    for index, entry in enumerate(allow):
        where = f"firewall_allow[{index}]"
        port, proto = _port(entry, where), _proto(entry, where)
        source = _source(entry, where)
        if source is not None and source.version != family:
            continue
        chain = "ufw-user-input" if family == 4 else "ufw6-user-input"
        come_from = "" if source is None else f" -s {_short(source)}"
        anywhere = ANYWHERE[family]
        rules.append(
            {
                "tuple": f"allow {proto} {port} {anywhere} any {_short(source) if source else anywhere} in",
                "rule": f"-A {chain} -p {proto} --dport {port}{come_from} -j ACCEPT",
            }
        )
    return rules


def published_rules(ports: Iterable[Mapping[str, Any]], interfaces: Iterable[str]) -> list[str]:
    """The chain that Docker's published ports pass: from outside only `ports`, by the number they have outside.

    In the words in which `iptables -S` gives them back, so that what is loaded can be compared line by line.
    Raises AnsibleFilterError naming what is wrong with firewall_published_ports or firewall_interfaces.
    """
    ports, interfaces = list(ports), list(interfaces)
    if not interfaces or not all(interfaces):
        raise AnsibleFilterError(
            "firewall_interfaces: must be the interfaces that face the world, such as [eth0]; the host has no default "
            "route to find them by"
        )
    rules = []
    for interface in interfaces:
        start = f"-A {CHAIN} -i {interface}"
        rules.append(f"{start} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN")
        for index, entry in enumerate(ports):
            where = f"firewall_published_ports[{index}]"
            # DNAT: whoever aims at a container's own address (a neighbour can) has not come by a published port.
            match = f"-m conntrack --ctstate DNAT --ctorigdstport {_port(entry, where)}"
            rules.append(f"{start} -p {_proto(entry, where)} {match} -j RETURN")
        rules.append(f"{start} -j DROP")
    return rules


def _port(entry: Mapping[str, Any], where: str) -> int:
    port = entry.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise AnsibleFilterError(f"{where}: `port` must be a number from 1 to 65535, but is {port!r}")
    return port


def _proto(entry: Mapping[str, Any], where: str) -> str:
    proto = entry.get("proto") or "tcp"
    if proto not in ("tcp", "udp"):
        raise AnsibleFilterError(f"{where}: `proto` must be tcp or udp, but is {proto!r}")
    return str(proto)


def _source(entry: Mapping[str, Any], where: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    source = entry.get("from") or "any"
    if source == "any":
        return None
    try:
        return ipaddress.ip_network(source)
    except ValueError as error:
        raise AnsibleFilterError(
            f"{where}: `from` must be `any`, an address, or a network such as 203.0.113.0/24: {error}"
        ) from error


def _short(source: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """A single address without its prefix length, as ufw has it."""
    return str(source.network_address) if source.prefixlen == source.max_prefixlen else str(source)


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"ufw_rules": ufw_rules, "published_rules": published_rules}
