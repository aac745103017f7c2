"""What goes wrong at night: each for real, nothing lost, and the next run is whole."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.backups.stage import Stage, wait_for

RESULT = "moorage_backup_last_result"
# What each stage of a run is seen by.
STAGES = {"dump": "pg_dump", "objects": "rclone", "copy": "pg_basebackup", "store": "restic.*backup --json"}


@contextmanager
def begun(stage: Stage, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the container, on its way."""
    options = ("-e", "DATABASE_ADMIN_PASSWORD=x", stage.of("backup"), "moorage-backup")
    command = [stage.engine.client, "exec", *options, *words]
    process = subprocess.Popen(
        command, env=stage.engine.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def running(stage: Stage, pattern: str) -> list[str]:
    """Processes in the container whose command line holds a pattern."""
    out = stage.engine.attempt("exec", stage.of("backup"), "pgrep", "-f", pattern).stdout
    return [pid for pid in out.split() if pid != "1"]


# Begins a command in a process group of its own, and kills the group as soon as a pattern is seen in it. The pattern is
# no argument, or it would be seen in this script.
_KILL = """
setsid moorage-backup "$@" >/tmp/killed 2>&1 &
pid=$!
until pgrep -g "$pid" -f "$PATTERN" >/dev/null; do
    kill -0 "$pid" 2>/dev/null || { cat /tmp/killed; exit 9; }
done
kill -9 -- "-$pid"
"""


def killed_at(stage: Stage, pattern: str, *words: str) -> None:
    """Begin a command, and kill it and everything that it has begun with `kill -9` when a pattern is seen."""
    environment = ("-e", f"PATTERN={pattern}", "-e", "DATABASE_ADMIN_PASSWORD=x")
    done = stage.engine.attempt("exec", *environment, stage.of("backup"), "bash", "-c", _KILL, "killer", *words)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def heavier(stage: Stage) -> Iterator[None]:
    """Enough that a stage can be caught at work."""
    stage.sql("CREATE TABLE heavy AS SELECT n, repeat(md5(n::text), 20) AS text FROM generate_series(1, 60000) n")
    (stage.folder / "store/things/heavy").write_bytes(b"x" * 30_000_000)
    yield
    # The object stays: the store remembers for a while what it has listed.
    stage.sql("DROP TABLE heavy")


@pytest.mark.parametrize("pattern", STAGES.values(), ids=STAGES)
def test_a_run_that_is_killed_leaves_no_backup_and_the_next_one_is_whole(stage: Stage, sealed, heavier, pattern):
    before = stage.does("list")
    killed_at(stage, pattern, "run")
    assert stage.does("list") == before
    made = stage.does("run")
    assert stage.does("list")[-1] != before[-1] and made["rows"]["shop"] == 85004
    assert not list((stage.folder / "work/dumps").glob("*.partial"))


def test_a_bucket_that_goes_away_midway_costs_that_bucket_alone(stage: Stage, sealed, heavier):
    kept = stage.does("list", "--target", "bucket")
    with begun(stage, "run") as process:
        wait_for(lambda: bool(running(stage, "restic.*backup --json.*")), 60)
        stage.engine.run("rm", "-f", stage.of("bucket"))
        said = " ".join(process.communicate(timeout=300)[1].split())
    assert process.returncode == 1 and "Not every target has this backup" in said
    assert stage.metric("backup.prom", RESULT, "bucket") == 0 and stage.metric("backup.prom", RESULT, "local") == 1
    stage.bucket_up()
    assert stage.does("list", "--target", "bucket") == kept
    stage.does("run")
    assert stage.metric("backup.prom", RESULT, "bucket") == 1


def test_the_log_waits_for_a_bucket_that_does_not_answer(stage: Stage, sealed):
    stage.wait_until_shipped()
    stage.engine.run("rm", "-f", stage.of("bucket"))
    away = time.time()
    stage.sql("CREATE TABLE meanwhile AS SELECT generate_series(1, 1000) AS n")
    stage.wait_until_shipped("local", after=away)
    time.sleep(max(0, 30 - (time.time() - away)))
    name = "moorage_wal_archive_last_success_timestamp_seconds"
    assert time.time() - stage.metric("wal.prom", name, "bucket") > 25, "an alert would see how far behind it is"
    stage.bucket_up()
    stage.wait_until_shipped("bucket")
    assert stage.does("drill")["server"]["shop"] >= 26004
    stage.sql("DROP TABLE meanwhile")


def test_a_full_disk_ends_the_dump_and_the_one_before_stays(stage: Stage, sealed, request):
    stage.engine.run("rm", "-f", stage.of("backup"))
    stage.backup_up("--tmpfs", "/backup/dumps:size=2m,uid=999")
    try:
        stage.does("run")
        request.getfixturevalue("heavier")
        said = stage.refuses("run")
        assert "No space left on device" in said
        inside = stage.engine.run(
            "exec", stage.of("backup"), "sh", "-c", "ls /backup/dumps; cat /backup/dumps/shop/manifest.json"
        )
        assert "partial" not in inside and '"public people"' in inside and "public heavy" not in inside
        assert stage.metric("backup.prom", RESULT, "local") == 0
    finally:
        stage.engine.run("rm", "-f", stage.of("backup"))
        stage.backup_up()
    stage.does("run")


def test_a_disk_that_would_be_full_is_not_begun_with(stage: Stage):
    words = ("--network", stage.name, "-e", "DATABASE_BACKUP_PASSWORD=b", "-e", "BACKUP_ENCRYPTION_KEY=right")
    keys = [
        w
        for p in ("S3", "S3_BACKUP")
        for n in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        for w in ("-e", f"{p}_{n}=labbucketkey")
    ]
    image = stage.engine.inspect("container", stage.of("backup"), "{{.Config.Image}}")
    mounts = (
        "-v",
        f"{stage.folder}/etc:/etc/moorage-backup",
        "--tmpfs",
        "/backup:size=64m,uid=999",
        "--tmpfs",
        "/metrics:uid=999",
    )
    program = ("-v", f"{stage.program}:/etc/moorage-backup/moorage_backup:ro", "-e", "HOME=/tmp")
    done = stage.engine.attempt("run", "--rm", *words, *keys, *mounts, *program, image, "moorage-backup", "run")
    assert (
        done.returncode == 1
        and "so that PostgreSQL still has room" in done.stderr
        and "Nothing was begun" in done.stderr
    )


def test_another_key_opens_nothing_and_changes_nothing(stage: Stage, sealed):
    repository = stage.folder / "work/repository"

    def held() -> tuple[dict[str, bytes], set[str]]:
        opens = [repository / "config", *(repository / "keys").iterdir()]
        data = {path.name for path in (repository / "data").rglob("*") if path.is_file()}
        return {path.name: path.read_bytes() for path in opens}, data

    opened_by, data = held()
    for words in (("drill", "--target", "local"), ("list", "--target", "local")):
        said = stage.refuses(*words, environment={"BACKUP_ENCRYPTION_KEY": "wrong"})
        assert "BACKUP_ENCRYPTION_KEY does not open /backup/repository" in said
    # The log that is stored meanwhile, with the right key, adds to the data.
    after = held()
    assert after[0] == opened_by and data <= after[1]


def test_a_flipped_byte_is_found_by_the_drill_and_refused_by_a_restore(stage: Stage, sealed):
    packs = [path for path in (stage.folder / "work/repository/data").rglob("*") if path.is_file()]
    good = {path: path.read_bytes() for path in packs}
    for path, content in good.items():
        place = len(content) // 2
        path.chmod(0o600)
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    try:
        assert "damaged" in stage.refuses("drill", "--target", "local")
        assert stage.metric("drill.prom", "moorage_restore_drill_last_result", "local") == 0
        said = stage.refuses("restore-server", "--into", "/backup/state", "--target", "local")
        assert "damaged" in said and not (stage.folder / "work/state/data").exists()
    finally:
        for path, content in good.items():
            path.write_bytes(content)
    stage.does("drill", "--target", "local")
    assert stage.metric("drill.prom", "moorage_restore_drill_last_result", "local") == 1


def test_a_restore_that_is_killed_is_run_again(stage: Stage, sealed, heavier):
    stage.does("run")
    words = ("restore-database", "--database", "shop", "--into", "shop_again")
    killed_at(stage, "pg_restore.*--jobs", *words)
    said = stage.refuses(*words)
    assert "There is a database shop_again already" in said
    stage.sql("DROP DATABASE shop_again WITH (FORCE)", "postgres")
    assert stage.does(*words)["rows"] >= 80000
    stage.sql("DROP DATABASE shop_again WITH (FORCE)", "postgres")


def test_a_dump_that_reaches_another_server_is_refused(stage: Stage, sealed):
    connection = "'host=elsewhere dbname=shop'"
    stage.sql(
        f"CREATE SUBSCRIPTION away CONNECTION {connection} PUBLICATION p WITH (connect = false, slot_name = NONE)"
    )
    try:
        folder = "/tmp/crafted"
        script = f"mkdir -p {folder} && pg_dump -Fd -f {folder}/content shop"
        server = {"PGHOST": "postgres", "PGUSER": "postgres", "PGPASSWORD": "x"}
        given = [word for name, value in server.items() for word in ("-e", f"{name}={value}")]
        stage.engine.run("exec", *given, stage.of("backup"), "sh", "-c", script)
        code = (
            "from pathlib import Path; from moorage_backup import loading;"
            f"loading.load({server}, Path('{folder}'), {{'owner': 'shop_owner', 'connect': []}}, 'shop_crafted', 1)"
        )
        done = stage.engine.attempt("exec", stage.of("backup"), "python3", "-c", code)
        assert "reaches beyond its database" in done.stderr, done.stderr
        assert stage.sql("SELECT count(*) FROM pg_database WHERE datname = 'shop_crafted'", "postgres") == "0"
    finally:
        stage.sql("DROP SUBSCRIPTION away")


def test_a_dump_cannot_speak_to_psql(stage: Stage):
    """A name with a line of its own is a command to whoever pipes a dump into psql (CVE-2025-8714 and 8715)."""
    name = "x\n\\connect postgres\nCREATE TABLE stray (x int);"
    stage.sql(f'SET ROLE shop_owner; CREATE TABLE "{name}" (x int); COMMENT ON TABLE "{name}" IS \'{name}\'')
    try:
        stage.does("run")
        stage.does("restore-database", "--database", "shop", "--into", "shop_named")
        for database in ("postgres", "shop", "shop_named"):
            assert stage.sql("SELECT to_regclass('stray') IS NULL", database) == "t"
    finally:
        stage.sql(f'DROP TABLE "{name}"')
        stage.sql("DROP DATABASE IF EXISTS shop_named", "postgres")


def test_a_second_run_waits_or_says_who_is_at_work(stage: Stage, sealed, heavier):
    with begun(stage, "run") as process:
        wait_for(lambda: bool(running(stage, "pg_dump")), 60)
        assert "a backup, begun" in stage.refuses("run", "--wait", "0")
        assert process.wait(300) == 0


def test_a_clock_that_jumps_loses_no_backup(stage: Stage, sealed):
    known = {entry["snapshot"] for entry in stage.does("list", "--target", "local")}
    clock = {"LD_PRELOAD": stage.fake_clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    done = stage.call("run", environment={**clock, "FAKETIME": "+400d"})
    assert done.returncode == 0, done.stderr
    done = stage.call("run")
    assert done.returncode == 0 and "when the clock was wrong; nothing is dropped" in done.stderr
    assert known <= {entry["snapshot"] for entry in stage.does("list", "--target", "local")}
    now = time.strftime("%Y-%m-%d", time.gmtime())
    assert stage.does("drill", "--target", "local")["at"].startswith(now), "the newest is not the one of the future"


def test_every_acknowledged_write_survives_a_crash_of_the_host(stage: Stage):
    stage.sql("CREATE TABLE written (n bigint PRIMARY KEY)")
    acknowledged: list[int] = []
    stop = threading.Event()

    def write() -> None:
        command = [
            stage.engine.client,
            "exec",
            "-i",
            stage.of("postgres"),
            "psql",
            "-U",
            "postgres",
            "-XAtq",
            "-d",
            "shop",
        ]
        with subprocess.Popen(
            command, env=stage.engine.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as psql:
            for n in range(100_000):
                if stop.is_set():
                    break
                try:
                    psql.stdin.write(f"INSERT INTO written VALUES ({n}) RETURNING n;\n")
                    psql.stdin.flush()
                    if not (line := psql.stdout.readline()):
                        break
                except OSError:
                    break
                acknowledged.append(int(line))
            psql.kill()

    writer = threading.Thread(target=write)
    writer.start()
    wait_for(lambda: len(acknowledged) > 200)
    stage.engine.run("kill", "--signal", "KILL", stage.of("postgres"))
    stop.set()
    writer.join(30)
    stage.engine.run("start", stage.of("postgres"))
    stage.wait_for_server()
    found = {int(line) for line in stage.sql("SELECT n FROM written").split()}
    assert set(acknowledged) <= found and len(acknowledged) > 200
    assert stage.sql("SHOW fsync") == "on" and stage.sql("SHOW synchronous_commit") == "on"
    stage.sql("DROP TABLE written")
    stage.wait_until_shipped()
