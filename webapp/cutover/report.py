"""What `verify` found, for programs (JSON) and for people (a page in Markdown)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from webapp.cutover.agreed import AGREED
from webapp.cutover.comparing import DIFFERS, EXTRA, MISSING, TOLERATED, UNMAPPABLE, Compared, Difference
from webapp.cutover.verify import Parity

# As webapp/records/canonical.py has them.
RULES = (
    "Names are in the order of their code points; a field that is null is not there.",
    "Texts are equal only letter by letter: Unicode's normal forms are not folded.",
    "Integers are exact; a float that is whole is that integer, -0.0 is 0; others by their shortest text.",
    "Times (names that end in `_at`, `date`, `ts`, and the collection's own) are milliseconds since the epoch, whether"
    " RFC 3339, seconds (below 10^11) or milliseconds.",
    "A record's digest is SHA-256 over the canonical JSON in UTF-8; records are equal where their digests are.",
)
_WHATS = (MISSING, EXTRA, DIFFERS, TOLERATED, UNMAPPABLE)


def facts(parity: Parity, *, at: datetime) -> dict[str, Any]:
    return {
        "verdict": "go" if parity.go else "no-go",
        "reasons": parity.reasons,
        "source": parity.source,
        "at": at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "records": parity.records,
        "seconds": round(parity.seconds, 3),
        "rules": list(RULES),
        "agreed": {name: list(fields) for name, fields in AGREED.items()},
        "tolerated": dict(parity.loosened.tolerated),
        "thresholds": dict(parity.loosened.thresholds),
        "collections": [_collection(one) for one in parity.collections],
    }


def _collection(one: Compared) -> dict[str, Any]:
    return {
        "tenant_id": str(one.place.tenant),
        "collection": one.place.collection,
        "source": one.source,
        "target": one.target,
        "unequal": one.unequal,
        "counts": one.counts,
        "settled_in_flight": one.settled,
        "fields": dict(sorted(one.fields.items(), key=lambda pair: (-pair[1], pair[0]))),
        "examples": [_example(found) for found in one.differences],
    }


def _example(found: Difference) -> dict[str, Any]:
    fields = {path: {"source": mine, "target": theirs} for path, (mine, theirs) in found.fields.items()}
    return {"id": found.id, "what": found.what, "fields": fields}


def write(parity: Parity, folder: Path, *, at: datetime) -> None:
    """Both forms, as `parity.md` and `parity.json`. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "parity.md").write_text(page(parity, at=at))
    (folder / "parity.json").write_text(json.dumps(facts(parity, at=at), indent=2) + "\n")


def page(parity: Parity, *, at: datetime) -> str:
    return "\n".join(_page(parity, at)) + "\n"


def _page(parity: Parity, at: datetime) -> Iterator[str]:
    yield f"# Parity: {'GO' if parity.go else 'NO GO'}"
    yield ""
    yield f"{parity.records:,} records of `{parity.source}`, compared on {at.astimezone(UTC):%Y-%m-%d at %H:%M:%S} UTC"
    yield f"in {parity.seconds:,.1f} s."
    yield ""
    yield from (f"* **{reason}**" for reason in parity.reasons)
    if parity.reasons:
        yield ""
    yield "| tenant | collection | source | here | " + " | ".join(_WHATS) + " | settled in flight |"
    yield "|---|---|--:|--:|" + "--:|" * (len(_WHATS) + 1)
    for one in parity.collections:
        counts = " | ".join(f"{one.counts.get(what, 0):,}" for what in _WHATS)
        yield (
            f"| {one.place.tenant} | {one.place.collection} | {one.source:,} | {one.target:,} | {counts}"
            f" | {one.settled:,} |"
        )
    yield ""
    for one in parity.collections:
        if one.differences:
            yield from _differences(one)
    yield from _rules(parity)


def _differences(one: Compared) -> Iterator[str]:
    yield f"## {one.place}"
    yield ""
    if one.fields:
        named = sorted(one.fields.items(), key=lambda pair: (-pair[1], pair[0]))
        yield "Fields: " + ", ".join(f"{_code(path)} in {count:,}" for path, count in named[:30]) + "."
        yield ""
    for found in one.differences:
        yield f"* {_code(found.id)} {found.what}"
        for path, (mine, theirs) in found.fields.items():
            values = "" if mine is None and theirs is None else f": {_code(mine)} in the source, {_code(theirs)} here"
            yield f"  * {_code(path)}{values}"
    yield ""


def _rules(parity: Parity) -> Iterator[str]:
    yield "## What counts as equal"
    yield ""
    yield from (f"* {rule}" for rule in RULES)
    every = all(fields == ("*",) for fields in AGREED.values())
    agreed = "every field" if every else "; ".join(f"{name}: {', '.join(fields)}" for name, fields in AGREED.items())
    yield f"* Agreed fields: {agreed}."
    loosened = parity.loosened
    yield from (f"* Tolerated: {_code(name)}, because {why}" for name, why in loosened.tolerated.items())
    yield from (f"* Threshold: {most:,} unequal records in {domain}" for domain, most in loosened.thresholds.items())
    if not loosened.tolerated and not loosened.thresholds:
        yield "* Nothing is loosened."


def _code(text: object) -> str:
    """Whatever stands in a record, as code that ends where it should."""
    return "`" + str(text).replace("`", "'").replace("\n", " ").replace("|", "\\|") + "`"
