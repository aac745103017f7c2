"""What `mongoexport` writes, as a source: extended JSON of both kinds, by line and as an array."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cutover.writing import ACME, NOTES, OTHER
from webapp.cutover.extended import plain
from webapp.cutover.findings import Kind
from webapp.cutover.mapping import Row, Unmappable, row_of
from webapp.cutover.mongo import MongoExport
from webapp.cutover.sources import Place, SourceGone, SourceTruncated, SourceUnreadable

AT = "2026-11-20T20:00:00Z"
OID = "65f0c0ffee0123456789abcd"


@pytest.mark.parametrize(
    ("extended", "ours"),
    [
        ({"$oid": OID.upper()}, OID),
        ({"$date": "2026-11-20T20:00:00Z"}, 1_795_204_800_000),
        ({"$date": "2026-11-20T20:00:00.250Z"}, 1_795_204_800_250),
        ({"$date": {"$numberLong": "-1"}}, -1),
        ({"$date": 1_795_204_800_000}, 1_795_204_800_000),
        ({"$numberInt": "42"}, 42),
        ({"$numberLong": "9007199254740993"}, 2**53 + 1),
        ({"$numberDouble": "1.5"}, 1.5),
        ({"$numberDouble": "3.0"}, 3),
        ({"$numberDouble": "NaN"}, "NaN"),
        ({"$numberDouble": "-Infinity"}, "-Infinity"),
        ({"$numberDecimal": "0.1000000000000000000000001"}, "0.1000000000000000000000001"),
        ({"$binary": {"base64": "AQID", "subType": "00"}}, "AQID"),
        ({"$binary": "AQID", "$type": "00"}, "AQID"),
        ({"$uuid": "c8edabc3-f738-4ca3-b68d-ab92a91478a3"}, "c8edabc3-f738-4ca3-b68d-ab92a91478a3"),
        ({"$timestamp": {"t": 1_795_204_800, "i": 1}}, 1_795_204_800_000),
        ({"$undefined": True}, None),
        ({"$regularExpression": {"pattern": "a", "options": ""}},) * 2,
        ({"$minKey": 1},) * 2,
        ({"a": [{"$numberInt": "1"}, {"b": {"$oid": OID}}], "$x": 2}, {"a": [1, {"b": OID}], "$x": 2}),
        (5, 5),
        (None, None),
    ],
)  # fmt: skip
def test_each_type_becomes_a_value_of_ours(extended: Any, ours: Any) -> None:
    assert plain(extended) == ours and type(plain(extended)) is type(ours)


@pytest.mark.parametrize(
    "bad", [{"$oid": "12"}, {"$numberInt": "x"}, {"$date": "soon"}, {"$date": None}, {"$binary": {}}]
)
def test_a_type_with_something_that_it_cannot_have_is_no_document(bad: dict[str, Any], tmp_path: Path) -> None:
    document = {"_id": "a", "tenant_id": str(ACME), "n": bad}
    (tmp_path / "notes.json").write_text(json.dumps(document))
    source = MongoExport(tmp_path)
    with pytest.raises(Unmappable) as refused:
        row_of(NOTES.collection, next(iter(source.records(NOTES))), source.meaning)
    assert refused.value.kind is Kind.UNREADABLE


DOCUMENTS = [
    {"_id": {"$oid": OID}, "tenant_id": str(ACME), "n": {"$numberInt": "1"}, "created_at": {"$date": AT}},
    {"_id": "b", "tenant_id": str(ACME).upper(), "n": 2},
    {"_id": {"$numberLong": "10"}, "tenant_id": str(OTHER), "n": 3},
    {"_id": 9, "tenant_id": str(OTHER), "n": 4},
    {"_id": "b", "tenant_id": str(ACME), "n": 5},
]  # fmt: skip


@pytest.mark.parametrize("form", ["lines", "array", "pretty"])
def test_documents_become_their_tenants_records_in_order(tmp_path: Path, form: str) -> None:
    text = {
        "lines": "\n".join(map(json.dumps, DOCUMENTS)) + "\n",
        "array": json.dumps(DOCUMENTS),
        "pretty": json.dumps(DOCUMENTS, indent=2),
    }[form]
    (tmp_path / "workspace.notes.json").write_text(text)
    source = MongoExport(tmp_path)
    there = Place(OTHER, "workspace/notes")
    assert source.places() == [there, NOTES]
    rows = [row_of(NOTES.collection, item, source.meaning) for item in source.records(NOTES)]
    assert rows == [Row(OID, b'{"n":1}', 1_795_204_800_000, None), Row("b", b'{"n":5}', None, None)]
    assert [item.id for item in source.records(there)] == ["10", "9"]
    assert [item.id for item in source.records(there, after="10")] == ["9"]
    assert list(source.keys(there)) == ["10", "9"] and source.count(there) == 2
    one = source.one(there, "9")
    assert one is not None and source.meaning(one.raw or b"") == {"n": 4}


def test_the_tenants_field_is_given_and_whose_document_it_is_not_is_said(tmp_path: Path) -> None:
    documents = [
        {"_id": "a", "org": str(ACME)}, {"_id": "b", "org": "acme"}, {"_id": "c"}, {"_id": [1], "org": str(ACME)},
    ]  # fmt: skip
    (tmp_path / "bots.json").write_text("\n".join(map(json.dumps, documents)) + '\n{"_id":"\xff"}\n{"n":1.2.3}')
    (tmp_path / "users.json").write_text("{}")
    source = MongoExport(tmp_path, tenant_field="org")
    assert source.places() == [Place(ACME, "bots")]
    assert source.stray_count() == 6
    assert [stray.path.split()[0] for stray in source.strays()] == ["bots.json"] * 5 + ["users.json"]


def test_the_settings_of_a_tenant_are_one_tree(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"_id": "x", "tenant_id": str(ACME), "theme": "dark"}))
    source = MongoExport(tmp_path)
    place = Place(ACME, "settings")
    assert [(item.id, source.meaning(item.raw or b"")) for item in source.records(place)] == [
        ("tree", {"theme": "dark"})
    ]


def test_a_folder_or_file_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceGone):
        MongoExport(tmp_path / "none").places()
    (tmp_path / "notes.json").write_text('{"_id":"a","tenant_id":"x"')
    with pytest.raises(SourceTruncated):
        MongoExport(tmp_path).places()
    (tmp_path / "notes.json").write_text("}")
    with pytest.raises(SourceUnreadable):
        MongoExport(tmp_path).places()
    line = json.dumps({"_id": "a", "tenant_id": str(ACME)})
    (tmp_path / "notes.json").write_text(line)
    (tmp_path / "workspace.notes.json").write_text(line)
    with pytest.raises(SourceUnreadable, match="both workspace/notes"):
        MongoExport(tmp_path).places()
