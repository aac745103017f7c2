"""The rule file: numbers put in, changes of an inventory taken, and refused where they mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError, AnsibleFilterError

ROLE = Path(__file__).parents[3] / "roles/monitoring"
GROUPS = {
    "host": {
        "scope": "host",
        "page": "how-to/alerts.md",
        "rules": [
            {"record": "load:sum", "expr": "sum(load)"},
            {
                "alert": "LoadHigh",
                "above": 80,
                "for": "5m",
                "severity": "warning",
                "expr": 'load{mode="x"} > $above',
                "summary": "load of [[ $labels.mode ]]",
                "description": "[[ $value | humanize ]] %; the limit is $above %.",
            },
        ],
    }
}


@pytest.fixture(scope="module")
def alerts(plugin):
    return plugin("filter", "alerts")


def alert(alerts, **changes):
    [group] = alerts.alert_rules(GROUPS, {"LoadHigh": changes} if changes else {}, "https://x/docs/")["groups"]
    return group["rules"][-1]


def test_a_rule_has_its_numbers_its_labels_and_its_way_to_the_manual(alerts):
    assert alert(alerts) == {
        "alert": "LoadHigh",
        "expr": 'load{mode="x"} > 80',
        "for": "5m",
        "labels": {"severity": "warning", "scope": "host"},
        "annotations": {
            "summary": "load of {{ $labels.mode }}",
            "description": "{{ $value | humanize }} %; the limit is 80 %.",
            "runbook_url": "https://x/docs/how-to/alerts.md#loadhigh",
        },
    }


def test_an_inventory_changes_number_time_and_severity(alerts):
    changed = alert(alerts, above=90.5, severity="critical", **{"for": "1h30m"})
    assert changed["expr"].endswith("> 90.5") and "90.5 %" in changed["annotations"]["description"]
    assert changed["for"] == "1h30m" and changed["labels"]["severity"] == "critical"


def test_an_alert_can_be_taken_out(alerts):
    assert alert(alerts, enabled=False) == {"record": "load:sum", "expr": "sum(load)"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"LoadHihg": {}}, "monitoring_alerts.LoadHihg is no alert; did you mean LoadHigh?"),
        ({"LoadHigh": 90}, "must be a dictionary"),
        ({"LoadHigh": {"below": 90}}, "LoadHigh.below cannot be 90; it may have: above, for"),
        ({"LoadHigh": {"above": "90"}}, "LoadHigh.above cannot be '90'"),
        ({"LoadHigh": {"above": True}}, "LoadHigh.above cannot be True"),
        ({"LoadHigh": {"for": 5}}, "LoadHigh.for cannot be 5"),
        ({"LoadHigh": {"for": "5 min"}}, "LoadHigh.for cannot be '5 min'"),
        ({"LoadHigh": {"severity": "page"}}, "severity (critical, warning, none)"),
        ({"LoadHigh": {"expr": "vector(1)"}}, "LoadHigh.expr cannot be"),
    ],
)
def test_a_change_that_means_nothing_is_refused(alerts, changes, said):
    with pytest.raises(AnsibleFilterError) as refused:
        alerts.alert_rules(GROUPS, changes, "https://x")
    assert said in str(refused.value)


def test_the_roles_rule_file_leaves_no_place_unfilled(render):
    text = render(ROLE / "templates/rules.yml.j2", role_path=str(ROLE))
    groups = yaml.safe_load(text)["groups"]
    assert {group["name"] for group in groups} >= {"host", "product", "slo", "database", "backup"}
    for rule in (rule for group in groups for rule in group["rules"]):
        assert "$" not in rule["expr"] and "[[" not in str(rule), rule
        for text in rule.get("annotations", {}).values():
            assert "$" not in text.replace("{{ $value", "").replace("{{ $labels.", ""), rule


def test_the_lab_only_shortens_what_it_waits_for(render):
    def numbers(inventory):
        text = render(ROLE / "templates/rules.yml.j2", inventory=inventory, role_path=str(ROLE), lab_acme_root="")
        rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
        return {rule["alert"]: rule["expr"] for rule in rules if "alert" in rule}

    example, lab = numbers("inventories/example"), numbers("inventories/lab")
    assert {name for name in example if example[name] != lab[name]} == {"CertificateExpires"}


def test_a_wrong_change_is_said_by_the_template(render):
    with pytest.raises(AnsibleError, match="HostCpuHihg is no alert"):
        render(ROLE / "templates/rules.yml.j2", role_path=str(ROLE), monitoring_alerts={"HostCpuHihg": {}})
