"""The journal of commands: what was taken, begun, finished and told. It is why a command takes effect once.

SQLite: one file, one writer, transactions on disk when they return (`synchronous=FULL`), and an index by id that an
append-only file would have to be read into memory for. Rows hold parameters (never plaintext secrets: the server
refuses them, and opened ones stay in memory) and results that went through redaction.

    accepted --begin--> begun --finish--> finished --told--> finished, told
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from agent.commands import CANCELLED, Command, Outcome, failed
from agent.failures import Failure
from agent.files import WINDOWS

FILE = "journal.sqlite3"
MOST_ROWS = 50_000
MOST_RESULT_BYTES = 32 << 20
# A command is handed out until it expires (an hour at most); its row is kept this much longer, by the server's clock.
KEEP_AFTER_EXPIRY = 3600.0

_TABLE = """
CREATE TABLE IF NOT EXISTS command (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, command BLOB NOT NULL, state TEXT NOT NULL, expires_at REAL,
    outcome BLOB, size INTEGER NOT NULL DEFAULT 0, told INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX IF NOT EXISTS command_open ON command (state, told);
"""
_LEFT_OUT = {"left_out": "the result was too old to keep until it could be delivered"}


@dataclass(frozen=True)
class Counts:
    rows: int
    begun: int
    untold: int
    bytes: int


class Journal:
    """Safe to share between threads. Raises sqlite3.Error where the disk does not take it."""

    def __init__(self, path: Path, *, most_rows: int = MOST_ROWS, most_bytes: int = MOST_RESULT_BYTES) -> None:
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5)
            if not WINDOWS:
                path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA cache_size=-1024")  # KiB
            self._db.executescript(_TABLE)
        except sqlite3.Error as error:
            raise Failure("JOURNAL", f"{path} cannot be opened ({error}). The agent runs nothing without it, since it"
                          " could run something twice. Free the disk, or move the file away.") from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def accept(self, command: Command) -> str:
        """Takes a command, before its acknowledgement. Gives the state it is in: `accepted`, `begun`, `finished`."""
        content = orjson.dumps({"command_type": command.command_type, "payload": command.payload})
        with self._lock:
            self._db.execute(
                "INSERT INTO command (id, command, state, expires_at) VALUES (?, ?, 'accepted', ?)"
                " ON CONFLICT (id) DO NOTHING",
                (command.id, content, command.expires_at),
            )
            (state,) = self._db.execute("SELECT state FROM command WHERE id = ?", (command.id,)).fetchone()
        return str(state)

    def begin(self, command_id: str) -> bool:
        """True for exactly one caller: from now on the command may have taken effect."""
        return self._change("UPDATE command SET state = 'begun' WHERE id = ? AND state = 'accepted'", command_id) == 1

    def finish(self, command_id: str, outcome: Outcome) -> None:
        """Keeps what became of a command until it is told, and after, for as long as it may be asked again."""
        content = orjson.dumps(outcome.fields())
        with self._lock:
            self._db.execute(
                "UPDATE command SET state = 'finished', outcome = ?, size = ?, told = 0 WHERE id = ?"
                " AND state <> 'finished'",
                (content, len(content), command_id),
            )
            self._bound_bytes()

    def told(self, command_id: str) -> None:
        """The server has the outcome."""
        self._change("UPDATE command SET told = 1 WHERE id = ?", command_id)

    def tell_again(self, command_id: str) -> None:
        """The command was handed out again: its outcome is due once more."""
        self._change("UPDATE command SET told = 0 WHERE id = ? AND state = 'finished'", command_id)

    def withdraw(self, command_id: str) -> None:
        """The server no longer wants a command that was not begun: it will not run, and nothing is told."""
        content = orjson.dumps({"status": CANCELLED})
        self._change(
            "UPDATE command SET state = 'finished', told = 1, outcome = ? WHERE id = ? AND state = 'accepted'",
            content, command_id,
        )  # fmt: skip

    def untold(self, most: int = 20) -> list[tuple[str, Outcome]]:
        """The oldest outcomes that the server does not have yet."""
        with self._lock:
            found = self._db.execute(
                "SELECT id, outcome FROM command WHERE state = 'finished' AND told = 0 ORDER BY number LIMIT ?", (most,)
            ).fetchall()
        return [(known, Outcome(**orjson.loads(content))) for known, content in found]

    def accepted(self, most: int = 20) -> list[Command]:
        """Commands that were taken and never begun, oldest first: their acknowledgement may have been lost."""
        with self._lock:
            found = self._db.execute(
                "SELECT id, command, expires_at FROM command WHERE state = 'accepted' ORDER BY number LIMIT ?", (most,)
            ).fetchall()
        return [Command(known, **orjson.loads(content), expires_at=expires) for known, content, expires in found]

    def recover(self, may_run_again: Callable[[str], bool]) -> int:
        """After a start: what was begun and not finished fails with a reason, or is taken anew where running it twice
        is the same as running it once. Gives how many there were."""
        with self._lock:
            found = self._db.execute("SELECT id, command FROM command WHERE state = 'begun'").fetchall()
        for known, content in found:
            kind = orjson.loads(content)["command_type"]
            if may_run_again(kind):
                self._change("UPDATE command SET state = 'accepted' WHERE id = ?", known)
            else:
                self.finish(known, failed("AGENT_INTERRUPTED", f"the agent was stopped while {kind} ran, so it may or"
                                          " may not have taken effect, and it was not run again. Look at what it was"
                                          " for, then send it anew if needed."))  # fmt: skip
        return len(found)

    def prune(self, server_now: float | None) -> int:
        """Removes told rows that can be handed out no more, then the oldest told ones above the bound."""
        gone = 0
        if server_now is not None:
            gone += self._change(
                "DELETE FROM command WHERE told = 1 AND expires_at < ?", server_now - KEEP_AFTER_EXPIRY
            )
        return gone + self._change(
            "DELETE FROM command WHERE told = 1 AND number <= (SELECT max(number) FROM command) - ?", self._most_rows
        )

    def counts(self) -> Counts:
        with self._lock:
            row = self._db.execute(
                "SELECT count(*), coalesce(sum(state = 'begun'), 0),"
                " coalesce(sum(state = 'finished' AND told = 0), 0), coalesce(sum(size), 0) FROM command"
            ).fetchone()
        return Counts(*row)

    def _bound_bytes(self) -> None:
        """Beyond the bound the bodies of results go: told ones first, the oldest first. That a command ended, and how,
        is kept in any case."""
        (size,) = self._db.execute("SELECT coalesce(sum(size), 0) FROM command").fetchone()
        while size > self._most_bytes:
            row = self._db.execute(
                "SELECT number, size, outcome FROM command WHERE size > 200 ORDER BY told DESC, number LIMIT 1"
            ).fetchone()
            if row is None:
                return
            number, freed, content = row
            left = orjson.loads(content)
            if left.pop("result", None) is not None:
                left["result"] = _LEFT_OUT
            if "error_message" in left:
                left["error_message"] = left["error_message"][:60]
            self._db.execute("UPDATE command SET outcome = ?, size = 0 WHERE number = ?", (orjson.dumps(left), number))
            size -= freed

    def _change(self, statement: str, *values: object) -> int:
        with self._lock:
            return self._db.execute(statement, values).rowcount
