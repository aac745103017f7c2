"""The firewall's rules: made from the inventory, compared with what is loaded, and put right."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from tests.rendering import ROOT

PLACE = ROOT / "roles/firewall"


@pytest.fixture(scope="module")
def rules(plugin: Callable[[str, str], ModuleType]) -> ModuleType:
    return plugin("filter", "firewall")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("moorage_firewall_script", PLACE / "files/moorage-firewall.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("entry", "family", "rule"),
    [
        ({"port": 22}, 4, "-A ufw-user-input -p tcp --dport 22 -j ACCEPT"),
        ({"port": 443, "proto": "udp"}, 6, "-A ufw6-user-input -p udp --dport 443 -j ACCEPT"),
        ({"port": 1, "from": "192.0.2.0/24"}, 4, "-A ufw-user-input -p tcp --dport 1 -s 192.0.2.0/24 -j ACCEPT"),
        ({"port": 1, "from": "2001:db8::1"}, 6, "-A ufw6-user-input -p tcp --dport 1 -s 2001:db8::1 -j ACCEPT"),
    ],
)
def test_a_port_of_the_inventory_is_a_rule_of_ufw(rules: ModuleType, entry: dict[str, Any], family: int, rule: str):
    assert rules.ufw_rules([entry], family)[0]["rule"] == rule


def test_an_address_is_a_rule_of_its_own_family_only(rules: ModuleType):
    assert rules.ufw_rules([{"port": 1, "from": "192.0.2.1"}], 6) == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"port": 0}, r"firewall_allow\[0\]: `port` must be a number from 1 to 65535"),
        ({"port": "22"}, r"firewall_allow\[0\]: `port`"),
        ({"port": 22, "proto": "icmp"}, r"firewall_allow\[0\]: `proto` must be tcp or udp"),
        ({"port": 22, "from": "192.0.2.1/24"}, r"firewall_allow\[0\]: `from` must be.*host bits"),
    ],
)
def test_a_wrong_entry_is_named(rules: ModuleType, entry: dict[str, Any], message: str):
    with pytest.raises(AnsibleFilterError, match=message):
        rules.ufw_rules([entry], 4)


def test_no_interface_to_the_world_is_refused(rules: ModuleType):
    with pytest.raises(AnsibleFilterError, match="firewall_interfaces"):
        rules.published_rules([], [""])


def test_what_is_published_ends_closed_on_every_interface(rules: ModuleType):
    made = rules.published_rules([{"port": 443}], ["eth0", "eth1"])
    assert [rule.split(" -i ")[1] for rule in made if rule.endswith("DROP")] == ["eth0 -j DROP", "eth1 -j DROP"]
    assert "-A MOORAGE-PUBLISHED -i eth1 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j RETURN" in made


LOADED = """
-P INPUT DROP
-P FORWARD DROP
-P OUTPUT ACCEPT
-N DOCKER-USER
-N MOORAGE-PUBLISHED
-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
-A INPUT -j ufw-before-logging-input
-A INPUT -j ufw-before-input
-A INPUT -j ufw-after-input
-A INPUT -j ufw-after-logging-input
-A INPUT -j ufw-reject-input
-A INPUT -j ufw-track-input
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER-USER -j f2b-moorage-access
-A DOCKER-USER -j MOORAGE-PUBLISHED
-A MOORAGE-PUBLISHED -i eth0 -j DROP
"""
PUBLISHED = ":MOORAGE-PUBLISHED - [0:0]\n-A MOORAGE-PUBLISHED -i eth0 -j DROP\n"
DRIFTS = {
    "the chain emptied": ("-A MOORAGE-PUBLISHED -i eth0 -j DROP\n", ""),
    "a way around it": ("-A DOCKER-USER -j MOORAGE", "-A DOCKER-USER -j RETURN\n-A DOCKER-USER -j MOORAGE"),
    "not jumped to": ("-A DOCKER-USER -j MOORAGE-PUBLISHED\n", ""),
    "forwarded before": ("-A FORWARD -j DOCKER-USER", "-A FORWARD -j ACCEPT\n-A FORWARD -j DOCKER-USER"),
}


def test_bans_are_no_faults(script: ModuleType):
    assert script.published_faults(script.Filter.parse(LOADED), script.Filter.parse(PUBLISHED)) == []
    assert script.host_faults(script.FAMILIES[0], script.Filter.parse(LOADED), script.Filter()) == []


@pytest.mark.parametrize("drift", DRIFTS)
def test_what_opens_a_published_port_is_a_fault_and_repaired(script: ModuleType, drift: str):
    wanted, loaded = script.Filter.parse(PUBLISHED), script.Filter.parse(LOADED.replace(*DRIFTS[drift]))
    assert len(script.published_faults(loaded, wanted)) == 1
    lines = script.published_repair(loaded, wanted)
    assert lines[-1] == "-I FORWARD 1 -j DOCKER-USER"
    assert ":DOCKER-USER - [0:0]" not in lines, "fail2ban's jumps must stay"


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("-P INPUT DROP", "-P INPUT ACCEPT", "policy of INPUT is not DROP"),
        ("-A INPUT -j ufw-before-input\n", "", "INPUT does not go through ufw"),
        (
            "-A FORWARD -j DOCKER-USER",
            "-A INPUT -p tcp --dport 1 -j ACCEPT\n-A FORWARD -j DOCKER-USER",
            "rule of its own",
        ),
    ],
)
def test_what_opens_a_port_of_the_host_is_a_fault(script: ModuleType, before: str, after: str, fault: str):
    loaded = script.Filter.parse(LOADED.replace(before, after))
    found = script.host_faults(script.FAMILIES[0], loaded, script.Filter())
    assert len(found) == 1 and fault in found[0]


@pytest.mark.parametrize(("family", "ufw"), [(4, "ufw"), (6, "ufw6")])
def test_ufws_files_are_whole_and_name_the_ports(render: Callable[..., Any], family: int, ufw: str):
    template = PLACE / "templates/user.rules.j2"
    allow = [{"port": 22, "proto": "tcp"}]
    # The templar of this test knows no filter of ours: what it makes of the rules is tested above.
    text = template.read_text().replace("firewall_allow | ufw_rules(family)", "rules")
    from tests.rendering import load

    made = render(text, ufw=ufw, family=family, rules=load("filter", "firewall").ufw_rules(allow, family))
    assert text.count("*filter") == made.count("COMMIT") == 1
    assert f":{ufw}-user-limit-accept - [0:0]\n" in made
    assert f"-A {ufw}-user-input -p tcp --dport 22 -j ACCEPT\n" in made


def test_the_engine_is_closed_before_it_starts(render: Callable[..., Any]):
    unit = render(Path(PLACE / "templates/docker.conf.j2"))
    assert "ExecStartPre=/usr/local/sbin/moorage-firewall close" in unit
