"""All secrets are replaced at noon, by a run that is killed twice; nobody notices, the old are dead."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.lab.interruption import cut_off
from tests.lab.lab import PUBLIC_NAMES
from tests.lab.network import write_names
from tests.lab.person import Person
from tests.lab.playbook import TRANSCRIPT, ansible, succeeded
from tests.lab.serving import ROOT, leftovers, release, settled, unnoticed

# Long enough for the second release on a slow machine, short enough to be waited for.
ACCEPT_SECONDS = 90
ROTATE = ("rotate_secrets", "-e", "rotate_presigned_seconds=1", "-e", f"rotate_accept_seconds={ACCEPT_SECONDS}")
# The store's administrator is its container's own; the bot is Telegram's; PostgreSQL's first password opens nothing;
# what is stored was encrypted with the backups' key; who watches may read numbers only.
NOT_ROTATED = {
    "S3_ADMIN_ACCESS_KEY_ID", "S3_ADMIN_SECRET_ACCESS_KEY", "TELEGRAM_BOT_TOKEN", "POSTGRES_PASSWORD_AT_START",
    "BACKUP_ENCRYPTION_KEY", "DATABASE_MONITOR_PASSWORD",
}  # fmt: skip
PASSWORD = "correct horse battery"
ROLES = {
    "postgres": "POSTGRES_PASSWORD",
    "moorage_owner": "DATABASE_OWNER_PASSWORD",
    "moorage_app": "DATABASE_APP_PASSWORD",
    "moorage_readonly": "DATABASE_READONLY_PASSWORD",
    "moorage_backup": "DATABASE_BACKUP_PASSWORD",
}
# As the image's own Python, with a key that comes on standard input: what the store says to it.
_KNOCK = """
import sys
from dataclasses import replace
from webapp.errors import MoorageError
from webapp.object_store import service
from webapp.redaction import Secret
from webapp.settings import Settings
key, secret = sys.stdin.read().split()
try:
    service.check(replace(Settings.load(), s3_access_key_id=key, s3_secret_access_key=Secret(secret)))
    print("in")
except MoorageError as error:
    print(type(error).__name__)
