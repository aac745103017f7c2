"""Files, folders, links and what must not be there. All are validated before the first is put in place."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from ansible.module_utils.host_state import placing
from ansible.module_utils.host_state.attributes import Attributes, wanted
from ansible.module_utils.host_state.change import Change, StateError
from ansible.module_utils.host_state.machine import Machine
from ansible.module_utils.host_state.spec import FileEntry

Planned = tuple[FileEntry, Change]
HIDDEN = "(content not shown)\n"


def plan(entries: Iterable[FileEntry], *, check: bool) -> list[Planned]:
    """One Change for each entry that differs, in the order declared; raises StateError on what cannot be."""
    planned = []
    for entry in entries:
        _refuse_way_out(entry)
        change = _PLANS[entry.state](entry, wanted(entry, lenient=check))
        if change is not None:
            planned.append((entry, change))
    return planned


def validate(planned: Iterable[Planned], machine: Machine, folder: str, *, check: bool) -> None:
    """Run each new content's validator on a copy in `folder`; raises StateError before any file has been changed."""
    for number, (entry, _) in enumerate(planned):
        if not entry.validate or entry.content is None:
            continue
        if check and machine.find(entry.validate[0]) is None:
            continue  # it comes with a package that this run would install
        stage = Path(folder) / str(number)
        stage.mkdir(mode=0o700)
        copy = stage / Path(entry.path).name
        copy.write_bytes(entry.content)
        result = machine.run([part.replace("%s", str(copy)) for part in entry.validate])
        shutil.rmtree(stage)
        if result.code != 0:
            said = "its output is not shown" if entry.no_diff else result.text.replace(str(copy), entry.path)
            raise StateError(
                f"{entry.where}: `{' '.join(entry.validate)}` refuses the new {entry.path}: {said}. "
                "No file has been changed; correct the variables or the template it is made from."
            )


def _refuse_way_out(entry: FileEntry) -> None:
    if entry.confine is None:
        return
    inside, parent = os.path.realpath(entry.confine), os.path.realpath(Path(entry.path).parent)
    if parent != inside and not parent.startswith(inside.rstrip("/") + "/"):
        raise StateError(f"{entry.where}: {Path(entry.path).parent} leads out of {entry.confine} to {parent}")


def _found(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise StateError(f"{path}: a part of its path is a file") from error


def _plan_file(entry: FileEntry, attributes: Attributes) -> Change | None:
    found = _found(entry.path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise StateError(f"{entry.where}: {entry.path} is a folder; remove it first, or declare `state: directory`")
    regular = found is not None and stat.S_ISREG(found.st_mode)
    if entry.content is None and not regular:
        raise StateError(f"{entry.where}: {entry.path} is not there, and the entry has no content, template or src")
    before = Path(entry.path).read_bytes() if regular and entry.content is not None else None
    what = [] if regular else ["create" if found is None else "replace what is no regular file"]
    rewrite = entry.content is not None and (not regular or (before != entry.content and not entry.keep))
    if rewrite and regular:
        what.append("content")
    if regular and found is not None:
        what += attributes.differences(found, entry)
    if not what:
        return None
    if not rewrite:
        return _change(entry, what, lambda: placing.adjust(entry.path, attributes))
    after = entry.content or b""
    return _change(entry, what, lambda: placing.write(entry.path, after, attributes), _diff(entry, what, before, after))


def _plan_directory(entry: FileEntry, attributes: Attributes) -> Change | None:
    found = _found(entry.path)
    if found is None:
        return _change(entry, ["create"], lambda: placing.make_directory(entry.path, attributes))
    if not stat.S_ISDIR(found.st_mode):
        raise StateError(f"{entry.where}: {entry.path} is there and no folder; remove it, or declare what it is")
    what = attributes.differences(found, entry)
    return _change(entry, what, lambda: placing.adjust(entry.path, attributes)) if what else None


def _plan_link(entry: FileEntry, _: Attributes) -> Change | None:
    found, target = _found(entry.path), str(entry.link)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise StateError(f"{entry.where}: {entry.path} is a folder; remove it before a link can take its place")
    if found is not None and stat.S_ISLNK(found.st_mode):
        before = os.readlink(entry.path)  # noqa: PTH115 (Path would tidy the target up)
        if before == target:
            return None
        return _change(entry, [f"link {before} -> {target}"], lambda: placing.link(entry.path, target))
    what = f"link to {target}" if found is None else f"link to {target} in place of a file"
    return _change(entry, [what], lambda: placing.link(entry.path, target))


def _plan_absent(entry: FileEntry, _: Attributes) -> Change | None:
    if _found(entry.path) is None:
        return None
    return _change(entry, ["remove"], lambda: placing.remove(entry.path))


_PLANS = {"file": _plan_file, "directory": _plan_directory, "link": _plan_link, "absent": _plan_absent}


def _change(entry: FileEntry, what: list[str], apply: Callable[[], None], diff: dict[str, str] | None = None) -> Change:
    return Change("file", entry.path, ", ".join(what), apply, path=entry.path, diff=diff)


def _diff(entry: FileEntry, what: list[str], before: bytes | None, after: bytes) -> dict[str, str]:
    header = f"{entry.path} ({', '.join(what)})"
    if entry.no_diff:
        shown = {
            "before": "" if before is None else HIDDEN,
            "after": HIDDEN.replace("shown", "shown, differs"),
        }
    else:
        shown = {"before": _text(before), "after": _text(after)}
    return {**shown, "before_header": entry.path, "after_header": header}


def _text(content: bytes | None) -> str:
    if content is None:
        return ""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes that are no text)\n"
