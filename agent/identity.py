"""Who this agent is: what pairing left in the state folder, beside the secrets in the key store."""

from __future__ import annotations

import hashlib
import os
import sys
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson
from nacl.public import PrivateKey

from agent.failures import Failure
from agent.files import write_private
from agent.keystore import PRIVATE_KEY, TOKEN, KeyStore, reopen
from agent.redaction import Sensitive

FILE = "agent.json"


@dataclass(frozen=True)
class Identity:
    """`token_expires_at` and `token_taken_at` in seconds since the epoch by the server's clock."""

    server: str
    agent_id: str
    tenant_id: str
    name: str
    key_id: str
    public_key: str
    key_store: str
    token_expires_at: float | None = None
    token_taken_at: float | None = None
    ca_file: str | None = None


def default_folder() -> Path:
    """/var/lib/moorage-agent for root, the user's own state folder otherwise."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "moorage-agent"
    if os.geteuid() == 0:
        return Path("/var/lib/moorage-agent")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "moorage-agent"


def new_key() -> PrivateKey:
    return PrivateKey.generate()


def public_text(key: PrivateKey) -> str:
    """What clients seal to: the 32 bytes in standard base64."""
    return b64encode(bytes(key.public_key)).decode()


def fingerprint(public_key: str) -> str:
    """The key's id: `x25519:` and the first 32 hex digits of the SHA-256 over the key's 32 bytes."""
    return f"x25519:{hashlib.sha256(b64decode(public_key)).hexdigest()[:32]}"


def save(folder: Path, identity: Identity) -> None:
    write_private(folder / FILE, orjson.dumps(asdict(identity), option=orjson.OPT_INDENT_2))


def find(folder: Path) -> Identity | None:
    """None where this folder was never paired. Failure STATE_DAMAGED where what is there cannot be read."""
    try:
        return Identity(**orjson.loads((folder / FILE).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, TypeError, orjson.JSONDecodeError) as error:
        raise Failure("STATE_DAMAGED", f"{folder / FILE} cannot be read ({type(error).__name__}). If it is not a matter"
                      " of permissions, run `moorage-agent unpair --yes` and pair again.") from error


def load(folder: Path) -> Identity:
    """Failure NOT_PAIRED where there is none."""
    identity = find(folder)
    if identity is None:
        raise Failure("NOT_PAIRED", f"There is no pairing in {folder}. Make a pairing code in the console and run"
                      " `moorage-agent pair --server URL --code CODE`.")
    return identity


class Credentials:
    """The secrets of a paired agent, and the one place where its token is replaced."""

    def __init__(self, folder: Path, identity: Identity, store: KeyStore | None = None) -> None:
        self.folder = folder
        self.identity = identity
        self._store = store or reopen(folder, identity.key_store)
        self._token = self._need(TOKEN)

    def token(self) -> Sensitive:
        return self._token

    def reread(self) -> bool:
        """Has another process renewed the token since? Then it is ours too."""
        before, self._token = self._token, self._need(TOKEN)
        return before != self._token

    def private_key(self) -> PrivateKey:
        return PrivateKey(b64decode(self._need(PRIVATE_KEY).reveal()))

    def replace_token(self, token: Sensitive, expires_at: float | None, now: float | None) -> None:
        """The token first: without it the rest is worth nothing."""
        self._store.put(TOKEN, token)
        self._token = token
        self.identity = replace(self.identity, token_expires_at=expires_at, token_taken_at=now)
        save(self.folder, self.identity)

    def _need(self, name: str) -> Sensitive:
        value = self._store.get(name)
        if value is None:
            raise Failure("NOT_PAIRED", f"The agent's {name} is gone from its key store ({self._store.kind})."
                          " Run `moorage-agent unpair --yes`, then pair again.")
        return value
