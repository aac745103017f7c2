"""What Lynis says, and what of it is followed."""

from __future__ import annotations

import pytest
import yaml

REPORT = """\
hardening_index=86
suggestion[]=SSH-7408|Consider hardening SSH configuration|MaxSessions (set 20 to 2)|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|Port (set 22 to )|-|
warning[]=PKGS-7392|Found one or more vulnerable packages.|-|-|
"""


@pytest.fixture
def hardening(plugin):
    return plugin("filter", "hardening")


def test_the_report_has_what_is_left_and_what_is_not_followed_and_why(hardening):
    report = hardening.lynis_report(REPORT, {"SSH-7408": "breaks Ansible", "USB-1000": "no USB"})
    assert report["index"] == 86
    assert [line["test"] for line in report["open"]] == ["PKGS-7392"]
    assert {line["reason"] for line in report["excepted"]} == {"breaks Ansible"} and len(report["excepted"]) == 2
    assert report["unneeded"] == ["USB-1000"]
    lines = hardening.hardening_lines(report)
    assert lines[0] == "Hardening index: 86" and "not followed, SSH-7408" in "".join(lines)


def test_without_an_index_it_is_none(hardening):
    assert hardening.lynis_report("", {})["index"] == 0


def test_every_exception_has_a_reason(plugin):
    from tests.rendering import ROOT

    defaults = yaml.safe_load((ROOT / "roles/hardening/defaults/main.yml").read_text())
    assert all(len(reason) > 20 for reason in defaults["hardening_exceptions"].values())


def test_a_module_that_is_blocked_cannot_be_asked_for_by_name(render):
    from tests.rendering import ROOT

    lines = render(ROOT / "roles/hardening/templates/modprobe.conf.j2").splitlines()
    assert "install dccp /bin/false" in lines and "blacklist dccp" in lines
    assert not [line for line in lines if line.endswith((" overlay", " br_netfilter"))], "containers need these"


def test_passwords_do_not_age_as_a_key_would_be_kept_out_with_them(render):
    from tests.rendering import ROOT

    lines = render(ROOT / "roles/hardening/templates/login.defs.j2").splitlines()
    assert "PASS_MAX_DAYS 99999" in lines and "UMASK 027" in lines
