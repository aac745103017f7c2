"""`make bench-api`, the part with agents: a command's way there and back, and thousands of sockets held.

Agents are a process of their own (swarm.py). Sockets are held through Caddy, as on a host; a command's way is measured
without it and beside everything else that two cores have to do, the driver and the agents included.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.installation import Installation
from webapp.local.ports import free_port

AGENTS, PER_SECOND, SECONDS = 1000, 200, 20
SOCKETS = 5000
# As many posters as keep the pace where an answer takes 40 ms.
POSTERS = 8
HEADERS = {"Content-Type": "application/json"}
CADDY = Path(sys.executable).parent / "caddy"


def enlisted(port: int, token: str, number: int) -> list[tuple[str, str]]:
    """New agents of the token's tenant, each paired and registered: (id, token)."""
    local = threading.local()

    def one(_: int) -> tuple[str, str]:
        if not hasattr(local, "line"):
            local.line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        code = _post(local.line, "/agents/pairings", {}, token)["pairing_code"]
        made = _post(local.line, "/agents/register", {"pairing_code": code})
        return made["id"], made["agent_token"]

    with ThreadPoolExecutor(POSTERS) as pool:
        return list(pool.map(one, range(number)))


def _post(line: http.client.HTTPConnection, path: str, body: dict[str, Any], token: str = "") -> Any:
    headers = {**HEADERS, "Authorization": f"Bearer {token}"} if token else HEADERS
    line.request("POST", f"/api/v1{path}", json.dumps(body), headers)
    answer = line.getresponse()
    said = answer.read()
    assert answer.status < 300, said
    return json.loads(said)["data"]


