"""Records of rehearsed cutovers: what one says, who signed it, and whether it allows a switch elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# A signature that was made for something else is none here (ssh-keygen(1), -n).
NAMESPACE = "moorage-cutover"
SECONDS = 60
# Two machines' clocks.
AHEAD = timedelta(minutes=10)


class NoRecord(Exception):
    """There is none to be made, or none that counts; with words that say why."""


def record_of(switch: Mapping[str, Any], revert: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a rehearsal. Pure.

    Args:
        switch, revert: the two steps' lines in the release log of the host.
        facts: ``inventory``, ``host``.

    Raises:
        NoRecord: one of them did not pass, or they were two versions' or two cutovers'.
    """
    if not switch or any(step.get("verdict") != "success" for step in (switch, revert)):
        raise NoRecord("this host has no switch of this cutover that succeeded by playbook")
    if switch["begun_at"] != revert["begun_at"]:
        raise NoRecord("the switch and the revert are two cutovers'")
    if switch["image"] != revert["image"]:
        raise NoRecord(f"the switch was {switch['image']}'s, the revert {revert['image']}'s: it must be one version")
    kept = ("at", "by", "frozen_seconds", "proof", "number")
    return {
        "rehearsed": "cutover",
        **facts,
        "version": revert["version"],
        "image": revert["image"],
        "begun_at": revert["begun_at"],
        "at": revert["at"],
        "switch": {name: switch.get(name) for name in kept},
        "revert": {name: revert.get(name) for name in kept},
    }


def digest(image: str) -> str:
    """Of a reference by digest. Pure."""
    return image.rpartition("@")[2] if "@sha256:" in image else ""


def refusal(record: Mapping[str, Any], image: str, now: datetime, days: float) -> str:
    """Why a record, whoever signed it, does not allow a switch of `image`; '' where it does. Pure."""
    try:
        at = datetime.fromisoformat(record["at"])
        theirs, proved = digest(record["image"]), [record[step]["proof"]["verdict"] for step in ("switch", "revert")]
        recent, ahead = now - at <= timedelta(days=days), at - AHEAD > now
    except (KeyError, TypeError, ValueError):
        return "it is no record of a cutover"
    rules = (
        (record.get("rehearsed") != "cutover", "it is no record of a cutover"),
        (not theirs or theirs != digest(image), f"it is another version's, {theirs or 'of no digest'}"),
        (ahead, f"it is of {record['at']}, which is yet to come"),
        (not recent, f"it is of {record['at']}, more than {days:g} days ago"),
        (proved != ["go", "go"], f"its proofs say {', '.join(map(str, proved))}"),
    )
    return next((why for applies, why in rules if applies), "")


def sign(record: Mapping[str, Any], folder: Path, key: str) -> Path:
    """Write a record and, last, its signature beside it (`.sig`). Raises NoRecord, OSError.

    Args:
        key: file of a private key without a passphrase, or of a public one whose private part the agent has.
    """
    raw = (json.dumps(record, indent=2, sort_keys=True) + "\n").encode()
    done = _keygen(["-Y", "sign", "-q", "-f", key, "-n", NAMESPACE], raw)
    if done.returncode:
        raise NoRecord(f"{key} does not sign: {done.stderr.decode(errors='replace').strip()}")
    folder.mkdir(parents=True, exist_ok=True)
    stamp = "".join(letter for letter in str(record["at"]) if letter.isalnum())
    path = folder / f"{record['inventory']}-{digest(record['image']).removeprefix('sha256:')[:12]}-{stamp}.json"
    path.write_bytes(raw)
    path.with_suffix(".json.sig").write_bytes(done.stdout)
    return path


def signer(path: Path, raw: bytes, signers: Path) -> str:
    """Who signed a record, of those who may. Raises NoRecord."""
    signature = path.with_suffix(".json.sig")
    if not signature.is_file():
        raise NoRecord("it is not signed")
    given = ["-s", str(signature), "-f", str(signers)]
    found = _keygen(["-Y", "find-principals", *given], b"")
    for who in found.stdout.decode(errors="replace").split():
        if _keygen(["-Y", "verify", *given, "-I", who, "-n", NAMESPACE], raw).returncode == 0:
            return who
    raise NoRecord(f"nobody of {signers} signed it as it is")


def allowing(folder: Path, signers: Path, image: str, *, days: float, now: datetime | None = None) -> dict[str, Any]:
    """The newest record that allows a switch of `image`, with who `signed` it. Raises NoRecord: why each does not."""
    if not signers.is_file():
        raise NoRecord(f"there is no {signers}, which says whose signature counts")
    whys = []
    for path, raw in _newest_first(folder):
        try:
            who = signer(path, raw, signers)  # before anything of it is believed
            record = json.loads(raw)
        except (NoRecord, ValueError) as error:
            whys.append(f"{path.name}: {error}")
            continue
        why = refusal(record, image, now or datetime.now(UTC), days)
        if not why:
            return {**record, "signed": who, "path": str(path)}
        whys.append(f"{path.name}: {why}")
    raise NoRecord("; ".join(whys) or f"there is none in {folder}")


def _newest_first(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.glob("*.json"), key=lambda path: path.name.rpartition("-")[2], reverse=True):
        yield path, path.read_bytes()


def _keygen(words: list[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    # Nobody is there to type a passphrase.
    environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
    command = ["ssh-keygen", *words]
    return subprocess.run(
        command, input=given, env=environment, capture_output=True, timeout=SECONDS, check=False, start_new_session=True
    )
