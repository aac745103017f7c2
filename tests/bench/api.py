"""`make bench-api`: hot paths beside a bare function, sockets held, a command's way. All of it in one run.

Ratios travel from one machine to another; the other figures are this machine's. Needs wrk (Debian's package).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt

from tests.bench import fleet
from tests.bench.installation import Installation, installation
from webapp.auth.service import Credential, standing
from webapp.licensing import leases

SECONDS, ROUNDS, CONNECTIONS = 4, 7, 16
WORKERS = {"API_WORKERS": "2", "API_THREADS": "4"}


@dataclass(frozen=True)
class Measured:
    """Requests a second, and milliseconds until half and until 99% of the answers were there."""

    rate: float
    p50: float
    p99: float
    failed: int


@dataclass(frozen=True)
class Case:
    """One path of ours, its bare twin, and what the issue asks: a ratio, and perhaps a rate."""

    name: str
    ours: str
    bare: str
    body: dict[str, Any] | None
    ratio: float
    rate: float = 0


def wrk(url: str, token: str, body: dict[str, Any] | None, *, connections: int = CONNECTIONS) -> Measured:
    """As many requests as get through in SECONDS."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        said = f"wrk.method = 'POST'\nwrk.body = [[{json.dumps(body)}]]\n" if body else ""
        script.write(said + "wrk.headers['Content-Type'] = 'application/json'\n")
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", script.name, url]
        command += ["-H", f"Authorization: Bearer {token}"]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
    text = out.stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    assert rate, text
    return Measured(float(rate[1]), _ms(text, "50%"), _ms(text, "99%"), int(failed[1]) if failed else 0)


def _ms(text: str, percentile: str) -> float:
    found = re.search(rf"\s{percentile}\s+([\d.]+)(us|ms|s)", text)
    assert found, text
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


@dataclass(frozen=True)
class Stage:
    """A tenant with a release, a lease and fifty more releases to list."""

    tenant: UUID
    token: str
    lease: dict[str, Any]
    facts: dict[str, Any]


def call(port: int, token: str, line: str, body: dict[str, Any] | None = None) -> Any:
    """The data of an answer."""
    method, path = line.split()
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())["data"]


def staged(inst: Installation, port: int) -> Stage:
    tenant = inst.tenant()
    token = inst.token(tenant)
    body = b"x" * 1000
    from webapp.storage import ObjectStore

    ObjectStore.of(inst.settings).put("bench.bin", body)
    scope = {"module": "app", "platform": "linux"}
    release = {**scope, "version": "1", "object_key": "bench.bin", "size_bytes": len(body)}
    release["sha256"] = hashlib.sha256(body).hexdigest()
    for number in range(60):
        made = call(port, token, "POST /artifacts/releases", {**release, "version": str(number)})
    call(port, token, "POST /artifacts/assign", {**scope, "release_id": made["id"]})
    call(port, token, "POST /licenses", {"type": "perpetual"})
    call(port, token, "POST /entitlements", {"user_id": "bench", "module": "*"})
    call(port, token, "POST /vm/register", {"vm_uuid": "vm-bench-1"})
    asked = {"vm_uuid": "vm-bench-1", "agent_id": "a", "runner_id": "r", "module": "app"}
    lease = call(port, token, "POST /license/lease", asked)
    return Stage(tenant, token, lease, _facts(inst, tenant, token, lease))


