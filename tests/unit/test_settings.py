"""Settings: what is refused, and in which words."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import pytest

from webapp import settings as module
from webapp.settings import Settings, SettingsError, read_local_env, variables

GOOD = {
    "DATABASE_URL": "postgresql://app:app-password@db:5432/moorage?sslmode=require",
    "S3_ENDPOINT": "http://store:9000",
    "S3_ACCESS_KEY_ID": "moorage-key",
    "S3_SECRET_ACCESS_KEY": "store-secret-of-16",
    "SESSION_SECRET": "s" * 32,
    "LICENSE_LEASE_SECRET": "l" * 32,
}
REQUIRED = sorted(GOOD)

BAD: list[tuple[str, str]] = [
    ("MOORAGE_ENV", "staging"),
    ("MOORAGE_VERSION", "v 1"),
    *(
        ("DATABASE_URL", value)
        for value in (
            "canary",
            "mysql://u:canary@h/d",
            "postgresql://u@h/d",
            "postgresql://:canary@h/d",
            "postgresql://u:canary@/d",
            "postgresql://u:canary@h",
            "postgresql://u:canary@h/",
            "postgresql://u:canary@h/a/b",
            "postgresql://u:canary@h:port/d",
            "postgresql://u:canary@h:99999/d",
            "postgresql://u:canary@h/d#f",
        )
    ),
    ("DATABASE_OWNER_URL", "canary"),
    ("DATABASE_ADMIN_URL", "canary"),
    ("DATABASE_READONLY_PASSWORD", "canary"),
    ("DATABASE_BACKUP_PASSWORD", "canary"),
    ("DATABASE_MONITOR_PASSWORD", "canary"),
    ("DATABASE_POOL_SIZE", "0"),
    ("DATABASE_POOL_SIZE", "11"),
    ("DATABASE_POOL_SIZE", "ten"),
    *(
        (name, value)
        for name in ("S3_ENDPOINT", "S3_PUBLIC_ENDPOINT")
        for value in (
            "store:9000",
            "ftp://store",
            "http://",
            "http://store/path",
            "http://user:canary@store",
            "http://store?x=1",
            "http://store#x",
            "http://store:port",
            "http://store:0",
            "http://st ore",
        )
    ),
    ("S3_REGION", "US East"),
    ("S3_REGION", "-a"),
    ("S3_BUCKET_ARTIFACTS", "ab"),
    ("S3_BUCKET_ARTIFACTS", "Upper"),
    ("S3_BUCKET_ARTIFACTS", "with.dot"),
    ("S3_BUCKET_ARTIFACTS", "x" * 64),
    ("S3_ACCESS_KEY_ID", "ab"),
    ("S3_ACCESS_KEY_ID", "with blank"),
    ("S3_ADMIN_ACCESS_KEY_ID", "ab"),
    ("S3_SECRET_ACCESS_KEY", "canary"),
    ("S3_SECRET_ACCESS_KEY", " canary-with-a-blank"),
    ("S3_ADMIN_SECRET_ACCESS_KEY", "canary"),
    ("S3_FORCE_PATH_STYLE", "yes"),
    ("S3_PRESIGN_TTL_SECONDS", "59"),
    ("S3_PRESIGN_TTL_SECONDS", "301"),
    ("S3_PRESIGN_TTL_SECONDS", "60.5"),
    ("S3_ADMIN_KIND", "aws"),
    ("DATA_BACKEND", "postgres"),
    *(("RTDB_URL", value) for value in ("rtdb", "https://x.firebaseio.com/path", "https://x.firebaseio.com?ns=y")),
    ("RTDB_SECRET", "canary"),
    *(("RTDB_ROOT", value) for value in ("a.b", "a//b", "a/$b", "1/2/3/4/5/6", "a#", "//")),
    ("SESSION_SECRET", "canary" + "x" * 25),
    ("SESSION_SECRET", "canary\n" + "x" * 32),
    ("LICENSE_LEASE_SECRET", "canary" + "x" * 25),
    ("SESSION_SECRET_ALSO", "canary"),
    ("LICENSE_LEASE_SECRET_ALSO", "canary"),
    *(("SECRETS_ALSO_UNTIL", value) for value in ("tomorrow", "2026-11-28", "2026-13-28T05:00:00Z")),
    ("PUBLIC_URL", "moorage.example"),
    ("COMMAND_ACK_SECONDS", "0"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
    ("INFRA_LEGACY_ENABLED", "1"),
    ("INFRA_LEGACY_AGENT_ID", "agent-7"),
    ("LOG_LEVEL", "info"),
    ("API_WORKERS", "0"),
    ("TRUSTED_PROXIES", "6"),
    ("LICENSE_LEASE_TTL_SECONDS", "59"),
    ("RATE_LIMIT_TOKEN", "-1"),
    ("RATE_LIMIT_TENANT", "many"),
    ("RATE_LIMIT_ADDRESS", "1000001"),
    ("RATE_LIMIT_LOGIN", "1000001"),
    ("RATE_LIMIT_PAIRING", "1000001"),
    ("API_THREADS", "1"),
    ("OIDC_ISSUER", "issuer.example"),
    ("OIDC_JWKS_URL", "keys"),
    ("OIDC_AUDIENCE", "two words"),
    ("OIDC_TENANT_CLAIM", "a claim"),
    ("OIDC_HS256_SECRET", "canary-short"),
    ("GITHUB_CLIENT_ID", "an id"),
    ("GITHUB_CLIENT_SECRET", "canary"),
    ("OAUTH_GITHUB_URL", "github"),
    ("OAUTH_GITHUB_API_URL", "github"),
    ("GOOGLE_CLIENT_ID", "an id"),
    ("GOOGLE_CLIENT_SECRET", "canary"),
    ("OAUTH_GOOGLE_ISSUER", "google"),
    ("SMTP_HOST", "mail server"),
    ("SMTP_PORT", "0"),
    ("SMTP_TLS", "yes"),
    ("SMTP_USERNAME", "a user"),
    ("SMTP_PASSWORD", " canary "),
    ("MAIL_FROM", "nobody"),
    ("MAIL_LINK_URL", "app.example.org/pages"),
    ("REGISTRATION_ENABLED", "yes"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "-1"),
    ("PORT", "٣"),
    ("READINESS_TIMEOUT_SECONDS", "0"),
    ("READINESS_TIMEOUT_SECONDS", "inf"),
    ("READINESS_TIMEOUT_SECONDS", "31"),
    ("RUN_DIR", "run"),
]


def test_the_good_ones_are_taken_and_the_rest_has_defaults() -> None:
    made = Settings.parse(GOOD)
    assert made.moorage_env == "production"
    assert made.database_url.host == "db" and made.database_url.options == (("sslmode", "require"),)
    assert made.public_endpoint == made.s3_endpoint
    assert made.database_pool_size <= 10


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_refused_by_name_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.parse(GOOD | {name: value})
    [problem] = refusal.value.problems
    assert problem.startswith(f"{name} must be ")
    assert "canary" not in problem


def test_every_variable_is_in_the_table_of_bad_values() -> None:
    assert {name for name, _ in BAD} == set(variables())


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("given", ["absent", "empty"])
def test_a_missing_one_is_named_with_what_it_should_be(name: str, given: str) -> None:
    environment = {key: value for key, value in GOOD.items() if key != name} | ({name: ""} if given == "empty" else {})
    with pytest.raises(SettingsError) as refusal:
        Settings.parse(environment)
    [problem] = refusal.value.problems
    assert problem.startswith(f"{name} is missing") and "It must be " in problem


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.parse({"PORT": "x", "LOG_LEVEL": "loud"})
    assert len(refusal.value.problems) == len(REQUIRED) + 2


def test_records_in_a_realtime_database_want_to_know_where_it_is() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.parse(GOOD | {"DATA_BACKEND": "rtdb"})
    assert [problem.split()[0] for problem in refusal.value.problems] == ["RTDB_URL", "RTDB_SECRET"]
    given = {"RTDB_URL": "https://acme.firebaseio.com", "RTDB_SECRET": "the-database-secret", "RTDB_ROOT": "/prod/v1/"}
    made = Settings.parse(GOOD | {"DATA_BACKEND": "rtdb"} | given)
    assert str(made.rtdb_url) == "https://acme.firebaseio.com" and made.rtdb_root == "/prod/v1/"
    assert "the-database-secret" not in repr(made)


def test_what_records_are_moved_from_may_be_known_after_the_move() -> None:
    made = Settings.parse(GOOD | {"RTDB_URL": "https://acme.firebaseio.com", "RTDB_SECRET": "the-database-secret"})
    assert made.data_backend == "supabase" and made.rtdb_secret is not None


def test_one_secret_does_not_serve_twice() -> None:
    with pytest.raises(SettingsError, match="LICENSE_LEASE_SECRET must be another"):
        Settings.parse(GOOD | {"LICENSE_LEASE_SECRET": GOOD["SESSION_SECRET"]})


def test_no_secret_is_printed_or_pickled() -> None:
    made = Settings.parse(GOOD)
    shown = f"{made} {made!r} {dataclasses.asdict(made)}"
    for secret in (GOOD["SESSION_SECRET"], GOOD["LICENSE_LEASE_SECRET"], GOOD["S3_SECRET_ACCESS_KEY"], "app-password"):
        assert secret not in shown
    assert "***" in repr(made.session_secret) and str(made.session_secret) == "***"
    with pytest.raises(TypeError):
        pickle.dumps(made.session_secret)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.parse(GOOD).port = 1  # type: ignore[misc]  # that it is refused is the test


@pytest.mark.parametrize("password", ["p@ss:w/rd?#", "per%cent", "ünï", "a b"])
def test_a_database_urls_odd_characters_survive(password: str) -> None:
    from urllib.parse import quote

    made = Settings.parse(GOOD | {"DATABASE_URL": f"postgres://u:{quote(password, safe='')}@[::1]/d"})
    assert made.database_url.password.reveal() == password
    again = Settings.parse(GOOD | {"DATABASE_URL": made.database_url.render()})
    assert again.database_url == made.database_url


def test_the_checkouts_own_file_is_read_where_the_environment_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "local.env"
    path.touch(mode=0o600)
    path.write_text("# a comment\n\n" + "".join(f"{name}={value}\n" for name, value in GOOD.items()) + "PORT=8123\n")
    monkeypatch.setattr(module, "LOCAL_ENV", path)
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    assert Settings.load().port == 8123
    monkeypatch.setenv("PORT", "9000")
    assert Settings.load().port == 9000, "what is said is said"
    monkeypatch.setenv("MOORAGE_ENV", "production")
    with pytest.raises(SettingsError, match="DATABASE_URL is missing"):
        Settings.load()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_that_file_is_refused_where_others_may_read_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "local.env"
    path.touch()
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_local_env(path)
