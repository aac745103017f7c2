"""Reads what a task declares. Every mistake is found here, before anything on the host is touched."""

from __future__ import annotations

import base64
import os.path
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.host_state.fields import BadEntry, Fields, listed

MODE = re.compile(r"0?[0-7]{3,4}")
NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?")
UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+\.(service|socket|timer|mount|swap|target|path|slice|automount)")
KEY = re.compile(r"(?:[^#\n]*\s)?(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ AAAA[A-Za-z0-9+/=]+( [^\n]*)?")


@dataclass(frozen=True)
class FileEntry:
    where: str
    path: str
    state: str  # file | directory | link | absent
    content: bytes | None = None
    link: str | None = None
    mode: int | None = None
    owner: str = "root"
    group: str = "root"
    validate: tuple[str, ...] = ()
    keep: bool = False
    no_diff: bool = False
    confine: str | None = None  # the folder that symbolic links above the path must not lead out of


@dataclass(frozen=True)
class UserEntry:
    where: str
    name: str
    state: str
    groups: tuple[str, ...]
    shell: str | None
    home: str
    uid: int | None
    system: bool
    authorized_keys: tuple[str, ...] | None


@dataclass(frozen=True)
class CommandEntry:
    where: str
    run: tuple[str, ...]
    run_on: tuple[str, ...]
    unless: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"command {shlex.join(self.run)}"


@dataclass(frozen=True)
class UnitEntry:
    where: str
    name: str
    state: str  # started | stopped | none
    enabled: bool | None
    masked: bool
    restart_on: tuple[str, ...]
    reload_on: tuple[str, ...]


@dataclass(frozen=True)
class GuardEntry:
    """A dead man's switch around the change: see guard.py."""

    name: str
    save: tuple[str, ...]
    undo: tuple[str, ...]
    seconds: int


@dataclass(frozen=True)
class Spec:
    packages: tuple[str, ...] = ()
    absent_packages: tuple[str, ...] = ()
    users: tuple[UserEntry, ...] = ()
    files: tuple[FileEntry, ...] = ()
    commands: tuple[CommandEntry, ...] = ()
    units: tuple[UnitEntry, ...] = ()
    guard: GuardEntry | None = None


@dataclass(frozen=True)
class _Defaults:
    owner: str
    group: str
    mode: int
    root: str | None

    def absolute(self, path: str, where: str) -> str:
        """`path` itself when absolute, else under the root; a trailing slash (a prefix) is kept."""
        if ".." in path.split("/"):
            raise BadEntry(where, f"must not contain '..', but is {path!r}")
        if path.startswith("/"):
            return path
        if self.root is None:
            raise BadEntry(where, f"{path!r} is relative: give an absolute path, or the task a `root: /some/folder`")
        return f"{self.root.rstrip('/')}/{path}"

    def patterns(self, entry: Fields, name: str) -> tuple[str, ...]:
        return tuple(self.absolute(p, f"{entry.where} {name}") for p in entry.words(name))


def parse(params: Mapping[str, Any]) -> Spec:
    """The declaration in `params` as a Spec; raises BadEntry naming the first entry that is wrong."""
    task = Fields("host_state", params, allowed=None)
    defaults = _Defaults(
        task.text("owner", "root"),
        task.text("group", "root"),
        _mode(task, "mode", "0644"),
        task.optional("root"),
    )
    if defaults.root is not None and not defaults.root.startswith("/"):
        raise BadEntry("root", f"must be an absolute path such as /opt/moorage, but is {defaults.root!r}")
    spec = Spec(
        packages=_packages(task, "packages"),
        absent_packages=_packages(task, "absent_packages"),
        users=_each(task, "users", _user),
        files=_each(task, "files", lambda e: _file(e, defaults)),
        commands=_each(task, "commands", lambda e: _command(e, defaults)),
        units=_each(task, "units", lambda e: _unit(e, defaults)),
        guard=_guard(params.get("guard")),
    )
    for name, keys in (
        ("packages", spec.packages + spec.absent_packages),
        ("users", tuple(u.name for u in spec.users)),
        ("files", tuple(f.path for f in spec.files)),
        ("units", tuple(u.name for u in spec.units)),
    ):
        twice = sorted({k for k in keys if keys.count(k) > 1})
        if twice:
            raise BadEntry(name, f"{twice[0]} is declared twice; keep one entry")
    return spec


def _each(task: Fields, name: str, read: Callable[[Fields], Any]) -> tuple[Any, ...]:
    return tuple(read(Fields(f"{name}[{i}]", raw)) for i, raw in enumerate(listed(task.raw, name)))


def _packages(task: Fields, name: str) -> tuple[str, ...]:
    for package in task.words(name):
        if not PACKAGE.fullmatch(package):
            raise BadEntry(name, f"{package!r} is not the name of a Debian package")
    return task.words(name)


def _mode(entry: Fields, name: str, default: str | None) -> Any:
    value = entry.raw.get(name)
    value = default if value is None else value
    if value is None:
        return None
    if not isinstance(value, str) or not MODE.fullmatch(value):
        raise BadEntry(f"{entry.where} {name}", f'must be an octal text in quotes such as "0644", but is {value!r}')
    return int(value, 8)


