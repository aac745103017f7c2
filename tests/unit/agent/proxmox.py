"""A local server that speaks the part of Proxmox VE's API that the agent uses: tokens, guests, UPID tasks, errors."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from tests.unit.agent.serving import Asked, LocalServer, Reply

TOKEN = "moorage@pve!agent=5f0c8d6e-canary-pve-secret"


class Pve:
    """Guests by vmid: `{node, type, name, status, config}`. A task ends after `task_turns` questions for it."""

    def __init__(self) -> None:
        self.guests: dict[int, dict[str, Any]] = {
            100: {"node": "pve1", "type": "qemu", "name": "template", "status": "stopped", "config": {"cores": 2}},
            101: {"node": "pve2", "type": "lxc", "name": "box", "status": "running", "config": {"cores": 1}},
        }
        self.tasks: dict[str, int] = {}
        self.task_turns, self.exitstatus = 1, "OK"
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.pause = 0.0
        self.server = LocalServer(self._answer)

    def _answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"PVEAPIToken={TOKEN}":
            return Reply(401, b'{"data":null}', {"X-Reason": "authentication failure"})
        if asked.method in ("POST", "PUT") and asked.body and "form-urlencoded" not in asked.headers["content-type"]:
            return Reply(400, b'{"data":null}', {"X-Reason": "Parameter verification failed."})
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()} | asked.query
        path = asked.path.removeprefix("/api2/json")
        self.calls.append((asked.method, path, form))
        reply = self._route(asked.method, path.strip("/").split("/"), form)
        reply.pause = self.pause
        return reply

    def _route(self, method: str, parts: list[str], form: dict[str, str]) -> Reply:
        match [method, *parts]:
            case ["GET", "cluster", "resources"]:
                return self._data(self._resources())
            case ["GET", "cluster", "nextid"]:
                return self._data(str(max(self.guests) + 1))
            case ["GET", "nodes", node, "tasks", upid, "status"] if upid in self.tasks and upid.split(":")[1] == node:
                self.tasks[upid] -= 1
                over = self.tasks[upid] < 0
                return self._data({"upid": upid, **({"status": "stopped", "exitstatus": self.exitstatus} if over
                                                    else {"status": "running"})})  # fmt: skip
            case [_, "nodes", node, kind, vmid, *rest] if self._is(node, kind, vmid):
                return self._guest(method, int(vmid), rest, form)
        return Reply(500, b'{"data":null}', {"X-Reason": f"no such guest or path: {'/'.join(parts)}"})

    def _is(self, node: str, kind: str, vmid: str) -> bool:
        guest = self.guests.get(int(vmid)) if vmid.isdigit() else None
        return guest is not None and (guest["node"], guest["type"]) == (node, kind)

    def _guest(self, method: str, vmid: int, rest: list[str], form: dict[str, str]) -> Reply:
        guest = self.guests[vmid]
        match [method, *rest]:
            case ["GET", "status", "current"]:
                return self._data({"vmid": vmid, "status": guest["status"], "name": guest["name"]})
            case ["GET", "config"]:
                return self._data(guest["config"])
            case ["PUT", "config"]:
                guest["config"] |= form
                return self._data(None)
            case ["PUT", "sendkey"]:
                return self._data(None)
            case ["POST", "status", word]:
                guest["status"] = "running" if word in ("start", "reboot") else "stopped"
                return self._task(guest["node"], f"qm{word}", vmid)
            case ["POST", "clone"]:
                self.guests[int(form["newid"])] = {**guest, "name": form.get("name", "copy"), "status": "stopped"}
                return self._task(guest["node"], "qmclone", vmid)
            case ["DELETE"]:
                if guest["status"] == "running":
                    return Reply(500, b'{"data":null}', {"X-Reason": f"VM {vmid} is running - destroy failed"})
                del self.guests[vmid]
                return self._task(guest["node"], "qmdestroy", vmid)
        return Reply(501, b'{"data":null}', {"X-Reason": "Method not implemented"})

    def _task(self, node: str, kind: str, vmid: int) -> Reply:
        upid = f"UPID:{node}:{len(self.tasks) + 1:08X}:00A1B2C3:674A0001:{kind}:{vmid}:moorage@pve!agent:"
        self.tasks[upid] = self.task_turns
        return self._data(upid)

    def _resources(self) -> list[dict[str, Any]]:
        """Everything, as servers before 8.4 answer whatever `type` asks for."""
        nodes = [{"type": "node", "node": name, "status": "online", "id": f"node/{name}"} for name in ("pve1", "pve2")]
        storages = [{"type": "storage", "storage": "local", "node": "pve1", "status": "available"}]
        shown = ("node", "type", "name", "status")
        guests = [{"vmid": vmid, "id": f"{one['type']}/{vmid}", **{key: one[key] for key in shown}}
                  for vmid, one in self.guests.items()]  # fmt: skip
        return [*nodes, *storages, *guests]

    @staticmethod
    def _data(value: Any) -> Reply:
        return Reply(200, json.dumps({"data": value}).encode())
