"""What no role declares and still is drift: images, ports, users, units, packages' own files. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

# Read by nobody's machine; a small image leaves them out.
_UNREAD = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/info/", "/usr/share/lintian/")
_LOCAL = re.compile(r"^(127\.|\[::1\]|\[::ffff:127\.)")
# What the network's own clients answer on: DHCP, DHCPv6, mDNS of systemd-resolved.
_CLIENTS = {"68/udp", "546/udp"}
_SHELL_LESS = ("/nologin", "/false", "/sync")


def images(wanted: Mapping[str, str], ids: Mapping[str, str], running: Mapping[str, str]) -> list[str]:
    """Services that do not run the image they were declared with.

    Args:
        wanted: service to its reference by digest.
        ids: reference to the image's id on this host; absent where the host has no such image.
        running: service to the id of the image that its container was made from.
    """
    out = []
    for service, reference in sorted(wanted.items()):
        have, should = running.get(service), ids.get(reference)
        if have is not None and have != should:
            out.append(f"container {service}: runs {have[:19]}, not {reference}")
    return out


def strangers(containers: Iterable[str], project: str, known: Collection[str]) -> list[str]:
    """Running containers that are not of the stack: `name project` each."""
    pairs = (line.partition(" ")[::2] for line in containers)
    return [f"container {name}: is not of the stack" for name, owner in pairs if owner != project and name not in known]


def ports(listening: str, allowed: Collection[str]) -> list[str]:
    """Ports that answer the world and that nobody declared.

    Args:
        listening: what `ss -Hltnup` prints.
        allowed: such as `443/udp`.
    """
    found: dict[str, str] = {}
    for line in listening.splitlines():
        protocol, _, _, _, address, *_ = line.split()
        process = re.search(r'\(\("([^"]+)"', line)
        if not _LOCAL.match(address):
            found[f"{address.rpartition(':')[2]}/{protocol}"] = process.group(1) if process else "an unknown process"
    return [
        f"port {port}: {process} listens, and nobody declared it"
        for port, process in sorted(found.items())
        if port not in {*allowed, *_CLIENTS}
    ]


def users(passwd: str, shadow: str, group: str, known: Collection[str]) -> list[str]:
    """Users who could log in or become root, and are not known."""
    rows = [line.split(":") for line in passwd.splitlines() if line.count(":") == 6]
    locked = {line.split(":")[0] for line in shadow.splitlines() if line.split(":")[1][:1] in ("!", "*")}
    out = []
    for name, _, uid, *_, shell in rows:
        if uid == "0" and name != "root":
            out.append(f"user {name}: is root by another name")
        elif 1000 <= int(uid) < 60000 and not shell.endswith(_SHELL_LESS) and name not in known:
            out.append(f"user {name}: may log in, and nobody declared it")
        if name not in locked and name in {row[0] for row in rows}:
            out.append(f"user {name}: has a password")
    for line in group.splitlines():
        title, _, _, members = line.split(":")
        if title in ("sudo", "docker", "wheel", "root"):
            strange = [name for name in members.split(",") if name and name not in known]
            out += [f"user {name}: is in the group {title}" for name in strange]
    return sorted(out)


def sudoers(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Files that give rights, and that nobody declared."""
    strange = sorted(set(names) - {*known, "README"})
    return [f"file /etc/sudoers.d/{name}: nobody declared it" for name in strange]


def packages(verified: str) -> list[str]:
    """Files of installed packages that are not what the package brought.

    Args:
        verified: what `dpkg --verify` prints; conffiles (a `c`) are meant to be changed.
    """
    out = []
    for line in verified.splitlines():
        match = re.match(r"^(missing|\S{9})\s+(c )?\s*(/.*?)(?: \(.*\))?$", line)
        if match is None or match.group(2) or match.group(3).startswith(_UNREAD) or _is_unread_folder(match.group(3)):
            continue
        if match.group(1) == "missing":
            out.append(f"file {match.group(3)}: its package's, and gone")
        elif match.group(1)[2] == "5":
            out.append(f"file {match.group(3)}: is not as its package brought it")
    return out


def _is_unread_folder(path: str) -> bool:
    return f"{path}/".startswith(_UNREAD)


def units(failed: str) -> list[str]:
    """Units that have failed: what `systemctl list-units --failed --plain --no-legend` prints."""
    return [f"unit {line.split()[0]}: has failed" for line in failed.splitlines() if line.split()]
