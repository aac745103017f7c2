"""Old images go from a real engine: pulled by digest from a registry, as a release pulls them."""

from __future__ import annotations

import io
import os
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import engine as engines
from tests.lab.engine import Engine
from tests.lab.recipes import ensure_image
from tests.running import Outcome, run_module


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engines.ensure()


@pytest.fixture(scope="module")
def registry(engine: Engine) -> Iterator[str]:
    """An empty registry of this test's own."""
    image = ensure_image(engine, "registry")
    container = engine.run("run", "-d", "-p", "127.0.0.1::5000", image).strip()
    try:
        address = engine.run("port", container, "5000/tcp").split()[0]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(100):
            try:
                opener.open(f"http://{address}/v2/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        engine.run("rm", "-f", "-v", container)


@pytest.fixture(scope="module")
def pulled(engine: Engine, registry: str) -> Iterator[Callable[[str, str], str]]:
    """`pulled("shop", "1")`: an image of its own, known to the engine by its digest alone, as after a release."""
    made: list[str] = []

    def make(repository: str, tag: str) -> str:
        name = f"{registry}/{repository}:{tag}"
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            content = os.urandom(300_000)
            member = tarfile.TarInfo("layer")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        path = Path(f"/tmp/moorage-test-{os.getpid()}.tar")
        path.write_bytes(archive.getvalue())
        try:
            engine.run("import", "--change", 'CMD ["/layer"]', str(path), name)
        finally:
            path.unlink()
        engine.run("push", "-q", name)
        digest = engine.inspect("image", name, "{{index .RepoDigests 0}}") or ""
        engine.run("rmi", name)
        engine.run("pull", "-q", digest)
        made.append(digest)
        return digest

    yield make
    for digest in made:
        engine.attempt("rmi", digest)


def prune(engine: Engine, check: bool = False, **args: object) -> Outcome:
    """The module, talking to the lab's engine."""
    path = f"{Path(engine.client).parent}:{os.environ['PATH']}"
    return run_module("image_prune", check=check, environment={**engine.environment, "PATH": path}, **args)


def test_old_images_go_and_all_others_stay(engine: Engine, registry: str, pulled):
    old, tagged, kept, used = (pulled("acme/shop", name) for name in ("old", "tagged", "kept", "used"))
    foreign = pulled("acme/shopping", "1")
    engine.run("tag", tagged, f"{registry}/acme/shop:mine")
    engine.run("tag", kept, f"{registry}/acme/shop:kept")
    container = engine.run("create", used).strip()
    before = set(engine.run("image", "ls", "-aq", "--no-trunc").split())
    given = {"repositories": [f"{registry}/acme/shop"], "keep": [kept]}
    expected = sorted([old, tagged, f"{registry}/acme/shop:mine"])
    try:
        plan = prune(engine, check=True, **given).result
        assert plan["changed"] and plan["removed"] == expected
        assert set(engine.run("image", "ls", "-aq", "--no-trunc").split()) >= before

        first, second = (prune(engine, **given).result for _ in range(2))
        assert first["changed"] and first["removed"] == expected and first["freed_bytes"] >= 0
        assert not second["changed"] and second["removed"] == [] and "warnings" not in second
        assert [name for name in (old, tagged) if engine.inspect("image", name, "{{.Id}}")] == []
        assert all(
            engine.inspect("image", name, "{{.Id}}") for name in (kept, used, foreign, f"{registry}/acme/shop:kept")
        )
    finally:
        engine.run("rm", container)
        engine.attempt("rmi", f"{registry}/acme/shop:kept")


def test_what_cannot_be_removed_is_a_warning(engine: Engine, registry: str, pulled, tmp_path: Path):
    stuck, old = pulled("acme/stuck", "1"), pulled("acme/stuck", "2")
    # A container that begins after the look: a client that does not show it.
    client = tmp_path / "docker"
    client.write_text(f'#!/bin/sh\n[ "$1" = ps ] && exit 0\nexec {engine.client} "$@"\n')
    client.chmod(0o755)
    container = engine.run("create", stuck).strip()
    try:
        result = prune(Engine(str(client), engine.socket), repositories=[f"{registry}/acme/stuck"], keep=[]).result
    finally:
        engine.run("rm", container)
    assert result["removed"] == [old] and not result.get("failed")
    assert stuck in str(result["warnings"]) and "container" in str(result["warnings"])
