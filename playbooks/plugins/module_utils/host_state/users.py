"""Linux users that log in by key only. Only what an entry names is managed; passwords are always locked."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.host_state.change import Change
from ansible.module_utils.host_state.machine import Machine
from ansible.module_utils.host_state.spec import FileEntry, Spec, UserEntry


def plan(spec: Spec, machine: Machine) -> list[Change]:
    """Groups first, then users."""
    changes: list[Change] = []
    known = {g.gr_name for g in grp.getgrall()}
    for user in spec.users:
        if user.state == "present":
            for group in user.groups:
                if group not in known:
                    known.add(group)
                    changes.append(_change("group", group, "create", ["groupadd", "--system", group], machine))
        changes += _plan_user(user, machine)
    return changes


def key_files(spec: Spec) -> tuple[FileEntry, ...]:
    """The files that carry the users' public keys: the exact list, readable by the user alone."""
    entries: list[FileEntry] = []
    for user in spec.users:
        if user.state == "absent" or user.authorized_keys is None:
            continue
        home = _passwd(user.name).home if _passwd(user.name) else user.home
        folder = f"{home}/.ssh"
        content = "".join(f"{key}\n" for key in user.authorized_keys).encode()
        own = {"where": user.where, "owner": user.name, "group": _group(user.name), "confine": home}
        entries.append(FileEntry(path=folder, state="directory", mode=0o700, **own))
        entries.append(FileEntry(path=f"{folder}/authorized_keys", state="file", content=content, mode=0o600, **own))
    return tuple(entries)


@dataclass(frozen=True)
class _Passwd:
    uid: int
    gid: int
    home: str
    shell: str


def _passwd(name: str) -> _Passwd | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return _Passwd(entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell)


def _group(name: str) -> str:
    """The user's own group; useradd will give a new one a group of the same name."""
    user = _passwd(name)
    return grp.getgrgid(user.gid).gr_name if user else name


def _plan_user(user: UserEntry, machine: Machine) -> list[Change]:
    now = _passwd(user.name)
    if user.state == "absent":
        return [_change("user", user.name, "remove", ["userdel", user.name], machine)] if now else []
    if now is None:
        return [_change("user", user.name, "create", _useradd(user), machine)]
    options: list[str] = []
    what: list[str] = []
    if user.shell is not None and user.shell != now.shell:
        options += ["--shell", user.shell]
        what.append(f"shell {now.shell} -> {user.shell}")
    if user.uid is not None and user.uid != now.uid:
        options += ["--uid", str(user.uid)]
        what.append(f"uid {now.uid} -> {user.uid}")
    member_of = {g.gr_name for g in grp.getgrall() if user.name in g.gr_mem or g.gr_gid == now.gid}
    joining = [g for g in user.groups if g not in member_of]
    if joining:
        options += ["--append", "--groups", ",".join(joining)]
        what.append(f"join {', '.join(joining)}")
    if not _locked(user.name):
        options.append("--lock")
        what.append("lock the password")
    return [_change("user", user.name, ", ".join(what), ["usermod", *options, user.name], machine)] if what else []


def _useradd(user: UserEntry) -> list[str]:
    options = ["--create-home", "--home-dir", user.home, "--user-group", "--shell", user.shell or "/bin/bash"]
    if user.groups:
        options += ["--groups", ",".join(user.groups)]
    if user.uid is not None:
        options += ["--uid", str(user.uid)]
    if user.system:
        options.append("--system")
    return ["useradd", *options, user.name]


def _locked(name: str) -> bool:
    # The `spwd` module left Python with 3.13.
    for line in Path("/etc/shadow").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return fields[1].startswith(("!", "*"))
    return True


def _change(kind: str, name: str, what: str, argv: list[str], machine: Machine) -> Change:
    def apply() -> None:
        machine.must(argv, f"{kind} {name} cannot be brought to its state")

    return Change(kind, name, what, apply)
