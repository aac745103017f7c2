"""The platform's key store where there is one that keeps secrets, files where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from agent.failures import Failure
from agent.identity import Credentials, load
from agent.keystore import PRIVATE_KEY, TOKEN, FileStore, KeyringStore, choose, reopen
from agent.pace import Pace
from agent.pairing import pair, unpair
from agent.redaction import Sensitive
from agent.wire import Tls
from tests.unit.agent.plane import CODE, Plane


class Desktop(KeyringBackend):
    """A platform's key store, as keyring's own interface has it."""

    priority = 5
    locked: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise RuntimeError("the key store is locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Locked(Desktop):
    locked = True


@pytest.fixture
def use() -> Iterator[object]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_pairing_keeps_its_secrets_in_the_platforms_key_store(plane: Plane, tmp_path: Path, use: object) -> None:
    desktop = Desktop()
    use(desktop)
    pair(tmp_path, plane.url, CODE, key_store="auto", tls=Tls(), capabilities=[], replace=False, pace=Pace())
    assert {name for _, name in desktop.kept} == {PRIVATE_KEY, TOKEN} and not (tmp_path / "keys").exists()
    assert Credentials(tmp_path, load(tmp_path)).token().reveal() == plane.tokens[0]
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert all(secret.encode() not in everything for secret in desktop.kept.values())
    unpair(tmp_path)
    assert desktop.kept == {}


@pytest.mark.parametrize("backend", [NoKeyring, Locked])
def test_without_a_working_key_store_files_are_used_or_it_is_said(tmp_path: Path, use: object, backend: type) -> None:
    use(backend())
    assert isinstance(choose(tmp_path, "auto"), FileStore)
    for refused in (lambda: choose(tmp_path, "keyring"), lambda: reopen(tmp_path, "keyring")):
        with pytest.raises(Failure, match="KEY_STORE"):
            refused()


def test_two_agents_of_one_user_do_not_share_a_key(tmp_path: Path, use: object) -> None:
    desktop = Desktop()
    use(desktop)
    first, second = (KeyringStore(tmp_path / name, desktop) for name in ("a", "b"))
    first.put(TOKEN, Sensitive("of the first"))
    assert second.get(TOKEN) is None


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put(TOKEN, Sensitive("token"))
    (tmp_path / "keys" / TOKEN).chmod(0o644)
    with pytest.raises(Failure, match="NOT_PRIVATE"):
        store.get(TOKEN)
