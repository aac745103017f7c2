"""Whoever ships the log outlives a server that comes and goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from moorage_backup import settings as backup_settings
from moorage_backup.shipping import Shipper

# Says how far the log is, and then no more; as psql does where the server went in between.
PSQL = """#!/bin/sh
[ -e {seen} ] && {{ echo "connection refused" >&2; exit 2; }}
touch {seen}
echo '{{"written": 7, "received": 1}}'
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> backup_settings.Settings:
    (tmp_path / "psql").write_text(PSQL.format(seen=tmp_path / "seen"))
    (tmp_path / "psql").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    config = tmp_path / "config.json"
    config.write_text(CONFIG.replace("TARGET", str(tmp_path / "repository")))
    for name in ("DATABASE_BACKUP_PASSWORD", "BACKUP_ENCRYPTION_KEY"):
        monkeypatch.setenv(name, "x")
    return backup_settings.load(config)


def test_a_server_that_goes_between_two_questions_is_told_of_and_tried_again(
    settings: backup_settings.Settings,
) -> None:
    shipper = Shipper(settings)
    for _ in range(2):
        [said] = shipper.round()
        assert said.startswith("the server does not say how far its log is") and "connection refused" in said
    assert shipper.shipped == {}


CONFIG = """
{"host": "vps", "server": {"host": "postgres", "port": 5432, "user": "moorage_backup", "sslmode": "prefer"},
 "databases": ["shop"], "objects": null, "targets": [{"name": "local", "path": "TARGET"}],
 "retention": {"daily": 7, "weekly": 4, "monthly": 12, "recovery_days": 7}, "ship_seconds": 3, "target_seconds": 20,
 "rate_mib": 0, "jobs": 2, "fast_checkpoint": true}
"""
