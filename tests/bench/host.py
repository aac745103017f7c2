"""`make bench-host`: how long the main job takes on a lab host, how much of it is waiting, what the stack weighs.

All figures of one table come from one run on one machine; only their ratios travel.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from tests.lab import Host, Lab, drifts
from tests.lab.playbook import Run, ansible, succeeded

RUNS = 3
NAME = "bench"


def variants() -> dict[str, dict[str, str]]:
    """Ways to run the same playbook: environment variables of ansible-playbook."""
    mitogen = find_spec("ansible_mitogen")
    assert mitogen and mitogen.submodule_search_locations, (
        "mitogen is missing: run `make bench-host`, which installs it"
    )
    plugins = Path(mitogen.submodule_search_locations[0]) / "plugins" / "strategy"
    return {
        "as delivered (pipelining, kept connections)": {},
        "ansible-core's defaults": {
            "ANSIBLE_PIPELINING": "0",
            "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=60s",
        },
        "with Mitogen's strategy": {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(plugins)},
    }


def resident_mb(host: Host) -> dict[str, float]:
    """Resident memory (anonymous pages) of each container of the stack, in MiB, from the control groups."""
    out = {}
    for line in host.exec("docker", "ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}").splitlines():
        container, name = line.split()
        pid = host.exec("docker", "inspect", "-f", "{{.State.Pid}}", container).strip()
        groups = host.exec("cat", f"/proc/{pid}/cgroup").splitlines()
        memory = [entry.split(":", 2) for entry in groups]
        path = next((p for _, c, p in memory if "memory" in c.split(",")), None)
        folder = f"/sys/fs/cgroup/memory{path}" if path else f"/sys/fs/cgroup{memory[0][2]}"
        stat = dict(entry.split() for entry in host.exec("cat", f"{folder}/memory.stat").splitlines())
        out[name] = int(stat.get("total_rss", stat.get("anon", 0))) / 2**20
    return out


def no_change(lab: Lab, environment: dict[str, str]) -> list[Run]:
    """A run to warm up, then those that count; every one must find nothing to do."""
    runs = [succeeded(ansible(lab, "site", **environment)) for _ in range(RUNS + 1)]
    assert all(run.changed == 0 for run in runs), "a run changed something"
    return runs[1:]


def main() -> int:
    """Print the tables."""
    lab = Lab.open(NAME)
    try:
        begun = time.monotonic()
        lab.up({"vps": "debian13"})
        lab.push("one")
        ready = time.monotonic()
        first = succeeded(ansible(lab, "site", "-e", "image_tag=one"))
        print("| from nothing | seconds |\n|---|---|")
        print(f"| lab host, registry, images (cached where this machine has them) | {ready - begun:.1f} |")
        print(f"| site.yml: provision, deploy, probe | {first.seconds:.1f} |")

        print(f"\n| site.yml with nothing to change, median of {RUNS} | seconds | ratio | changed |\n|---|---|---|---|")
        base = 0.0
        for name, environment in variants().items():
            seconds = statistics.median(run.seconds for run in no_change(lab, environment))
            base = base or seconds
            print(f"| {name} | {seconds:.1f} | {seconds / base:.2f} | 0 |")

        host = lab.hosts["vps"]
        drifts.make(host)
        run = succeeded(ansible(lab, "site"))
        left = drifts.remaining(host)
        print("\n| drifts put in by hand | repaired by one run | seconds |\n|---|---|---|")
        print(f"| {len(drifts.DRIFTS)} | {len(drifts.DRIFTS) - len(left)} | {run.seconds:.1f} |")

        time.sleep(20)  # what a start-up allocated has settled
        weights = resident_mb(host)
        print("\n| idle container | resident MiB |\n|---|---|")
        for name, weight in sorted(weights.items()):
            print(f"| {name.removeprefix('moorage-')} | {weight:.0f} |")
        counted = [value for name, value in weights.items() if "object-store" not in name and "frontend" not in name]
        print(f"| proxy, three processes, PostgreSQL together | {sum(counted):.0f} |")
        print(json.dumps({"left": left}) if left else "", end="")
        return 1 if left else 0
    finally:
        lab.down()


if __name__ == "__main__":
    sys.exit(main())
