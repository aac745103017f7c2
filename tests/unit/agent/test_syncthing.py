"""Each action against a server that speaks Syncthing's REST API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent.commands import Command, Outcome
from agent.config import Config, Endpoint
from agent.executors.registry import Registry
from agent.pace import Pace
from agent.redaction import Sensitive
from tests.unit.agent.serving import Asked, LocalServer, Reply

KEY = "canary-syncthing-key"
ME, OTHER = "-".join(["AAAAAAA"] * 8), "-".join(["BBBBBBB"] * 8)
Do = Callable[..., Outcome]


class Syncthing:
    """Configuration as the real one keeps it: devices and folders by id, defaults, pause."""

    def __init__(self) -> None:
        self.devices: dict[str, dict[str, Any]] = {ME: {"deviceID": ME, "name": "me", "paused": False}}
        self.folders: dict[str, dict[str, Any]] = {
            "docs": {"id": "docs", "label": "Docs", "path": "/d", "paused": False, "devices": [{"deviceID": ME}]}
        }
        self.all_paused = False
        self.server = LocalServer(self._answer)

    def _answer(self, asked: Asked) -> Reply:
        if asked.headers.get("x-api-key") != KEY:
            return Reply(403, b"Not Authorized\n")
        match [asked.method, *asked.path.removeprefix("/rest/").split("/")]:
            case ["GET", "system", "status"]:
                return self._json({"myID": ME, "uptime": 7})
            case ["GET", "system", "connections"]:
                return self._json({"connections": {OTHER: {"connected": True, "paused": False, "address": "a"}}})
            case ["GET", "db", "status"]:
                return self._json({"state": "idle", "globalBytes": 10, "needBytes": 0})
            case ["POST", "system", "pause" | "resume" as word]:
                self.all_paused = word == "pause"
                return Reply(200)
            case ["GET", "config", "defaults", "device"]:
                return self._json({"deviceID": "", "addresses": ["dynamic"], "compression": "metadata"})
            case ["GET", "config", "defaults", "folder"]:
                return self._json({"id": "", "type": "sendreceive", "devices": [{"deviceID": ME}]})
            case ["GET", "config", "folders"]:
                return self._json(list(self.folders.values()))
            case [method, "config", "devices" | "folders" as kind, known]:
                return self._entry(method, self.devices if kind == "devices" else self.folders, known, asked)
        return Reply(404, b"404 page not found\n")

    def _entry(self, method: str, kept: dict[str, dict[str, Any]], known: str, asked: Asked) -> Reply:
        if method == "PUT":
            kept[known] = asked.json()
            return Reply(200)
        if known not in kept:
            return Reply(404, b"No folder or device with given ID\n")
        if method == "PATCH":
            kept[known] |= asked.json()
            return Reply(200)
        return self._json(kept[known])

    @staticmethod
    def _json(value: Any) -> Reply:
        return Reply(200, json.dumps(value).encode())


@pytest.fixture
def syncthing() -> Iterator[Syncthing]:
    made = Syncthing()
    yield made
    made.server.close()


@pytest.fixture
def do(syncthing: Syncthing) -> Do:
    def run(action: str, key: str = KEY, **params: Any) -> Outcome:
        endpoint = Endpoint(syncthing.server.url, seconds=5, credentials={"api_key": Sensitive(key)})
        registry = Registry(Config({"syncthing": endpoint}), Pace(), lambda command_id: [])
        return registry.execute(Command("c1", f"syncthing.{action}", params), lambda percent, words: None)

    return run


def test_status_says_who_is_connected_and_what_is_shared(do: Do) -> None:
    found = do("status", folder_id="docs").result
    assert found["my_id"] == ME and found["connections"][OTHER]["connected"] is True
    assert found["folders"] == [{"id": "docs", "label": "Docs", "paused": False, "devices": [ME]}]
    assert found["folder"]["state"] == "idle"


def test_a_device_is_approved_once_and_twice_with_the_same_end(do: Do, syncthing: Syncthing) -> None:
    assert do("approve-device", device_id=OTHER, name="laptop").result == {"device_id": OTHER, "added": True}
    first = dict(syncthing.devices[OTHER])
    assert do("approve-device", device_id=OTHER, name="laptop").result["added"] is False
    assert syncthing.devices[OTHER] == first and first["compression"] == "metadata" and first["name"] == "laptop"


def test_a_folder_is_shared_with_a_known_device_only(do: Do, syncthing: Syncthing) -> None:
    assert "SYNCTHING_NOT_FOUND" in str(do("share-folder", folder_id="docs", device_id=OTHER).error_message)
    do("approve-device", device_id=OTHER)
    assert do("share-folder", folder_id="docs", device_id=OTHER).result["shared_before"] is False
    assert do("share-folder", folder_id="docs", device_id=OTHER).result["shared_before"] is True
    assert [one["deviceID"] for one in syncthing.folders["docs"]["devices"]] == [ME, OTHER]


def test_a_folder_that_is_not_there_is_made_where_its_path_is_said(do: Do, syncthing: Syncthing) -> None:
    do("approve-device", device_id=OTHER)
    assert "SYNCTHING_NOT_FOUND" in str(do("share-folder", folder_id="new one", device_id=OTHER).error_message)
    assert do("share-folder", folder_id="new one", device_id=OTHER, path="/srv/new").result["made"] is True
    made = syncthing.folders["new one"]
    assert made["path"] == "/srv/new" and [one["deviceID"] for one in made["devices"]] == [ME, OTHER]


def test_pause_and_resume_of_a_folder_a_device_and_everything(do: Do, syncthing: Syncthing) -> None:
    for action, paused in (("pause", True), ("resume", False)):
        do(action, folder_id="docs")
        do(action, device_id=ME)
        do(action)
        assert (syncthing.folders["docs"]["paused"], syncthing.devices[ME]["paused"]) == (paused, paused)
        assert syncthing.all_paused is paused


def test_a_wrong_key_is_said_and_not_shown(do: Do) -> None:
    outcome = do("status", key="wrong-canary-key")
    assert "SYNCTHING_DENIED" in str(outcome.error_message) and "canary" not in str(outcome.error_message)


@pytest.mark.parametrize("device", ["", "AAAA", f"{ME}/../x", 7])
def test_a_device_id_that_is_none_is_refused(do: Do, device: Any) -> None:
    assert "INVALID_PARAMS" in str(do("approve-device", device_id=device).error_message)
