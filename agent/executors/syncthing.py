"""Syncthing over its REST API, with its API key. Every action here states what shall be, so each may be repeated."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from agent.config import Endpoint
from agent.executors.base import JsonServer, Params, Progress, Secrets, credential, flag, text
from agent.failures import Failure

DEVICE = r"([A-Z2-7]{7}-){7}[A-Z2-7]{7}"
FOLDER = r"[^/\x00-\x1f]{1,100}"


class Syncthing:
    """Credential: `api_key`."""

    actions = frozenset({"status", "approve-device", "share-folder", "pause", "resume"})
    reads_only = frozenset({"status"})
    repeatable = actions
    needs = frozenset({"api_key"})

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._server = JsonServer("SYNCTHING", endpoint)

    def run(self, action: str, params: Params, secrets: Secrets, progress: Progress) -> Any:
        headers = {"X-API-Key": credential(self._endpoint, secrets, "api_key").reveal(), "Accept": "application/json"}

        def call(method: str, path: str, body: Any = None, *, may_be_missing: bool = False) -> Any:
            sent = {**headers, "Content-Type": "application/json"} if body is not None else headers
            content = None if body is None else orjson.dumps(body)
            answer = self._server.exchange(method, path, sent, body=content)
            if may_be_missing and answer.status == 404:
                return None
            return self._server.opened(answer, f"{method} {path}")

        if action == "status":
            return _status(call, params)
        if action == "approve-device":
            return _approve(call, params)
        if action == "share-folder":
            return _share(call, params)
        return _pause(call, params, paused=action == "pause")


def _status(call: Any, params: Params) -> dict[str, Any]:
    """The system, its connections, its folders; one folder's state with `folder_id`."""
    system, connections = call("GET", "/rest/system/status"), call("GET", "/rest/system/connections")
    folders = call("GET", "/rest/config/folders")
    found = {
        "my_id": system.get("myID"),
        "uptime_seconds": system.get("uptime"),
        "connections": {
            device: {name: one.get(name) for name in ("connected", "paused", "address", "clientVersion")}
            for device, one in connections.get("connections", {}).items()
        },
        "folders": [
            {"id": one["id"], "label": one.get("label", ""), "paused": one.get("paused", False),
             "devices": [device["deviceID"] for device in one.get("devices", [])]}
            for one in folders
        ],
    }  # fmt: skip
    if "folder_id" in params:
        folder = text(params, "folder_id", pattern=FOLDER)
        state = call("GET", f"/rest/db/status?folder={quote(folder, safe='')}")
        names = ("state", "globalBytes", "localBytes", "needBytes", "needFiles", "errors")
        found["folder"] = {"id": folder, **{name: state.get(name) for name in names}}
    return found


def _approve(call: Any, params: Params) -> dict[str, Any]:
    """Adds a device, or changes what is known of it; nothing else of it is touched."""
    device = text(params, "device_id", pattern=DEVICE)
    path = f"/rest/config/devices/{device}"
    known = call("GET", path, may_be_missing=True)
    entry = dict(known or call("GET", "/rest/config/defaults/device"))
    entry["deviceID"] = device
    if "name" in params:
        entry["name"] = text(params, "name", pattern=r"[^\x00-\x1f]{1,200}")
    addresses = params.get("addresses", entry.get("addresses") or ["dynamic"])
    if not isinstance(addresses, list) or not all(isinstance(one, str) and len(one) <= 255 for one in addresses):
        raise Failure("INVALID_PARAMS", "addresses must be a list of texts")
    entry["addresses"] = addresses
    entry["introducer"] = flag(params, "introducer", bool(entry.get("introducer", False)))
    call("PUT", path, entry)
    return {"device_id": device, "added": known is None}


def _share(call: Any, params: Params) -> dict[str, Any]:
    """Shares a folder with a device; makes the folder where `path` says where it lies."""
    folder = text(params, "folder_id", pattern=FOLDER)
    device = text(params, "device_id", pattern=DEVICE)
    path = f"/rest/config/folders/{quote(folder, safe='')}"
    entry = call("GET", path, may_be_missing=True)
    if call("GET", f"/rest/config/devices/{device}", may_be_missing=True) is None:
        raise Failure("SYNCTHING_NOT_FOUND", f"device {device} is not known yet; approve-device comes first")
    made = entry is None
    if entry is None:
        if "path" not in params:
            raise Failure("SYNCTHING_NOT_FOUND", f"there is no folder {folder}; with `path` it would be made")
        entry = dict(call("GET", "/rest/config/defaults/folder"))
        entry |= {"id": folder, "path": text(params, "path", pattern=r"[^\x00-\x1f]{1,1024}")}
        entry["label"] = text(params, "label", pattern=r"[^\x00-\x1f]{0,200}", default=folder)
    devices = list(entry.get("devices") or [])
    shared = any(one.get("deviceID") == device for one in devices)
    if made or not shared:
        entry["devices"] = devices if shared else [*devices, {"deviceID": device}]
        call("PUT", path, entry)
    return {"folder_id": folder, "device_id": device, "made": made, "shared_before": shared}


def _pause(call: Any, params: Params, *, paused: bool) -> dict[str, Any]:
    """A folder, a device, or everything where neither is named."""
    if "folder_id" in params:
        folder = text(params, "folder_id", pattern=FOLDER)
        call("PATCH", f"/rest/config/folders/{quote(folder, safe='')}", {"paused": paused})
        return {"folder_id": folder, "paused": paused}
    if "device_id" in params:
        device = text(params, "device_id", pattern=DEVICE)
        call("PATCH", f"/rest/config/devices/{device}", {"paused": paused})
        return {"device_id": device, "paused": paused}
    call("POST", f"/rest/system/{'pause' if paused else 'resume'}")
    return {"paused": paused}
