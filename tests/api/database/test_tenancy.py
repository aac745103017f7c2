"""Row level security: every table has it or is known not to need it, and it holds."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from webapp.db import Database, transaction
from webapp.settings import Settings
from webapp.tenants.service import create_tenant

# Tables that hold nothing of any tenant.
SHARED = {"alembic_version"}
# The queue's: jobs name their tenant in their arguments, and only the worker reads them.
QUEUE = "procrastinate_"


@pytest.fixture
def database(settings: Settings) -> Database:
    return Database(settings.database_url, pool_size=1)


def test_every_table_is_protected_from_its_owner_too(database: Database) -> None:
    with database.transaction() as session:
        rows = session.execute(
            text(
                "SELECT relname, relrowsecurity AND relforcerowsecurity AS forced,"
                " EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = c.oid) AS has_policy"
                " FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
            )
        ).all()
    ours = [row for row in rows if row.relname not in SHARED and not row.relname.startswith(QUEUE)]
    assert ours, "the walk found no table"
    assert [row.relname for row in ours if not (row.forced and row.has_policy)] == []


# What belongs to no tenant and is read by everybody's requests.
FOR_ALL = {"record_gate_look"}


def test_policies_survive_an_unset_claim(database: Database) -> None:
    with database.transaction() as session:
        # The owner's own apart, whom no request is.
        policies = session.execute(
            text("SELECT policyname, cmd, qual, with_check FROM pg_policies WHERE roles = '{public}'")
        ).all()
    policies = [policy for policy in policies if policy[0] not in FOR_ALL]
    for name, command, using, check in policies:
        assert all("NULLIF(current_setting('request.jwt.claims'" in said for said in (using, check) if said), name
        match command:
            case "ALL" | "UPDATE":
                assert check == using, name
            case "SELECT":
                assert using and not check, name
            case "INSERT":
                assert check and not using, name
            case _:
                raise AssertionError(f"{name} lets rows be deleted that may not be written")


def test_what_only_the_owner_may_is_said_of_the_owner_alone(database: Database, settings: Settings) -> None:
    assert settings.database_owner_url is not None
    with database.transaction() as session:
        found = session.execute(text("SELECT policyname, roles FROM pg_policies WHERE roles <> '{public}'")).all()
    assert found and all(roles == [settings.database_owner_url.user] for _, roles in found)


def test_views_and_definer_functions_do_not_go_around(database: Database) -> None:
    with database.transaction() as session:
        definers = session.execute(
            text("SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace")
        ).all()
        views = session.execute(
            text(
                "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace"
                " AND NOT coalesce(reloptions @> ARRAY['security_invoker=true'], false)"
            )
        ).all()
    assert definers == [] and views == []


def test_a_tenant_sees_itself_and_nobody_else(database: Database) -> None:
    mine, other = uuid4(), uuid4()
    for tenant in (mine, other):
        with database.transaction(tenant) as session:
            create_tenant(session, tenant_id=tenant, name=f"Tenant {tenant}")
    with database.transaction(mine) as session:
        assert session.execute(text("SELECT id FROM tenants")).scalars().all() == [mine]
        assert session.execute(text("DELETE FROM tenants WHERE id = :id"), {"id": other}).rowcount == 0


def test_without_a_tenant_there_are_no_rows_also_on_a_connection_that_had_one(database: Database) -> None:
    tenant = uuid4()
    with database.transaction(tenant) as session:
        create_tenant(session, tenant_id=tenant, name="One before")
    with database.transaction() as session:
        assert session.execute(text("SELECT current_setting('request.jwt.claims', true)")).scalar() == ""
        assert session.execute(text("SELECT count(*) FROM tenants")).scalar() == 0


def test_nobody_writes_another_tenants_row(database: Database) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), database.transaction(uuid4()) as session:
        create_tenant(session, tenant_id=uuid4(), name="Not mine")


def test_claims_are_set_again_after_a_commit_in_between(database: Database) -> None:
    tenant = uuid4()
    session_of_tenant = database._sessions(info={"claims": {"tenant_id": str(tenant)}})
    with session_of_tenant as session:
        create_tenant(session, tenant_id=tenant, name="Twice")
        session.commit()
        assert session.execute(text("SELECT count(*) FROM tenants")).scalar() == 1
        session.execute(text("DELETE FROM tenants"))
        session.commit()


def test_an_error_rolls_back(database: Database) -> None:
    tenant = uuid4()
    with pytest.raises(RuntimeError), database.transaction(tenant) as session:
        create_tenant(session, tenant_id=tenant, name="Never")
        raise RuntimeError
    with database.transaction(tenant) as session:
        assert session.execute(text("SELECT count(*) FROM tenants")).scalar() == 0


def test_a_route_opens_its_transaction_on_its_own_application(app: Flask) -> None:
    tenant = uuid4()
    with app.app_context(), transaction(tenant) as session:
        claimed = session.execute(text("SELECT current_setting('request.jwt.claims')::jsonb ->> 'tenant_id'"))
        assert claimed.scalar() == str(tenant)


def test_tls_is_demanded_where_the_url_demands_it(settings: Settings) -> None:
    from dataclasses import replace

    from sqlalchemy.exc import OperationalError

    with Database(settings.database_url, pool_size=1).transaction() as session:
        has_tls = session.execute(text("SHOW ssl")).scalar() == "on"
    demanding = Database(replace(settings.database_url, options=(("sslmode", "require"),)), pool_size=1)
    if has_tls:
        with demanding.transaction() as session:
            used = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert session.execute(text(used)).scalar() is True
    else:
        with pytest.raises(OperationalError, match="does not support SSL"), demanding.transaction() as session:
            session.execute(text("SELECT 1"))
