"""Proxmox VE over its HTTP API, with an API token. Tasks are not waited for unless `wait` says so: their UPID is the
result, and `task-status` asks for them.

Parameters: `vmid` and `node` name a guest (`node` is looked up where it is left out), `kind` is `qemu` (default) or
`lxc`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from agent.config import Endpoint
from agent.executors.base import JsonServer, Params, Progress, Secrets, credential, flag, number, text
from agent.failures import Failure
from agent.pace import Pace

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
UPID = r"UPID:[A-Za-z0-9][A-Za-z0-9.-]{0,62}:[0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:[^/\s]{1,200}"
TASK_SECONDS, LONGEST_TASK_SECONDS = 600, 3600
_GUEST_FIELDS = ("vmid", "name", "node", "type", "status", "template", "tags", "maxcpu", "maxmem", "maxdisk", "uptime")
_NODE_FIELDS = ("node", "status", "type", "maxcpu", "cpu", "maxmem", "mem", "maxdisk", "disk", "uptime")
_STORAGE_FIELDS = ("storage", "node", "status", "type", "content", "plugintype", "shared", "maxdisk", "disk")
# One word of ours, and the word of the API.
_POWER = {"start": "start", "stop": "stop", "restart": "reboot", "shutdown": "shutdown"}


class Proxmox:
    """Credentials: `token_id` (`user@realm!name`) and `token_secret`."""

    actions = frozenset(
        {"list-vms", "list-targets", "clone", "start", "stop", "restart", "shutdown", "status", "get-config",
         "update-config", "delete", "send-key", "task-status"}
    )  # fmt: skip
    reads_only = frozenset({"list-vms", "list-targets", "status", "get-config", "task-status"})
    repeatable = reads_only
    needs = frozenset({"token_id", "token_secret"})

    def __init__(self, endpoint: Endpoint, pace: Pace) -> None:
        self._endpoint = endpoint
        self._server = JsonServer("PROXMOX", endpoint)
        self._pace = pace

    def run(self, action: str, params: Params, secrets: Secrets, progress: Progress) -> Any:
        call = _Call(self._server, self._endpoint, secrets)
        if action == "list-vms":
            return {"vms": _lines(call, "vm", params, _GUEST_FIELDS)}
        if action == "list-targets":
            return {
                "nodes": _lines(call, "node", params, _NODE_FIELDS),
                "storages": _lines(call, "storage", params, _STORAGE_FIELDS),
            }
        if action == "task-status":
            return call.task(text(params, "upid", pattern=UPID))
        guest = _guest(call, params)
        if action in ("status", "get-config"):
            return call("GET", guest + ("/status/current" if action == "status" else "/config"))
        if action in ("update-config", "send-key"):
            return _change(call, action, guest, params)
        return self._task(call, self._begin(call, action, guest, params), params, progress)

    def _begin(self, call: _Call, action: str, guest: str, params: Params) -> dict[str, Any]:
        """Starts a task; `{upid, …}`."""
        if action in _POWER:
            fields: dict[str, Any] = {}
            if action in ("shutdown", "restart"):
                fields["timeout"] = number(params, "timeout_seconds", 60, least=1, most=3600)
            return {"upid": call("POST", f"{guest}/status/{_POWER[action]}", fields)}
        if action == "delete":
            asked = {"purge": flag(params, "purge", True), "destroy-unreferenced-disks": flag(params, "disks", False)}
            return {"upid": call("DELETE", guest, query=asked)}
        new = number(params, "newid", 0, least=0, most=999_999_999) or int(call("GET", "/cluster/nextid"))
        fields = {"newid": new, "full": flag(params, "full", True)}
        for ours, theirs in (("target", "target"), ("storage", "storage"), ("pool", "pool"), ("snapname", "snapname")):
            if ours in params:
                fields[theirs] = text(params, ours, pattern=NAME)
        if "name" in params:
            fields["hostname" if "/lxc/" in guest else "name"] = text(params, "name", pattern=NAME)
        if not fields["full"]:
            fields.pop("storage", None)  # a linked clone lies where its template lies; the API refuses both
        return {"upid": call("POST", f"{guest}/clone", fields), "newid": new}

    def _task(self, call: _Call, begun: dict[str, Any], params: Params, progress: Progress) -> dict[str, Any]:
        upid = begun["upid"]
        if not flag(params, "wait", False):
            return begun
        left = number(params, "wait_seconds", TASK_SECONDS, least=1, most=LONGEST_TASK_SECONDS)
        end = self._pace.now() + left
        while True:
            task = call.task(upid)
            if task.get("status") == "stopped":
                if task.get("exitstatus") != "OK":
                    raise Failure("PROXMOX_TASK_FAILED", f"task {upid} ended with {task.get('exitstatus')}")
                return {**begun, "exitstatus": "OK"}
            if self._pace.now() >= end:
                raise Failure("PROXMOX_TASK_RUNS", f"task {upid} still ran after {left} s; ask for it by task-status")
            progress(None, f"task {upid} runs")
            if self._pace.wait(1.0):
                raise Failure("AGENT_STOPPED", f"the agent stopped while task {upid} ran; ask for it by task-status")


class _Call:
    """`call(method, path, fields)` gives the `data` of the answer."""

    def __init__(self, server: JsonServer, endpoint: Endpoint, secrets: Secrets) -> None:
        self._server = server
        name, secret = (credential(endpoint, secrets, one).reveal() for one in ("token_id", "token_secret"))
        self._headers = {"Authorization": f"PVEAPIToken={name}={secret}", "Accept": "application/json"}

    def __call__(
        self, method: str, path: str, fields: Params | None = None, *, query: Params | None = None
    ) -> Any:
        headers, body = self._headers, None
        if fields is not None:
            headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
            body = urlencode({name: _form(value) for name, value in fields.items()}).encode()
        asked = {name: _form(value) for name, value in (query or {}).items()}
        answer = self._server.exchange(method, f"/api2/json{path}", headers, body=body, query=asked)
        opened = self._server.opened(answer, f"{method} {path}")
        if not isinstance(opened, dict) or "data" not in opened:
            raise Failure("PROXMOX_NONSENSE", f"{method} {path} was answered without data")
        return opened["data"]

    def task(self, upid: Any) -> dict[str, Any]:
        """Its node stands in the task's own name."""
        task = self("GET", f"/nodes/{str(upid).split(':')[1]}/tasks/{quote(str(upid), safe='')}/status")
        return task if isinstance(task, dict) else {}


