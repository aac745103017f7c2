"""What is asked of the product, on the host and from outside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

ROLE = Path(__file__).parents[3] / "roles/monitoring"
SERVICES = {
    "frontend": {"image": "x", "host": "app"},
    "shop": {"image": "x", "host": "shop", "probe": {"path": "/up", "status": 204}},
    "quiet": {"image": "x", "host": "quiet", "probe": False},
    "inside": {"image": "x"},
}


@pytest.fixture(scope="module")
def watching(plugin):
    return plugin("filter", "watching")


def test_readiness_every_host_and_what_is_declared_are_asked(watching):
    asked = watching.product_checks("x.example", SERVICES, [{"url": "https://y.example/", "contains": "Hi"}])
    assert [(check["name"], check["url"], check["status"]) for check in asked] == [
        ("api", "https://api.x.example/api/v1/health/ready", 200),
        ("app", "https://app.x.example/", 200),
        ("shop", "https://shop.x.example/up", 204),
        ("https://y.example/", "https://y.example/", 200),
    ]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ([{"url": "y.example"}], "monitoring_checks[0].url must begin with https://"),
        ([{"url": "https://y", "text": "x"}], "monitoring_checks[0].text is no key of a check"),
        ([{"url": "https://y", "name": "api"}], "two checks are called 'api'"),
    ],
)
def test_a_check_that_is_wrong_is_named(watching, declared, said):
    with pytest.raises(AnsibleFilterError) as refused:
        watching.product_checks("x.example", {}, declared)
    assert said in str(refused.value)


def test_the_exporter_wants_exactly_what_is_declared(watching):
    check = {"name": "y", "url": "https://y/", "status": 401, "contains": "a+b (c)"}
    http = watching.blackbox_config([check], "/etc/root.pem")["modules"]["y"]["http"]
    assert http["valid_status_codes"] == [401] and http["tls_config"] == {"ca_file": "/etc/root.pem"}
    [pattern] = http["fail_if_body_not_matches_regexp"]
    assert re.search(pattern, "xx a+b (c) yy") and not re.search(pattern, "aab c")
    assert watching.blackbox_targets([check]) == [
        {"targets": ["https://y/"], "labels": {"check": "y", "__param_module": "y"}}
    ]


def test_prometheus_configuration_is_whole(render):
    config = yaml.safe_load(render(ROLE / "templates/prometheus.yml.j2"))
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    assert jobs == {"prometheus", "alertmanager", "node", "postgres", "blackbox", "product", "sites"}
    assert config["global"]["external_labels"] == {"site": "example.com"}


PARTS = ["prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "postgres-exporter"]


def test_all_but_grafana_stay_under_400_mb_and_publish_nothing(render, plugin):
    compose = render("{{ monitoring_compose }}")
    assert list(compose) == [*PARTS, "grafana"]
    assert plugin("filter", "compose").memory_sum({name: compose[name] for name in PARTS}) <= 400 * 10**6
    assert not any(part.get("ports") for part in compose.values())
    assert all(part["user"] in ("65534:65534", "472:0") for part in compose.values())


def test_alertmanager_hears_again_before_it_takes_an_alert_for_over(render):
    """It takes one for over that it has not heard of for four times the longer of the two."""
    flags = dict(flag.split("=", 1) for flag in render("{{ monitoring_compose }}")["prometheus"]["command"])
    grace, resend = (int(flags[f"--rules.alert.{name}"].rstrip("s")) for name in ("for-grace-period", "resend-delay"))
    assert grace < 4 * resend


def test_no_secret_is_in_an_environment(render):
    for name, part in render("{{ monitoring_compose }}").items():
        for key, value in part.get("environment", {}).items():
            assert "${" not in str(value), (name, key)


def test_grafana_can_be_left_out_and_so_can_all(render):
    assert "grafana" not in render("{{ monitoring_compose }}", monitoring_grafana_enabled=False)
    hosts = "{{ proxy_sites | map(attribute='host') | list }}"
    assert "grafana.example.com" in render(hosts)
    assert "grafana.example.com" not in render(hosts, monitoring_grafana_enabled=False)
    for nothing in ("monitoring_compose", "monitoring_networks", "monitoring_secrets", "monitoring_sites"):
        assert not render(f"{{{{ {nothing} }}}}", monitoring_enabled=False), nothing
