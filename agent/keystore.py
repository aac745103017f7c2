"""Where the private key and the agent's token are kept: the platform's key store, or files that only we can read."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import Any, Protocol

from agent.failures import Failure
from agent.files import private_folder, refuse_if_others_read, write_private
from agent.redaction import Sensitive, remember

PRIVATE_KEY = "private-key"
TOKEN = "agent-token"  # noqa: S105 - the name under which it is kept
SERVICE = "moorage-agent"
# keyring's own scale: below 1 are stores that keep nothing or keep it in the open.
LEAST_PRIORITY = 1


class KeyStore(Protocol):
    kind: str

    def get(self, name: str) -> Sensitive | None: ...

    def put(self, name: str, value: Sensitive) -> None: ...

    def remove(self, name: str) -> None: ...


class FileStore:
    """One 0600 file for each name in a 0700 folder."""

    kind = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "keys"

    def get(self, name: str) -> Sensitive | None:
        path = self._folder / name
        if not path.exists():
            return None
        refuse_if_others_read(path)
        return remember(Sensitive(path.read_text().strip()))

    def put(self, name: str, value: Sensitive) -> None:
        write_private(private_folder(self._folder) / name, f"{value.reveal()}\n".encode())

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


class KeyringStore:
    """The platform's key store: Keychain, Credential Locker, Secret Service. Each state folder has its own names there,
    so that two agents of one user do not share a key."""

    kind = "keyring"

    def __init__(self, folder: Path, backend: Any) -> None:
        self._service = f"{SERVICE}:{folder.resolve()}"
        self._backend = backend

    def get(self, name: str) -> Sensitive | None:
        value = self._do("get_password", name)
        return None if value is None else remember(Sensitive(str(value)))

    def put(self, name: str, value: Sensitive) -> None:
        self._do("set_password", name, value.reveal())

    def remove(self, name: str) -> None:
        if self._do("get_password", name) is not None:
            self._do("delete_password", name)

    def _do(self, what: str, name: str, *more: str) -> Any:
        try:
            return getattr(self._backend, what)(self._service, name, *more)
        except Exception as error:  # each platform's backend raises what its own library raises
            raise Failure("KEY_STORE", f"The platform's key store refused {what} ({type(error).__name__})."
                          " Unlock it, or pair again with --key-store file.") from error

    def works(self) -> bool:
        """Does it give back what it was given? A key store that is locked or has no session does not."""
        probe = Sensitive(secrets.token_hex(8))
        with contextlib.suppress(Failure):
            self.put("probe", probe)
            same = self.get("probe") == probe
            self.remove("probe")
            return same
        return False


def platform_store(folder: Path) -> KeyringStore | None:
    """The platform's key store, or None where there is none that keeps secrets."""
    try:
        import keyring  # noqa: PLC0415 - looks through the system's services when imported

        backend = keyring.get_keyring()
        if float(backend.priority) < LEAST_PRIORITY:
            return None
    except Exception:  # as above: a broken desktop session must not keep the agent from a file
        return None
    store = KeyringStore(folder, backend)
    return store if store.works() else None


def choose(folder: Path, wanted: str) -> KeyStore:
    """The store for a new pairing: `auto`, `keyring` or `file`. Failure KEY_STORE where `keyring` has no such store."""
    found = None if wanted == "file" else platform_store(folder)
    if found is None and wanted == "keyring":
        raise Failure("KEY_STORE", "This system has no key store that keeps secrets. Use --key-store file:"
                      f" then they are kept in {folder}/keys, readable by this user only.")
    return found or FileStore(folder)


def reopen(folder: Path, kind: str) -> KeyStore:
    """The store that was chosen at pairing."""
    if kind == "file":
        return FileStore(folder)
    found = platform_store(folder)
    if found is None:
        raise Failure("KEY_STORE", "The key store of this agent's pairing does not answer (no desktop session?)."
                      " Run the agent as the user who paired it, or pair again with --key-store file.")
    return found
