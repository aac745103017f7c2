"""Each role has what it needs and nothing more; making them again changes nothing, and drift is put right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import psycopg2
import pytest
from psycopg2 import errors, extensions

from webapp.database import roles
from webapp.redaction import Secret
from webapp.settings import Settings, SettingsError
from webapp.variables import DatabaseUrl

Enter = Callable[[str], extensions.cursor]


@pytest.fixture
def enter(settings: Settings, environment: dict[str, str]) -> Iterator[Enter]:
    """A cursor as a role; nothing that it does is kept."""
    direct = settings.database_url
    urls = {
        "owner": settings.database_owner_url,
        "application": direct,
        "readonly": replace(direct, user=roles.READONLY, password=Secret(environment["DATABASE_READONLY_PASSWORD"])),
        "backup": replace(direct, user=roles.BACKUP, password=Secret(environment["DATABASE_BACKUP_PASSWORD"])),
        "monitor": replace(direct, user=roles.MONITOR, password=Secret(environment["DATABASE_MONITOR_PASSWORD"])),
    }
    opened = []

    def enter_as(role: str) -> extensions.cursor:
        url = urls[role]
        assert url is not None
        connection = psycopg2.connect(url.render())
        opened.append(connection)
        return connection.cursor()

    yield enter_as
    for connection in opened:
        connection.rollback()
        connection.close()


def one(cursor: extensions.cursor, statement: str) -> object:
    cursor.execute(statement)
    row = cursor.fetchone()
    return row and row[0]


def test_again_nothing_changes(settings: Settings) -> None:
    assert roles.prepare(admin(settings), roles.Plan.of(settings)) is False


@pytest.mark.parametrize(
    "drift",
    [
        "ALTER ROLE {app} BYPASSRLS",
        "ALTER ROLE {app} CREATEDB",
        "ALTER ROLE {app} PASSWORD 'another-password'",
        "GRANT ALL ON SCHEMA public TO PUBLIC",
        "GRANT ALL ON DATABASE {database} TO PUBLIC",
        "ALTER DATABASE {database} OWNER TO CURRENT_USER",
        "REVOKE pg_read_all_data FROM moorage_backup",
        "REVOKE pg_monitor FROM moorage_monitor",
    ],
)
def test_drift_is_put_right_and_said(settings: Settings, drift: str) -> None:
    url = settings.database_url
    with closing(psycopg2.connect(admin(settings).render(database=url.name))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(drift.format(app=url.user, database=url.name))
    assert roles.prepare(admin(settings), roles.Plan.of(settings)) is True
    assert roles.prepare(admin(settings), roles.Plan.of(settings)) is False
    psycopg2.connect(url.render()).close()


@pytest.mark.parametrize("role", ["owner", "application", "readonly", "backup", "monitor"])
def test_no_role_is_more_than_it_must_be(enter: Enter, role: str) -> None:
    cursor = enter(role)
    cursor.execute(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication FROM pg_roles"
        " WHERE rolname = current_user"
    )
    backup = role == "backup"
    assert cursor.fetchone() == (False, False, False, backup, backup)


@pytest.mark.parametrize("role", ["application", "readonly", "backup", "monitor"])
def test_only_the_owner_owns(enter: Enter, role: str) -> None:
    statement = """
        SELECT count(*) FROM pg_shdepend
        WHERE refobjid = current_user::regrole AND deptype = 'o'
    """
    assert one(enter(role), statement) == 0


@pytest.mark.parametrize("role", ["application", "readonly", "backup"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE tenants ADD COLUMN more int",
        "ALTER TABLE tenants DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenants_isolation ON tenants",
        "TRUNCATE tenants",
        "UPDATE alembic_version SET version_num = '0'",
        "CREATE ROLE somebody",
    ],
)
def test_what_they_may_not(enter: Enter, role: str, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        enter(role).execute(statement)


def test_the_application_reads_and_writes_rows_and_reads_the_revision(enter: Enter) -> None:
    cursor = enter("application")
    for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        assert one(cursor, f"SELECT has_table_privilege('tenants', '{right}')") is True
    assert one(cursor, "SELECT version_num FROM alembic_version")


@pytest.mark.parametrize("role", ["readonly", "backup"])
def test_who_only_reads_cannot_write(enter: Enter, role: str) -> None:
    cursor = enter(role)
    assert one(cursor, "SELECT count(*) FROM tenants") is not None
    with pytest.raises(errors.InsufficientPrivilege):
        cursor.execute("INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'x')")


def test_passwords_are_stored_as_scram_verifiers(settings: Settings) -> None:
    with closing(psycopg2.connect(admin(settings).render())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (settings.database_url.user,))
        [(stored,)] = cursor.fetchall()
    assert stored.startswith("SCRAM-SHA-256$4096:")


@pytest.mark.parametrize(
    "password", ["with'quote", 'with"quote', "per%cent %s", "sl/ash@colon:", "back\\slash", "päß-wörd"]
)
def test_a_password_with_any_character_gets_in(settings: Settings, password: str) -> None:
    changed = replace(settings, database_url=replace(settings.database_url, password=Secret(password)))
    try:
        assert roles.prepare(admin(settings), roles.Plan.of(changed)) is True
        assert roles.prepare(admin(settings), roles.Plan.of(changed)) is False
        psycopg2.connect(changed.database_url.render()).close()
    finally:
        roles.prepare(admin(settings), roles.Plan.of(settings))


def test_a_rotations_login_is_the_same_role_and_both_get_in_until_one_is_retired(settings: Settings) -> None:
    direct = settings.database_url
    fresh = replace(direct, user=f"{direct.user}_login_0a1b2c3d", password=Secret("next-password-of-24"))
    rotated = replace(settings, database_url=fresh)
    plan = roles.Plan.of(rotated)
    try:
        assert roles.prepare(admin(settings), plan) is True
        assert roles.prepare(admin(settings), plan) is False
        for url in (direct, fresh):
            with closing(psycopg2.connect(url.render())) as connection, connection.cursor() as cursor:
                assert one(cursor, "SELECT current_user") == direct.user
        assert roles.retire(admin(settings), plan) is True
        assert roles.retire(admin(settings), plan) is False
        with pytest.raises(psycopg2.OperationalError, match=r"not permitted to log in|authentication failed"):
            psycopg2.connect(direct.render())
        psycopg2.connect(fresh.render()).close()
    finally:
        roles.prepare(admin(settings), roles.Plan.of(settings))
        assert roles.retire(admin(settings), roles.Plan.of(settings)) is True
    with pytest.raises(psycopg2.OperationalError, match=r"authentication failed|does not exist"):
        psycopg2.connect(fresh.render())
    psycopg2.connect(direct.render()).close()


def test_urls_that_do_not_belong_together_are_refused(settings: Settings) -> None:
    owner = settings.database_owner_url
    assert owner is not None
    for wrong in (replace(owner, name="elsewhere"), replace(owner, user=settings.database_url.user)):
        with pytest.raises(SettingsError, match="DATABASE_OWNER_URL"):
            roles.Plan.of(replace(settings, database_owner_url=wrong))


def admin(settings: Settings) -> DatabaseUrl:
    assert settings.database_admin_url is not None
    return settings.database_admin_url


def test_who_monitors_sees_how_the_server_does_and_no_row(enter: Enter) -> None:
    cursor = enter("monitor")
    assert one(cursor, "SELECT pg_database_size(current_database())")
    # Of others' sessions too, which only a member of pg_read_all_stats sees.
    assert one(cursor, "SELECT bool_and(query <> '<insufficient privilege>') FROM pg_stat_activity") is True
    for statement in ("SELECT * FROM public.tenants", "CREATE TABLE public.mine (id int)", "CREATE ROLE somebody"):
        with pytest.raises(errors.InsufficientPrivilege):
            enter("monitor").execute(statement)
