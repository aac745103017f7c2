"""What a cutover would do with a source: counted, looked into record by record, and said before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from webapp.cutover.findings import Fate, Finding, Findings, Kind
from webapp.cutover.inspecting import Inspector
from webapp.cutover.progress import Meter
from webapp.cutover.sources import Place, Source, Stray


@dataclass(frozen=True)
class Counted:
    """Of one collection: records in the source, and how many of them can be rows."""

    place: Place
    records: int
    mapped: int


@dataclass
class Plan:
    source: str
    counted: list[Counted] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    strays: list[Stray] = field(default_factory=list)
    stray_count: int = 0

    @property
    def stops(self) -> bool:
        return self.findings.stops

    @property
    def records(self) -> int:
        return sum(one.records for one in self.counted)


def plan(
    source: Source, meter: Meter, *, here: frozenset[UUID], allowed: Callable[[UUID], frozenset[str]],
    tenants: frozenset[UUID] = frozenset(),
) -> Plan:  # fmt: skip
    """Reads every record of these tenants (of all where none is named), and writes nothing.

    `here`: the tenants that exist; `allowed`: the paths that a tenant lets plain secrets stand at. Raises SourceError.
    """
    made = Plan(source.name)
    for place in source.places():
        if tenants and place.tenant not in tenants:
            continue
        if place.tenant not in here:
            made.findings.add(Kind.NO_TENANT, place.collection, str(place))
        made.counted.append(_counted(source, place, made.findings, allowed, meter, known=place.tenant in here))
    made.strays, made.stray_count = source.strays(), source.stray_count()
    return made


def _counted(
    source: Source, place: Place, findings: Findings, allowed: Callable[[UUID], frozenset[str]], meter: Meter,
    *, known: bool,
) -> Counted:  # fmt: skip
    inspector = Inspector(place, findings, allowed(place.tenant) if known else frozenset())
    meter.begin(place, source.count(place), 0)
    records = mapped = 0
    for item in source.records(place):
        records += 1
        mapped += inspector.see(item, source.meaning)
        if not records % 500:
            meter.at(records)
    inspector.end()
    meter.at(records)
    meter.end()
    return Counted(place, records, mapped)


def facts(plan: Plan) -> dict[str, Any]:
    """For programs."""
    return {
        "source": plan.source,
        "verdict": "stop" if plan.stops else "ready",
        "records": plan.records,
        "collections": [
            {
                "tenant_id": str(one.place.tenant),
                "collection": one.place.collection,
                "records": one.records,
                "mapped": one.mapped,
            }
            for one in plan.counted
        ],
        "findings": findings_facts(plan.findings),
        "left_out": {
            "count": plan.stray_count,
            "paths": [{"path": one.path, "bytes": one.size, "why": one.why} for one in plan.strays],
        },
    }


def findings_facts(findings: Findings) -> list[dict[str, Any]]:
    return [
        {
            "finding": one.kind.code,
            "fate": one.kind.fate.value,
            "collection": one.collection,
            "field": one.name,
            "count": one.count,
            "detail": one.detail,
            "examples": one.examples,
            "meaning": one.kind.words,
        }
        for one in findings
    ]


def lines(plan: Plan) -> Iterator[str]:
    """For people."""
    yield f"{plan.source}: {plan.records:,} records"
    for one in plan.counted:
        missing = f"  ({one.records - one.mapped:,} of them cannot be)" if one.mapped < one.records else ""
        yield f"  {one.records:>12,}  {one.place}{missing}"
    yield from finding_lines(plan.findings)
    if plan.stray_count:
        yield f"Not a part of it, and left out: {plan.stray_count:,}"
        for stray in plan.strays:
            yield f"  {stray.path}  {stray.size:,} bytes, {stray.why}"
    yield "This stops the cutover." if plan.stops else "Nothing stops the cutover."


def finding_lines(findings: Findings) -> Iterator[str]:
    """By what becomes of them, what stops first."""
    for fate in list(Fate)[::-1]:
        found = [one for one in findings if one.kind.fate is fate]
        if found:
            yield f"{fate.value[0].upper()}{fate.value[1:]}:"
        for one in found:
            yield from _finding(one)


def _finding(one: Finding) -> Iterator[str]:
    where = f"{one.collection}.{one.name}" if one.name else one.collection
    yield f"  {one.count:>12,}  {one.kind.code} in {where}: {one.kind.words}" + (
        f" ({one.detail})" if one.detail else ""
    )
    yield from (f"                  {example}" for example in one.examples)
