"""The Compose document and Caddy's configuration, rendered from the example inventory as the roles do it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError

from tests.rendering import example_pins

ROOT = Path(__file__).parents[2]
DIGEST = "sha256:" + "b" * 64
PINS = example_pins(DIGEST)


@pytest.fixture
def document(render, facts):
    """The example inventory's Compose document."""
    text = render(
        ROOT / "roles/stack/templates/compose.yml.j2",
        ansible_facts=facts,
        stack_pins=PINS,
        __stack_release=facts["release"],
    )
    return yaml.safe_load(text)


def test_every_service_is_hardened_and_limited(document):
    for name, service in document["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in service and "cpus" in service, name
        assert "@sha256:" in service["image"], name


def test_services_do_not_run_as_root(document):
    for name, service in document["services"].items():
        unit_of_product = name.startswith("frontend")  # its image decides, and says USER
        assert unit_of_product or not str(service["user"]).startswith("0"), name


# What looks after the product: ceilings that are seldom reached, on top of the product's own.
AFTER = {"backup", "prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "postgres-exporter"}


def test_the_memory_limits_of_the_example_fit_a_4_gb_host(document, plugin):
    running = {name: entry for name, entry in document["services"].items() if "profiles" not in entry}
    total = plugin("filter", "compose").memory_sum
    product = total({name: entry for name, entry in running.items() if name not in AFTER | {"grafana"}})
    after = total({name: entry for name, entry in running.items() if name in AFTER})
    assert product <= 3 * 2**30, f"{product / 2**20:.0f} MiB"
    assert after <= 0.75 * 2**30, f"{after / 2**20:.0f} MiB"


def test_data_has_no_route_out_and_the_database_is_only_there(document):
    assert document["networks"]["data"] == {"internal": True}
    assert document["services"]["postgres"]["networks"] == ["data"]
    published = [name for name, service in document["services"].items() if service.get("ports")]
    assert published == ["proxy"]


def test_only_the_setup_job_sees_the_administrators_credentials(document):
    for name, service in document["services"].items():
        values = " ".join(str(value) for value in service.get("environment", {}).values())
        if name not in ("setup-blue", "postgres", "object-store"):
            assert "POSTGRES_PASSWORD" not in values, name
            assert "S3_ADMIN" not in values, name
            assert "OWNER" not in values, name


def test_no_secret_stands_in_the_document(document):
    for service in document["services"].values():
        for key, value in service.get("environment", {}).items():
            if any(word in key for word in ("PASSWORD", "SECRET")) and not key.endswith("_FILE"):
                assert str(value).startswith("${") or value == "", key


def test_an_image_without_a_digest_is_refused(render, facts):
    with pytest.raises(AnsibleError, match="no digest in stack_pins"):
        render(ROOT / "roles/stack/templates/compose.yml.j2", ansible_facts=facts, __stack_release=facts["release"])


def test_both_slots_stand_in_the_document_while_a_release_is_switched(render, facts):
    release = facts["release"]
    release["units"]["controlplane"]["images"]["green"] = f"ghcr.io/example/controlplane@{DIGEST}"
    text = render(
        ROOT / "roles/stack/templates/compose.yml.j2", ansible_facts=facts, stack_pins=PINS, __stack_release=release
    )
    names = set(yaml.safe_load(text)["services"])
    assert {"api-blue", "api-green", "sockets-green", "worker-green", "setup-green", "frontend-blue"} <= names


@pytest.fixture
def caddyfile(render, facts):
    return render(
        ROOT / "roles/proxy/templates/Caddyfile.j2",
        ansible_facts=facts,
        stack_pins=PINS,
    )


def test_the_routes_lead_to_the_slot_that_the_units_file_names(caddyfile):
    for unit, backend in (
        ("frontend", "frontend-{vars.slot}:8080"),
        ("controlplane", "sockets-{vars.slot}:8000"),
        ("controlplane", "api-{vars.slot}:8000"),
    ):
        assert f"vars slot {{file./etc/caddy/slots/{unit}}}\n\t\timport backend {backend}\n" in caddyfile
    assert "import backend object-store:9000" in caddyfile


def test_caddy_itself_accepts_the_configuration(caddyfile, tmp_path):
    import sysconfig

    config = tmp_path / "Caddyfile"
    config.write_text(caddyfile.replace("/var/log/caddy/", f"{tmp_path}/"))
    caddy = Path(sysconfig.get_path("scripts")) / "caddy"
    done = subprocess.run(
        [caddy, "validate", "--adapter", "caddyfile", "--config", config], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_site_limits_the_size_of_a_request(caddyfile):
    assert caddyfile.count("max_size 2MB") == 2
    assert caddyfile.count("max_size 10MB") == 1
    assert caddyfile.count("max_size 5GB") == 1


def test_metrics_and_the_stores_administration_are_closed(caddyfile):
    assert caddyfile.count("@closed path /metrics\n") == 3
    assert "@closed path /admin /admin/* /swift /swift/* /auth /auth/*" in caddyfile


def test_without_a_frontend_the_landing_page_of_the_control_plane_stands_at_app(render, facts):
    del facts["release"]["units"]["frontend"]
    text = render(
        ROOT / "roles/proxy/templates/Caddyfile.j2",
        ansible_facts=facts,
        stack_pins=PINS,
        stack_services={},
    )
    app = text[text.index("app.example.com {") : text.index("api.example.com {")]
    assert "import backend api-{vars.slot}:8000" in app


FIXED = f"docker.io/library/redis@{DIGEST}"
INVENTORIES = {
    "no product services": {"stack_services": {}},
    "another project and folder": {"stack_project": "acme", "stack_root": "/srv/acme"},
    "a service of a fixed tag": {
        "stack_services": {"cache": {"image": "docker.io/library/redis:8", "memory": "64m", "user": "999"}},
        "stack_pins": PINS | {"docker.io/library/redis:8": FIXED},
    },
    "an object store elsewhere": {
        "object_store_enabled": False,
        "object_store_kind": "given",
        "controlplane_s3_endpoint": "https://s3.example.net",
        "controlplane_s3_public_endpoint": "https://s3.example.net",
    },
}


@pytest.mark.parametrize("name", INVENTORIES)
def test_unusual_inventories_make_a_whole_stack(render, facts, name):
    given = {"stack_pins": PINS, **INVENTORIES[name]}
    release = facts["release"]
    if "cache" in given.get("stack_services", {}):
        release["units"]["cache"] = {"active": "blue", "images": {"blue": FIXED}}
    common = {"ansible_facts": facts, **given}
    text = render(ROOT / "roles/stack/templates/compose.yml.j2", __stack_release=release, **common)
    document = yaml.safe_load(text)
    services = document["services"]
    assert {"postgres", "proxy", "api-blue", "setup-blue"} <= set(services)
    assert ("object-store" in services) == given.get("object_store_enabled", True)
    project = given.get("stack_project", "moorage")
    assert document["name"] == project
    assert services["proxy"]["container_name"] == f"{project}-proxy"
    assert render("{{ proxy_container }}", **common) == f"{project}-proxy"
    assert (
        render("{{ deploy_project }} {{ proxy_root }}", **common)
        == f"{project} {given.get('stack_root', '/opt/moorage')}"
    )
    sites = [site["host"] for site in render("{{ proxy_sites }}", **common)]
    assert ("s3.example.com" in sites) == given.get("object_store_enabled", True)
    names = {secret["name"] for secret in render("{{ stack_secrets }}", **common)}
    assert ("S3_ADMIN_SECRET_ACCESS_KEY" in names) == given.get("object_store_enabled", True)


@pytest.mark.parametrize(
    ("services", "said"),
    [
        (
            {"shop": {"image": "x", "memmory": "1m"}},
            "stack_services.shop.memmory is not a key of a service; did you mean",
        ),
        ({"shop": {}}, "stack_services.shop.image is missing"),
        ({"shop": "x"}, "must be a dictionary"),
        ({"shop": {"image": "x", "port": "80"}}, "stack_services.shop.port is '80', which is of the wrong type"),
        ({"shop": {"image": "x", "memory": "64 mib"}}, "stack_services.shop.memory is '64 mib', which is no size"),
        ({"shop": {"image": "x", "host": "s3"}}, "which the stack itself has already"),
        ({"a": {"image": "x", "host": "w"}, "b": {"image": "x", "host": "w"}}, "which stack_services.a has already"),
        ({"proxy": {"image": "x"}}, "the name is the stack's own"),
        ({"Shop": {"image": "x"}}, "not of a-z"),
        ({"shop": {"image": "x", "probe": False, "host": "w"}}, None),
    ],
)
def test_a_service_that_is_wrong_is_named_by_its_path(plugin, services, said):
    faults = plugin("module_utils", "inventory_rules").service_faults(services)
    assert [fault.role for fault in faults] == ["stack"] * len(faults)
    assert [said in fault.variable for fault in faults] == ([True] if said else [])
