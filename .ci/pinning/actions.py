"""Actions of the workflows: `uses: owner/repository@tag` becomes `uses: owner/repository@commit # tag`."""

from __future__ import annotations

import os
import re
import subprocess

from pinning import Kind, LookupFailed, Pin

GIT_SERVER = "https://github.com"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_USES = re.compile(
    r"""^[ \t]*(?:-[ \t]+)?uses:[ \t]*
        (?P<pin>(?P<quote>["']?)(?P<action>[\w.-]+/[\w./-]+)@(?P<ref>[\w./-]+)(?P=quote))
        (?:[ \t]+\#[ \t]*(?P<comment>\S+))?""",
    re.MULTILINE | re.VERBOSE,
)


def find(text: str) -> list[Pin]:
    """Every action by its tag. A commit without a tag in its comment is somebody's choice, and left alone."""
    pins = []
    for match in _USES.finditer(text):
        if not _COMMIT.fullmatch(match["ref"]):
            pins.append(Pin(f"{match['action']}@{match['ref']}", "", match.start("pin"), match.end("pin")))
        elif match["comment"]:
            name = f"{match['action']}@{match['comment']}"
            pins.append(Pin(name, match["ref"], match.start("pin"), match.end("comment")))
    return pins


def look_up(name: str) -> str:
    """The commit that an action's git server gives its tag or branch today.

    The server is PIN_GIT_SERVER where that is set (a mirror), else GitHub.
    Raises: LookupFailed where it cannot be asked, or knows no such name.
    """
    action, _, tag = name.partition("@")
    owner, repository = action.split("/")[:2]
    url = f"{os.environ.get('PIN_GIT_SERVER', GIT_SERVER)}/{owner}/{repository}"
    # An annotated tag is an object of its own; with ^{} it is the commit that it names.
    refs = [f"refs/tags/{tag}^{{}}", f"refs/tags/{tag}", f"refs/heads/{tag}"]
    done = subprocess.run(
        ["git", "ls-remote", "--", url, *refs],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
    )
    if done.returncode:
        reason = next(iter(done.stderr.strip().splitlines()), "no reason given")
        raise LookupFailed(f"{name}: {url} cannot be asked ({reason}). Run this where there is a network.")
    commits = {ref: commit for commit, ref in (line.split("\t") for line in done.stdout.splitlines())}
    found = next((commits[ref] for ref in refs if ref in commits), None)
    if not found:
        raise LookupFailed(f"{name}: {url} has no tag or branch {tag}.")
    return found


def write(name: str, found: str) -> str:
    action, _, tag = name.partition("@")
    return f"{action}@{found} # {tag}"


ACTIONS = Kind(find, look_up, write)
