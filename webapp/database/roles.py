"""The database and its roles, each with the least it needs:

* the owner (DATABASE_OWNER_URL) owns database, schema and tables, and migrates;
* the application (DATABASE_URL) reads and writes rows, owns nothing and bypasses nothing. A rotation gives it another
  login, `<role>_login_<hex>`, whose sessions are the role's: PostgreSQL knows one password a role, and while a release
  takes the place of another, two must get in;
* `moorage_readonly` reads what row level security shows it;
* `moorage_backup` reads everything: a dump must not leave out what a policy hides;
* `moorage_monitor` reads the server's statistics and none of its tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

from webapp.database.scram import fits, verifier
from webapp.redaction import Secret
from webapp.settings import Settings, SettingsError
from webapp.variables import DatabaseUrl

READONLY, BACKUP, MONITOR = "moorage_readonly", "moorage_backup", "moorage_monitor"
# What PostgreSQL itself lets a role do, by membership.
# A backup also wants to know how far the log is, and to ask for a checkpoint.
MEMBERSHIPS = {
    BACKUP: "pg_read_all_data, pg_read_all_settings, pg_read_all_stats, pg_checkpoint",
    MONITOR: "pg_monitor",
}
_LOGIN = "_login_"

# Any number, as long as nothing else takes it: two set-ups at once would trip over each other's CREATE ROLE.
_SETUP_LOCK = 0x6D6F6F72

# To have the log go on to its next segment (Barman's manual, "PostgreSQL connection"). They are the functions of the
# administrator's own database.
_BACKUP_FUNCTIONS = (
    "GRANT EXECUTE ON FUNCTION pg_switch_wal(), pg_create_restore_point(text), pg_backup_start(text, boolean),"
    " pg_backup_stop(boolean) TO {}"
)
_SNAPSHOT_CLUSTER = """
SELECT to_jsonb(a) - 'oid' FROM pg_authid a WHERE rolname = ANY(%(names)s)
UNION ALL SELECT jsonb_build_array(roleid::regrole, member::regrole) FROM pg_auth_members
          WHERE member::regrole::text = ANY(%(names)s)
UNION ALL SELECT jsonb_build_array(proname, proacl::text) FROM pg_proc
          WHERE proname IN ('pg_switch_wal', 'pg_create_restore_point', 'pg_backup_start', 'pg_backup_stop')
UNION ALL SELECT jsonb_build_array(datname, datdba::regrole, datacl::text) FROM pg_database WHERE datname = %(database)s
"""
_SNAPSHOT_DATABASE = """
SELECT jsonb_build_array(nspowner::regrole, nspacl::text) FROM pg_namespace WHERE nspname = 'public'
UNION ALL SELECT jsonb_build_array(defaclrole::regrole, defaclobjtype, defaclacl::text) FROM pg_default_acl
"""


@dataclass(frozen=True)
class Role:
    """A role that logs in where it has a password."""

    name: str
    password: Secret | None
    attributes: str = ""
    # Whether it may log in stays as it is: what runs may still do so.
    as_it_was: bool = False


@dataclass(frozen=True)
class Plan:
    """Who there is to be, and in which database."""

    database: str
    owner: Role
    application: Role
    readonly: Role
    backup: Role
    monitor: Role
    login: Role | None = None

    @classmethod
    def of(cls, settings: Settings) -> Plan:
        """Raises SettingsError where the URLs do not belong together."""
        owner, application = settings.database_owner_url, settings.database_url
        if owner is None:
            raise SettingsError("DATABASE_OWNER_URL is missing: `moorage setup` makes the role that it names.")
        if owner.name != application.name:
            raise SettingsError("DATABASE_OWNER_URL must name the same database as DATABASE_URL.")
        name = role_of(application.user)
        own = name == application.user
        plan = cls(
            database=owner.name,
            owner=Role(owner.user, owner.password),
            application=Role(name, application.password if own else None, as_it_was=not own),
            login=None if own else Role(application.user, application.password),
            readonly=Role(READONLY, settings.database_readonly_password),
            # Row level security would make pg_dump fail for whoever it binds; it still cannot write.
            backup=Role(BACKUP, settings.database_backup_password, "REPLICATION BYPASSRLS"),
            monitor=Role(MONITOR, settings.database_monitor_password),
        )
        admin = settings.database_admin_url
        names = [role.name for role in plan.roles] + ([admin.user] if admin else [])
        if len(set(names)) != len(names):
            raise SettingsError(
                "DATABASE_URL, DATABASE_OWNER_URL and DATABASE_ADMIN_URL must each name another role, "
                f"and none of them {READONLY}, {BACKUP} or {MONITOR}."
            )
        return plan

    @property
    def roles(self) -> tuple[Role, ...]:
        return (self.owner, self.application, self.readonly, self.backup, self.monitor)


def role_of(login: str) -> str:
    """The role whose rights a login has: its own, where it is no rotation's."""
    return login.rpartition(_LOGIN)[0] or login


