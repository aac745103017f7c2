"""The variables of agents and commands: a part of Settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from webapp import variables as v
from webapp.variables import Endpoint, Variable


@dataclass(frozen=True, kw_only=True)
class BusSettings:
    public_url: Annotated[
        Endpoint | None,
        Variable(
            v.endpoint,
            "The control plane as agents reach it, said in pairings. Default: what the request came to.",
            optional=True,
        ),
    ]
    command_ack_seconds: Annotated[
        int,
        Variable(
            v.integer(1, 300, "seconds"),
            "How long an agent may take to acknowledge a command before it is queued again.",
            default="30",
        ),
    ]
    infra_legacy_enabled: Annotated[
        bool, Variable(v.boolean, "Whether /api/v1/infra answers (legacy direct calls).", default="false")
    ]
    infra_legacy_agent_id: Annotated[
        str | None,
        Variable(
            v.matching(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "the id of an agent"),
            "The agent that legacy direct calls become commands of.",
            optional=True,
        ),
    ]
