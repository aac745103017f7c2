"""The agents' socket: who may enter, and what each frame does. One statement a frame, nothing held in between."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, request
from sqlalchemy.exc import SQLAlchemyError

from webapp import access
from webapp.agents.service import AgentRevoked
from webapp.auth import service as auth
from webapp.caller import Forbidden
from webapp.collaborators import collaborators
from webapp.commands import frames
from webapp.commands.bus import bus
from webapp.commands.claims import AgentsWord, Told
from webapp.commands.figures import agent_online, count
from webapp.commands.flood import Bucket
from webapp.commands.frames import Frame, FrameRefused
from webapp.commands.lines import Line, Want
from webapp.commands.schemas import CommandView, SocketQuery
from webapp.commands.states import ENDS, RESULTS, RUNNING, Change
from webapp.db import Database
from webapp.errors import MissingBearerToken, TokenInvalid
from webapp.fields import uuid_of
from webapp.serving import channel
from webapp.serving.channel import Channel
from webapp.serving.handshakes import Handshake
from webapp.views import dumper

log = logging.getLogger("moorage.commands")
sockets = Blueprint("agent_sockets", __name__)

PATHS = {"/api/v1/agents/ws": "agents_ws", "/ws/v1/agents/connect": "agents_connect"}
POLICY = 1008

# Vouches and notes in one round trip that the agent is there.
_ENTER = """
UPDATE agents SET last_seen_at = now() WHERE id = %(credential)s::uuid AND status = 'active'
    AND EXISTS (SELECT 1 FROM agent_standing(%(credential)s::uuid, %(digest)s));
SELECT * FROM agent_standing(%(credential)s::uuid, %(digest)s)
"""


@dataclass(frozen=True)
class Admitted:
    """The agent that a socket is for."""

    tenant: UUID
    agent: UUID


def bearer_token() -> str | None:
    """From the Authorization header or, for clients that cannot set one, the query (which is never logged)."""
    return access.bearer_token() or request.args.get("token") or None


def admit() -> Admitted:
    """Raises MissingBearerToken, TokenInvalid, AgentRevoked, Forbidden; what the database raises where it is down."""
    token = bearer_token()
    if token is None:
        raise MissingBearerToken
    made = collaborators()
    credential = auth.read(token, made.settings.session_keys, made.issuer)
    if credential.kind != "agent" or credential.id is None:
        _refuse_others(credential)
    named = request.args.get("agent_id")
    rows = made.database.at_once(
        _ENTER, {"credential": str(credential.id), "digest": credential.digest}, tenant=credential.tenant
    )
    caller = auth.caller_of(credential, rows[0] if rows else None)
    if caller.agent_revoked:
        raise AgentRevoked
    assert caller.id is not None  # noqa: S101 - an agent's credential has one
    if named and uuid_of(named) != caller.id:
        raise Forbidden("agent_id is not that of the agent whose token this is.")
    return Admitted(caller.tenant, caller.id)


def _refuse_others(credential: auth.Credential) -> None:
    """Whose token is good is told that it is an agent's that is wanted here; whose is not, that it is not."""
    with collaborators().database.transaction(credential.tenant) as session:
        caller = auth.vouch(session, credential, address=access.client_address())
    collaborators().key_uses.saw(caller)
    raise Forbidden("This socket is for agents: it wants the token that POST /agents/register gave.")


def serve(socket: Channel, admitted: Admitted) -> None:
    """One agent's socket, until it is closed."""
    talk = Talk(socket, admitted, collaborators().database)
    the_bus = bus()
    line = Line(admitted.tenant, admitted.agent, talk.assign, revoked=talk.revoked)
    flood = Bucket()
    socket.send(frames.answer("connected", None, transport="ws"))
    the_bus.join(line)
    try:
        with agent_online():
            while True:
                message = socket.receive(line.left())
                if message is None:
                    line.time_up()
                    continue
                if flood.overflows():
                    socket.close(POLICY, "Too many frames: slow down.")
                    return
                try:
                    frame = frames.read(message, admitted.agent)
                    if frame.kind == frames.NEXT:
                        want = Want(time.monotonic() + frame.said["timeout_ms"] / 1000, frame.request_id)
                        if line.ask(want):
                            the_bus.look(line)
                    elif frame.kind == frames.HEARTBEAT:
                        status, metadata = frame.said.get("status"), frame.said.get("metadata")
                        the_bus.heartbeats.note(admitted.tenant, admitted.agent, status, metadata)
                        talk.beaten(frame)
                    else:
                        talk.about(frame)
                except FrameRefused as refused:
                    socket.send(frames.refusal(refused))
    finally:
        # Whoever is told to come back is there again in a moment.
        the_bus.leave(line, gone=socket.closed is None or socket.closed.code != channel.COME_BACK)


