"""Plans and applies in the order packages, users, files, commands, units. A check run only plans."""

from __future__ import annotations

from collections.abc import Iterable

from ansible.module_utils.host_state import commands, files, packages, units, users
from ansible.module_utils.host_state.change import Change, Outcome
from ansible.module_utils.host_state.guard import Guard
from ansible.module_utils.host_state.machine import Machine
from ansible.module_utils.host_state.pending import Pending
from ansible.module_utils.host_state.spec import Spec


class Convergence:
    """One run. `outcome` is filled as it goes, so that a failure can tell what had been changed before it."""

    def __init__(self, spec: Spec, machine: Machine, *, check: bool, state_dir: str, scratch: str) -> None:
        self.spec, self.machine, self.check, self.scratch = spec, machine, check, scratch
        self.pending = Pending(state_dir)
        self.guard = Guard(spec.guard, state_dir, machine) if spec.guard else None
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Bring the host to the declared state; raises StateError."""
        arriving = packages.plan(self.spec, self.machine)
        self._apply(arriving)
        self._apply(users.plan(self.spec, self.machine))

        planned = files.plan((*users.key_files(self.spec), *self.spec.files), check=self.check)
        files.validate(planned, self.machine, self.scratch, check=self.check)
        paths = [entry.path for entry, _ in planned]
        due = self._due(paths)
        self._guarded([change for _, change in planned], paths)

        found = units.show(self.spec.units, self.machine)
        self._apply(units.plan_manager_reload(found, due, self.machine))
        self._guarded(commands.plan(self.spec.commands, due, self.machine), paths)

        # Commands may have started or stopped units.
        found = units.show(self.spec.units, self.machine) if paths and not self.check else found
        self._apply(units.plan(self.spec.units, found, due, self.machine, arriving=self.check and bool(arriving)))
        self._settle()
        return self.outcome

    def _due(self, paths: list[str]) -> frozenset[str]:
        """What must follow the change of `paths`, and what an earlier run left undone."""
        promised = commands.promises(self.spec.commands, paths) | units.promises(self.spec.units, paths)
        due = self.pending.keys | promised
        if paths and not self.check:
            self.pending.promise(promised)
        return due

    def _guarded(self, changes: list[Change], paths: list[str]) -> None:
        if self.guard is not None and not self.check:
            if changes:
                self.guard.arm(paths)
            self.outcome.guard = "armed" if self.guard.armed else None
        self._apply(changes)

    def _apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if not self.check:
                change.apply()
                if change.key is not None:
                    self.pending.done(change.key)
            self.outcome.add(change)

    def _settle(self) -> None:
        if not self.check:
            for entry in self.spec.units:
                for key in units.keys(entry):
                    self.pending.done(key)
