"""Streams a plain pg_dump of one database out of its container, and tells whether two dumps say the same."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import tempfile
import threading
from typing import BinaryIO, NamedTuple

from ansible.module_utils.compose_state import CommandFailed, run

# What our dumps are called in pg_stat_activity: one that outlived its reader is found by it.
APPLICATION = "moorage-dump"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moorage-dump'"
# A dump waits this long for a table that somebody else has locked for himself, then gives up.
LOCK_WAIT = "30s"
_CHUNK = 1 << 20
_COPY = re.compile(rb"COPY (\S+) \(.*\) FROM stdin;")
_SEQUENCE = re.compile(rb"SELECT pg_catalog\.setval\('([^']+)_[^_']+_seq'")


class Database(NamedTuple):
    """What is asked of a database before it is dumped."""

    bytes: int
    version: str
    revision: str


class Written(NamedTuple):
    """What a dump came to: its size and hash as it lies on the disk, and the digest of what it says."""

    bytes: int
    sha256: str
    content: str


class ContentDigest:
    """A digest of what a dump says: without the token that each pg_dump makes up, and without volatile tables' rows.

    Args:
        volatile: tables, `schema.name`, whose rows change by themselves.
    """

    def __init__(self, volatile: list[str]) -> None:
        self._hash = hashlib.sha256()
        self._volatile = {name.encode() for name in volatile}
        self._rest = b""
        self._head = True
        self._end = b""
        self._rows: bytes | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the dump."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if self._counts(line):
                self._hash.update(line + b"\n")

    def hexdigest(self) -> str:
        """The digest of all that was fed."""
        if self._counts(self._rest):
            self._hash.update(self._rest)
        return self._hash.hexdigest()

    def _counts(self, line: bytes) -> bool:
        if self._rows is not None:
            mine = self._rows not in self._volatile
            if line == b"\\.":
                self._rows = None
            return mine
        if self._head and line and not line.startswith(b"--"):
            # Since 2025 a dump stands between \restrict and \unrestrict with a random token, before all else.
            self._head = False
            if line.startswith(b"\\restrict "):
                self._end = b"\\unrestrict " + line.split(b" ", 1)[1]
                return False
        copy = _COPY.fullmatch(line)
        if copy:
            self._rows = copy.group(1)
        sequence = _SEQUENCE.match(line)
        return not (self._end and line == self._end) and not (sequence and sequence.group(1) in self._volatile)


class _Hashing:
    """A file that is written to, counted and hashed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash, self.bytes = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.bytes += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def ask(container: str, database: str, question: str) -> str:
    """The answer of one SQL statement, asked as the superuser.

    Raises:
        CommandFailed: with psql's words.
    """
    command = ["docker", "exec", container, "psql", "-U", "postgres", "-XAtq", "-d", database, "-c", question]
    return run(command, "/", timeout=60).strip()


def look(container: str, database: str) -> Database:
    """Size, server version and schema revision of a database.

    Raises:
        CommandFailed: there is no such container or database, or it does not answer.
    """
    question = "SELECT pg_database_size(current_database()), current_setting('server_version_num'),"
    answer = ask(container, database, f"{question} to_regclass('public.alembic_version') IS NOT NULL")
    size, version, migrated = answer.split("|")
    revision = ask(container, database, "SELECT version_num FROM public.alembic_version") if migrated == "t" else ""
    return Database(int(size), f"{int(version) // 10000}.{int(version) % 10000}", revision)


def end_leftovers(container: str) -> None:
    """End dumps whose reader was killed: they would hold their locks on every table for ever.

    Raises:
        CommandFailed: the server does not answer.
    """
    ask(container, "postgres", _END)


def dump(container: str, database: str, file: BinaryIO, volatile: list[str], seconds: int) -> Written:
    """Write a database's plain dump, compressed.

    Args:
        file: receives it.
        volatile: see ContentDigest.
        seconds: how long it may take.

    Raises:
        CommandFailed: pg_dump failed; with its last words.
        OSError: the file cannot be written.
    """
    command = ["docker", "exec", "-e", f"PGAPPNAME={APPLICATION}", container, "pg_dump", "-U", "postgres"]
    command += ["--format=plain", f"--lock-wait-timeout={LOCK_WAIT}", database]
    hashing, content = _Hashing(file), ContentDigest(volatile)
    overdue = threading.Event()
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words)

        def expire() -> None:
            overdue.set()
            process.kill()

        clock = threading.Timer(seconds, expire)
        clock.start()
        try:
            with gzip.GzipFile(filename="", fileobj=hashing, mode="wb", compresslevel=6, mtime=0) as packed:
                while chunk := process.stdout.read(_CHUNK):
                    packed.write(chunk)
                    content.feed(chunk)
            code = process.wait()
        finally:
            clock.cancel()
            process.kill()
            process.wait()
            process.stdout.close()
        words.seek(0)
        said = words.read().decode(errors="replace").strip().splitlines()[-15:]
    if overdue.is_set():
        raise CommandFailed(f"pg_dump of {database} did not end within {seconds} s")
    if code:
        raise CommandFailed(f"pg_dump of {database} exited {code}: " + "\n".join(said))
    return Written(hashing.bytes, hashing.hexdigest(), content.hexdigest())
