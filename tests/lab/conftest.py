"""One lab for the session: a Debian 13 host, provisioned and deployed once, then looked at, broken and mended."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.lab import Host, Lab, Shape
from tests.lab.playbook import OLD, OLD_NAMES, Run, ansible, succeeded, towards
from tests.lab.web import Client
from tests.rendering import facts, render


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a lab host."""
    for item in items:
        if "tests/lab" in str(item.path):
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab that MOORAGE_LAB names, else `test`; taken down at the end, or KEEP_LAB=1 leaves it for a look."""
    lab = Lab.open(os.environ.get("MOORAGE_LAB", "test"))
    lab.up({"vps": "debian13"})
    lab.push("sha-one")
    yield lab
    if not os.environ.get("KEEP_LAB"):
        lab.down()


@pytest.fixture(scope="session")
def vps(lab: Lab) -> Host:
    """The bare host, as a provider hands it out."""
    return lab.hosts["vps"]


@pytest.fixture(scope="session")
def beside(lab: Lab, vps: Host) -> Iterator[Future[Run]]:
    """site.yml on a bare Debian 12, while Debian 13 gets it too: both mostly wait. Its engine's disk is small."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        # What lies on such a disk counts as the host's memory.
        host = lab.host(OLD, Shape(image="debian12", aliases=OLD_NAMES, memory="6g", docker_tmpfs="2g"))
        yield pool.submit(ansible, lab, "site", *towards(host), "-e", "image_tag=sha-one")


@pytest.fixture(scope="session")
def first(lab: Lab, vps: Host, request: pytest.FixtureRequest) -> Run:
    """site.yml on the bare host: everything that the other tests stand on."""
    # Begun first, so that both hosts wait at the same time; left out where no test of this session looks at it.
    if any("beside" in inspect.signature(item.function).parameters for item in request.session.items):
        request.getfixturevalue("beside")
    return succeeded(ansible(lab, "site", "-e", "image_tag=sha-one"))


@pytest.fixture(scope="session")
def site(lab: Lab, vps: Host, first: Run) -> Host:
    """The host with the product on it."""
    return vps


@pytest.fixture(scope="session")
def web(lab: Lab, site: Host) -> Client:
    """A client outside the host that trusts the lab's certificate authority."""
    return Client(site.address, lab.root_certificate)


__all__ = ["facts", "render"]