def prepare(admin: DatabaseUrl, plan: Plan) -> bool:
    """Bring roles, database and rights to the plan; True where that changed anything. Can run again at any time.

    Raises psycopg2.Error where the administrator cannot get in or lacks a right.
    """
    with _entered(admin.render()) as cluster:
        cluster.execute("SELECT pg_advisory_lock(%s)", (_SETUP_LOCK,))
        before = _facts(cluster, plan)
        for role in plan.roles:
            _prepare_role(cluster, role)
        for name, group in MEMBERSHIPS.items():
            cluster.execute(sql.SQL(f"GRANT {group} TO {{}}").format(sql.Identifier(name)))
        cluster.execute(sql.SQL(_BACKUP_FUNCTIONS).format(sql.Identifier(plan.backup.name)))
        if plan.login:
            _prepare_login(cluster, plan.login, plan.application)
        _prepare_database(cluster, plan)
        with _entered(admin.render(database=plan.database)) as inside:
            before_inside = _facts_inside(inside)
            _prepare_rights(inside, plan)
            return before != _facts(cluster, plan) or before_inside != _facts_inside(inside)


def _prepare_role(cluster: extensions.cursor, role: Role) -> None:
    name = sql.Identifier(role.name)
    cluster.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role.name,))
    known = cluster.fetchone()
    if known is None:
        cluster.execute(sql.SQL("CREATE ROLE {}").format(name))
    # Said again every time: a right that was added by hand is taken back.
    bare = "INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE"
    least = " ".join(
        word for word in ("NOREPLICATION", "NOBYPASSRLS") if word.removeprefix("NO") not in role.attributes
    )
    login = "" if role.as_it_was else "LOGIN" if role.password else "NOLOGIN"
    cluster.execute(sql.SQL("ALTER ROLE {} WITH " + f"{bare} {least} {role.attributes} {login}").format(name))
    if role.password and not fits(role.password, known[0] if known else None):
        # The verifier and not the password, so that no statement log and no eavesdropper has it.
        cluster.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(verifier(role.password))))


def _prepare_login(cluster: extensions.cursor, login: Role, role: Role) -> None:
    _prepare_role(cluster, login)
    names = {"login": sql.Identifier(login.name), "role": sql.Identifier(role.name)}
    cluster.execute(sql.SQL("GRANT {role} TO {login}").format(**names))
    cluster.execute(sql.SQL("ALTER ROLE {login} SET role = {role}").format(**names))


def retire(admin: DatabaseUrl, plan: Plan) -> bool:
    """Only the login that DATABASE_URL names gets in as the application from now on; True where another could.

    Raises psycopg2.Error.
    """
    current = plan.login or plan.application
    with _entered(admin.render()) as cluster:
        cluster.execute("SELECT pg_advisory_lock(%s)", (_SETUP_LOCK,))
        begins = plan.application.name + _LOGIN
        cluster.execute("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", (begins,))
        stale = [name for (name,) in cluster.fetchall() if name != current.name]
        for name in stale:
            cluster.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
        cluster.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", (plan.application.name,))
        row = cluster.fetchone()
        locked = plan.login is not None and row == (True,)
        if locked:
            role = sql.Identifier(plan.application.name)
            cluster.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(role))
    return bool(stale) or locked


def _prepare_database(cluster: extensions.cursor, plan: Plan) -> None:
    names = {"database": sql.Identifier(plan.database), "owner": sql.Identifier(plan.owner.name)}
    cluster.execute("SELECT 1 FROM pg_database WHERE datname = %s", (plan.database,))
    if cluster.fetchone() is None:
        cluster.execute(
            sql.SQL("CREATE DATABASE {database} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8'").format(**names)
        )
    cluster.execute(sql.SQL("ALTER DATABASE {database} OWNER TO {owner}").format(**names))
    cluster.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))
    for role in plan.roles[1:]:
        grant = sql.SQL("GRANT CONNECT ON DATABASE {database} TO {role}")
        cluster.execute(grant.format(role=sql.Identifier(role.name), **names))


def _prepare_rights(inside: extensions.cursor, plan: Plan) -> None:
    names = {
        "owner": sql.Identifier(plan.owner.name),
        "application": sql.Identifier(plan.application.name),
        "readonly": sql.Identifier(plan.readonly.name),
    }
    # Default privileges, not GRANT ON ALL TABLES: what a migration takes back (an append-only table) stays back.
    for statement in (
        "ALTER SCHEMA public OWNER TO {owner}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO {application}, {readonly}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {application}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {application}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT ON TABLES TO {readonly}",
    ):
        inside.execute(sql.SQL(statement).format(**names))


@contextmanager
def _entered(url: str) -> Iterator[extensions.cursor]:
    """A cursor that commits each statement: CREATE DATABASE takes no transaction."""
    with closing(psycopg2.connect(url, connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def _facts(cluster: extensions.cursor, plan: Plan) -> list[str]:
    names = [role.name for role in (*plan.roles, *filter(None, [plan.login]))]
    cluster.execute(_SNAPSHOT_CLUSTER, {"names": names, "database": plan.database})
    return _sorted(cluster.fetchall())


def _facts_inside(inside: extensions.cursor) -> list[str]:
    inside.execute(_SNAPSHOT_DATABASE)
    return _sorted(inside.fetchall())


def _sorted(rows: list[tuple[Any, ...]]) -> list[str]:
    return sorted(repr(row) for row in rows)