class Swarm:
    """The process with the agents; `held` is how many were greeted, in `seconds`."""

    def __init__(self, port: int, tokens: Sequence[str]) -> None:
        command = [sys.executable, "-m", "tests.bench.swarm", str(port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say("\n".join(tokens) + "\n\n")
        ready = self._hear()
        self.held, self.seconds = ready["ready"], ready["seconds"]

    def end(self) -> dict[str, Any]:
        """What it has seen: `times` by command, and how many sockets were `lost`."""
        self._say("end\n")
        seen = self._hear()
        self._process.wait(30)
        return seen

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said


@contextlib.contextmanager
def swarm(port: int, tokens: Sequence[str]) -> Iterator[Swarm]:
    made = Swarm(port, tokens)
    try:
        yield made
    finally:
        if made._process.poll() is None:
            made._process.kill()
            made._process.wait()


def commands(inst: Installation) -> None:
    """Posted on a clock, however long the answers take; each agent answers at once."""
    with (
        inst.running("api", "webapp", "serve", "api", API_WORKERS="2", API_THREADS="4") as api,
        inst.running("sockets", "webapp", "serve", "sockets") as sockets,
    ):
        token = inst.token(inst.tenant())
        agents = enlisted(api.port, token, AGENTS)
        with swarm(sockets.port, [one for _, one in agents]) as fleet:
            posted = _posted(api.port, token, [one for one, _ in agents])
            time.sleep(2)
            seen = fleet.end()
    times = seen["times"]
    there = [times[one][0] - began for one, began in posted.items() if one in times]
    back = [times[one][1] - began for one, began in posted.items() if times.get(one, [0, 0])[1]]
    print(f"\n## A command's way: {PER_SECOND} a second, {AGENTS} agents connected\n")
    print("| from POST | p50 ms (asked) | p95 ms | p99 ms (asked) | of |")
    print("|---|---|---|---|---|")
    for name, took, asked in (("to the agent", there, ("", "")), ("its result in the database", back, ("15", "75"))):
        cut = statistics.quantiles(took, n=100)
        asked_for = [f" ({one})" if one else "" for one in asked]
        print(f"| {name} | {cut[49]:.1f}{asked_for[0]} | {cut[94]:.1f} | {cut[98]:.1f}{asked_for[1]}"
              f" | {len(took)} of {len(posted)} |", flush=True)  # fmt: skip


def _posted(port: int, token: str, agents: Sequence[str]) -> dict[str, float]:
    """When each command's POST began, by its id."""
    began: dict[str, float] = {}
    start = time.monotonic()

    def post(lane: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(lane, PER_SECOND * SECONDS, POSTERS):
            time.sleep(max(0.0, start + number / PER_SECOND - time.monotonic()))
            at = time.monotonic() * 1000
            body = {"agent_id": agents[number % len(agents)], "command_type": "proxmox.start"}
            began[_post(line, "/vm-ops/commands", body, token)["id"]] = at

    with ThreadPoolExecutor(POSTERS) as pool:
        list(pool.map(post, range(POSTERS)))
    return began


def sockets(inst: Installation) -> None:
    """What they cost the socket process and Caddy, and what the API's p95 is with and without them."""
    with (
        inst.running("api", "webapp", "serve", "api", API_WORKERS="2", API_THREADS="4") as api,
        inst.running("sockets", "webapp", "serve", "sockets") as process,
        _caddy(inst.folder, api.port, process.port) as (proxy, port),
    ):
        tenant = inst.tenant()
        token = inst.token(tenant)
        tokens = [one for _, one in enlisted(api.port, token, SOCKETS)]
        before, empty, empty_proxy = _p95(port, token), _pages(process.pid), _pages(proxy)
        with swarm(port, tokens) as fleet:
            time.sleep(15)  # a connection that idles tells its figures within 10 s
            asked = _statements(inst)
            time.sleep(30)
            asked = _statements(inst) - asked
            during, full, full_proxy = _p95(port, token), _pages(process.pid), _pages(proxy)
            lost = fleet.end()["lost"]
        after = _p95(port, token)
    usual = statistics.mean((before, after))
    print(f"\n## {fleet.held} agents' sockets through Caddy, connected in {fleet.seconds:.0f} s, {lost} lost\n")
    print("| what | measured | asked |")
    print("|---|---|---|")
    print(f"| the socket process, its own pages | {full / 1024:.0f} MiB ({empty / 1024:.0f} before) | 400 MB |")
    print(f"| in Caddy, a socket | {(full_proxy - empty_proxy) / fleet.held:.0f} KiB | 130 KB |")
    print(f"| the API's p95 with them ÷ without | **{during / usual:.2f}** ({during:.1f} ms, {usual:.1f} ms) | 1.2 |")
    print(f"| transactions in 30 s while nothing happens | {asked} | heartbeats only |", flush=True)


@contextlib.contextmanager
def _caddy(folder: Path, api: int, sockets: int) -> Iterator[tuple[int, int]]:
    """Caddy in front of both, as roles/proxy tells them apart: its process and its port."""
    port = free_port()
    configuration = folder / "Caddyfile"
    configuration.write_text(
        "{\n    admin off\n    auto_https off\n    persist_config off\n}\n"
        f"http://127.0.0.1:{port}, http://bench:{port} {{\n    @sockets path /api/v1/agents/ws /ws/*\n"
        f"    handle @sockets {{\n        reverse_proxy 127.0.0.1:{sockets} {{\n            stream_close_delay 8h\n"
        f"        }}\n    }}\n    handle {{\n        reverse_proxy 127.0.0.1:{api}\n    }}\n}}\n"
    )
    command = [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(configuration)]
    with (folder / "caddy.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
                break
            time.sleep(0.1)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(20)


def _p95(port: int, token: str) -> float:
    """Milliseconds, of lists asked for at an easy pace: 100 a second, 10 s."""
    took: list[float] = []
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    start = time.monotonic()
    for number in range(1000):
        time.sleep(max(0.0, start + number / 100 - time.monotonic()))
        at = time.monotonic()
        line.request("GET", "/api/v1/agents?limit=50", headers={"Authorization": f"Bearer {token}"})
        answer = line.getresponse()
        answer.read()
        assert answer.status == 200
        took.append((time.monotonic() - at) * 1000)
    return statistics.quantiles(took, n=20)[18]


def _pages(pid: int) -> int:
    """KiB that a process and its children hold by themselves: shared pages count in part (PSS)."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    total = 0
    for one in (pid, *map(int, found.stdout.split())):
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def _statements(inst: Installation) -> int:
    """Transactions of the database so far: every statement of ours is one, or part of one."""
    with inst.database.transaction() as session:
        return int(session.connection().exec_driver_sql(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").scalar_one())  # fmt: skip


__all__ = ["commands", "sockets"]
