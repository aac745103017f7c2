"""The main job: a bare host becomes the running product, and a second run changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from tests.lab import Host, Lab
from tests.lab.playbook import TRANSCRIPT, Run, ansible, succeeded
from tests.lab.web import Client
from tests.rendering import example_pins

ROOT = Path(__file__).parents[2]
SUPABASE = [
    value.removeprefix("docker.io/")
    for name, value in yaml.safe_load((ROOT / "roles/supabase/defaults/main.yml").read_text()).items()
    if name.endswith("_image")
]
API = "https://api.moorage.test"
APP = "https://app.moorage.test"
S3 = "https://s3.moorage.test"


def inspected(site: Host) -> dict[str, dict]:
    """Every container of the stack: name to what the engine says of it."""
    names = site.exec("docker", "ps", "-q", "--filter", "label=com.docker.compose.project=moorage").split()
    return {entry["Name"].lstrip("/"): entry for entry in json.loads(site.exec("docker", "inspect", *names))}


def test_a_second_run_changes_nothing(lab: Lab, site: Host):
    run = succeeded(ansible(lab, "site"))
    assert run.changed == 0, run.changes or run.output


def test_check_mode_of_a_finished_host_promises_no_change(lab: Lab, site: Host):
    run = succeeded(ansible(lab, "site", "--check", "--diff"))
    assert run.changed == 0, run.changes or run.output


def test_the_host_is_well(site: Host):
    assert site.exec("systemctl", "is-system-running", check=False).strip() == "running"


def test_the_control_plane_answers_through_caddy(web: Client):
    health = json.loads(web.api("/api/v1/health").body)
    assert health["success"] is True
    assert health["data"]["data_backend"] == "supabase"
    ready = json.loads(web.api("/api/v1/health/ready").body)["data"]
    assert ready["ready"] is True


def test_the_frontend_stands_at_app(web: Client):
    answer = web.get(f"{APP}/")
    assert answer.status == 200
    assert "text/html" in answer.headers["content-type"]


def test_security_headers_are_set_and_the_server_is_not_named(web: Client):
    for url in (f"{API}/api/v1/health/live", f"{APP}/"):
        headers = web.get(url).headers
        assert headers["strict-transport-security"].startswith("max-age=31536000")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_plain_http_is_sent_to_https(web: Client):
    answer = web.get("http://api.moorage.test/api/v1/health/live")
    assert answer.status in (301, 308)
    assert answer.headers["location"] == f"{API}/api/v1/health/live"


def test_what_is_not_for_outside_is_closed(web: Client):
    assert web.get(f"{API}/metrics").status == 404
    assert web.get(f"{S3}/admin/user").status == 404
    assert web.get(f"{S3}/swift/v1").status == 404
    assert web.get(f"{S3}/moorage-artifacts/").status == 403


def test_a_socket_without_a_token_is_refused_by_the_sockets_process(web: Client):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    answer = web.get(f"{API}/api/v1/agents/ws", Sec_WebSocket_Key="bW9vcmFnZS1wcm9iZS0wMQ==", **upgrade)
    assert answer.status == 401
    assert json.loads(answer.body)["error"]["code"] == "MISSING_BEARER_TOKEN"


def test_every_container_is_confined(site: Host):
    for name, entry in inspected(site).items():
        host = entry["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0 and host["NanoCpus"] > 0, name
        assert "@sha256:" in entry["Config"]["Image"], name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        user = site.exec("docker", "exec", name, "id", "-u").strip()
        assert user != "0", f"{name} runs as root"


def test_the_containers_stay_below_the_hosts_own_limits(lab: Lab, site: Host):
    for name, entry in inspected(site).items():
        groups = site.exec("cat", f"/proc/{entry['State']['Pid']}/cgroup").splitlines()
        memory = next(line for line in groups if "memory" in line.split(":")[1].split(",") or line.startswith("0::"))
        assert memory.split(":", 2)[2].startswith(site.cgroup_parent or "/"), name


def test_the_database_is_not_reachable_from_the_edge_and_wants_tls(site: Host):
    networks = inspected(site)["moorage-postgres"]["NetworkSettings"]["Networks"]
    assert list(networks) == ["moorage_data"]
    client = "docker exec moorage-postgres psql 'host=127.0.0.1 user=moorage_app dbname=moorage sslmode=disable' 2>&1"
    refused = site.exec("sh", "-c", client, check=False)
    assert "rejects connection" in refused or "no encryption" in refused


def test_secrets_are_made_on_the_host_and_kept(lab: Lab, site: Host):
    text = site.exec("cat", "/opt/moorage/.env")
    assert site.exec("stat", "-c", "%a %U", "/opt/moorage/.env").strip() == "600 root"
    values = re.findall(r"^[A-Z_0-9]+='(.+)'$", text, re.MULTILINE)
    assert len(values) >= 9
    succeeded(ansible(lab, "deploy", "--diff"))
    assert site.exec("cat", "/opt/moorage/.env") == text, "a run must never change a secret"


def test_no_playbook_ever_printed_a_secret(lab: Lab, site: Host):
    succeeded(ansible(lab, "site", "--diff", "-vv"))
    values = re.findall(r"^[A-Z_0-9]+='(.+)'$", site.exec("cat", "/opt/moorage/.env"), re.MULTILINE)
    printed = "\n".join(TRANSCRIPT)
    assert [value[:4] for value in values if value in printed] == []


def test_a_secret_is_put_there_without_being_shown(lab: Lab, site: Host):
    value = "canary-{{ 1 + 1 }}-$f00d"
    put = ["set_secret", "-e", "name=TELEGRAM_BOT_TOKEN"]
    run = succeeded(ansible(lab, *put, "-vvv", "--diff", SECRET_VALUE=value))
    assert "canary" not in run.output
    assert f"TELEGRAM_BOT_TOKEN='{value}'" in site.exec("cat", "/opt/moorage/.env")
    assert succeeded(ansible(lab, *put, SECRET_VALUE=value)).changed == 0


def test_a_secret_without_a_value_or_with_a_bad_name_is_refused(lab: Lab, site: Host):
    before = site.exec("cat", "/opt/moorage/.env")
    for name, value in (("TOKEN", ""), ("to-ken", "x")):
        run = ansible(lab, "set_secret", "-e", f"name={name}", SECRET_VALUE=value)
        assert run.code != 0
        assert "Name the secret with -e name=NAME" in run.words
    assert site.exec("cat", "/opt/moorage/.env") == before


def test_the_control_planes_image_is_small_and_has_no_build_tools(site: Host):
    image = site.exec("sh", "-c", "docker inspect -f '{{.Image}}' $(docker ps -q -f name=moorage-api-)").strip()
    assert int(site.exec("docker", "image", "inspect", "-f", "{{.Size}}", image)) < 250 * 2**20
    for tool in ("gcc", "cc", "make", "git"):
        found = site.exec("docker", "run", "--rm", "--entrypoint", "sh", image, "-c", f"command -v {tool} || true")
        assert found == "", tool


def test_the_layout_is_the_documented_one(site: Host):
    names = set(site.exec("ls", "-A", "/opt/moorage").split())
    assert {"compose.yml", ".env", "caddy", "data", "backups", "releases.jsonl", "release.json"} <= names
    assert {"metrics", "monitoring"} <= names
    assert set(site.exec("ls", "/opt/moorage/data").split()) == {
        *("caddy", "postgres", "object-store", "prometheus", "alertmanager")
    }


def test_the_first_run_said_what_it_released(first: Run):
    assert "controlplane: nothing →" in first.output


def test_the_optional_supabase_core_is_a_valid_compose_document(site: Host, render, facts):
    pins = {f"docker.io/{name}": f"docker.io/{name.split(':')[0]}@sha256:{'c' * 64}" for name in SUPABASE}
    document = render(
        ROOT / "roles/stack/templates/compose.yml.j2",
        inventory="inventories/example",
        ansible_facts=facts,
        supabase_enabled=True,
        stack_pins=example_pins() | pins,
        __stack_release=facts["release"],
    )
    assert "moorage-gotrue" in document
    secrets = "".join(f"{name}=x\n" for name in set(re.findall(r"\$\{([A-Z0-9_]+):", document)))
    site.exec("sh", "-c", f"mkdir -p /tmp/supabase && printf '{secrets}' > /tmp/supabase/.env")
    command = "docker compose --project-directory /tmp/supabase --profile supabase -f - config --services"
    services = site.exec("sh", "-c", command, given=document).split()
    assert {"postgrest", "gotrue", "storage", "postgres"} <= set(services)
