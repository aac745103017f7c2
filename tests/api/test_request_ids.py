"""A request's id is found again in PostgreSQL's log, and with a job that the request made necessary."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
from sqlalchemy import text

from tests.api.machines import until
from tests.api.people import Town, its
from webapp import logs
from webapp.db import Database, ask_first
from webapp.jobs import service as jobs
from webapp.jobs.app import queue
from webapp.variables import DatabaseUrl

NAME = "SELECT current_setting('application_name') AS name"


@pytest.fixture
def asking() -> Iterator[str]:
    """The id of the request that this test stands for."""
    made = str(uuid4())
    token = logs.request_id.set(made)
    yield made
    logs.request_id.reset(token)


@pytest.fixture
def database(town: Town) -> Database:
    return its(town.app).database


def test_a_transaction_says_who_asks(database: Database, asking: str) -> None:
    with database.transaction() as session:
        assert session.execute(text(NAME)).scalar_one() == f"moorage {asking}"


def test_so_does_a_statement_that_travels_with_the_begin(database: Database, asking: str) -> None:
    with database.transaction() as session:
        assert ask_first(session, NAME, {})[0].name == f"moorage {asking}"


def test_so_does_a_statement_that_is_a_transaction_by_itself(database: Database, asking: str) -> None:
    assert database.at_once(NAME, {})[0].name == f"moorage {asking}"


def test_the_next_one_on_the_connection_does_not_inherit_it(town: Town, database: Database, asking: str) -> None:
    database.at_once(NAME, {})
    token = logs.request_id.set(None)
    try:
        for _ in range(its(town.app).settings.database_pool_size):
            assert database.at_once(NAME, {})[0].name == "moorage"
            with database.transaction() as session:
                assert session.execute(text(NAME)).scalar_one() == "moorage"
    finally:
        logs.request_id.reset(token)


def test_the_longest_id_is_found_by_its_beginning(database: Database) -> None:
    token = logs.request_id.set("y" * 128)
    try:
        assert database.at_once(NAME, {})[0].name == "moorage " + "y" * 55
    finally:
        logs.request_id.reset(token)


@pytest.fixture
def talkative(postgres_admin: DatabaseUrl, database: Database) -> Iterator[Path]:
    """The server's log, in which every statement of the application's role stands as if it were slow."""
    role = database.at_once("SELECT current_user::text AS name", {})[0].name
    prefix = next(
        line.partition("=")[2].strip()
        for line in Path("roles/postgres/templates/postgresql.conf.j2").read_text().splitlines()
        if line.startswith("log_line_prefix")
    )
    with closing(psycopg2.connect(postgres_admin.render())) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"ALTER ROLE {role} SET log_min_duration_statement = 0")
        cursor.execute(f"ALTER SYSTEM SET log_line_prefix = {prefix}")
        cursor.execute("SELECT pg_reload_conf()")
        cursor.execute("SHOW data_directory")
        [(data,)] = cursor.fetchall()
        database.engine.dispose()  # what is connected keeps its setting
        yield Path(data).parent / "log"
        cursor.execute(f"ALTER ROLE {role} RESET log_min_duration_statement")
        cursor.execute("ALTER SYSTEM RESET log_line_prefix")
        cursor.execute("SELECT pg_reload_conf()")
        database.engine.dispose()


@pytest.mark.parametrize("path", ["/api/v1/projects", "/api/v1/auth/whoami", "/api/v1/agents"])
def test_postgresqls_log_names_the_request(town: Town, talkative: Path, path: str) -> None:
    asked = str(uuid4())
    answer = town.admin.call(f"GET {path}", headers={"X-Request-ID": asked})
    assert answer.status_code == 200 and answer.headers["X-Request-ID"] == asked
    until(lambda: f"app=moorage {asked} LOG:  duration: " in talkative.read_text(errors="replace"))


def test_a_job_is_told_who_asked(town: Town, database: Database, asking: str) -> None:
    with database.transaction() as session:
        jobs.defer(session, "a.test", of="something")
        [kept] = session.execute(text("SELECT args FROM procrastinate_jobs WHERE task_name = 'a.test'")).scalars()
        assert kept == {"of": "something", "request_id": asking}
        session.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = 'a.test'"))


def test_the_jobs_lines_and_statements_carry_it(database: Database) -> None:
    said: list[str] = []

    @jobs.on_behalf
    def task(of: str) -> None:
        record = logging.getLogger("t").makeRecord("t", logging.INFO, "f", 1, of, (), None)
        said.append(json.loads(logs.JsonLines().format(record))["request_id"])
        said.append(database.at_once(NAME, {})[0].name)

    task(of="something", request_id="asked-1")
    assert said == ["asked-1", "moorage asked-1"]
    assert logs.request_id.get() is None


def test_a_job_of_nobodys_request_runs_too(database: Database) -> None:
    assert jobs.on_behalf(lambda: database.at_once(NAME, {})[0].name)() == "moorage"


def test_every_task_that_is_deferred_is_on_behalf_of_somebody() -> None:
    queue.perform_import_paths()
    periodic = {task.task.name for task in queue.periodic_registry.periodic_tasks.values()}
    ours = {name: task for name, task in queue.tasks.items() if ".builtin_tasks." not in name}
    deferred = {name: task for name, task in ours.items() if name not in periodic}
    assert deferred and all(hasattr(task.func, "__wrapped__") for task in deferred.values()), sorted(deferred)