def _form(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _lines(call: _Call, kind: str, params: Params, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """The cluster's resources of a kind, on one node where `node` says so, with the fields that people choose by."""
    node = text(params, "node", pattern=NAME) if "node" in params else None
    found = call("GET", "/cluster/resources", query={"type": kind})
    return [
        {name: line[name] for name in fields if name in line}
        for line in found
        if isinstance(line, dict) and (node is None or line.get("node") == node)
        # Servers before 8.4 answer `type=vm` with everything.
        and (line.get("type") in ("qemu", "lxc") if kind == "vm" else line.get("type") == kind)
    ]


def _guest(call: _Call, params: Params) -> str:
    """The path of the guest that `vmid` names."""
    vmid = number(params, "vmid", None, least=100, most=999_999_999)
    if "node" in params:
        kind = text(params, "kind", pattern="qemu|lxc", default="qemu")
        return f"/nodes/{text(params, 'node', pattern=NAME)}/{kind}/{vmid}"
    for line in _lines(call, "vm", {}, ("vmid", "node", "type")):
        if line.get("vmid") == vmid:
            return f"/nodes/{line['node']}/{line['type']}/{vmid}"
    raise Failure("PROXMOX_NOT_FOUND", f"there is no guest {vmid} that this token may see")


def _change(call: _Call, action: str, guest: str, params: Params) -> dict[str, bool]:
    if action == "update-config":
        call("PUT", f"{guest}/config", _fields(params.get("config"), "config"))
        return {"updated": True}
    call("PUT", f"{guest}/sendkey", {"key": text(params, "key", pattern=r"[A-Za-z0-9_-]{1,64}")})
    return {"sent": True}


def _fields(value: Any, name: str) -> dict[str, Any]:
    """A flat table of settings."""
    if not isinstance(value, dict) or not value or any(isinstance(one, dict | list) for one in value.values()):
        raise Failure("INVALID_PARAMS", f"{name} must be an object of settings and their values")
    return value
