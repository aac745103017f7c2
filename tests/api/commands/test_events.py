"""The stream of what becomes of commands: in order, nothing skipped, resumable, only what one may see."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.api.fleet import Fleeted, enlist, order
from tests.api.people import Person, Town, data, its, refusal
from tests.api.serving.conftest import Served
from webapp.commands import sweeps
from webapp.commands.events import Place, Reader, place_of, shown

EVENTS = "/api/v1/vm-ops/events"


@pytest.fixture
def agent(town: Town) -> Fleeted:
    return enlist(town)


@pytest.fixture
def reader(town: Town) -> Reader:
    return Reader(its(town.app).database, town.tenant)


class Stream:
    """The events of an open answer."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer
        self.last = ""

    def next(self) -> dict[str, Any]:
        """The next event's data; `last` is its id."""
        said: dict[str, str] = {}
        while True:
            line = self._answer.readline().decode().rstrip("\n")
            if not line and "data" in said:
                self.last = said["id"]
                assert said["event"] == "vm-command"
                return dict(json.loads(said["data"]))
            name, _, value = line.partition(": ")
            if name:
                said[name] = value


@contextmanager
def stream_of(served: Served, who: Person, query: str = "", last: str = "") -> Iterator[Stream]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        headers = who.headers | ({"Last-Event-ID": last} if last else {})
        connection.request("GET", EVENTS + query, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.readline().startswith(b"retry: ")
        yield Stream(answer)
    finally:
        connection.close()


def test_every_change_is_told_in_its_order(sockets: Served, town: Town, agent: Fleeted) -> None:
    order(town, agent)
    with stream_of(sockets, town.viewer) as stream:
        made = order(town, agent, vmid=1)
        assert agent.next() is not None
        assert agent.next()["id"] == made["id"]
        data(agent.told(made["id"], "running"))
        data(agent.told(made["id"], "succeeded", result=7))
        told = [event for event in (stream.next() for _ in range(5)) if event["id"] == made["id"]]
    assert [event["status"] for event in told] == ["queued", "dispatched", "running", "succeeded"]
    first, last = told[0], told[-1]
    assert {**first, "ts": ""} == {**made, "ts": ""}, "as it was then"
    assert last["result"] == 7 and last["completed_at"] and told[2]["result"] is None is told[1]["started_at"]


def test_a_reader_that_comes_back_goes_on_where_it_was(sockets: Served, town: Town, agent: Fleeted) -> None:
    with stream_of(sockets, town.admin) as stream:
        ids = [order(town, agent, n=n)["id"] for n in range(3)]
        assert stream.next()["id"] == ids[0]
        last = stream.last
    ids.append(order(town, agent)["id"])
    with stream_of(sockets, town.admin, last=last) as stream:
        assert [stream.next()["id"] for _ in range(3)] == ids[1:]
    with stream_of(sockets, town.admin, f"?last_event_id={last}") as stream:
        assert stream.next()["id"] == ids[1]


def test_a_stream_is_its_tenants_and_a_members_only_their_own(
    sockets: Served, town: Town, elsewhere: Town, agent: Fleeted
) -> None:
    others = enlist(town, town.admin)
    with stream_of(sockets, town.member) as mine, stream_of(sockets, town.admin, f"?agent_id={agent.id}") as one:
        order(elsewhere, enlist(elsewhere))
        order(town, others)
        made = order(town, agent)
        assert mine.next()["id"] == made["id"] == one.next()["id"]


@pytest.mark.parametrize("last", ["x", "1", "1-", "-1-2", "9" * 20 + "-1", "1-" + "9" * 19])
def test_a_place_that_is_none(town: Town, last: str) -> None:
    assert refusal(town.admin.get(EVENTS, headers={"Last-Event-ID": last})) == (400, "VALIDATION_ERROR")


def test_who_may_not_read_it(town: Town, agent: Fleeted) -> None:
    assert refusal(agent.get(EVENTS)) == (403, "FORBIDDEN")


def add(session: Session, command: str, message: str) -> None:
    session.execute(
        text(
            "INSERT INTO command_events (tenant_id, command_id, status, message)"
            " SELECT tenant_id, id, 'running', :message FROM commands WHERE id = :id"
        ),
        {"id": command, "message": message},
    )


def messages(rows: list[Any]) -> list[str]:
    return [shown(row)["message"] for row in rows]


def test_a_later_commit_with_a_lower_id_is_not_skipped(town: Town, agent: Fleeted, reader: Reader) -> None:
    command, database = order(town, agent)["id"], its(town.app).database
    place = reader.now()
    with database.transaction(town.tenant) as slow:
        add(slow, command, "slow")
        with database.transaction(town.tenant) as quick:
            add(quick, command, "quick")
        assert reader.after(place) == [], "not before what may come to stand in front of it"
    rows = reader.after(place)
    assert messages(rows) == ["slow", "quick"]
    assert reader.after(place_of(rows[0]))[0].message == "quick" and reader.after(place_of(rows[1])) == []


def test_ids_against_the_order_of_transactions_are_not_skipped(town: Town, agent: Fleeted, reader: Reader) -> None:
    """The transaction that began first takes the higher id, and ends first."""
    command, database = order(town, agent)["id"], its(town.app).database
    place = reader.now()
    with database.transaction(town.tenant) as second:
        with database.transaction(town.tenant) as first:
            first.execute(text("SELECT pg_current_xact_id()"))
            add(second, command, "lower id, later transaction")
            add(first, command, "higher id, earlier transaction")
        rows = reader.after(place)
        assert messages(rows) == ["higher id, earlier transaction"]
    assert messages(reader.after(place_of(rows[0]))) == ["lower id, later transaction"]


def test_after_a_restore_into_a_new_server_streams_go_on(town: Town, agent: Fleeted, reader: Reader) -> None:
    """There transactions count from the beginning again: what the dump brought has numbers of the future."""
    command, database = order(town, agent)["id"], its(town.app).database
    ahead = 2**40
    with database.transaction(town.tenant) as session:
        for message in ("read before", "not read"):
            add(session, command, message)
        session.execute(text("UPDATE command_events SET xid = :xid WHERE message IS NOT NULL"), {"xid": ahead})
        identifier = session.execute(text("SELECT id FROM command_events WHERE message = 'read before'")).scalar_one()
    place = Place(ahead, identifier)
    sweeps.sweep(database, town.tenant, ack_seconds=30)
    with database.transaction(town.tenant) as session:
        add(session, command, "new")
    rows = reader.after(place)
    assert [row.message for row in rows if row.message] == ["not read", "new"]


def test_old_events_are_forgotten(town: Town, agent: Fleeted, reader: Reader) -> None:
    order(town, agent)
    database = its(town.app).database
    with database.transaction(town.tenant) as session:
        session.execute(text("UPDATE command_events SET at = now() - interval '25 hours'"))
    order(town, agent)
    sweeps.forget_events(database, town.tenant)
    assert len(reader.after(Place(0, 0))) == 1


def test_a_long_stream_comes_in_parts(town: Town, agent: Fleeted, reader: Reader) -> None:
    command, database = order(town, agent)["id"], its(town.app).database
    place = reader.now()
    with database.transaction(town.tenant) as session:
        for n in range(450):
            add(session, command, str(n))
    got: list[str] = []
    while rows := reader.after(place):
        assert len(rows) <= 200
        got, place = got + messages(rows), place_of(rows[-1])
    assert got == [str(n) for n in range(450)]
