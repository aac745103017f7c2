"""The real process, killed at random while it works: no command takes effect twice, none is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.unit.agent.plane import Plane
from tests.unit.agent.proxmox import TOKEN, Pve
from tests.unit.agent.serving import until

ROOT = Path(__file__).parents[3]
COMMANDS, KILLS = 60, 6


def start(state: Path, config: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from agent.cli import agent; agent()", "run", "--state-dir", str(state),
               "--config", str(config), "--log-level", "error"]  # fmt: skip
    return subprocess.Popen(command, cwd=ROOT)


def test_no_command_takes_effect_twice_and_each_ends_however_the_agent_is_killed(
    plane: Plane, paired: Path, tmp_path: Path
) -> None:
    pve, chance = Pve(), random.Random(7)
    for vmid in range(1000, 1000 + COMMANDS):
        pve.guests[vmid] = {"node": "pve1", "type": "qemu", "name": f"vm{vmid}", "status": "stopped", "config": {}}
    name, _, secret = TOKEN.partition("=")
    config = tmp_path / "agent.toml"
    config.touch(mode=0o600)
    config.write_text(f'[proxmox]\nurl = "{pve.server.url}"\ntoken_id = "{name}"\ntoken_secret = "{secret}"\n')
    ids = {f"c{number}": 1000 + number for number in range(COMMANDS)}

    def hand_out() -> None:
        """Whatever has no end yet is handed out (again), as a server does for what was not acknowledged."""
        for command_id, vmid in ids.items():
            if plane.outcome(command_id) is None:
                plane.send(command_id, "proxmox.start", vmid=vmid, node="pve1", kind="qemu")

    pve.pause = 0.05  # so that some are always under way
    for _ in range(KILLS):
        process = start(paired, config)
        until(lambda: plane.sockets)
        hand_out()
        time.sleep(chance.uniform(0.05, 0.25))
        process.kill()
        process.wait()
        until(lambda: not plane.sockets)
    process = start(paired, config)
    until(lambda: plane.sockets)
    hand_out()
    until(lambda: all(plane.outcome(command_id) for command_id in ids), 30)
    process.terminate()
    assert process.wait(5) == 0
    pve.server.close()
    effects = Counter(path for method, path, _ in pve.calls if method == "POST")
    assert set(effects.values()) == {1}, [path for path, times in effects.items() if times > 1]
    for command_id, vmid in ids.items():
        ends = {outcome["status"] for outcome in plane.outcomes[command_id]}
        assert len(ends) == 1, f"{command_id} ended in two ways: {ends}"
        if ends == {"succeeded"}:
            assert effects[f"/nodes/pve1/qemu/{vmid}/status/start"] == 1
        else:
            assert "AGENT_INTERRUPTED" in plane.outcomes[command_id][-1]["error_message"]