"""


@dataclass
class Rotated:
    """The host after its rotation, and what it had before."""

    before: dict[str, str]
    after: dict[str, str]
    person: Person


def env(site: Host) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_0-9]+)='(.*)'$", site.exec("cat", f"{ROOT}/.env"), re.MULTILINE))


def api(site: Host) -> str:
    return f"moorage-api-{release(site)['units']['controlplane']['active']}"


@pytest.fixture(scope="module")
def person(lab: Lab, site: Host) -> Iterator[Person]:
    """A user with a session, signed by the secret that is there."""
    cli = f"docker exec -i {api(site)} moorage"
    made = site.exec("sh", "-c", f"{cli} tenant create Rotation --json")
    tenant = json.loads(made)["id"]
    email = f"{tenant[:8]}@example.org"
    create = f"user create --tenant {tenant} --email {email} --role member"
    site.exec("sh", "-c", f"{cli} {create}", given=PASSWORD)
    write_names(lab.plan.lab, site.address, list(PUBLIC_NAMES))
    somebody = Person(Path(lab.folder / "ca.pem"))
    somebody.log_in(email, PASSWORD)
    yield somebody
    write_names(lab.plan.lab)


@pytest.fixture(scope="module")
def rotated(lab: Lab, site: Host, person: Person) -> Rotated:
    before, server = env(site), site.exec("docker", "inspect", "-f", "{{.State.StartedAt}}", "moorage-postgres")
    with unnoticed(lab) as load, person:
        load.mark("killed while the first slot starts")
        cut_off(lab, *ROTATE, at="Start the new slot beside the old one", after=1, host=site)
        load.mark("killed before the next ones sign")
        cut_off(lab, *ROTATE, at="Give them to the control plane in their new places")
        load.mark("the whole way")
        run = succeeded(ansible(lab, *ROTATE))
    after = env(site)
    assert "Rotated: DATABASE_APP_LOGIN, DATABASE_APP_PASSWORD" in run.words
    assert site.exec("docker", "inspect", "-f", "{{.State.StartedAt}}", "moorage-postgres") == server
    return Rotated(before, after, person)


def test_nobody_noticed_and_what_was_signed_before_is_good_until_the_time_that_was_declared(rotated: Rotated) -> None:
    until = datetime.fromisoformat(rotated.after["SECRETS_ALSO_UNTIL"]).timestamp()
    assert [what for when, what in rotated.person.trouble if when < until or "first" not in what] == []
    assert rotated.person.asked > 20


def test_every_value_is_another_and_nothing_is_left_of_the_way(site: Host, rotated: Rotated) -> None:
    kept = {name for name, value in rotated.before.items() if rotated.after.get(name) == value}
    assert kept <= NOT_ROTATED, kept
    assert not re.findall(r"\b[A-Z_0-9]+_(?:BLUE|GREEN)\b|SECRETS_ROTATION", " ".join(rotated.after))
    assert leftovers(site) == []
    line = json.loads(site.exec("tail", "-n", "1", f"{ROOT}/rotations.jsonl"))
    assert {"database", "store", "signing"} == set(line["groups"]) and "SESSION_SECRET" in line["secrets"]


@pytest.mark.parametrize("role", ROLES)
def test_the_old_password_opens_nothing_and_the_new_one_does(site: Host, rotated: Rotated, role: str) -> None:
    old = rotated.before.get("DATABASE_APP_LOGIN", role) if role == "moorage_app" else role
    assert not _logs_in(site, old, rotated.before[ROLES[role]])
    new = rotated.after["DATABASE_APP_LOGIN"] if role == "moorage_app" else role
    assert _logs_in(site, new, rotated.after[ROLES[role]])


def _logs_in(site: Host, user: str, password: str) -> bool:
    where = f"host=127.0.0.1 sslmode=require dbname=moorage user={user}"
    command = f"docker exec -e PGPASSWORD={password} moorage-postgres psql {shlex.quote(where)} -qXtAc 'SELECT 1'"
    return site.exec("sh", "-c", f"{command} 2>&1", check=False).strip() == "1"


@pytest.mark.parametrize(("when", "said"), [("before", "StorageRefused"), ("after", "in")])
def test_the_stores_old_key_is_refused(site: Host, rotated: Rotated, when: str, said: str) -> None:
    values = getattr(rotated, when)
    given = f"{values['S3_ACCESS_KEY_ID']} {values['S3_SECRET_ACCESS_KEY']}"
    command = f"docker exec -i {api(site)} python3 -c {shlex.quote(_KNOCK)}"
    assert site.exec("sh", "-c", command, given=given).strip() == said


def test_no_value_was_printed(rotated: Rotated) -> None:
    printed = "\n".join(TRANSCRIPT)
    values = {**rotated.before, **rotated.after}
    assert [name for name, value in values.items() if value and value in printed] == []


def test_a_group_that_there_is_not_is_refused(lab: Lab, site: Host, rotated: Rotated) -> None:
    run = ansible(lab, *ROTATE, "-e", "only=keys")
    assert run.code != 0 and "there is no group keys" in run.words, run.output
    assert env(site) == rotated.after


def test_the_next_run_finds_nothing_to_do(lab: Lab, site: Host, rotated: Rotated) -> None:
    settled(lab, site)


def test_in_the_end_what_the_old_secret_signed_is_worth_nothing(rotated: Rotated) -> None:
    until = datetime.fromisoformat(rotated.after["SECRETS_ALSO_UNTIL"]).timestamp()
    time.sleep(max(0.0, until - time.time() + 1))
    assert rotated.person.status(rotated.person.first) == 401