class Talk:
    """The answers on one socket."""

    def __init__(self, socket: Channel, admitted: Admitted, database: Database) -> None:
        self._socket, self._who = socket, admitted
        self._word = AgentsWord(database, admitted.tenant, admitted.agent)

    def assign(self, want: Want, command: Any) -> None:
        """Raises ChannelClosed where nobody is left to take it; then the command is still the caller's."""
        shown = None if command is None else dumper(CommandView)(command)
        text = frames.answer("agent.command.assigned", want.request_id, command=shown)
        if command is None:
            self._socket.send(text)
        else:
            self._socket.send_soon(text)
            count(command)

    def revoked(self) -> None:
        self._socket.close(POLICY, "AGENT_REVOKED: this agent was revoked.")

    def beaten(self, frame: Frame) -> None:
        said = frame.said.get("status") or "active"
        self._socket.send(
            frames.answer("agent.heartbeat", frame.request_id, agent_id=str(self._who.agent), status=said)
        )

    def about(self, frame: Frame) -> None:
        """A frame about a command. Raises FrameRefused, ChannelClosed."""
        try:
            told = self._apply(frame)
        except SQLAlchemyError as error:
            log.warning("a frame could not be written", extra={"reason": str(error).strip()})
            words = "The database does not answer just now. Send this again shortly."
            raise FrameRefused("SERVICE_UNAVAILABLE", words, frame.request_id) from None
        if told is None:
            raise FrameRefused("COMMAND_NOT_FOUND", "This agent has no such command.", frame.request_id)
        if told.changed:
            count(told.command)
        status = told.command.status
        if status not in (ENDS if frame.kind == frames.RESULT else (RUNNING,)):
            # Ended, past its time or never handed out: an agent that was told "ack" here would run it.
            raise FrameRefused("COMMAND_NOT_FOUND", f"This command is {status}: do not run it.", frame.request_id)
        said = {"command_id": frame.said["command_id"], "agent_id": str(self._who.agent)}
        if frame.kind == frames.RESULT:
            said["status"] = status
        self._socket.send(frames.answer(frame.kind, frame.request_id, **said))

    def _apply(self, frame: Frame) -> Told | None:
        said = frame.said
        command = said["command_id"]
        match frame.kind:
            case frames.ACK:
                return self._word.begin(command)
            case frames.PROGRESS:
                progress = None if said.get("progress") is None else round(said["progress"])
                return self._word.begin(command, Change.PROGRESS, progress=progress, words=said.get("message"))
        change = RESULTS[said["status"]]
        return self._word.settle(command, change, result=said.get("result"), error=said.get("error_message"))


HANDSHAKE = Handshake(
    "An agent's websocket",
    query=SocketQuery,
    raises=(MissingBearerToken, TokenInvalid, Forbidden, AgentRevoked),
    description=(
        f"JSON in text frames of {frames.MAX_FRAME_BYTES // 1024} KiB at most. The agent sends `heartbeat`, "
        "`next_command`, `agent.command.ack`, `agent.command.progress` and `agent.command.result`; the server answers "
        "`connected`, `agent.heartbeat`, `agent.command.assigned`, the agent's own three types, or `error`. "
        "docs/reference/socket.md has every field."
    ),
    who="agents",
)
for path, name in PATHS.items():
    channel.route(
        sockets, path, admit=admit, max_message_size=frames.MAX_FRAME_BYTES, name=name, handshake=HANDSHAKE
    )(serve)