def _file(entry: Fields, defaults: _Defaults) -> FileEntry:
    entry.allow(
        ["path", "state", "content", "content_b64", "link", "mode", "owner", "group", "validate", "keep", "no_diff"]
    )
    path = entry.text("path")
    entry = entry.named(path)
    absolute = defaults.absolute(path, f"{entry.where} path").rstrip("/") or "/"
    content = _content(entry)
    link = entry.optional("link")
    state = entry.choice("state", ("file", "directory", "link", "absent"), "link" if link is not None else "file")
    if (state == "link") != (link is not None):
        raise BadEntry(entry.where, "`link: /target` and `state: link` belong together")
    if content is not None and state != "file":
        raise BadEntry(entry.where, f"has a content, so its state is `file`, not `{state}`")
    if state == "absent" and len([p for p in absolute.split("/") if p]) < 2:
        raise BadEntry(entry.where, f"will not remove {absolute}")
    mode = _mode(entry, "mode", None)
    validate = entry.command("validate")
    if validate and not any("%s" in word for word in validate):
        raise BadEntry(f"{entry.where} validate", 'must hold %s where the file\'s name goes, such as "visudo -cf %s"')
    return FileEntry(
        where=entry.where,
        path=os.path.normpath(absolute),
        state=state,
        content=content,
        link=link,
        mode=mode if mode is not None else _searchable(defaults.mode) if state == "directory" else defaults.mode,
        owner=entry.text("owner", defaults.owner),
        group=entry.text("group", defaults.group),
        validate=validate,
        keep=entry.flag("keep", False),
        no_diff=entry.flag("no_diff", False),
        confine=None if path.startswith("/") else defaults.root,
    )


def _searchable(mode: int) -> int:
    """The mode of a folder whose files have `mode`: who may read may also enter."""
    return mode | (mode & 0o444) >> 2


def _content(entry: Fields) -> bytes | None:
    if entry.raw.get("content_b64") is not None:
        return base64.b64decode(entry.text("content_b64"))
    content = entry.raw.get("content")
    if content is not None and not isinstance(content, str):
        raise BadEntry(f"{entry.where} content", f"must be a text, but is a {type(content).__name__}; use to_json?")
    return None if content is None else content.encode()


def _user(entry: Fields) -> UserEntry:
    entry.allow(["name", "state", "groups", "shell", "home", "uid", "system", "authorized_keys"])
    name = entry.text("name")
    entry = entry.named(name)
    for word in (name, *entry.words("groups")):
        if not NAME.fullmatch(word):
            raise BadEntry(entry.where, f"{word!r} is not a name for a Linux user or group, such as `deploy`")
    keys = entry.words("authorized_keys") if entry.raw.get("authorized_keys") is not None else None
    for key in keys or ():
        if not KEY.fullmatch(key):
            raise BadEntry(
                f"{entry.where} authorized_keys",
                f"must be public keys such as `ssh-ed25519 AAAA… name@machine`, but one is {key[:40]!r}",
            )
    uid = entry.raw.get("uid")
    if uid is not None and (not isinstance(uid, int) or isinstance(uid, bool) or not 0 < uid < 2**32 - 1):
        raise BadEntry(f"{entry.where} uid", f"must be a number above 0, but is {uid!r}")
    return UserEntry(
        where=entry.where,
        name=name,
        state=entry.choice("state", ("present", "absent"), "present"),
        groups=entry.words("groups"),
        shell=entry.optional("shell"),
        home=entry.text("home", f"/home/{name}"),
        uid=uid,
        system=entry.flag("system", False),
        authorized_keys=keys,
    )


def _command(entry: Fields, defaults: _Defaults) -> CommandEntry:
    entry.allow(["run", "run_on", "unless"])
    run, run_on, unless = entry.command("run"), defaults.patterns(entry, "run_on"), entry.command("unless")
    if not run:
        raise BadEntry(f"{entry.where} run", "must be the command as a list, such as [ufw, reload]")
    if not run_on and not unless:
        raise BadEntry(entry.where, "needs `run_on` (paths) or `unless` (a command), or it would run every time")
    return CommandEntry(f"{entry.where} `{shlex.join(run)}`", run, run_on, unless)


def _unit(entry: Fields, defaults: _Defaults) -> UnitEntry:
    entry.allow(["name", "state", "enabled", "masked", "restart_on", "reload_on"])
    name = entry.text("name")
    entry = entry.named(name)
    if not UNIT.fullmatch(name):
        raise BadEntry(f"{entry.where} name", f"must be a unit with its suffix such as ssh.service, but is {name!r}")
    return UnitEntry(
        where=entry.where,
        name=name,
        state=entry.choice("state", ("started", "stopped", "none"), "none"),
        enabled=None if entry.raw.get("enabled") is None else entry.flag("enabled", False),
        masked=entry.flag("masked", False),
        restart_on=defaults.patterns(entry, "restart_on"),
        reload_on=defaults.patterns(entry, "reload_on"),
    )


def _guard(raw: Any) -> GuardEntry | None:
    if not raw:
        return None
    entry = Fields("guard", raw)
    entry.allow(["name", "save", "undo", "seconds"])
    if not NAME.fullmatch(entry.text("name")):
        raise BadEntry("guard name", "must be a short name such as `ssh`")
    return GuardEntry(entry.text("name"), entry.words("save"), entry.words("undo"), int(entry.raw.get("seconds") or 90))
