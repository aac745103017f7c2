"""Owner, group and mode of a file or folder, never through a symbolic link."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from dataclasses import dataclass

from ansible.module_utils.host_state.change import StateError
from ansible.module_utils.host_state.spec import FileEntry

UNKNOWN = -2  # of a user or group that does not exist yet; equals no real id, and os.chown never gets it


@dataclass(frozen=True)
class Attributes:
    uid: int
    gid: int
    mode: int

    def differences(self, found: os.stat_result, entry: FileEntry) -> list[str]:
        """What of `found` is not as declared, in words; empty when all is."""
        what = []
        mode = stat.S_IMODE(found.st_mode)
        if mode != self.mode:
            what.append(f"mode {mode:04o} -> {self.mode:04o}")
        if found.st_uid != self.uid:
            what.append(f"owner {_user_name(found.st_uid)} -> {entry.owner}")
        if found.st_gid != self.gid:
            what.append(f"group {_group_name(found.st_gid)} -> {entry.group}")
        return what

    def put_on(self, descriptor: int) -> None:
        """Owner first: a change of owner clears the set-user-id bits of the mode."""
        os.fchown(descriptor, self.uid, self.gid)
        os.fchmod(descriptor, self.mode)


def wanted(entry: FileEntry, *, lenient: bool) -> Attributes:
    """The entry's attributes as numbers. `lenient` (check mode) takes users that an earlier step would have made."""
    if entry.mode is None:
        raise StateError(f"{entry.where}: needs a `mode`")
    return Attributes(_uid(entry, lenient), _gid(entry, lenient), entry.mode)


def _uid(entry: FileEntry, lenient: bool) -> int:
    if entry.owner.isdigit():
        return int(entry.owner)
    try:
        return pwd.getpwnam(entry.owner).pw_uid
    except KeyError:
        if lenient:
            return UNKNOWN
        raise StateError(f"{entry.where}: its owner {entry.owner!r} is not a user of this host") from None


def _gid(entry: FileEntry, lenient: bool) -> int:
    if entry.group.isdigit():
        return int(entry.group)
    try:
        return grp.getgrnam(entry.group).gr_gid
    except KeyError:
        if lenient:
            return UNKNOWN
        raise StateError(f"{entry.where}: its group {entry.group!r} is not a group of this host") from None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
