"""`make bench-cutover`: a cutover's rates beside a bare COPY of the same bytes, its memory over a tenfold larger input.

PostgreSQL runs on this machine's disk with its usual durability. Figures of one table come from one run; only their
ratios travel. `RECORDS=200000` small records (about 250 bytes) unless said otherwise, and ten times as many for memory.
With `EXPORT_GB=5`, a plan of an export of that size, too.
"""

from __future__ import annotations

import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import psycopg

from webapp.cutover import verify as verifying
from webapp.cutover.agreed import Loosening
from webapp.cutover.export import RtdbExport
from webapp.cutover.mapping import row_of
from webapp.cutover.progress import Meter
from webapp.cutover.sources import Place
from webapp.cutover.sync import Sync
from webapp.cutover.target import Target
from webapp.database import migrations, roles
from webapp.db import Database
from webapp.local import postgres
from webapp.local.ports import free_port
from webapp.redaction import Secret
from webapp.settings import Settings
from webapp.tenants.service import create_tenant
from webapp.variables import DatabaseUrl

ROUNDS = 3
ASKED_SYNC, ASKED_VERIFY, ASKED_MEMORY_MB = 0.5, 100_000, 300
_WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "on"]


def write_export(path: Path, tenant: UUID, count: int) -> None:
    """A tenant's notes, as RTDB exports them."""
    with path.open("wb") as file:
        file.write(b'{"tenants":{"%s":{"workspace":{"notes":{' % str(tenant).encode())
        for at in range(count):
            record = {
                "title": f"Note number {at}", "text": " ".join(_WORDS[at % 7 :]), "status": ("open", "done")[at % 2],
                "tags": ["a", "b"], "owner": f"user-{at % 997}", "pinned": at % 5 == 0, "position": at * 1.5,
                "created_at": 1_795_000_000_000 + at, "updated_at": 1_795_000_000_000 + at,
            }  # fmt: skip
            file.write((b"," if at else b"") + b'"-N%018d":' % at + orjson.dumps(record))
        file.write(b"}}}}}")


@contextmanager
def server() -> Iterator[Settings]:
    """A PostgreSQL of this run's own, set up."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="bench-cutover-") as name:
        folder = Path(name)
        password, port = Secret(secrets.token_hex(16)), free_port()
        postgres.initialise(folder / "data", password)
        running = postgres.launch(folder / "data", port, record=folder / "record", log=folder / "log")
        try:
            postgres.wait(running, folder / "data")
            admin = DatabaseUrl(postgres.SUPERUSER, password, "127.0.0.1", port, "postgres")
            yield _set_up(admin)
        finally:
            running.stop(20)


def _set_up(admin: DatabaseUrl) -> Settings:
    def url(user: str) -> str:
        return DatabaseUrl(user, Secret(secrets.token_hex(16)), admin.host, admin.port, "bench").render()

    settings = Settings.parse({
        "MOORAGE_ENV": "development", "DATABASE_URL": url("bench_app"), "DATABASE_OWNER_URL": url("bench_owner"),
        "DATABASE_ADMIN_URL": admin.render(), "SESSION_SECRET": secrets.token_hex(32),
        "LICENSE_LEASE_SECRET": secrets.token_hex(32), "S3_ENDPOINT": "http://127.0.0.1:1",
        "S3_ACCESS_KEY_ID": "bench-access-key", "S3_SECRET_ACCESS_KEY": secrets.token_hex(20),
    })  # fmt: skip
    roles.prepare(admin, roles.Plan.of(settings))
    migrations.upgrade(migrations.owner_url(settings), application=settings.database_url.user)
    return settings


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def main() -> int:
    """Print the tables; 1 where a figure falls short."""
    # So that its server ends with it also where it is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    count = int(os.environ.get("RECORDS", "200000"))
    with server() as settings, tempfile.TemporaryDirectory(dir="/var/tmp", prefix="bench-cutover-") as name:
        tenant = uuid4()
        with Database(settings.database_url, pool_size=1).transaction(tenant) as session:
            create_tenant(session, tenant_id=tenant, name="Bench")
        small, large = Path(name) / "small.json", Path(name) / "large.json"
        write_export(small, tenant, count)
        short = _speed(settings, Place(tenant, "workspace/notes"), small, count)
        write_export(large, tenant, 10 * count)
        short += _memory(settings, small, large)
        if size := float(os.environ.get("EXPORT_GB", "0")):
            write_export(large, tenant, int(count * size * 1e9 / small.stat().st_size))
            short += _plan(settings, large)
        return 1 if short else 0


def _speed(settings: Settings, place: Place, path: Path, count: int) -> int:
    source = RtdbExport(path)
    scanned = timed(source.places)
    lines = _copy_lines(place, source)
    owner = migrations.owner_url(settings)
    assert settings.database_admin_url is not None
    admin = psycopg.connect(settings.database_admin_url.render(database="bench"), autocommit=True)

    def bare() -> None:
        with (
            admin.cursor() as cursor,
            cursor.copy("COPY records (tenant_id, collection, id, body, created_at, updated_at) FROM STDIN") as copy,
        ):
            copy.write(lines)

    def sync() -> None:
        into = Target(owner)
        Sync(RtdbExport(path), into, Meter(None)).run()
        into.close()

    def verify() -> None:
        found = verifying.verify(RtdbExport(path), settings.database_url, Meter(None), loosened=Loosening())
        assert found.go and found.records == count

    def empty() -> None:
        admin.execute("TRUNCATE records, cutover_checkpoints")
        admin.execute("CHECKPOINT")

    rounds = []
    for _ in range(ROUNDS):
        empty()
        plain = timed(bare)
        empty()
        ours = timed(sync)
        admin.execute("VACUUM ANALYZE records")
        rounds.append((plain, ours, timed(sync), timed(verify)))
    admin.close()
    ratio = statistics.median(plain / ours for plain, ours, _, _ in rounds)
    rate = count / statistics.median(one[3] for one in rounds)
    print(f"\n{count:,} records, {path.stat().st_size / 1e6:.0f} MB of export; {os.cpu_count()} cores\n")
    print("| what | records a second | asked |\n|---|--:|--:|")
    print(f"| structure of the export ({path.stat().st_size / 1e6 / scanned:.0f} MB/s) | {count / scanned:,.0f} | |")
    for name, at in (("bare COPY into the same table", 0), ("sync, first", 1), ("sync, nothing changed", 2)):
        print(f"| {name} | {count / statistics.median(one[at] for one in rounds):,.0f} | |")
    print(f"| sync beside bare COPY | **{ratio:.2f}** | {ASKED_SYNC} |")
    print(f"| verify | **{rate:,.0f}** | {ASKED_VERIFY:,} |", flush=True)
    return (ratio < ASKED_SYNC) + (rate < ASKED_VERIFY)


def _copy_lines(place: Place, source: RtdbExport) -> bytes:
    head = f"{place.tenant}\t{place.collection}\t".encode()
    rows = (row_of(place.collection, item, source.meaning) for item in source.records(place))
    return b"".join(
        b"%b%b\t%b\t%d\t%d\n"
        % (head, row.id.encode(), row.body.replace(b"\\", b"\\\\"), row.created_at, row.updated_at)
        for row in rows
    )


_WORK = """
import resource, sys
from pathlib import Path
from click.testing import CliRunner
from webapp.cli import moorage
words = sys.argv[1:]
try:
    moorage(["cutover", *words], standalone_mode=False)
