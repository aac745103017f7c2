"""Alertmanager's configuration: everybody who should be told is, secrets are files, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

ROLE = Path(__file__).parents[3] / "roles/monitoring"
PACE = {"wait": "30s", "interval": "5m", "repeat": "12h", "deadman": "1m"}
TEAM = {"name": "team", "kind": "telegram", "chat": -1001}
MAIL = {"name": "ops", "kind": "email", "to": "o@x.example", "from": "a@x.example", "host": "smtp.x.example:587"}
CHAT = {"name": "chat", "kind": "slack", "channel": "#ops"}
PAGER = {"name": "pager-1", "kind": "webhook", "severities": ["critical"]}


@pytest.fixture(scope="module")
def routes(plugin):
    return plugin("filter", "alert_routes")


def config(routes, *receivers, deadman=""):
    return routes.alertmanager_config(list(receivers), deadman, PACE)


def test_without_receivers_nobody_is_told(routes):
    made = config(routes)
    assert made["route"]["receiver"] == "nobody"
    assert [route["receiver"] for route in made["route"]["routes"]] == ["nobody"]


def test_every_receiver_gets_its_severities_and_every_test(routes):
    made = config(routes, TEAM, PAGER)
    _, team, pager = made["route"]["routes"]
    assert team["matchers"] == ['severity=~"test|critical|warning"'] and team["continue"] is True
    assert pager["matchers"] == ['severity=~"test|critical"'] and pager["continue"] is True
    assert pager["routes"][0] == {"matchers": ['severity="test"'], "group_by": ["..."], "group_wait": "0s"}


def test_each_kind_reads_its_secret_from_a_file(routes):
    named = {entry["name"]: entry for entry in config(routes, TEAM, {**MAIL, "user": "a"}, CHAT, PAGER)["receivers"]}
    folder = "/etc/secrets"
    assert named["team"]["telegram_configs"][0]["bot_token_file"] == f"{folder}/TELEGRAM_BOT_TOKEN"
    assert named["ops"]["email_configs"][0]["auth_password_file"] == f"{folder}/SMTP_PASSWORD"
    assert named["chat"]["slack_configs"][0]["api_url_file"] == f"{folder}/SLACK_WEBHOOK_URL"
    assert named["pager-1"]["webhook_configs"][0]["url_file"] == f"{folder}/PAGER_1_WEBHOOK_URL"
    assert routes.alert_secrets([TEAM, MAIL, {**PAGER, "secret": "OTHER"}], "DEADMAN") == [
        "DEADMAN",
        "OTHER",
        "TELEGRAM_BOT_TOKEN",
    ]


def test_the_sign_of_life_goes_to_the_dead_mans_switch_alone(routes):
    made = config(routes, TEAM, deadman="DEADMAN_URL")
    first = made["route"]["routes"][0]
    assert first["receiver"] == "deadman" and first["repeat_interval"] == "1m" and not first.get("continue")
    assert made["receivers"][1]["webhook_configs"][0]["url_file"].endswith("/DEADMAN_URL")


def test_what_a_cause_silences_are_alerts_that_there_are(routes):
    import re

    known = {
        rule["alert"]
        for path in (ROLE / "files/alerts").glob("*.yml")
        for rule in yaml.safe_load(path.read_text())["rules"]
        if "alert" in rule
    }
    for cause, effects, _ in routes.INHIBITIONS:
        assert cause in known
        assert all(any(re.fullmatch(effect, name) for name in known) for effect in effects.split("|")), effects
        assert not re.fullmatch(effects, cause), "it would silence itself"


@pytest.mark.parametrize(
    ("receivers", "said"),
    [
        ([{"name": "x", "kind": "sms"}], "monitoring_receivers[0].kind must be one of telegram, email, slack, webhook"),
        ([{**TEAM, "name": "Team"}], "monitoring_receivers[0].name must be of a-z"),
        ([{**TEAM, "name": "nobody"}], "neither nobody nor deadman"),
        ([TEAM, {**CHAT, "name": "team"}], "which another receiver has too"),
        ([{"name": "team", "kind": "telegram"}], "monitoring_receivers[0].chat is missing"),
        ([{**TEAM, "chat": "@channel"}], "wants the chat's number"),
        ([CHAT, {**TEAM, "token": "1:x"}], "[1].token is no key of a receiver of the kind telegram"),
        ([{**TEAM, "severities": ["page"]}], "severities may have critical and warning"),
    ],
)
def test_a_receiver_that_is_wrong_is_named(routes, receivers, said):
    with pytest.raises(AnsibleFilterError) as refused:
        config(routes, *receivers)
    assert said in str(refused.value)
