"""What an audit finds, check by check: tables of what it is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

NOW = datetime(2026, 11, 28, 5, tzinfo=UTC)
GOOD = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


@pytest.fixture
def audit(plugin):
    return plugin("module_utils", "audit")


@pytest.fixture
def outside(plugin):
    return plugin("module_utils", "outside")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"ends": NOW + timedelta(days=20)}, ""),
        ({"ends": NOW + timedelta(days=13)}, "its certificate ends in 13 days, on 2026-12-11"),
        ({"ends": NOW - timedelta(days=1)}, "ends in -1 days"),
        ({"problem": "no certificate that counts: self-signed"}, "self-signed"),
    ],
)
def test_certificates(audit, facts, said):
    lines = audit.certificate("api.example", facts, NOW, 14)
    assert len(lines) == bool(said) and said in "".join(lines)


@pytest.mark.parametrize(
    ("changed", "page", "said"),
    [
        ({}, False, ""),
        ({}, True, "content-security-policy is 'absent'"),
        ({"content-security-policy": "default-src 'self'"}, True, ""),
        ({"strict-transport-security": "max-age=3600"}, False, "strict-transport-security is 'max-age=3600'"),
        ({"strict-transport-security": "max-age=63072000"}, False, ""),
        ({"x-frame-options": ""}, False, "x-frame-options is ''"),
        ({"server": "Caddy"}, False, "the header server tells what answers"),
    ],
)
def test_headers(audit, changed, page, said):
    lines = audit.headers("https://x/", GOOD | changed, page=page)
    assert len(lines) == bool(said) and said in "".join(lines)


@pytest.mark.parametrize(("seen", "lines"), [([22, 443], 0), ([], 0), ([22, 2375], 1)])
def test_ports(audit, seen, lines):
    assert len(audit.ports(seen, {22, 80, 443})) == lines


@pytest.mark.parametrize(
    ("sure", "seen", "asked", "said"),
    [
        ([22], [22, 80], [22, 80], ""),
        ([22], [80], [22, 80], "the scan missed [22]"),
        ([], [], [22], "no port answered at all"),
        ([], [], [], ""),
    ],
)
def test_a_scan_that_is_not_to_be_believed(audit, sure, seen, asked, said):
    lines = audit.unseen(sure, seen, asked)
    assert len(lines) == bool(said) and said in "".join(lines)


@pytest.mark.parametrize(
    ("mode", "strict", "reachable", "open_"),
    [
        (0o600, True, True, False),
        (0o640, True, False, True),
        (0o644, True, False, True),
        (0o640, False, True, False),
        (0o644, False, False, False),
        (0o644, False, True, True),
        (0o602, False, True, True),
    ],
)
def test_files_with_secrets(audit, mode, strict, reachable, open_):
    one = {"path": "/opt/moorage/.env", "mode": mode, "owner": "root", "strict": strict, "reachable": reachable}
    assert len(audit.files([one])) == open_


SIMULATED = """\
Inst openssl [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
Inst tzdata [2025a-1] (2025b-1 Debian:13.1/stable [all])
Conf openssl (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
"""


@pytest.mark.parametrize(
    ("text", "age", "lines"),
    [
        ("", 3600, []),
        (SIMULATED, 3600, ["openssl 3.5.1-1 → 3.5.1-1+deb13u1 (security)", "tzdata 2025a-1 → 2025b-1"]),
        ("", None, ["nothing is known of newer packages: apt asked its archives never (`apt-get update`)"]),
        ("", 3 * 86400, ["nothing is known of newer packages: apt asked its archives 3 days ago (`apt-get update`)"]),
    ],
)
def test_unpatched_packages(audit, text, age, lines):
    assert audit.updates(text, age) == lines


@pytest.mark.parametrize(
    ("name", "enabled", "forced", "policies", "said"),
    [
        ("agents", True, True, 1, ""),
        ("agents", False, False, 0, "not enabled, not forced, without a policy"),
        ("agents", True, False, 1, "not forced"),
        ("alembic_version", False, False, 0, ""),
        ("procrastinate_jobs", False, False, 0, ""),
    ],
)
def test_row_level_security(audit, name, enabled, forced, policies, said):
    row = {"name": name, "enabled": enabled, "forced": forced, "policies": policies}
    lines = audit.tables([row], ["alembic_version", "procrastinate_*"])
    assert len(lines) == bool(said) and said in "".join(lines)


LEAST = {"name": "moorage_app", "super": False, "bypass": False, "create": False, "owns": 0, "trusted": None}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (LEAST, ""),
        (None, "is not there"),
        (LEAST | {"super": True}, "is a superuser"),
        (LEAST | {"bypass": True}, "goes around row level security"),
        (LEAST | {"create": True}, "may make roles or databases"),
        (LEAST | {"owns": 3}, "owns 3 relation(s)"),
        (LEAST | {"trusted": "moorage_owner"}, "belongs to moorage_owner"),
    ],
)
def test_the_applications_role(audit, row, said):
    lines = audit.role(row)
    assert len(lines) == bool(said) and said in "".join(lines)


@pytest.mark.parametrize(
    ("target", "last", "lines"),
    [
        ({"name": "s3", "encrypted": True}, 3600, []),
        ({"name": "s3", "encrypted": False}, 3600, ["what lies on the backup target s3 is not encrypted"]),
        ({"name": "s3", "encrypted": True}, 27 * 3600, ["the last good backup on s3 was 27 h ago"]),
        ({"name": "s3", "encrypted": True}, None, ["the last good backup on s3 was never"]),
    ],
)
def test_backups(audit, target, last, lines):
    succeeded = {} if last is None else {"s3": 1e9 - last}
    assert audit.backups([target], succeeded, 1e9, 26) == lines


HOLE = {
    "VulnerabilityID": "CVE-1", "Severity": "HIGH", "PkgName": "x", "InstalledVersion": "1", "FixedVersion": "2",
}  # fmt: skip


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"Results": [{"Packages": [{}]}]}, ""),
        ({"Results": [{"Packages": [{}], "Vulnerabilities": [HOLE]}]}, "i: CVE-1 high in x 1, mended in 2"),
        ({"Results": []}, "no package was seen"),
        (None, "there was no data: offline"),
    ],
)
def test_known_holes_and_a_scan_without_data(audit, report, said):
    lines = audit.vulnerabilities("i", report, "offline")
    assert len(lines) == bool(said) and said in "".join(lines)


FINDING = {"check": "packages", "what": "packages: was not compared, no data"}
WAIVER = {"check": "packages", "what": "*no data*", "reason": "no network", "until": "2026-12-31"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"until": date(2026, 11, 28)}, ""),
        ({"until": "2026-11-27"}, "packages *no data*: the waiver ended on 2026-11-27"),
        ({"reason": " "}, "packages *no data*: a waiver has a check and a reason"),
        ({"until": "soon"}, "packages *no data*: a waiver has an end (until: 2027-01-31)"),
        ({"what": "*x*"}, "packages *x*: nothing needs it any more: take it out"),
        ({"check": "images"}, "images *no data*: nothing needs it any more: take it out"),
    ],
)
def test_a_waiver_covers_a_finding_or_is_one_itself(audit, changed, said):
    judged = audit.judged([FINDING], [WAIVER | changed], date(2026, 11, 28))
    left = [one["what"] for one in judged["open"]]
    assert left == ([FINDING["what"], said] if said else []) and len(judged["waived"]) == (not said)


def test_without_a_waiver_a_finding_is_open(audit):
    assert audit.judged([FINDING], [], date(2026, 11, 28)) == {"open": [FINDING], "waived": []}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", []), ("22", [22]), ("80, 22", [22, 80]), ("8000-8002,80", [80, 8000, 8001, 8002])],
)
def test_ports_that_a_person_names(outside, text, numbers):
    assert outside.ports_of(text) == numbers


@pytest.mark.parametrize("text", ["0", "65536", "90-80", "ssh", "1-99999"])
def test_what_is_no_port(outside, text):
    with pytest.raises(ValueError, match=r"port|invalid literal"):
        outside.ports_of(text)
