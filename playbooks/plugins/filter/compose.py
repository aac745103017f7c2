"""Filters that put the parts of the stack together into one Compose document. Pure functions of data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

Document = dict[str, Any]
SLOTS = ("blue", "green")

# What every container of the stack gets unless its part says otherwise: no way to gain rights. Logs are the engine's
# own setting (role docker).
HARDENING: Document = {
    "restart": "unless-stopped",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "init": True,
}
# ${NAME:?why} or ${NAME:-default}; $$ is a dollar that stands for itself.
_SECRET = re.compile(r"(?<!\$)\$\{([A-Z][A-Z0-9_]*)(:[?-][^{}]*)\}")
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def bytes_of(size: str | int) -> int:
    """A Compose size (``512m``, ``1g``) in bytes.

    Raises:
        AnsibleFilterError: where it is no size.
    """
    match = re.fullmatch(r"(\d+)\s*([kmg]?)b?", str(size).strip().lower())
    if not match:
        raise AnsibleFilterError(f"{size!r} is not a size; write for example 512m or 2g")
    return int(match.group(1)) * _UNITS[match.group(2)]


def pinned(image: str, pins: Mapping[str, str]) -> str:
    """The reference by digest that an image is pinned to.

    Args:
        image: a name with a tag, or already ``name@sha256:…``.
        pins: name with tag to reference by digest (`stack_pins`).

    Raises:
        AnsibleFilterError: where there is no digest; an image by tag alone is never deployed.
    """
    reference = image if "@sha256:" in image else pins.get(image) or ""
    if not re.search(r"@sha256:[0-9a-f]{64}$", reference):
        raise AnsibleFilterError(
            f"{image} has no digest in stack_pins. Run `make pin` where there is a network, and commit the result."
        )
    return reference


def unpinned(images: Iterable[str], pins: Mapping[str, str]) -> list[str]:
    """Those of the images that have no digest."""
    out = []
    for image in images:
        try:
            pinned(image, pins)
        except AnsibleFilterError:
            out.append(image)
    return out


def service_secrets(services: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """The secrets that the product's services name; each must have been put into the host's .env."""
    names = {secret for service in services.values() for secret in service.get("secrets") or []}
    return [{"name": name} for name in sorted(names)]


def _literal(value: Any) -> str:
    """An inventory's value as the container shall see it: Compose must not read a $ in it as a variable."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("$", "$$")


def product_units(services: Mapping[str, Mapping[str, Any]]) -> dict[str, Document]:
    """The product's own services (`stack_services`) as units: what has one image and is released as one.

    A service's secrets are taken from the host's .env by name, and only the services that name one get it.
    """
    units = {}
    for name, service in services.items():
        environment = {key: _literal(value) for key, value in (service.get("environment") or {}).items()}
        environment |= {
            secret: f"${{{secret}:?set it with playbooks/set_secret.yml}}" for secret in service.get("secrets", [])
        }
        part: Document = {
            "environment": environment,
            "networks": service.get("networks", ["app"]),
            "mem_limit": service.get("memory", "128m"),
            "cpus": service.get("cpus", 0.5),
            "tmpfs": service.get("tmpfs", ["/tmp"]),  # noqa: S108 - a tmpfs of the container, not a shared folder
        }
        for key, source in (
            ("command", "command"),
            ("user", "user"),
            ("healthcheck", "healthcheck"),
            ("volumes", "volumes"),
        ):
            if service.get(source):
                part[key] = service[source]
        units[name] = {"image": service["image"], "services": {name: part}}
    return units


def released(unit: str, definition: Mapping[str, Any], release: Mapping[str, Any], slot: str) -> Mapping[str, Any]:
    """What a slot was made from; today's definition where release.json does not say."""
    kept: Mapping[str, Any] | None = release["units"].get(unit, {}).get("definitions", {}).get(slot)
    return kept or definition


