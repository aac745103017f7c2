"""Secrets: opened with this agent's keys only, newest version first, acknowledged, and in no log, result or journal."""

from __future__ import annotations

import json
import logging
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.public import PrivateKey, PublicKey, SealedBox

from agent.commands import Command
from agent.config import Config, Endpoint, read
from agent.control_plane import ControlPlane
from agent.executors.registry import Registry
from agent.failures import Failure
from agent.identity import Credentials, load
from agent.logs import JsonLines
from agent.pace import Pace
from agent.redaction import Sensitive
from agent.vault import Opened, Vault
from agent.wire import Tls
from tests.unit.agent.conftest import Running
from tests.unit.agent.plane import Plane
from tests.unit.agent.serving import until

CANARY = "canary-of-the-vault-93c1"


def sealed(key: PublicKey | bytes, text: str, version: int, **more: Any) -> dict[str, Any]:
    """As `moorage secret seal` or a browser would make it."""
    item = {"id": "s1", "label": "l", "version": version, "field_name": "token_secret", "scope_type": "agent",
            "scope_id": "a1", "key_id": "k1", "nonce": ""} | more  # fmt: skip
    if isinstance(key, PublicKey):
        box = SealedBox(key).encrypt(text.encode())
        return item | {"alg": "X25519-XSALSA20-POLY1305", "ciphertext": b64encode(box).decode()}
    nonce = os.urandom(12)
    aad = orjson.dumps(item["aad_meta"], option=orjson.OPT_SORT_KEYS) if "aad_meta" in item else None
    content = AESGCM(key).encrypt(nonce, text.encode(), aad)
    return item | {"alg": "AES-256-GCM", "ciphertext": b64encode(content).decode(), "nonce": b64encode(nonce).decode()}


@pytest.fixture
def vault(plane: Plane, paired: Path) -> Callable[..., Vault]:
    def make(keys: dict[str, bytes] | None = None) -> Vault:
        credentials = Credentials(paired, load(paired))
        control = ControlPlane(plane.url, token=credentials.token)
        texts = {name: Sensitive(b64encode(key).decode()) for name, key in (keys or {}).items()}
        return Vault(control, "a1", credentials.private_key, texts)

    return make


def public(paired: Path) -> PublicKey:
    return Credentials(paired, load(paired)).private_key().public_key


def values(opened: list[Opened]) -> list[str]:
    return [one.value.reveal() for one in opened]


def test_the_newest_of_two_versions_is_used_and_acknowledged_once(plane: Plane, paired: Path, vault: Any) -> None:
    plane.secrets = [sealed(public(paired), "old", 1), sealed(public(paired), "new", 2)]
    mine = vault()
    assert values(mine.open_for("c1")) == values(mine.open_for("c2")) == ["new"]
    assert plane.secret_acks == [("s1", 2)]


def test_the_older_version_is_used_where_the_newer_does_not_open(plane: Plane, paired: Path, vault: Any) -> None:
    strange = PrivateKey.generate().public_key
    plane.secrets = [sealed(strange, "not mine", 2), sealed(public(paired), "mine", 1)]
    assert values(vault().open_for("c1")) == ["mine"] and plane.secret_acks == [("s1", 1)]


@pytest.mark.parametrize("aad", [{}, {"aad_meta": {"tenant": "t", "field": "token_secret"}}])
def test_aes_opens_with_the_key_of_that_id(plane: Plane, vault: Any, aad: dict[str, Any]) -> None:
    key = os.urandom(32)
    plane.secrets = [sealed(key, CANARY, 1, **aad)]
    assert values(vault({"k1": key}).open_for("c1")) == [CANARY]
    with pytest.raises(Failure, match="SECRET_UNOPENABLE"):
        vault({"k2": key}).open_for("c1")


@pytest.mark.parametrize("change", [{"ciphertext": "!"}, {"ciphertext": "QUJD"}, {"alg": "ROT13"}, {"nonce": "QQ=="}])
def test_a_damaged_secret_is_not_opened_and_not_acknowledged(plane: Plane, vault: Any, change: dict[str, Any]) -> None:
    key = os.urandom(32)
    plane.secrets = [sealed(key, CANARY, 1) | change]
    with pytest.raises(Failure, match="SECRET_UNOPENABLE") as caught:
        vault({"k1": key}).open_for("c1")
    assert plane.secret_acks == [] and CANARY not in str(caught.value)


def test_an_opened_secret_is_in_no_log_result_or_journal(
    plane: Plane, paired: Path, vault: Any, run: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    """The target of the command is the control plane itself: it answers with an error that repeats what it was sent."""
    caplog.set_level(logging.DEBUG)
    plane.secrets = [sealed(public(paired), CANARY, 1)]
    endpoint = Endpoint(plane.url, credentials={"token_id": Sensitive("u@pve!t")})
    registry = Registry(Config({"proxmox": endpoint}), Pace(), vault().open_for)

    def effect(command: Command, progress: Any) -> Any:
        outcome = registry.execute(command, progress)
        logging.getLogger("agent").error("told: %s", plane.calls[-1].headers["authorization"])
        return outcome

    running = run(effect)
    plane.send("c1", "proxmox.list-vms")
    until(lambda: plane.outcome("c1"))
    assert any(CANARY in call.headers.get("authorization", "") for call in plane.calls), "it was used"
    assert CANARY not in json.dumps([plane.frames, plane.outcomes])
    assert CANARY not in "\n".join(JsonLines().format(record) for record in caplog.records)
    running.stop()
    assert all(CANARY.encode() not in path.read_bytes() for path in paired.rglob("*") if path.is_file())


def test_the_configuration_is_private_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('[proxmox]\nurl = "https://192.0.2.1:8006"\ntoken_id = "a"\nfingerprint = "AA:BB"\n')
    path.chmod(0o644)
    with pytest.raises(Failure, match="NOT_PRIVATE"):
        read(path)
    path.chmod(0o600)
    assert read(path).endpoints["proxmox"].tls == Tls(None, "AA:BB")
    for text in ("[proxmox]", "[other]", '[syncthing]\nurl = "x"', '[proxmox]\nurl = "https://a"\nuser = "x"', "["):
        path.write_text(text)
        with pytest.raises(Failure, match=r"CONFIG|INVALID_URL"):
            read(path)
