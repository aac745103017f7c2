"""A server, what backs it up, and a bucket elsewhere: containers of their own, without a host around them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.engine import Engine
from tests.lab.recipes import ensure_image

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "roles/backup/files/moorage_backup"
# As the image `bucket` has them.
ACCESS_KEY, SECRET_KEY = "labbucketaccesskey", "labbucketsecretaccesskey"
SERVER_UID = 999
TABLES = """
CREATE ROLE shop_owner LOGIN PASSWORD 'o'; CREATE ROLE shop_app LOGIN PASSWORD 'a';
CREATE ROLE moorage_backup LOGIN REPLICATION BYPASSRLS PASSWORD 'b';
GRANT pg_read_all_data, pg_read_all_settings, pg_read_all_stats, pg_checkpoint TO moorage_backup;
GRANT EXECUTE ON FUNCTION pg_switch_wal(), pg_create_restore_point(text), pg_backup_start(text, boolean),
    pg_backup_stop(boolean) TO moorage_backup;
CREATE DATABASE shop OWNER shop_owner;
REVOKE ALL ON DATABASE shop FROM PUBLIC;
GRANT CONNECT ON DATABASE shop TO shop_app, moorage_backup;
"""
ROWS = r"""
SET ROLE shop_owner;
CREATE TABLE people (id bigserial PRIMARY KEY, name text NOT NULL, note text);
INSERT INTO people (name, note)
    SELECT md5(n::text), E'tab\t, back\\slash, \nline, "quote", é ' || n FROM generate_series(1, 20000) n;
CREATE TABLE orders (id bigint PRIMARY KEY, person bigint REFERENCES people, at timestamptz DEFAULT now(),
    amount numeric(12, 2), twice numeric GENERATED ALWAYS AS (amount * 2) STORED);
