"""What is to be fetched, checked before anything is asked of a server."""

from __future__ import annotations

import platform as machine
from dataclasses import dataclass
from pathlib import Path

from agent.failures import Failure
from agent.redaction import Sensitive, remember
from agent.wire import Tls, checked_url


@dataclass(frozen=True)
class Order:
    server: str
    token: Sensitive
    vm_uuid: str
    module: str
    platform: str
    channel: str
    output: Path
    agent_id: str
    runner_id: str
    user_id: str | None
    max_seconds: float
    tls: Tls


def order(
    *,
    server: str,
    token: str | None,
    vm_uuid: str,
    module: str,
    platform: str,
    channel: str,
    output: Path,
    agent_id: str,
    runner_id: str | None,
    user_id: str | None,
    max_seconds: float,
    ca_file: Path | None,
) -> Order:
    """Failure TOKEN_MISSING, INVALID_URL, INVALID_LIMIT, OUTPUT_NOT_WRITABLE."""
    if not (token or "").strip():
        raise Failure("TOKEN_MISSING", "No bearer was given. Set MOORAGE_TOKEN, or use --token-file FILE (- reads"
                      " standard input); `moorage token issue` makes one.")
    if not 1 <= max_seconds <= 7 * 86400:
        raise Failure("INVALID_LIMIT", "--max-seconds must be from 1 to 604800.")
    folder = output.absolute().parent
    if not folder.is_dir():
        raise Failure("OUTPUT_NOT_WRITABLE", f"{folder} is no folder. Make it first, or name another --output.")
    return Order(
        checked_url(server), remember(Sensitive(str(token).strip())), vm_uuid, module, platform, channel,
        output.absolute(), agent_id, runner_id or f"runner-{machine.node() or 'unnamed'}"[:200], user_id, max_seconds,
        Tls(ca_file),
    )  # fmt: skip
