"""Marker secrets go through everything that the product offers, and are then found nowhere.

What is asked is in rounds.py, and what may stand where in places.py.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest
from psycopg2 import sql

from tests.api.auth.post import Post
from tests.api.auth.provider import CLIENT_SECRET, Provider
from tests.api.canary.asking import Asker
from tests.api.canary.identity import Identity
from tests.api.canary.markers import Markers
from tests.api.canary.places import Hit, Source, columns, search
from tests.api.canary.rounds import Rounds, sockets, sockets_without_a_database
from tests.api.canary.town import Town
from tests.api.processes import await_ready, launch
from tests.api.serving.conftest import Served, kill
from tests.bench.installation import Installation, installation

PROCESSES = ("api", "sockets", "worker")
# What whoever asks needs in order to get as far as the room that he asks.
SPARED = ("auth_", "tenant", "procrastinate_", "audit_", "schema_", "alembic_", "idempotency_")
# Row level security keeps PostgreSQL itself from saying so much; for a role that bypasses it, it does.
REFUSE = """
CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'new row violates what it likes' USING ERRCODE = '23514',
        DETAIL = 'Failing row contains ' || NEW::text || '.';
END $$
"""
# Nobody who asked had what they need: an agent that is told by a setting, one that is not needed still.
NEVER_WELL = {
    "GET /api/v1/infra/proxmox/{action}", "POST /api/v1/agents/register", "POST /api/v1/agents/{agent_id}/revoke",
    "POST /api/v1/infra/proxmox/{action}", "POST /api/v1/infra/ssh/{action}", "POST /api/v1/vm-ops/syncthing/{action}",
}  # fmt: skip


@dataclass
class Searched:
    """Every place that what was asked could have come to."""

    markers: Markers
    sources: list[Source]
    rounds: Rounds
    admin: str

    def texts(self, place: str) -> str:
        return "\n".join(source.text for source in self.sources if source.place.startswith(place))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    folder = tmp_path_factory.mktemp("marked")
    with installation() as own, Post() as post, Provider() as provider:
        changes = {"LOG_LEVEL": "DEBUG", "INFRA_LEGACY_ENABLED": "true", "RATE_LIMIT_LOGIN": "0"}
        changes |= post.variables | provider.variables
        served = {name: launch(name, own.environment, folder / name, **changes) for name in PROCESSES}
        try:
            for name in PROCESSES:
                await_ready(served[name], name)
            yield _ask_everything(own, served, folder, lambda town: Identity(town, post, provider))
        finally:
            for one in served.values():
                kill(one.popen)


def _ask_everything(
    own: Installation, served: dict[str, Served], folder: Path, somebody: Callable[[Town], Identity]
) -> Searched:
    markers, admin = Markers(), own.settings.database_admin_url
    assert admin is not None
    for name, value in own.environment.items():
        if name.endswith(("_SECRET", "_SECRET_ACCESS_KEY")):
            markers.real[value] = name
    markers.real[own.settings.database_url.password.reveal()] = "the password in DATABASE_URL"
    markers.real[CLIENT_SECRET] = "GITHUB_CLIENT_SECRET"
    markers.real[admin.password.reveal()] = "the password in DATABASE_ADMIN_URL"
    api, line = Asker(served["api"].port, markers), Asker(served["sockets"].port, markers)
    town = Town(own, api, markers, own.tenant())
    town.settle(folder)
    rounds = Rounds(town, json.loads(api.plain("/api/v1/openapi.json")))
    rounds.well |= somebody(town).walk()
    rounds.right()
    rounds.wrong()
    rounds.by_all_kinds()
    for process in (api, line):
        rounds.no_http(process)
    sockets(town, line)
    past_security = admin.render(database=own.settings.database_url.name)
    _through_failures(own, town, rounds, line, past_security)
    town.run("audit", "verify")
    for path in ("/api/v1/audit", "/api/v1/artifacts/audit"):
        assert api.needs(f"GET {path}?limit=200", town.admin)
    return Searched(markers, list(_places(own, served, town, [api, line], past_security)), rounds, past_security)


def _through_failures(own: Installation, town: Town, rounds: Rounds, line: Asker, admin: str) -> None:
    rounds.well_now = False
    with _statements_failing(admin):
        rounds.right()
    own.servers.store.stop(10)
    town.fetch_what_was_never_seen()
    rounds.right()
    own.servers.start_store()
    own.servers.postgres.stop(20)
    rounds.right()
    sockets_without_a_database(town, line)
    own.servers.start_postgres()


@contextlib.contextmanager
def _statements_failing(admin: str) -> Iterator[None]:
    """Every row that is written is refused by the database, which repeats it in its error."""
    with closing(psycopg2.connect(admin)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(REFUSE)
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [sql.Identifier(table) for (table,) in cursor.fetchall() if not table.startswith(SPARED)]
        assert len(tables) > 10
        made = "CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION refused()"
        for table in tables:
            cursor.execute(sql.SQL(made).format(table))
        yield
        for table in tables:
            cursor.execute(sql.SQL("DROP TRIGGER refused ON {}").format(table))
        cursor.execute("DROP FUNCTION refused")


def _places(
    own: Installation, served: dict[str, Served], town: Town, askers: list[Asker], admin: str
) -> Iterator[Source]:
    yield from (source for asker in askers for source in asker.answers)
    yield from town.said
    yield from (Source("metrics", asker.plain("/metrics")) for asker in askers)
    for name, one in served.items():
        one.popen.terminate()
        one.popen.wait(40)  # what it says at its end, too
        yield Source(f"log:{name}", one.output.read_text(errors="replace"))
    yield from (Source(f"log:{path.stem}", path.read_text(errors="replace")) for path in own.folder.glob("*.log"))
    yield from columns(admin)


@pytest.mark.parametrize("place", ["log:", "metrics", "table:", "answer:", "cli:"])
def test_no_secret_stands_anywhere_and_nothing_stands_where_it_is_not_meant_to(searched: Searched, place: str) -> None:
    wanted = [source for source in searched.sources if source.place.startswith(place)]
    assert sum(len(source.text) for source in wanted) > 100
    hits = [hit for source in wanted for hit in search(source, searched.markers)]
    assert not hits, "\n" + "\n".join(sorted(map(str, hits)))[:20_000]


def test_what_was_asked_went_everywhere(searched: Searched) -> None:
    rounds, log = searched.rounds, searched.texts("log:api")
    left = {op.line for op in rounds.operations} - rounds.well - NEVER_WELL
    assert left == set(), sorted(left)
    assert len(searched.markers.made) > 10_000 and len(searched.markers.real) > 50
    assert log.count("Failing row contains (***)") > 10, "statements failed, with their rows in the error"
    assert searched.texts("answer:503").count("SERVICE_UNAVAILABLE") > 40, "the database was down"
    assert "STORAGE_UNAVAILABLE" in searched.texts("answer:503"), "the store was down"
    assert searched.texts("answer:400").count("PLAINTEXT_SECRET_REFUSED") > 20
    assert '"level":"debug"' in log, "nothing was left out for being too little"
    places = {source.place for source in searched.sources}
    assert {"log:api", "log:sockets", "log:worker", "log:postgres", "log:store", "answer:frame"} <= places


def test_what_is_allowed_somewhere_does_stand_there(searched: Searched) -> None:
    """Else the markers would not have got through, or the table would let through what nobody needs."""
    for place, kind in (("vaulting_versions.ciphertext", "ciphertext"), ("licensing_vms.vm_name", "vm_name"),
                        ("commands.result", "result"), ("commands.payload", "params")):  # fmt: skip
        text = searched.texts(f"table:{place}")
        assert any(value in text for value, (known, _) in searched.markers.made.items() if known == kind), place


def _found(searched: Searched, place: str, text: str) -> list[Hit]:
    return search(Source(place, text), searched.markers)


@pytest.mark.parametrize(
    "place", ["log:api", "metrics", "table:commands.payload", "answer:400 x", "answer:200 x", "cli:x"]
)
def test_a_secret_that_is_planted_is_found(searched: Searched, place: str) -> None:
    secret = searched.markers.secret("the plant")
    before = f'{{"level":"info","message":"request"}}\n{"x" * 1000}'
    assert _found(searched, place, before) == []
    inside = f'{{"token":"{secret}"}}'
    for written in (secret, secret.upper(), json.dumps(inside), quote(inside), quote(quote(inside)),
                    *(base64.b64encode(b"." * n + inside.encode()).decode() for n in range(3)),
                    base64.urlsafe_b64encode(inside.encode()).decode().rstrip("=")):  # fmt: skip
        [hit] = _found(searched, place, f"{before}{written}\n{before}")
        assert hit.what == "secret of the plant"


def test_a_real_token_that_is_planted_is_found(searched: Searched) -> None:
    for value in list(searched.markers.real)[:50]:
        assert _found(searched, "log:worker", f"a line with {value} in it")


def test_what_may_stand_in_one_column_may_not_stand_in_another(searched: Searched) -> None:
    name = searched.markers.make("vm_name", "the plant")
    assert _found(searched, "table:licensing_vms.vm_name", name) == []
    for place in ("table:licensing_vms.metadata", "table:audit_events.details", "log:api", "metrics"):
        assert len(_found(searched, place, name)) == 1


@pytest.mark.parametrize("kind", ["text", "jsonb", "bytea", "text[]", "varchar(100)", "json", "name"])
def test_a_secret_that_is_planted_in_a_table_is_found_whatever_its_column(searched: Searched, kind: str) -> None:
    secret = searched.markers.secret("the plant")
    value = {"text[]": f"{{{secret}}}", "bytea": secret}.get(kind, f'{{"a": ["{secret}"]}}')
    with closing(psycopg2.connect(searched.admin)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(sql.SQL("CREATE TABLE planted (id integer, held {})").format(sql.SQL(kind)))
        try:
            cursor.execute("INSERT INTO planted VALUES (1, NULL), (2, %s)", (value,))
            [hit] = [hit for source in columns(searched.admin) for hit in search(source, searched.markers)]
        finally:
            cursor.execute("DROP TABLE planted")
    assert (hit.place, hit.what) == ("table:planted.held", "secret of the plant")
