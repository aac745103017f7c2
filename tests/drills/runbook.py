"""Runs a page of the manual as a person would: its own commands, in its own order, and keeps what they showed."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tests.lab import Lab
from tests.lab.lab import MAIN_HOST
from tests.lab.playbook import ROOT, TRANSCRIPT, environment_of

PAGES = ROOT / "docs/how-to"
EVIDENCE = ROOT / "docs/evidence"
INVENTORY = "inventories/production"
LONGEST_SECONDS = 1800
_BLOCK = re.compile(r"^```(?:(sh)((?: \w+)*))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MONTH = r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\b"
# Kept of a long output: its beginning and its end.
_HEAD, _TAIL = 10, 40


@dataclass(frozen=True)
class Step:
    """One block of a page: what is typed, where, and what the page says is shown then.

    `on_host` blocks begin with "```sh host" and are typed there as `deploy`, all others in this repository. Those that
    a page says end with an error begin with "```sh fails".
    """

    script: str
    on_host: bool
    fails: bool
    shown: str


def steps(text: str) -> list[Step]:
    """The steps of a page in their order. Pure."""
    found: list[Step] = []
    for kind, words, body in _BLOCK.findall(text):
        if kind:
            found.append(Step(body, "host" in words.split(), "fails" in words.split(), ""))
        elif found and not found[-1].shown:
            found[-1] = replace(found[-1], shown=body)
    return found


def unlike(shown: str, output: str) -> list[str]:
    """Lines of a page that its command did not print; numbers, times and names made of digits may differ. Pure."""

    def plain(text: str) -> str:
        # YAML doubles an apostrophe.
        text = re.sub(_MONTH, "#", text.lower().replace("''", "'"))
        return " ".join(re.sub(r"[0-9a-f]*\d[0-9a-f]*", "#", text).split())

    printed = plain(output)
    return [line for line in shown.splitlines() if line.strip(" …") and plain(line.strip(" …")) not in printed]


class Runbook:
    """A page, about to be followed on a lab's `vps`.

    Args:
        page: its file name below docs/how-to, without the ending.
        inventory: what stands for `inventories/production`.
        says: what a person would put in the place of what the page has: `{"HOST": "vps"}`.
    """

    def __init__(self, lab: Lab, page: str, inventory: str, says: Mapping[str, str]) -> None:
        self._lab, self._inventory, self.page = lab, inventory, page
        self.says = {"api.example.com": "api.moorage.test", **says}
        self.steps = steps((PAGES / f"{page}.md").read_text())
        assert self.steps, f"{page} has nothing to follow"
        self._kept: list[str] = []
        self._seconds = 0.0

    def follow(self, first: int = 0, last: int | None = None, given: str | None = None) -> str:
        """Do steps `first` to before `last`; everything that they printed.

        Raises:
            AssertionError: one ended otherwise than the page says, or printed something else.
        """
        return "".join(self._do(step, given) for step in self.steps[first:last])

    def _do(self, step: Step, given: str | None) -> str:
        script, shown = self._meant(step.script), self._meant(step.shown)
        begun = time.monotonic()
        done = self._typed(script, step.on_host, given)
        seconds = time.monotonic() - begun
        self._seconds += seconds
        place = "host" if step.on_host else "here"
        typed = "\n".join(f"{place}$ {line}" for line in step.script.strip().splitlines())
        self._kept.append(f"{typed}\n{self._brief(done.stdout)}[{seconds:.1f} s, exit {done.returncode}]\n")
        assert bool(done.returncode) == step.fails, f"{typed}\nexit {done.returncode}\n{done.stdout[-6000:]}"
        assert unlike(shown, done.stdout) == [], f"{typed}\n{done.stdout[-6000:]}"
        return done.stdout

    def _meant(self, text: str) -> str:
        for word, meant in self.says.items():
            text = text.replace(word, meant)
        return text

    def _typed(self, script: str, on_host: bool, given: str | None) -> subprocess.CompletedProcess[str]:
        if on_host:
            host = self._lab.hosts[MAIN_HOST]
            command = [*host.ssh_arguments("deploy"), "bash", "-euo", "pipefail", "-c", shlex.quote(script)]
        else:
            script = script.replace(f"INVENTORY={INVENTORY}", f"INVENTORY='{self._inventory}'")
            script = script.replace(INVENTORY, self._inventory)
            command = ["bash", "-euo", "pipefail", "-c", script]
        # What a page has somebody type in comes from `given`.
        how = {"input": given} if given is not None else {"stdin": subprocess.DEVNULL}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment_of(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LONGEST_SECONDS,
            **how,
        )
        TRANSCRIPT.append(done.stdout)
        return done

    def _brief(self, output: str) -> str:
        for path in (str(self._lab.folder), str(ROOT)):
            output = output.replace(path, "…")
        lines = [line.rstrip() for line in output.splitlines() if line.strip()]
        lines = [line for line in lines if not re.match(r"(ok|skipping|included): |TASK |RUNNING HANDLER ", line)]
        if len(lines) > _HEAD + _TAIL:
            lines = [*lines[:_HEAD], f"… {len(lines) - _HEAD - _TAIL} lines …", *lines[-_TAIL:]]
        return "".join(f"{line}\n" for line in lines)

    def keep(self, *facts: str) -> None:
        """Write what was typed and shown to docs/evidence; further facts stand at its end."""
        EVIDENCE.mkdir(exist_ok=True)
        head = f"docs/how-to/{self.page}.md, followed by `make drills` on {datetime.now(UTC):%Y-%m-%d}"
        end = "\n".join([*facts, f"The commands of the page took {self._seconds:.0f} s.\n"])
        (EVIDENCE / f"{self.page}.txt").write_text("\n".join([f"{head}\n", *self._kept, end]))