def _facts(inst: Installation, tenant: UUID, token: str, lease: dict[str, Any]) -> dict[str, Any]:
    """What the bare function asks the database: the very values that ours asks."""
    sid = jwt.decode(token, options={"verify_signature": False})["sid"]
    credential = Credential("user", tenant, UUID(sid), subject="bench")
    who = {name: str(value) if isinstance(value, UUID) else value for name, value in standing(credential).items()}
    beat = leases.beat_values(
        credential, lease["lease_id"], roles=frozenset({"admin"}), scope="artifacts:resolve", seconds=300
    )
    row = {"tenant_id": str(tenant), "event": "resolve_success", "result": "allowed", "reason": None, "actor": "bench",
           "actor_kind": "user", "subject": lease["lease_id"], "address": "127.0.0.1", "request_id": "bench",
           "details": json.dumps({"vm_uuid": "vm-bench-1", "module": "app", "platform": "linux", "channel": "stable",
                                  "lease_id": lease["lease_id"], "release_id": 1, "version": "1"})}  # fmt: skip
    facts = {**who, "tenant": str(tenant), "lease": lease["lease_id"], "user": "bench", "vm": "vm-bench-1",
             "module": "app", "platform": "linux", "channel": "stable"}  # fmt: skip
    return {
        "tenant": str(tenant),
        "standing": who,
        "beat": {name: str(value) if isinstance(value, UUID) else value for name, value in beat.items()},
        "facts": facts,
        "row": {f"audit_{name}": value for name, value in row.items()},
        "lease_token": lease["token"],
        "url": "http://127.0.0.1:9000/moorage-artifacts/bench.bin?" + "x" * 350,
    }


def cases(stage: Stage) -> list[Case]:
    resolve = {"lease_token": stage.lease["token"], "vm_uuid": "vm-bench-1", "module": "app", "platform": "linux"}
    return [
        Case("resolve-download", "/artifacts/resolve-download", "/resolve", resolve, 0.6, 1000),
        Case("licence heartbeat", "/license/heartbeat", "/heartbeat", {"lease_id": stage.lease["lease_id"]}, 0.6, 3000),
        Case("a list of 50 releases", "/artifacts/releases?limit=50", "/releases", None, 0.5),
    ]


@contextmanager
def servers(inst: Installation) -> Iterator[tuple[int, int, Stage]]:
    with inst.running("api", "webapp", "serve", "api", **WORKERS) as ours:
        stage = staged(inst, ours.port)
        facts = json.dumps(stage.facts)
        with inst.running("bare", "tests.bench.bare", BENCH_FACTS=facts, **WORKERS) as bare:
            yield ours.port, bare.port, stage


def http(inst: Installation) -> None:
    """Rounds of ours and bare in turn: what the machine does meanwhile happens to both."""
    size = f"{WORKERS['API_WORKERS']} processes of {WORKERS['API_THREADS']} threads, {CONNECTIONS} connections"
    print(f"\n## HTTP: {size}\n")
    print("| path | ours/s | bare/s | ratio (asked) | p50 ms | p99 ms at half load ÷ p50 | failed |")
    print("|---|---|---|---|---|---|---|")
    with servers(inst) as (ours, bare, stage):
        for case in cases(stage):
            url, twin = f"http://127.0.0.1:{ours}/api/v1{case.ours}", f"http://127.0.0.1:{bare}{case.bare}"
            rounds = [(wrk(url, stage.token, case.body), wrk(twin, stage.token, case.body)) for _ in range(ROUNDS)]
            rate = statistics.median(one.rate for one, _ in rounds)
            yardstick = statistics.median(other.rate for _, other in rounds)
            ratio = statistics.median(one.rate / other.rate for one, other in rounds)
            half = wrk(url, stage.token, case.body, connections=CONNECTIONS // 4)
            asked = f"{case.ratio}" + (f", {case.rate:.0f}/s" if case.rate else "")
            failed = sum(one.failed + other.failed for one, other in rounds)
            columns = [
                case.name,
                f"{rate:.0f}",
                f"{yardstick:.0f}",
                f"**{ratio:.2f}** ({asked})",
                f"{half.p50:.1f}",
                f"{half.p99 / half.p50:.1f} (5)",
                str(failed),
            ]
            print(f"| {' | '.join(columns)} |", flush=True)


def main() -> None:
    """Print the tables."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    parts = sys.argv[1:] or ["http", "sockets", "commands"]
    with installation() as inst:
        if "http" in parts:
            http(inst)
        if "sockets" in parts:
            fleet.sockets(inst)
        if "commands" in parts:
            fleet.commands(inst)


if __name__ == "__main__":
    main()
