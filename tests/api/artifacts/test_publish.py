"""`moorage artifact publish`: in parts, taken up again, compared, and a release only in the end."""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.api.people import Town, data, its
from webapp.artifacts import publishing
from webapp.cli import moorage
from webapp.errors import StorageError
from webapp.parts import Parts
from webapp.storage import ObjectStore

MIB = 1024 * 1024


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three parts: two of 8 MiB and a rest."""
    path = tmp_path / "app.zip"
    path.write_bytes(secrets.token_bytes(17 * MIB + 5))
    return path


def publish(run: CliRunner, town: Town, path: Path, *more: str) -> Result:
    options = ["--tenant", str(town.tenant), "--module", "app", "--platform", "linux", "--version", "1.0.0"]
    return run.invoke(moorage, ["artifact", "publish", str(path), *options, *more])


def releases(town: Town) -> list[dict[str, Any]]:
    return list(data(town.infra.get("/api/v1/artifacts/releases")))


def test_it_prints_the_id_of_a_release_that_is_whole(run: CliRunner, town: Town, file: Path) -> None:
    result = publish(run, town, file, "--metadata", "Built-By=ci", "--channel", "beta")
    assert result.exit_code == 0, result.output
    [release] = releases(town)
    assert result.stdout.strip() == str(release["id"])
    body = file.read_bytes()
    assert (release["size_bytes"], release["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert (release["channel"], release["status"]) == ("beta", "active")
    facts = its(town.app).store.stat(release["object_key"])
    assert facts.content_type == "application/zip"
    said = {name.lower(): value for name, value in facts.metadata.items()}
    assert said["x-amz-meta-built-by"] == "ci" and said["x-amz-meta-sha256"] == release["sha256"]
    assert b"".join(its(town.app).store.get(release["object_key"])) == body


def test_what_was_cut_off_is_taken_up(
    run: CliRunner, town: Town, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = publishing._send

    def break_off(pool: Any, parts: Parts, number: int, body: bytes) -> str:
        if number == 3:
            raise StorageError("the line broke")
        return send(pool, parts, number, body)

    monkeypatch.setattr(publishing, "_send", break_off)
    broken = publish(run, town, file)
    assert broken.exit_code == 1 and broken.stdout == "" and "STORAGE_ERROR: the line broke" in broken.stderr
    assert releases(town) == []
    sent: list[int] = []

    def count(pool: Any, parts: Parts, number: int, body: bytes) -> str:
        sent.append(number)
        return send(pool, parts, number, body)

    monkeypatch.setattr(publishing, "_send", count)
    again = publish(run, town, file)
    assert again.exit_code == 0 and sent == [3] and "part 1 of 3 was there" in again.stderr
    assert len(releases(town)) == 1


def test_a_part_that_arrived_damaged_is_sent_again(run: CliRunner, town: Town, file: Path) -> None:
    content = publishing.content_of(file)
    key = publishing.key_of(str(town.tenant), content, "app", "linux", "stable", "1.0.0")
    store: ObjectStore = its(town.app).store
    parts = Parts.begin(store, key, content_type="application/zip", metadata={})
    import urllib3

    pool = urllib3.PoolManager()
    publishing._send(pool, parts, 1, bytes(publishing.PART_BYTES))
    result = publish(run, town, file)
    assert result.exit_code == 0, result.stderr
    assert "part 1 of 3 was there" not in result.stderr


def test_what_comes_back_otherwise_is_no_release(
    run: CliRunner, town: Town, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "content_of", lambda _path: publishing.Content(17 * MIB + 5, "0" * 64))
    result = publish(run, town, file)
    assert result.exit_code == 1 and result.stderr.splitlines()[-1].startswith("DIGEST_MISMATCH: ")
    assert releases(town) == []


@pytest.mark.parametrize(
    ("content", "options", "code"),
    [(None, [], "FILE_UNFIT"), (b"", [], "FILE_UNFIT"), (b"x", ["--version", "v" * 101], "VALIDATION_ERROR"),
     (b"x", ["--tenant", "00000000-0000-0000-0000-000000000000"], "TENANT_NOT_FOUND")],
)  # fmt: skip
def test_what_cannot_be_published_is_said(
    run: CliRunner, town: Town, tmp_path: Path, content: bytes | None, options: list[str], code: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    result = publish(run, town, path, *options)
    assert result.exit_code == 1 and result.stdout == "" and result.stderr.startswith(f"{code}: ")


def test_assign_and_list_from_the_command_line(run: CliRunner, town: Town, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    made = json.loads(publish(run, town, path, "--json").stdout)
    scope = ["--tenant", str(town.tenant), "--module", "app", "--platform", "linux"]
    result = run.invoke(moorage, ["artifact", "assign", *scope, "--release", str(made["id"])])
    assert result.exit_code == 0 and "everybody" in result.stdout
    listed = run.invoke(moorage, ["artifact", "list", "--tenant", str(town.tenant), "--json"])
    assert [one["id"] for one in json.loads(listed.stdout)] == [made["id"]]
    wrong = run.invoke(moorage, ["artifact", "assign", *scope, "--release", "999999999"])
    assert wrong.exit_code == 1 and wrong.stderr.startswith("ARTIFACT_RELEASE_NOT_FOUND: ")


@pytest.mark.parametrize("size", [1, 8 * MIB, 80_000 * MIB, 5 * 1024 * 1024 * MIB])
def test_no_file_has_too_many_parts(size: int) -> None:
    assert -(-size // publishing.part_bytes(size)) <= publishing.MOST_PARTS


def test_the_look_ups_use_their_indexes(town: Town) -> None:
    """On tables that are filled: no plan reads a table from end to end."""
    fill = """
    INSERT INTO artifact_releases
        (tenant_id, module, platform, channel, version, object_key, sha256, size_bytes, status)
        SELECT :tenant, 'm' || n % 500, 'linux', 'stable', n::text, 'k', repeat('a', 64), 1, 'active'
        FROM generate_series(1, 20000) n;
    INSERT INTO artifact_assignments (tenant_id, module, platform, channel, user_id, release_id)
        SELECT tenant_id, module, platform, channel, 'u' || id, id FROM artifact_releases WHERE tenant_id = :tenant;
    INSERT INTO licensing_entitlements (id, tenant_id, user_id, module)
        SELECT gen_random_uuid(), :tenant, 'u' || n, 'm' || n % 500 FROM generate_series(1, 20000) n;
    INSERT INTO licensing_vms (tenant_id, vm_uuid, user_id, status)
        SELECT :tenant, 'vm-' || n, 'u' || n, 'active' FROM generate_series(1, 20000) n;
    """
    queries = {
        "ix_artifact_releases_scope":
            "SELECT * FROM artifact_releases WHERE tenant_id = :tenant AND module = 'm7' AND platform = 'linux'"
            " AND channel = 'stable'",
        "uq_artifact_assignments_scope":
            "SELECT release_id FROM artifact_assignments WHERE tenant_id = :tenant AND module = 'm7'"
            " AND platform = 'linux' AND channel = 'stable' AND (user_id = 'u7' OR user_id IS NULL)",
        "uq_licensing_entitlements":
            "SELECT 1 FROM licensing_entitlements WHERE tenant_id = :tenant AND user_id = 'u7'"
            " AND module IN ('m7', '*')",
        "pk_licensing_vms": "SELECT status FROM licensing_vms WHERE tenant_id = :tenant AND vm_uuid = 'vm-7'",
    }  # fmt: skip
    tenant = {"tenant": town.tenant}
    with its(town.app).database.transaction(town.tenant) as session:
        for statement in fill.split(";")[:-1]:
            session.execute(text(statement), tenant)
        for index, query in queries.items():
            plan = "\n".join(session.scalars(text("EXPLAIN " + query), tenant))
            assert index in plan and "Seq Scan" not in plan, plan
        session.rollback()
