"""The status page is there while the product is down, and says what is not known rather than that all is well."""

from __future__ import annotations

import json

from tests.lab import Host
from tests.lab.web import Client

PAGE = "https://status.moorage.test"
SLOTS = ("docker", "ps", "-q", "--filter", "name=moorage-(api|sockets|worker|frontend)-")


def written(site: Host, web: Client) -> dict:
    """What the page says after a run of its program."""
    site.exec("systemctl", "start", "moorage-status.service")
    return json.loads(web.get(f"{PAGE}/status.json").body)


def test_the_timer_keeps_it_written(site: Host):
    assert site.exec("systemctl", "is-active", "moorage-status.timer").strip() == "active"
    assert "moorage-status.service" in site.exec("systemctl", "list-timers", "--no-legend", "moorage-status.timer")


def test_it_is_there_while_the_product_is_down(site: Host, web: Client):
    slots = site.exec(*SLOTS).split()
    site.exec("docker", "pause", *slots)
    try:
        assert web.get(f"{PAGE}/").status == 200
        said = written(site, web)
        assert {check["name"] for check in said["checks"]} >= {"api", "app"}
    finally:
        site.exec("docker", "unpause", *slots)


def test_where_nothing_was_ever_seen_nothing_is_called_well(site: Host, web: Client):
    config = "/etc/moorage/status.json"
    kept = site.exec("cat", config)
    changed = {**json.loads(kept), "container": "moorage-nobody", "history": "/var/lib/moorage/nothing.json"}
    site.exec("tee", config, given=json.dumps(changed))
    try:
        said = written(site, web)
        assert said["state"] == "unknown" and {check["state"] for check in said["checks"]} == {"unknown"}
        assert "No data yet" in web.get(f"{PAGE}/").body.decode()
        assert "moorage-nobody does not run" in site.exec("journalctl", "-u", "moorage-status", "-n", "5", "-o", "cat")
    finally:
        site.exec("tee", config, given=kept)
        site.exec("rm", "-f", "/var/lib/moorage/nothing.json")


def test_strangers_see_no_address_and_no_file_of_the_host(web: Client):
    text = web.get(f"{PAGE}/").body.decode() + web.get(f"{PAGE}/status.json").body.decode()
    assert "https://" not in text and "/opt/" not in text
    assert web.get(f"{PAGE}/history.json").status == 404
