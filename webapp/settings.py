"""One frozen Settings, the only reader of the environment.

A bad or missing variable stops the start, and all of them are named at once, each with what it should look like.
In a checkout where `make up` runs and the environment says nothing, the values come from `.moorage/local.env`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Self, get_type_hints

from webapp import variables as v
from webapp.failures import Failure
from webapp.redaction import Secret, remember
from webapp.settings_bus import BusSettings
from webapp.settings_identity import IdentitySettings, contradictions
from webapp.settings_mail import MailSettings
from webapp.settings_records import RecordsSettings, needed
from webapp.settings_signing import SigningSettings
from webapp.variables import DatabaseUrl, Endpoint, Variable

CHECKOUT = Path(__file__).resolve().parent.parent
LOCAL_STATE = CHECKOUT / ".moorage"
LOCAL_ENV = LOCAL_STATE / "local.env"

_ON_HOST = "/opt/moorage/.env on the host (made there by provisioning; playbooks/set_secret.yml replaces it)"
_SETUP = _ON_HOST + "; given to `moorage setup` alone"


class SettingsError(Failure):
    """The environment cannot be used. `problems` are lines that each name a variable and what it should be."""

    code = "SETTINGS_INVALID"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Settings(BusSettings, IdentitySettings, MailSettings, RecordsSettings, SigningSettings):
    moorage_env: Annotated[
        str, Variable(v.choice("development", "production"), "What this installation is for.", default="production")
    ]
    moorage_version: Annotated[
        str,
        Variable(
            v.matching(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", "a version: letters, digits and . _ + -"),
            "The version that /health and the landing page report; the image sets it.",
            default="0.1.0",
        ),
    ]
    database_url: Annotated[
        DatabaseUrl,
        Variable(v.database_url, "PostgreSQL as the application's role, which owns nothing.", kept=_ON_HOST),
    ]
    database_owner_url: Annotated[
        DatabaseUrl | None,
        Variable(v.database_url, "PostgreSQL as the owner of the tables: migrations.", optional=True, kept=_SETUP),
    ]
    database_admin_url: Annotated[
        DatabaseUrl | None,
        Variable(v.database_url, "PostgreSQL as a superuser: makes roles and database.", optional=True, kept=_SETUP),
    ]
    database_readonly_password: Annotated[
        Secret | None,
        Variable(
            v.secret(16),
            "Password of moorage_readonly; without one that role cannot log in.",
            optional=True,
            kept=_SETUP,
        ),
    ]
    database_backup_password: Annotated[
        Secret | None,
        Variable(
            v.secret(16),
            "Password of moorage_backup; without one that role cannot log in.",
            optional=True,
            kept=_SETUP,
        ),
    ]
    database_monitor_password: Annotated[
        Secret | None,
        Variable(
            v.secret(16),
            "Password of moorage_monitor; without one that role cannot log in.",
            optional=True,
            kept=_SETUP,
        ),
    ]
    database_pool_size: Annotated[
        int, Variable(v.integer(1, 10, "connections"), "Connections that one process keeps at most.", default="8")
    ]
    s3_endpoint: Annotated[Endpoint, Variable(v.endpoint, "The S3 server as this process reaches it.")]
    s3_public_endpoint: Annotated[
        Endpoint | None,
        Variable(
            v.endpoint,
            "The S3 server as clients reach it, signed into URLs. Default: S3_ENDPOINT.",
            optional=True,
        ),
    ]
    s3_region: Annotated[str, Variable(v.region, "The region that requests are signed for.", default="us-east-1")]
    s3_bucket_artifacts: Annotated[
        str, Variable(v.bucket, "The private bucket of artifacts.", default="moorage-artifacts")
    ]
    s3_access_key_id: Annotated[str, Variable(v.access_key, "The restricted user's access key.")]
    s3_secret_access_key: Annotated[
        Secret, Variable(v.secret(8, 128), "The restricted user's secret key.", kept=_ON_HOST)
    ]
    s3_force_path_style: Annotated[
        bool, Variable(v.boolean, "Bucket in the path (true) or in the host's name (false).", default="true")
    ]
    s3_presign_ttl_seconds: Annotated[
        int, Variable(v.integer(60, 300, "seconds"), "How long a presigned URL works.", default="60")
    ]
    s3_admin_kind: Annotated[
        str,
        Variable(
            v.choice("minio", "ceph", "given"),
            "Who makes bucket, user and policy: MinIO's or Ceph's administration, or nobody (given credentials).",
            default="given",
        ),
    ]
    s3_admin_access_key_id: Annotated[
        str | None, Variable(v.access_key, "The store's administrator (minio, ceph).", optional=True)
    ]
    s3_admin_secret_access_key: Annotated[
        Secret | None, Variable(v.secret(8, 128), "The store's administrator's secret key.", optional=True, kept=_SETUP)
    ]
    trusted_proxies: Annotated[
        int,
        Variable(
            v.integer(0, 5),
            "How many proxies of ours stand in front and write X-Forwarded-For; 0 believes none.",
            default="0",
        ),
    ]
    rate_limit_token: Annotated[
        int, Variable(v.integer(0, 1_000_000), "Requests a minute for each token; 0 for any number.", default="600")
    ]
    rate_limit_tenant: Annotated[
        int, Variable(v.integer(0, 10_000_000), "Requests a minute for each tenant; 0 for any number.", default="60000")
    ]
    rate_limit_address: Annotated[
        int,
        Variable(
            v.integer(0, 1_000_000),
            "Requests without a valid token a minute for each address; 0 for any number.",
            default="600",
        ),
    ]
    license_lease_ttl_seconds: Annotated[
        int, Variable(v.integer(60, 300, "seconds"), "How long a lease lives without a heartbeat.", default="300")
    ]
    log_level: Annotated[
        str,
        Variable(
            v.choice("DEBUG", "INFO", "WARNING", "ERROR"), "The least severe line that is logged.", default="INFO"
        ),
    ]
    otel_exporter_otlp_endpoint: Annotated[
        Endpoint | None,
        Variable(
            v.endpoint,
            "Where traces are sent, by OTLP over HTTP (such as http://collector:4318); nowhere without it.",
            optional=True,
        ),
    ]
    api_workers: Annotated[int, Variable(v.integer(1, 16), "Processes of the API.", default="1")]
    api_threads: Annotated[int, Variable(v.integer(2, 64), "Threads in each process of the API.", default="8")]
    port: Annotated[int, Variable(v.integer(1, 65535), "The port that this process answers on.", default="8000")]
    readiness_timeout_seconds: Annotated[
        float, Variable(v.seconds(0.5, 30), "The longest that /ready takes to answer.", default="3")
    ]
    run_dir: Annotated[
        Path,
        Variable(
            v.absolute_path,
            "Where a running process leaves its heartbeat and counters: a tmpfs.",
            default="/tmp/moorage",  # noqa: S108 - in the image /tmp is the container's own tmpfs
        ),
    ]

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Secret):
                remember(value)
            elif isinstance(value, DatabaseUrl):
                remember(value.password)

    @property
    def public_endpoint(self) -> Endpoint:
        return self.s3_public_endpoint or self.s3_endpoint

    @classmethod
    def load(cls) -> Self:
        """From the environment, or from the checkout's `.moorage/local.env` where the environment is silent.

        Raises SettingsError.
        """
        if "MOORAGE_ENV" not in os.environ and "DATABASE_URL" not in os.environ and LOCAL_ENV.exists():
            return cls.parse({**read_local_env(LOCAL_ENV), **os.environ})
        return cls.parse(os.environ)

    @classmethod
    def parse(cls, environment: Mapping[str, str]) -> Self:
        """Settings out of any mapping of variables. An empty variable counts as absent. Raises SettingsError."""
        values: dict[str, object] = {}
        problems: list[str] = []
        for name, known in variables().items():
            text = environment.get(name) or known.default
            if text is None:
                values[name.lower()] = None
                if not known.optional:
                    problems.append(f"{name} is missing: {known.meaning} {wanted(known)}.")
                continue
            try:
                values[name.lower()] = known.parse(text)
            except ValueError as refusal:
                problems.append(f"{name} must be {refusal}. ({known.meaning})")
        same = values.get("session_secret")
        if same is not None and same == values.get("license_lease_secret"):
            problems.append("LICENSE_LEASE_SECRET must be another secret than SESSION_SECRET.")
        problems += contradictions(values) + needed(values)
        if problems:
            raise SettingsError(*problems)
        return cls(**values)  # type: ignore[arg-type]  # each value came from its own field's parser


@cache
def variables() -> dict[str, Variable]:
    """Every variable by its name in the environment, in the order of Settings."""
    hints = get_type_hints(Settings, include_extras=True)
    return {item.name.upper(): hints[item.name].__metadata__[0] for item in fields(Settings)}


def wanted(known: Variable) -> str:
    """What a variable's text must be, in its own parser's words."""
    try:
        known.parse("\0")
    except ValueError as refusal:
        return f"It must be {refusal}"
    return "Any text"


def read_local_env(path: Path) -> dict[str, str]:
    """NAME=value lines of a file that only its owner may read. Raises SettingsError where others may."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SettingsError(f"{path} holds secrets and others may read it: chmod 600 it.")
    lines = (line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def chosen_port() -> int:
    """PORT alone, for `moorage up`, which makes everything else itself. Raises SettingsError."""
    known = variables()["PORT"]
    try:
        return int(known.parse(os.environ.get("PORT") or str(known.default)))
    except ValueError as refusal:
        raise SettingsError(f"PORT must be {refusal}. ({known.meaning})") from None


def export(**changes: str) -> None:
    """Hand variables to libraries and child processes that read them from the environment themselves."""
    os.environ.update(changes)


def inherited(**changes: str) -> dict[str, str]:
    """This process's environment with changes, for a child that is started with it."""
    return {**os.environ, **changes}


def prepended(**folders: str) -> dict[str, str]:
    """Variables that are lists of folders (PATH), each with one more in front."""
    return {name: os.pathsep.join([folder, os.environ.get(name, "")]) for name, folder in folders.items()}
