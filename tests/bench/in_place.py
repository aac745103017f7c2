"""What most people do: another image in the Compose file, and `docker compose up -d`."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.lab import Host

ROOT = "/opt/moorage"
CADDYFILE = f"{ROOT}/caddy/conf/Caddyfile"


def replace_in_place(host: Host, number: int) -> None:
    """Recreate the containers of the slots that serve, for the `number`th time: odd ones get the other version's
    images, even ones their own again. Raises CommandError.
    """
    units = json.loads(host.exec("cat", f"{ROOT}/release.json"))["units"]
    services = {}
    for unit in units.values():
        active = unit["active"]
        other = next(slot for slot in unit["images"] if slot != active)
        image = unit["images"][other if number % 2 else active]
        for service in unit["definitions"][active]["services"]:
            services[f"{service}-{active}"] = {"image": image}
    host.exec("tee", f"{ROOT}/in-place.json", given=json.dumps({"services": services}))
    compose = f"docker compose -f {ROOT}/compose.yml -f {ROOT}/in-place.json"
    host.exec(f"cd {ROOT} && {compose} up -d --no-deps {' '.join(services)} 2>&1")


def as_delivered(_host: Host) -> None:
    """The proxy waits up to 5 s for a server that does not answer."""


def plain(host: Host) -> None:
    """The proxy as it is without that: a `reverse_proxy` and no more."""
    host.exec(f"sed -i '/lb_try_/d' {CADDYFILE}")
    host.exec("docker exec moorage-proxy caddy reload --adapter caddyfile --config /etc/caddy/Caddyfile 2>&1")


# By what the proxy in front does; in this order, as the second is not undone.
IN_PLACE: dict[str, Callable[[Host], None]] = {"our proxy": as_delivered, "plain proxy": plain}
