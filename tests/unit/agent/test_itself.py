"""Commands about the agent itself: they need nothing configured, and show no secret."""

from __future__ import annotations

from agent.commands import Command
from agent.config import Config
from agent.executors.registry import Registry, capabilities, may_run_again
from agent.failures import Failure
from agent.pace import Pace
from agent.redaction import Sensitive
from agent.vault import Opened


def command(kind: str) -> Command:
    return Command(id="c-1", command_type=kind, payload={}, expires_at=None)


def registry(*opened: Opened) -> Registry:
    return Registry(Config(), Pace(), lambda _command: list(opened))


def no_progress(_percent: int | None, _words: str) -> None:
    raise AssertionError("there is nothing to wait for")


def test_status_says_what_runs_here() -> None:
    outcome = registry().execute(command("agent.status"), no_progress)
    assert outcome.status == "succeeded" and {"version", "system", "uptime_seconds"} <= set(outcome.result)


def test_check_secrets_names_what_opened_and_not_what_is_in_it() -> None:
    secret = Opened("s-1", "api_key", 3, Sensitive("canary-of-a-secret"))
    outcome = registry(secret).execute(command("agent.check-secrets"), no_progress)
    assert outcome.result == {"opened": [{"id": "s-1", "field_name": "api_key", "version": 3}]}
    assert "canary" not in repr(outcome)


def test_a_secret_that_does_not_open_fails_the_command() -> None:
    def refuse(_command: str) -> list[Opened]:
        raise Failure("SECRET_UNOPENABLE", "not for this key")

    outcome = Registry(Config(), Pace(), refuse).execute(command("agent.check-secrets"), no_progress)
    assert outcome.status == "failed" and "SECRET_UNOPENABLE" in str(outcome.error_message)


def test_another_action_is_not_known() -> None:
    outcome = registry().execute(command("agent.reboot"), no_progress)
    assert outcome.status == "failed" and "UNKNOWN_COMMAND" in str(outcome.error_message)
    assert "agent.status" in capabilities() and may_run_again("agent.check-secrets")
    assert not may_run_again("agent.reboot")
