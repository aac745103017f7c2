"""Talks to the stack's Alertmanager from the host, with the tool that its image brings: it publishes no port."""

from __future__ import annotations

import re

from ansible.module_utils.compose_state import CommandFailed, run

HERE = "http://127.0.0.1:9093"
# An answer that takes longer is none: what waits for it is a deploy.
SECONDS = 15
_ATTEMPTS = re.compile(
    r'^alertmanager_notification_requests_(?P<failed>failed_)?total\{(?P<labels>[^}]*)\} (?P<count>[0-9.e+]+)$',
    re.MULTILINE,
)


def amtool(container: str, *words: str) -> str:
    """What amtool says. Raises CommandFailed, with Alertmanager's own words."""
    return run(["docker", "exec", container, "amtool", f"--alertmanager.url={HERE}", *words], "/", timeout=SECONDS)


def running(container: str) -> bool:
    """Whether there is an Alertmanager to talk to."""
    return bool(run(["docker", "ps", "-q", "-f", f"name=^{container}$"], "/", timeout=SECONDS).strip())


def metrics(container: str) -> str:
    """Its own numbers. Raises CommandFailed."""
    return run(["docker", "exec", container, "wget", "-qO-", f"{HERE}/metrics"], "/", timeout=SECONDS)


def attempts(text: str) -> dict[str, tuple[int, int]]:
    """Receiver to how often something was sent to it, and how often it did not take it. Pure."""
    counted: dict[str, list[int]] = {}
    for match in _ATTEMPTS.finditer(text):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', match["labels"]))
        pair = counted.setdefault(labels.get("receiver_name", ""), [0, 0])
        pair[1 if match["failed"] else 0] += int(float(match["count"]))
    return {name: (sent, failed) for name, (sent, failed) in counted.items()}


__all__ = ["CommandFailed", "amtool", "attempts", "metrics", "running"]
