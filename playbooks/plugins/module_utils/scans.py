"""Scans that run on the controller: secrets in all that git ever held, known holes in packages and images (Trivy)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

QUIET = ("--quiet", "--disable-telemetry", "--skip-version-check", "--format", "json")
# A key is shorter, and what is longer is data.
LONGEST_BLOB = 1_000_000
DATABASE_SECONDS = 180


class NoData(Exception):
    """A scan had nothing to compare with; the text says why."""


def _run(command: list[str], folder: Path, seconds: int = 900, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(command, cwd=folder, input=given, capture_output=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoData(f"{command[0]}: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        why = said[-1].strip(" *\t")[-300:]
        raise NoData(f"{command[0]} exited {done.returncode}: {why}")
    return done.stdout


def _blobs(root: Path) -> Iterator[tuple[str, str]]:
    """Id and path of each version of each file in any branch or tag."""
    listed = _run(["git", "rev-list", "--objects", "--all", "--filter=object:type=blob"], root).decode(errors="replace")
    for line in listed.splitlines():
        blob, _, path = line.partition(" ")
        if path:
            yield blob, path


def _contents(root: Path, blobs: list[str]) -> Iterator[tuple[str, bytes]]:
    out = _run(["git", "cat-file", "--batch"], root, given="".join(f"{blob}\n" for blob in blobs).encode())
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        blob, _, size = out[at:end].decode().split()
        at = end + 1
        yield blob, out[at : at + int(size)]
        at += int(size) + 1


def history(root: Path, rules: Path, cache: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Trivy's report on every version of every file, and what each scanned file is in the repository.

    Raises:
        NoData: no git, or a shallow clone, whose history is not there.
    """
    if _run(["git", "rev-parse", "--is-shallow-repository"], root).strip() == b"true":
        raise NoData("this clone is shallow, so its history is not here (`git fetch --unshallow`)")
    paths = dict(_blobs(root))
    with tempfile.TemporaryDirectory(prefix="moorage-history-") as name:
        folder, names = Path(name), {}
        for blob, content in _contents(root, list(paths)):
            if len(content) <= LONGEST_BLOB and b"\0" not in content[:8000]:
                # Trivy's rules look at a file's ending too.
                file = folder / f"{blob}-{Path(paths[blob]).name}"
                file.write_bytes(content)
                names[file.name] = f"{paths[blob]} (blob {blob[:12]})"
        command = ["trivy", "filesystem", *QUIET, "--scanners", "secret", "--offline-scan", "--cache-dir", str(cache)]
        report = json.loads(_run([*command, "--secret-config", str(rules), str(folder)], root))
    return report, names


def database(root: Path, cache: Path) -> None:
    """Have Trivy's database here. Raises NoData."""
    _run(["trivy", "image", *QUIET[:3], "--cache-dir", str(cache), "--download-db-only"], root, DATABASE_SECONDS)


def packages(status: bytes, release: bytes, cache: Path) -> dict[str, Any]:
    """Trivy's report on a host's Debian packages.

    Args:
        status: the host's /var/lib/dpkg/status.
        release: its /etc/os-release.
    """
    with tempfile.TemporaryDirectory(prefix="moorage-packages-") as name:
        folder = Path(name)
        for path, content in (("var/lib/dpkg/status", status), ("etc/os-release", release)):
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_bytes(content)
        return _vulnerable(["rootfs", str(folder)], folder, cache)


def image(reference: str, cache: Path) -> dict[str, Any]:
    """Trivy's report on an image, which it reads from its registry."""
    return _vulnerable(["image", "--image-src", "remote", reference], Path.cwd(), cache)


def _vulnerable(what: list[str], folder: Path, cache: Path) -> dict[str, Any]:
    ways = ["--scanners", "vuln", "--severity", "HIGH,CRITICAL", "--ignore-unfixed", "--list-all-pkgs"]
    ways += ["--skip-db-update", "--cache-dir", str(cache)]
    report: dict[str, Any] = json.loads(_run(["trivy", what[0], *QUIET, *ways, *what[1:]], folder))
    return report