def slot_services(units: Mapping[str, Any], release: Mapping[str, Any], only: Iterable[str] | None = None) -> list[str]:
    """Names of the Compose services of each unit's active slot, as that slot was released.

    Args:
        only: of these units alone.
    """
    names = []
    for unit, definition in units.items():
        active = release["units"].get(unit, {}).get("active")
        if active and (only is None or unit in only):
            names += [f"{service}-{active}" for service in released(unit, definition, release, active)["services"]]
    return names


def idle_services(units: Mapping[str, Any], release: Mapping[str, Any]) -> list[str]:
    """Names of the Compose services that the slot which does not serve may have: what an interrupted run left there,
    of whatever definition, and what served before."""
    names = []
    for unit, state in release["units"].items():
        known = [units.get(unit, {}), *state.get("definitions", {}).values()]
        services = sorted({service for definition in known for service in definition.get("services", {})})
        names += [f"{service}-{slot}" for slot in SLOTS if slot != state.get("active") for service in services]
    return names


def fixed_images(units: Mapping[str, Any]) -> list[str]:
    """Images of units that carry a tag or digest in the inventory, so that they follow `stack_pins`."""
    return [definition["image"] for definition in units.values() if _is_fixed(definition["image"])]


def tagged_images(units: Mapping[str, Any]) -> dict[str, str]:
    """Unit to image, of those that follow the release's tag."""
    return {name: unit["image"] for name, unit in units.items() if not _is_fixed(unit["image"])}


def _is_fixed(image: str) -> bool:
    return "@" in image or ":" in image.rpartition("/")[2]


def due_units(
    units: Mapping[str, Any], release: Mapping[str, Any], tag: str, pins: Mapping[str, str], renew: Iterable[str] = ()
) -> dict[str, str]:
    """Units that a run has to release: unit to image, without a tag, or by digest where nothing is to be resolved.

    An image with a tag or digest of its own in the inventory follows `stack_pins`; one without follows the release's
    tag, so it is due when a tag is asked for or when it has never been released. A unit whose definition (environment,
    command, limits) is not what its active slot runs is due too: it goes into the free slot, with the digest it has.
    So is one of `renew`.
    """
    due = {}
    for unit, definition in units.items():
        state = release["units"].get(unit, {})
        active = state.get("active")
        current = state.get("images", {}).get(active)
        image = definition["image"]
        if _is_fixed(image):
            wanted = pinned(image, pins)
            if wanted != current:
                due[unit] = wanted
        elif tag or not current:
            due[unit] = image
        changed = unit in renew or unit_definition(definition) != state.get("definitions", {}).get(active)
        if current and unit not in due and changed:
            due[unit] = current
    return due


def unit_definition(unit: Mapping[str, Any]) -> Document:
    """What of a unit is kept in release.json for each slot, so that a slot runs as it was released until it goes."""
    return {"services": _plain(unit["services"]), "jobs": _plain(unit.get("jobs", {}))}


def unit_of(target: str, units: Mapping[str, Any]) -> str:
    """The unit that answers at ``service:port``; '' where that has no slots."""
    service = target.partition(":")[0]
    return next((unit for unit, definition in units.items() if service in definition["services"]), "")


def in_slot(target: str) -> str:
    """A slotted ``service:port`` as the proxy finds it: ``{vars.slot}`` is read for each request."""
    service, colon, port = target.partition(":")
    return f"{service}-{{vars.slot}}{colon}{port}"


def slot_files(units: Mapping[str, Any], release: Mapping[str, Any], folder: str) -> list[dict[str, str]]:
    """A file for each unit, as `host_state` takes them: it says which slot gets the requests."""
    return [
        {"path": f"{folder}/{unit}", "content": release["units"].get(unit, {}).get("active", SLOTS[0])}
        for unit in units
    ]


