"""Legacy direct calls: each becomes a command of the one agent that INFRA_LEGACY_AGENT_ID names, and waits for its end.

Nothing of this is there unless INFRA_LEGACY_ENABLED is true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, after_this_request, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from webapp import access
from webapp.agents.service import AgentNotFound
from webapp.bodies import received
from webapp.caller import managers
from webapp.collaborators import collaborators
from webapp.commands import polling, service
from webapp.commands.figures import count
from webapp.commands.refusals import AgentCommandFailed, AgentTimeout, PayloadTooLarge, VmOpsInvalidAction
from webapp.commands.routes import OF_AGENT, one_of
from webapp.commands.schemas import InfraCall
from webapp.commands.states import SUCCEEDED
from webapp.errors import InvalidRequest
from webapp.fields import refuse_plaintext
from webapp.idempotency import service as idempotency
from webapp.operation import Call, attempt_of, operation

PREFIX = "/api/v1/infra"
infra = Blueprint("infra", __name__, url_prefix=PREFIX)

WAIT_SECONDS = 30
SSH_ACTIONS = ("exec", "upload", "download", "status")
READING = ("list-vms", "list-targets", "status", "get-config", "task-status")
FAILURES = (VmOpsInvalidAction, AgentTimeout, AgentCommandFailed, *OF_AGENT)
# A query is never too large for a command: gunicorn's own limit of a request's line is lower.
ASKED = (InvalidRequest, *(error for error in FAILURES if error is not PayloadTooLarge))
ALLOWED = managers("ops:write")
TASK = {"task": "UPID:pve1:0000C1A0"}


@infra.before_app_request
def only_where_enabled() -> None:
    """Not even a question for a token, nor for another method: these paths do not exist."""
    if request.path.startswith(PREFIX) and not collaborators().settings.infra_legacy_enabled:
        raise NotFound


@operation(
    infra, "GET /proxmox/<action>", summary="Legacy: ask Proxmox", allow=ALLOWED, transacted=False,
    raises=ASKED, answer=object, answer_example=[{"vmid": 100, "status": "running"}],
    in_path={"action": one_of(READING)},
)  # fmt: skip
def ask_proxmox(call: Call, action: str) -> Any:
    """One of the actions that change nothing; the query's parameters are the action's. `data` is the result."""
    params = access.plain_query()
    refuse_plaintext(params, path="params")
    return _done(call, "proxmox", action, READING, params)


@operation(
    infra, "POST /proxmox/<action>", summary="Legacy: have Proxmox do something", allow=ALLOWED, body=InfraCall,
    transacted=False, creates=True, raises=FAILURES, example={"params": {"vmid": 100}}, answer=object,
    answer_example=TASK, in_path={"action": one_of(service.ACTIONS["proxmox"])},
)  # fmt: skip
def tell_proxmox(call: Call, action: str) -> Any:
    """Waits for the agent for 30 s. `data` is its result."""
    return _done(call, "proxmox", action, service.ACTIONS["proxmox"], call.body.get("params") or {}, once=True)


@operation(
    infra, "POST /ssh/<action>", summary="Legacy: have something done over SSH", allow=ALLOWED, body=InfraCall,
    transacted=False, creates=True, raises=FAILURES, example={"params": {"host": "vm-7", "command": "uptime"}},
    answer=object, answer_example={"exit_code": 0, "stdout": "up 3 days"}, in_path={"action": one_of(SSH_ACTIONS)},
)  # fmt: skip
def ssh(call: Call, action: str) -> Any:
    """A command `ssh.<action>`, for agents that have such an executor."""
    return _done(call, "ssh", action, SSH_ACTIONS, call.body.get("params") or {}, once=True)


def _done(
    call: Call, system: str, action: str, known: tuple[str, ...], params: dict[str, Any], *, once: bool = False
) -> Any:
    """The result. `once`: an Idempotency-Key stands for one command, whose result is waited for again.

    Raises what is declared in FAILURES.
    """
    if action not in known:
        raise VmOpsInvalidAction(action, known)
    made_of = collaborators()
    agent_id = made_of.settings.infra_legacy_agent_id
    if agent_id is None:
        raise AgentNotFound("No agent is named for legacy calls: set INFRA_LEGACY_AGENT_ID.")
    attempt = attempt_of(call, received()) if once else None

    def make(session: Session) -> UUID:
        # It expires when nobody waits for it any more.
        command = service.create(
            session, call.caller, agent_id=agent_id, kind=f"{system}.{action}", payload=params, seconds=WAIT_SECONDS
        )
        count(command)
        made: UUID = command.id
        return made

    with made_of.database.transaction(call.caller.tenant) as session:
        command_id = make(session) if attempt is None else _made_once(session, attempt, make)

    def look() -> Any:
        with made_of.database.transaction(call.caller.tenant) as session:
            ended = service.outcome(session, command_id)
            return None if ended is None else (ended.status, ended.result, ended.error_message)

    ended = polling.outcome(look, seconds=WAIT_SECONDS)
    details = {"command_id": str(command_id)}
    if ended is None or ended[0] == "expired":
        raise AgentTimeout(details=details)
    status, result, error = ended
    if status != SUCCEEDED:
        raise AgentCommandFailed(f"The agent could not do it: {error or status}", details=details)
    return result if result is not None else {}


def _made_once(session: Session, attempt: idempotency.Attempt, make: Callable[[Session], UUID]) -> UUID:
    """The command that the attempt's key stands for, made where this is its first use."""
    keys = collaborators().settings.session_keys
    known = idempotency.begin(session, attempt, keys)
    if known is None:
        made = make(session)
        idempotency.finish(session, attempt, keys.current, idempotency.Answer(202, str(made).encode()))
        return made

    @after_this_request
    def say_so(answer: Response) -> Response:
        answer.headers["Idempotency-Replayed"] = "true"
        return answer

    return UUID(known.body.decode())
