"""The dead man's switch: before a change that could lock us out, a timer is set that takes it back.

The controller proves a new connection and disarms; a controller that cannot, or has died, leaves it to the timer.
The marker file's name is the state, moved from one to the next by `mv`, so that only one side can win:
`armed` -> `disarmed` (controller) or `restoring` -> `restored` or `failed` (timer, or controller after a failed proof).
"""

from __future__ import annotations

import os
import shlex
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.host_state.change import StateError
from ansible.module_utils.host_state.machine import SYSTEM_PATH, Machine
from ansible.module_utils.host_state.spec import GuardEntry

RESTORE = """\
#!/bin/sh
# Takes back the last change of {name}. Written by host_state; run by its timer, or by the controller.
export PATH={path}
cd {folder} || exit 1
mv armed restoring 2>/dev/null || exit 0
failed=0
while IFS= read -r new; do rm -rf -- "$new" || failed=1; done < new-paths
tar --extract --preserve-permissions --unlink-first --directory / --file files.tar || failed=1
{undo}
[ "$failed" = 0 ] && mv restoring restored || mv restoring failed
exit "$failed"
"""


class Guard:
    """One switch, with its folder under `state_dir`/lockout."""

    def __init__(self, entry: GuardEntry, state_dir: str, machine: Machine) -> None:
        self.entry, self.machine = entry, machine
        self.folder = Path(state_dir) / "lockout" / entry.name

    @property
    def armed(self) -> bool:
        """True also when an earlier run armed it and its controller never proved anything."""
        return (self.folder / "armed").exists()

    def arm(self, paths: Iterable[str]) -> None:
        """Snapshot what is about to change, then start the timer; raises StateError before anything has changed."""
        if self.armed:
            return  # the older snapshot is the last state that was proved
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        paths = list(paths)
        with tarfile.open(self.folder / "files.tar", "w") as archive:
            for path in (p for p in paths if os.path.lexists(p)):
                archive.add(path, arcname=path)
        (self.folder / "new-paths").write_text("".join(f"{p}\n" for p in paths if not os.path.lexists(p)))
        for command in self.entry.save:
            done = self.machine.run(["/bin/sh", "-c", command], cwd=str(self.folder))
            if done.code != 0:
                raise StateError(f"guard {self.entry.name}: `{command}` cannot save the present state: {done.text}")
        restore = self.folder / "restore"
        restore.write_text(
            RESTORE.format(
                name=self.entry.name,
                path=SYSTEM_PATH,
                folder=shlex.quote(str(self.folder)),
                undo="\n".join(f"{{ {command}; }} || failed=1" for command in self.entry.undo),
            )
        )
        (self.folder / "armed").touch()
        try:
            self.machine.must(self._timer(restore), f"guard {self.entry.name}: the timer cannot be set")
        except StateError:
            (self.folder / "armed").unlink()
            raise

    def _timer(self, restore: Path) -> list[str]:
        return [
            "systemd-run",
            f"--unit=moorage-lockout-{self.entry.name}",
            "--collect",
            f"--on-active={self.entry.seconds}s",
            "--timer-property=AccuracySec=1s",
            "/bin/sh",
            str(restore),
        ]