finally:
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    print(f"PEAK {max(int(peak), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)}", file=sys.stderr)
"""


def _variables(settings: Settings) -> dict[str, str]:
    assert settings.database_owner_url is not None
    return {
        **os.environ, "MOORAGE_ENV": "development", "DATABASE_URL": settings.database_url.render(),
        "DATABASE_OWNER_URL": settings.database_owner_url.render(), "SESSION_SECRET": secrets.token_hex(32),
        "LICENSE_LEASE_SECRET": secrets.token_hex(32), "S3_ENDPOINT": "http://127.0.0.1:1",
        "S3_ACCESS_KEY_ID": "bench-access-key", "S3_SECRET_ACCESS_KEY": secrets.token_hex(20),
    }  # fmt: skip


def _memory(settings: Settings, small: Path, large: Path) -> int:
    given = _variables(settings)
    print("\n| peak memory of one process, the largest, MB | small | tenfold | ratio |\n|---|--:|--:|--:|")
    short = 0
    # Of each input, all three: what is verified is what was just carried over.
    verbs = ("plan", "sync", "verify")
    found = [[_peak(verb, path, given) for verb in verbs] for path in (small, large)]
    for verb, *peaks in zip(verbs, *found, strict=True):
        short += peaks[1] > ASKED_MEMORY_MB
        print(f"| {verb} | {peaks[0]:.0f} | {peaks[1]:.0f} | {peaks[1] / peaks[0]:.2f} |", flush=True)
    return short


def _plan(settings: Settings, path: Path) -> int:
    begun = time.monotonic()
    peak = _peak("plan", path, _variables(settings))
    took, size = time.monotonic() - begun, path.stat().st_size
    print(f"\nA plan of {size / 1e9:.1f} GB: {peak:.0f} MB at most, {took:.0f} s ({size / 1e6 / took:.0f} MB/s)")
    return peak > ASKED_MEMORY_MB


def _peak(verb: str, path: Path, given: dict[str, str]) -> float:
    command = [sys.executable, "-c", _WORK, verb, "--source", f"rtdb-export:{path}", "--quiet"]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    found = done.stderr.rpartition("PEAK ")[2].split()
    assert done.returncode == 0 and found, done.stderr[-2000:]
    return int(found[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