def _plain(value: Any) -> Any:
    """Dictionaries and lists made anew; deepcopy would copy the templar that Ansible's lazy containers hold."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def _finished(name: str, part: Mapping[str, Any], image: str, options: Mapping[str, Any]) -> Document:
    service = {**_plain(HARDENING), **_plain(part), "image": image}
    service.setdefault("container_name", f"{options['project']}-{name}")
    service.setdefault("labels", {})["moorage.service"] = name
    # A swap limit equal to the memory limit: a container over its limit is killed, it does not slow the host down.
    if "mem_limit" in service:
        service.setdefault("memswap_limit", service["mem_limit"])
    if options.get("start_interval") and service["restart"] != "no":
        # One without a test is the image's own check, if it has one: its first question would come after 5 s.
        check = service.setdefault("healthcheck", {"start_period": "60s"})
        check.setdefault("start_interval", "2s")
    return service


def compose_document(
    infrastructure: Mapping[str, Any], units: Mapping[str, Any], release: Mapping[str, Any], options: Mapping[str, Any]
) -> Document:
    """The whole Compose document.

    Args:
        infrastructure: services without slots: name to Compose service (proxy, postgres, object-store).
        units: name to ``{image, services, jobs}``; each service appears once for every slot that has an image.
        release: the host's release.json: ``{units: {name: {active, images, tags, definitions}}}``, the last three by
            slot. A slot is made from its own definition, never from a newer one.
        options: ``project``, ``pins``, ``networks``, ``start_interval`` (Docker Engine 25 or newer).
    """
    pins = options["pins"]
    services = {
        name: _finished(name, part, pinned(part["image"], pins), options) for name, part in infrastructure.items()
    }
    for unit, definition in units.items():
        state = release["units"].get(unit, {})
        for slot in SLOTS:
            image = state.get("images", {}).get(slot)
            if not image:
                continue
            made_from = released(unit, definition, release, slot)
            version = state.get("tags", {}).get(slot, "")
            stamp = {"MOORAGE_VERSION": f"{version}+{image.rpartition('sha256:')[2][:12]}"}
            parts = [(name, part, {}) for name, part in made_from["services"].items()]
            parts += [
                (name, part, {"profiles": ["jobs"], "restart": "no"})
                for name, part in made_from.get("jobs", {}).items()
            ]
            for name, part, extra in parts:
                # Jobs end before a slot's secrets can be of before: they have the newest.
                environment = {**_kept(part.get("environment", {}), "" if extra else slot), **stamp}
                whole = {**part, **extra, "environment": environment}
                services[f"{name}-{slot}"] = _finished(f"{name}-{slot}", whole, image, options)
    return {"name": options["project"], "services": services, "networks": options["networks"]}


def _kept(environment: Mapping[str, Any], slot: str) -> Document:
    """A slot's own value of each secret comes before the host's: a rotation keeps there what the slot was started with,
    and nothing is started anew while another slot takes its place."""
    if not slot:
        return dict(environment)
    own = rf"${{\1_{slot.upper()}-${{\1\2}}}}"
    return {name: _SECRET.sub(own, value) if isinstance(value, str) else value for name, value in environment.items()}


def memory_sum(services: Mapping[str, Mapping[str, Any]]) -> int:
    """Sum of the memory limits of services, in bytes; one without a limit is an error.

    Raises:
        AnsibleFilterError: naming the service that has none.
    """
    total = 0
    for name, service in services.items():
        if "mem_limit" not in service:
            raise AnsibleFilterError(f"service {name} has no mem_limit; every service of the stack has one")
        total += bytes_of(service["mem_limit"])
    return total


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {
            "bytes_of": bytes_of,
            "compose_document": compose_document,
            "due_units": due_units,
            "fixed_images": fixed_images,
            "idle_services": idle_services,
            "in_slot": in_slot,
            "service_secrets": service_secrets,
            "memory_sum": memory_sum,
            "pinned": pinned,
            "product_units": product_units,
            "slot_files": slot_files,
            "slot_services": slot_services,
            "tagged_images": tagged_images,
            "unit_definition": unit_definition,
            "unit_of": unit_of,
            "unpinned": unpinned,
        }
