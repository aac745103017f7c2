"""Alertmanager's configuration from the receivers that an inventory declares. Pure functions of data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

Part = dict[str, Any]
SECRETS = "/etc/secrets"
# What an alert is told with; the template is the role's moorage.tmpl.
TEXT, TITLE = '{{ template "moorage.text" . }}', '{{ template "moorage.title" . }}'
KEYS = {
    "telegram": {"chat", "api"},
    "email": {"to", "from", "host", "user", "tls"},
    "slack": {"channel"},
    "webhook": set(),
}
WANTED = {"telegram": {"chat"}, "email": {"to", "from", "host"}, "slack": {"channel"}, "webhook": set()}
COMMON = {"name", "kind", "secret", "severities"}
SEVERITIES = ("critical", "warning")
# Of a cause and what follows from it, only the cause is told.
INHIBITIONS = (
    ("SloBurnFast", "SloBurnSlow|HttpErrorRatioHigh|HttpErrorsMany", []),
    ("DatabaseDown", "DatabaseConnectionErrors|Http.*|Slo.*", []),
    ("DatabaseConnectionErrors", "Http.*|Slo.*", []),
    ("ContainerNotRunning", "ServiceDown", ["service"]),
    ("HostDiskFull", "HostDiskFillsUp", ["mountpoint"]),
)


def receiver_secret(receiver: Mapping[str, Any]) -> str:
    """The name in .env of what a receiver needs kept; '' for mail without a user."""
    kind, name = receiver.get("kind"), str(receiver.get("name", ""))
    usual = {
        "telegram": "TELEGRAM_BOT_TOKEN",
        "email": "SMTP_PASSWORD" if receiver.get("user") else "",
        "slack": "SLACK_WEBHOOK_URL",
        "webhook": f"{re.sub('[^A-Z0-9]', '_', name.upper())}_WEBHOOK_URL",
    }
    return str(receiver.get("secret") or usual.get(str(kind), ""))


def alert_secrets(receivers: Iterable[Mapping[str, Any]], deadman: str) -> list[str]:
    """Names of all secrets that Alertmanager reads from files."""
    return sorted(({receiver_secret(receiver) for receiver in receivers} | {deadman}) - {""})


def named_secrets(names: Iterable[str]) -> list[Part]:
    """The same as .env's role wants them: each must have been put there."""
    return [{"name": name} for name in names]


def alertmanager_config(receivers: list[Mapping[str, Any]], deadman: str, pace: Mapping[str, str]) -> Part:
    """The configuration, valid for Alertmanager 0.28 and newer.

    Args:
        receivers: `monitoring_receivers`.
        deadman: name of the secret with the dead man's switch's address; '' for none.
        pace: ``wait``, ``interval``, ``repeat`` of a group of alerts, ``deadman`` of the sign of life.

    Raises:
        AnsibleFilterError: naming the receiver that is wrong.
    """
    for index, receiver in enumerate(receivers):
        _refuse(index, receiver, [other.get("name") for other in receivers])
    routes: list[Part] = [{"receiver": "nobody", "matchers": ['alertname="Watchdog"']}]
    if deadman:
        quick = {"group_wait": "0s", "group_interval": pace["deadman"], "repeat_interval": pace["deadman"]}
        routes[0] = {"receiver": "deadman", "matchers": ['alertname="Watchdog"'], **quick}
    routes += [_route(receiver) for receiver in receivers]
    return {
        "templates": ["/etc/alertmanager/moorage.tmpl"],
        "route": {
            "receiver": "nobody",
            "group_by": ["alertname", "severity"],
            "group_wait": pace["wait"],
            "group_interval": pace["interval"],
            "repeat_interval": pace["repeat"],
            "routes": routes,
        },
        "inhibit_rules": [
            {
                "source_matchers": [f'alertname="{cause}"'],
                "target_matchers": [f'alertname=~"{effects}"'],
                "equal": equal,
            }
            for cause, effects, equal in INHIBITIONS
        ],
        "receivers": [
            {"name": "nobody"},
            *([{"name": "deadman", "webhook_configs": [_webhook(deadman, resolved=False)]}] if deadman else []),
            *(_receiver(receiver) for receiver in receivers),
        ],
    }


def _route(receiver: Mapping[str, Any]) -> Part:
    """A test reaches every receiver at once, whatever else it is told of."""
    severities = "|".join(receiver.get("severities", SEVERITIES))
    return {
        "receiver": receiver["name"],
        "matchers": [f'severity=~"test|{severities}"'],
        "continue": True,
        "routes": [{"matchers": ['severity="test"'], "group_by": ["..."], "group_wait": "0s"}],
    }


def _receiver(receiver: Mapping[str, Any]) -> Part:
    kind, file = receiver["kind"], f"{SECRETS}/{receiver_secret(receiver)}"
    if kind == "telegram":
        part: Part = {"chat_id": int(receiver["chat"]), "bot_token_file": file, "message": TEXT, "parse_mode": ""}
        part |= {"api_url": receiver["api"]} if receiver.get("api") else {}
    elif kind == "email":
        part = {"to": receiver["to"], "from": receiver["from"], "smarthost": receiver["host"]}
        part |= {"require_tls": receiver.get("tls", True), "text": TEXT, "html": "", "headers": {"Subject": TITLE}}
        if receiver.get("user"):
            part |= {"auth_username": receiver["user"], "auth_password_file": file}
    elif kind == "slack":
        part = {"api_url_file": file, "channel": receiver["channel"], "title": TITLE, "text": TEXT}
    else:
        part = _webhook(receiver_secret(receiver), resolved=True)
    return {"name": receiver["name"], f"{kind}_configs": [{"send_resolved": True, **part}]}


def _webhook(secret: str, *, resolved: bool) -> Part:
    return {"url_file": f"{SECRETS}/{secret}", "send_resolved": resolved}


def _refuse(index: int, receiver: Any, names: list[Any]) -> None:
    where = f"monitoring_receivers[{index}]"
    if not isinstance(receiver, Mapping) or receiver.get("kind") not in KEYS:
        raise AnsibleFilterError(f"{where}.kind must be one of {', '.join(KEYS)}")
    kind, name = receiver["kind"], receiver.get("name")
    if not isinstance(name, str) or not re.fullmatch("[a-z][a-z0-9-]*", name) or name in ("nobody", "deadman"):
        raise AnsibleFilterError(f"{where}.name must be of a-z, 0-9 and -, and neither nobody nor deadman")
    if names.count(name) > 1:
        raise AnsibleFilterError(f"{where}.name is {name!r}, which another receiver has too")
    for key in sorted(WANTED[kind] - set(receiver)):
        raise AnsibleFilterError(f"{where}.{key} is missing: a receiver of the kind {kind} needs it")
    for key in sorted(set(receiver) - KEYS[kind] - COMMON):
        known = ", ".join(sorted(KEYS[kind] | COMMON))
        raise AnsibleFilterError(f"{where}.{key} is no key of a receiver of the kind {kind}; it knows {known}")
    if kind == "telegram" and not re.fullmatch("-?[0-9]+", str(receiver["chat"])):
        raise AnsibleFilterError(f"{where}.chat is {receiver['chat']!r}; Alertmanager wants the chat's number")
    if set(receiver.get("severities", SEVERITIES)) - set(SEVERITIES):
        raise AnsibleFilterError(f"{where}.severities may have {' and '.join(SEVERITIES)}")


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {
            "alert_secrets": alert_secrets,
            "alertmanager_config": alertmanager_config,
            "named_secrets": named_secrets,
        }
