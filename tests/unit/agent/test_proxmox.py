"""Each action against a server that speaks Proxmox VE's API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent.commands import Command, Outcome
from agent.config import Config, Endpoint
from agent.executors.registry import Registry, capabilities, may_run_again
from agent.pace import Pace
from agent.redaction import Sensitive, remember
from agent.vault import Opened
from tests.unit.agent.proxmox import TOKEN, Pve

Do = Callable[..., Outcome]


@pytest.fixture
def pve() -> Iterator[Pve]:
    made = Pve()
    yield made
    made.server.close()


def registry(pve: Pve, *, token: str = TOKEN, seconds: float = 10, opened: list[Opened] | None = None) -> Registry:
    name, _, secret = token.partition("=")
    credentials = {"token_id": Sensitive(name)} | ({"token_secret": Sensitive(secret)} if secret else {})
    endpoint = Endpoint(pve.server.url, seconds=seconds, credentials=credentials)
    return Registry(Config({"proxmox": endpoint}), Pace(), lambda command_id: opened or [])


@pytest.fixture
def do(pve: Pve) -> Do:
    def run(action: str, other: Registry | None = None, **params: Any) -> Outcome:
        return (other or registry(pve)).execute(Command("c1", f"proxmox.{action}", params), lambda percent, words: None)

    return run


def test_guests_are_listed_and_only_guests(do: Do) -> None:
    assert [vm["vmid"] for vm in do("list-vms").result["vms"]] == [100, 101]
    assert [vm["vmid"] for vm in do("list-vms", node="pve2").result["vms"]] == [101]


def test_targets_are_nodes_and_storages(do: Do) -> None:
    found = do("list-targets").result
    assert [one["node"] for one in found["nodes"]] == ["pve1", "pve2"]
    assert [one["storage"] for one in found["storages"]] == ["local"]


@pytest.mark.parametrize(
    ("action", "word"), [("start", "start"), ("stop", "stop"), ("restart", "reboot"), ("shutdown", "shutdown")]
)
@pytest.mark.parametrize(("vmid", "path"), [(100, "/nodes/pve1/qemu/100"), (101, "/nodes/pve2/lxc/101")])
def test_power_begins_a_task_on_the_guests_own_node(
    do: Do, pve: Pve, action: str, word: str, vmid: int, path: str
) -> None:
    upid = do(action, vmid=vmid).result["upid"]
    assert upid in pve.tasks and pve.calls[-1][:2] == ("POST", f"{path}/status/{word}")


def test_a_task_is_asked_for_by_its_name(do: Do) -> None:
    upid = do("start", vmid=100, node="pve1").result["upid"]
    assert do("task-status", upid=upid).result["status"] == "running"
    assert do("task-status", upid=upid).result["exitstatus"] == "OK"


def test_a_task_is_waited_for_where_that_is_asked(do: Do, pve: Pve) -> None:
    assert do("start", vmid=100, wait=True).result["exitstatus"] == "OK"
    pve.exitstatus = "command failed: exit code 255"
    failed = do("start", vmid=100, wait=True)
    assert failed.status == "failed" and "PROXMOX_TASK_FAILED" in str(failed.error_message)


def test_a_clone_takes_the_next_id_and_its_name(do: Do, pve: Pve) -> None:
    result = do("clone", vmid=100, name="copy-1", target="pve1", storage="local").result
    assert result["newid"] == 102 and pve.guests[102]["name"] == "copy-1"
    assert pve.calls[-1][2] == {"newid": "102", "full": "1", "target": "pve1", "storage": "local", "name": "copy-1"}


def test_the_configuration_is_read_and_changed(do: Do, pve: Pve) -> None:
    assert do("get-config", vmid=100).result == {"cores": 2}
    assert do("update-config", vmid=100, config={"cores": 4, "onboot": True}).status == "succeeded"
    assert pve.guests[100]["config"] == {"cores": "4", "onboot": "1"}
    assert "INVALID_PARAMS" in str(do("update-config", vmid=100, config={"a": {"b": 1}}).error_message)


def test_status_send_key_and_delete(do: Do, pve: Pve) -> None:
    assert do("status", vmid=101).result["status"] == "running"
    assert do("send-key", vmid=100, key="ctrl-alt-delete").result == {"sent": True}
    refused = do("delete", vmid=101)
    assert refused.status == "failed" and "is running - destroy failed" in str(refused.error_message)
    assert do("delete", vmid=100).status == "succeeded" and 100 not in pve.guests
    assert pve.calls[-1][2]["purge"] == "1"


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("start", {}),
        ("start", {"vmid": "../../access"}),
        ("start", {"vmid": 100, "node": "a/../b"}),
        ("start", {"vmid": True}),
        ("task-status", {"upid": "UPID:x/../y:1:1:1:a"}),
        ("send-key", {"vmid": 100, "key": "a&b=c"}),
    ],
)
def test_parameters_that_could_reach_elsewhere_are_refused(do: Do, action: str, params: dict[str, Any]) -> None:
    outcome = do(action, **params)
    assert outcome.status == "failed" and "INVALID_PARAMS" in str(outcome.error_message)


def test_a_wrong_token_is_said_and_not_shown(do: Do, pve: Pve) -> None:
    outcome = do("list-vms", registry(pve, token="moorage@pve!agent=wrong-secret-canary"))
    assert "PROXMOX_DENIED" in str(outcome.error_message) and "canary" not in str(outcome.error_message)


def test_a_server_that_is_slow_or_gone_is_given_up(do: Do, pve: Pve) -> None:
    pve.pause = 0.5
    slow = do("list-vms", registry(pve, seconds=0.2))
    assert "PROXMOX_UNREACHABLE" in str(slow.error_message)
    pve.server.close()
    assert "PROXMOX_UNREACHABLE" in str(do("list-vms").error_message)


def test_a_credential_comes_as_a_sealed_secret_where_the_configuration_has_none(do: Do, pve: Pve) -> None:
    secret = remember(Sensitive(TOKEN.partition("=")[2]))
    sealed = registry(pve, token=TOKEN.partition("=")[0], opened=[Opened("s1", "token_secret", 1, secret)])
    assert do("list-vms", sealed).status == "succeeded"
    without = registry(pve, token=TOKEN.partition("=")[0])
    assert "CREDENTIALS_MISSING" in str(do("list-vms", without).error_message)


def test_a_secret_in_a_parameter_is_filled_in_and_never_told(do: Do, pve: Pve) -> None:
    secret = remember(Sensitive("canary-cloud-init-password"))
    sealed = registry(pve, opened=[Opened("s9", "cipassword", 2, secret)])
    assert do("update-config", sealed, vmid=100, config={"cipassword": {"secret_ref": "s9"}}).status == "succeeded"
    assert pve.guests[100]["config"]["cipassword"] == "canary-cloud-init-password"
    assert do("get-config", vmid=100).result["cipassword"] == "***"
    missing = do("update-config", sealed, vmid=100, config={"cipassword": {"secret_ref": "other"}})
    assert "SECRET_NOT_BOUND" in str(missing.error_message)


def test_what_is_unknown_or_not_configured_fails_with_a_reason(pve: Pve) -> None:
    def run(kind: str) -> str:
        return str(registry(pve).execute(Command("c", kind, {}), lambda *_: None).error_message)

    assert "UNKNOWN_COMMAND" in run("proxmox.format-disk") and "UNKNOWN_COMMAND" in run("shell.run")
    assert "NOT_CONFIGURED" in run("syncthing.status")


def test_only_what_changes_nothing_or_states_what_shall_be_may_run_again() -> None:
    again = {kind for kind in capabilities() if may_run_again(kind)}
    assert {kind for kind in again if kind.startswith("proxmox.")} == {
        "proxmox.list-vms", "proxmox.list-targets", "proxmox.status", "proxmox.get-config", "proxmox.task-status",
    }  # fmt: skip
    assert not may_run_again("shell.run")
