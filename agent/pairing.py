"""Pairing: a code from the console becomes an agent with a key of its own, and its end."""

from __future__ import annotations

import platform
import shutil
import uuid
from base64 import b64encode
from pathlib import Path
from typing import Any

from agent import VERSION
from agent.control_plane import ControlPlane
from agent.failures import Failure, Refused, Unreachable
from agent.files import private_folder
from agent.identity import FILE, Identity, find, fingerprint, new_key, public_text, save
from agent.keystore import PRIVATE_KEY, TOKEN, choose, reopen
from agent.pace import Backoff, Pace, ServerClock, timestamp
from agent.redaction import Sensitive, remember
from agent.wire import Tls

TRIES = 4


def pair(
    folder: Path,
    server: str,
    code: str,
    *,
    key_store: str,
    tls: Tls,
    capabilities: list[str],
    replace: bool,
    pace: Pace,
) -> Identity:
    """Registers this machine and keeps what it got. The private key never leaves it.

    Failure ALREADY_PAIRED without `replace`; Refused PAIRING_NOT_FOUND, PAIRING_EXPIRED as the server says.
    """
    if not replace and (old := find(folder)) is not None:
        raise Failure("ALREADY_PAIRED", f"{folder} is paired with {old.server} as {old.agent_id}. To pair anew, run"
                      " `moorage-agent unpair` first, or add --replace.")
    private_folder(folder)
    store = choose(folder, key_store)
    key = new_key()
    clock = ServerClock(pace)
    plane = ControlPlane(server, tls=tls, clock=clock)
    answer = _register(
        plane,
        {
            "pairing_code": code.strip(),
            "machine_name": platform.node()[:200] or "unnamed",
            "version": VERSION,
            "platform": f"{platform.system()} {platform.machine()}".strip().lower()[:100],
            "capabilities": capabilities,
            "public_key": public_text(key),
        },
        pace,
    )
    token = remember(Sensitive(str(answer["agent_token"])))
    store.put(PRIVATE_KEY, remember(Sensitive(b64encode(bytes(key)).decode())))
    store.put(TOKEN, token)
    identity = Identity(
        server=plane.server,
        agent_id=str(answer["id"]),
        tenant_id=str(answer.get("tenant_id", "")),
        name=str(answer.get("name", "")),
        key_id=fingerprint(public_text(key)),
        public_key=public_text(key),
        key_store=store.kind,
        token_expires_at=timestamp(answer.get("agent_token_expires_at")),
        token_taken_at=clock.now(),
        ca_file=str(tls.ca_file.resolve()) if tls.ca_file else None,
    )
    save(folder, identity)  # last: a folder with this file is a paired one
    return identity


def _register(plane: ControlPlane, body: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """A code works once, so a lost answer is asked for again under the same idempotency key."""
    key, backoff = str(uuid.uuid4()), Backoff(longest=4)
    for left in reversed(range(TRIES)):
        try:
            answer = plane.call("POST", "/agents/register", body, idempotency_key=key)
        except (Unreachable, Refused) as failure:
            transient = isinstance(failure, Unreachable) or failure.status >= 500
            if not left or not transient or pace.wait(backoff.next()):
                raise
        else:
            if not isinstance(answer, dict) or not answer.get("agent_token") or not answer.get("id"):
                raise Failure("REGISTER_ANSWER", f"{plane.server} took the code and gave no token. Make a new code.")
            return answer
    raise AssertionError("the last try returns or raises")


def unpair(folder: Path) -> Identity | None:
    """Forgets the pairing: key, token, journal. The server is not told: an administrator revokes the agent there."""
    try:
        identity = find(folder)
    except Failure:
        identity = None
    if identity is not None:
        store = reopen(folder, identity.key_store)
        for name in (TOKEN, PRIVATE_KEY):
            store.remove(name)
    for name in ("journal.sqlite3", "journal.sqlite3-wal", "journal.sqlite3-shm", FILE):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "keys", ignore_errors=True)
    return identity