INSERT INTO orders (id, person, amount) SELECT n, n, n / 7.0 FROM generate_series(1, 5000) n;
CREATE TABLE "Odd Name" (x double precision);
INSERT INTO "Odd Name" VALUES (0.1), ('NaN'), ('-Infinity'), (1e-300);
CREATE TABLE nothing (y int);
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE people FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody ON people USING (current_setting('shop.who', true) = 'me');
GRANT SELECT, INSERT ON people TO shop_app;
"""


@dataclass
class Stage:
    """Everything by its container's name; `folder` is what the host would be."""

    engine: Engine
    name: str
    folder: Path
    program = PROGRAM
    fake_clock = "/usr/local/lib/fake-clock.so"

    def up(self) -> None:
        """Start the server and the bucket, with a database in it, and what backs it up."""
        self.engine.run("network", "create", "--label", f"moorage.stage={self.name}", self.name)
        self.bucket_up()
        self.store_up()
        words = [
            "--user",
            "999:999",
            "-e",
            "POSTGRES_PASSWORD=x",
            "-e",
            "POSTGRES_INITDB_ARGS=--auth-local=peer --data-checksums",
        ]
        self._run("postgres", "postgres", *words, "-v", f"{self.name}-data:/var/lib/postgresql/data")
        self.wait_for_server()
        self.engine.run(
            "exec",
            self.of("postgres"),
            "sh",
            "-c",
            "echo 'host replication all all scram-sha-256' >> $PGDATA/pg_hba.conf",
        )
        self.sql("SELECT pg_reload_conf()", "postgres")
        self.sql(TABLES, "postgres")
        self.sql(ROWS)
        for part in ("work", "metrics", "etc"):
            (self.folder / part).mkdir(exist_ok=True)
            subprocess.run(["chown", f"{SERVER_UID}:{SERVER_UID}", str(self.folder / part)], check=True)
        self.write_files()
        self.configure()
        self.backup_up()

    def of(self, part: str) -> str:
        """A container's name."""
        return f"{self.name}-{part}"

    def _run(self, part: str, image: str, *words: str, command: tuple[str, ...] = ()) -> None:
        label = f"moorage.stage={self.name}"
        place = ["--name", self.of(part), "--network", self.name, "--network-alias", part, "--label", label]
        self.engine.run("run", "-d", *place, *words, ensure_image(self.engine, image), *command)

    def bucket_up(self) -> None:
        """The bucket elsewhere; what is in it outlives it."""
        store = self.folder / "bucket"
        (store / "backups").mkdir(parents=True, exist_ok=True)
        self._run("bucket", "bucket", "-v", f"{store}:/data")

    def store_up(self) -> None:
        """The object store that is backed up."""
        (self.folder / "store/things").mkdir(parents=True, exist_ok=True)
        self._run("store", "bucket", "-v", f"{self.folder / 'store'}:/data")

    def write_files(self, text: str = "SECRET='x'\n", name: str = "files.tar") -> None:
        """What the host's root puts beside the databases."""
        source = self.folder / ".env"
        source.write_text(text)
        archive = self.folder / "work" / name
        subprocess.run(["tar", "--create", "--file", str(archive), "--directory", str(self.folder), ".env"], check=True)
        subprocess.run(["chown", f"{SERVER_UID}", str(archive)], check=True)

    def configure(self, **other: Any) -> None:
        """What roles/backup would write."""
        target = {
            "endpoint": "http://bucket:9000",
            "bucket": "backups",
            "prefix": "vps",
            "region": "us-east-1",
            "key": "S3_BACKUP",
        }
        config = {
            "host": "vps",
            "server": {"host": "postgres", "port": 5432, "user": "moorage_backup", "sslmode": "prefer"},
            "databases": ["shop"],
            "objects": {"endpoint": "http://store:9000", "region": "us-east-1", "buckets": ["things"]},
            "targets": [{"name": "local", "path": "/backup/repository"}, {"name": "bucket", **target}],
            "retention": {"daily": 7, "weekly": 4, "monthly": 12, "recovery_days": 7},
            "ship_seconds": 3,
            "target_seconds": 20,
            "rate_mib": 0,
            "jobs": 2,
            "fast_checkpoint": True,
            **other,
        }
        (self.folder / "etc/config.json").write_text(json.dumps(config))

    def backup_up(self, *words: str) -> None:
        """What backs up, as the stack runs it."""
        environment = {"DATABASE_BACKUP_PASSWORD": "b", "BACKUP_ENCRYPTION_KEY": "right", "HOME": "/tmp"}
        for prefix in ("S3", "S3_BACKUP"):
            environment |= {f"{prefix}_ACCESS_KEY_ID": ACCESS_KEY, f"{prefix}_SECRET_ACCESS_KEY": SECRET_KEY}
        given = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        folders = {"work": "/backup", "metrics": "/metrics", "etc": "/etc/moorage-backup"}
        given += [word for ours, there in folders.items() for word in ("-v", f"{self.folder / ours}:{there}")]
        given += ["-v", f"{PROGRAM}:/etc/moorage-backup/moorage_backup:ro", "--init", "--read-only", "--tmpfs", "/tmp"]
        self._run("backup", "backup-clock", *given, "--cap-drop=ALL", "--security-opt", "no-new-privileges", *words)

    def down(self) -> None:
        """Remove every trace."""
        for kind, force in (("container", ["-f", "-v"]), ("network", [])):
            for thing in self.engine.labelled(kind, f"moorage.stage={self.name}"):
                self.engine.attempt(kind, "rm", *force, thing)
        self.engine.attempt("volume", "rm", "-f", f"{self.name}-data")

    def wait_for_server(self) -> None:
        """Until it takes connections over TCP: while it is made, it listens on its socket alone."""
        ready = ("exec", self.of("postgres"), "pg_isready", "-q", "-h", "127.0.0.1")
        wait_for(lambda: self.engine.attempt(*ready).returncode == 0)

    def sql(self, text: str, database: str = "shop") -> str:
        """What the superuser is answered."""
        words = [
            "exec",
            "-i",
            self.of("postgres"),
            "psql",
            "-U",
            "postgres",
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            database,
        ]
        return self.engine.run(*words, given=text).strip()

    def call(
        self, *words: str, environment: dict[str, str] | None = None, before: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """`moorage-backup …`, however it ends."""
        given = {"DATABASE_ADMIN_PASSWORD": "x", **(environment or {})}
        options = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
        return self.engine.attempt("exec", *options, self.of("backup"), *before, "moorage-backup", *words)

    def does(self, *words: str) -> Any:
        """The same, which must succeed: what it printed."""
        done = self.call(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refuses(self, *words: str, **how: Any) -> str:
        """The same, which must fail: what it said, in one line."""
        done = self.call(*words, **how)
        assert done.returncode == 1 and "Traceback" not in done.stderr, (done.returncode, done.stderr)
        return " ".join(done.stderr.split())

    def metric(self, file: str, name: str, target: str) -> float | None:
        """A number that the node exporter would read."""
        path = self.folder / "metrics" / file
        start = f'{name}{{target="{target}"}} '
        lines = path.read_text().splitlines() if path.exists() else []
        return next((float(line.removeprefix(start)) for line in lines if line.startswith(start)), None)

    def wait_until_shipped(self, target: str = "bucket", after: float | None = None, seconds: float = 180) -> None:
        """Until everything that was written before now is in a target."""
        moment = time.time() if after is None else after
        name = "moorage_wal_archive_last_success_timestamp_seconds"
        wait_for(lambda: (self.metric("wal.prom", name, target) or 0) > moment, seconds, self.said)

    def said(self) -> str:
        """The last lines of what backs up, for whoever waited for it in vain."""
        done = self.engine.attempt("logs", "--tail", "40", "--timestamps", self.of("backup"))
        return done.stdout + done.stderr


def wait_for(condition: Callable[[], bool], seconds: float = 30, told: Callable[[], object] | None = None) -> None:
    """Until it is so; an AssertionError where it does not come to that, with what `told` then says."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, told() if told else "it did not come to that"
        time.sleep(0.2)
