"""What was promised by a change of a file and not yet done, so that a run that died half way is healed by the next."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.host_state.change import StateError


class Pending:
    """A set of keys such as `restart ssh.service`, kept in a file that is gone when the set is empty."""

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "pending.json"
        self.keys = self._read()

    def promise(self, keys: Iterable[str]) -> None:
        """Write down `keys`, before the first file is changed."""
        wanted = self.keys | set(keys)
        if wanted != self.keys:
            self.keys = wanted
            self._write()

    def done(self, key: str) -> None:
        """Forget `key`, after it was carried out."""
        if key in self.keys:
            self.keys = self.keys - {key}
            self._write()

    def _read(self) -> frozenset[str]:
        try:
            return frozenset(json.loads(self.path.read_text()))
        except FileNotFoundError:
            return frozenset()
        except (ValueError, TypeError) as error:
            raise StateError(
                f"{self.path} is damaged ({error}): remove it, and restart the services whose files changed last"
            ) from error

    def _write(self) -> None:
        if not self.keys:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(sorted(self.keys)))
        draft.replace(self.path)
