"""Legacy direct calls: each becomes a command of the one agent that INFRA_LEGACY_AGENT_ID names, and waits for its end.

Nothing of this is there unless INFRA_LEGACY_ENABLED is true.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from werkzeug.exceptions import NotFound

from webapp import access
from webapp.agents.service import AgentNotFound
from webapp.caller import Caller, managers
from webapp.collaborators import collaborators
from webapp.commands import polling, service
from webapp.commands.figures import count
from webapp.commands.refusals import AgentCommandFailed, AgentTimeout, PayloadTooLarge, VmOpsInvalidAction
from webapp.commands.routes import OF_AGENT, one_of
from webapp.commands.schemas import InfraCall
from webapp.commands.states import SUCCEEDED
from webapp.errors import InvalidRequest
from webapp.fields import refuse_plaintext
from webapp.operation import Call, operation

infra = Blueprint("infra", __name__, url_prefix="/api/v1/infra")

WAIT_SECONDS = 30
SSH_ACTIONS = ("exec", "upload", "download", "status")
READING = ("list-vms", "list-targets", "status", "get-config", "task-status")
FAILURES = (VmOpsInvalidAction, AgentTimeout, AgentCommandFailed, *OF_AGENT)
# A query is never too large for a command: gunicorn's own limit of a request's line is lower.
ASKED = (InvalidRequest, *(error for error in FAILURES if error is not PayloadTooLarge))
ALLOWED = managers("ops:write")
TASK = {"task": "UPID:pve1:0000C1A0"}


@infra.before_request
def only_where_enabled() -> None:
    """Not even a question for a token: this path does not exist."""
    if not collaborators().settings.infra_legacy_enabled:
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
    return _done(call.caller, "proxmox", action, READING, params)


@operation(
    infra, "POST /proxmox/<action>", summary="Legacy: have Proxmox do something", allow=ALLOWED, body=InfraCall,
    transacted=False, raises=FAILURES, example={"params": {"vmid": 100}}, answer=object, answer_example=TASK,
    in_path={"action": one_of(service.ACTIONS["proxmox"])},
)  # fmt: skip
def tell_proxmox(call: Call, action: str) -> Any:
    """Waits for the agent for 30 s. `data` is its result."""
    return _done(call.caller, "proxmox", action, service.ACTIONS["proxmox"], call.body.get("params") or {})


@operation(
    infra, "POST /ssh/<action>", summary="Legacy: have something done over SSH", allow=ALLOWED, body=InfraCall,
    transacted=False, raises=FAILURES, example={"params": {"host": "vm-7", "command": "uptime"}}, answer=object,
    answer_example={"exit_code": 0, "stdout": "up 3 days"}, in_path={"action": one_of(SSH_ACTIONS)},
)  # fmt: skip
def ssh(call: Call, action: str) -> Any:
    """A command `ssh.<action>`, for agents that have such an executor."""
    return _done(call.caller, "ssh", action, SSH_ACTIONS, call.body.get("params") or {})


def _done(caller: Caller, system: str, action: str, known: tuple[str, ...], params: dict[str, Any]) -> Any:
    """The result. Raises what is declared in FAILURES."""
    if action not in known:
        raise VmOpsInvalidAction(action, known)
    made_of = collaborators()
    agent_id = made_of.settings.infra_legacy_agent_id
    if agent_id is None:
        raise AgentNotFound("No agent is named for legacy calls: set INFRA_LEGACY_AGENT_ID.")
    with made_of.database.transaction(caller.tenant) as session:
        # It expires when nobody waits for it any more.
        command = service.create(
            session, caller, agent_id=agent_id, kind=f"{system}.{action}", payload=params, seconds=WAIT_SECONDS
        )
    count(command)

    def look() -> Any:
        with made_of.database.transaction(caller.tenant) as session:
            ended = service.outcome(session, command.id)
            return None if ended is None else (ended.status, ended.result, ended.error_message)

    ended = polling.outcome(look, seconds=WAIT_SECONDS)
    details = {"command_id": str(command.id)}
    if ended is None or ended[0] == "expired":
        raise AgentTimeout(details=details)
    status, result, error = ended
    if status != SUCCEEDED:
        raise AgentCommandFailed(f"The agent could not do it: {error or status}", details=details)
    return result if result is not None else {}


