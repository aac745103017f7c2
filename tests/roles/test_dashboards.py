"""Grafana's own models (of 11.6, schema 41) can read the dashboards: every field is known, every value of its type."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
import types
import typing
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard, prometheus, stat, timeseries

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "roles/monitoring/files/dashboards").glob("*.json"))
OPTIONS = {"stat": stat.Options, "timeseries": timeseries.Options}

register_default_plugins()


def read(page: Any, model: Any = dashboard.Dashboard) -> Any:
    """The same, as a model understands it."""
    return json.loads(json.dumps(model.from_json(page), cls=JSONEncoder))


def parts(panel: Any) -> list[tuple[Any, Any]]:
    """What a panel holds in the form of its kind, each with the model for it."""
    custom = panel["fieldConfig"]["defaults"].get("custom")
    return [
        (panel["options"], OPTIONS[panel["type"]]),
        *((target, prometheus.Dataquery) for target in panel["targets"]),
        *([(custom, timeseries.FieldConfig)] if custom else []),
    ]


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(entry) for key, entry in value.items() if entry is not None}
    return [without_nulls(entry) for entry in value] if isinstance(value, list) else value


def lost(written: Any, understood: Any, at: str = "") -> list[str]:
    """What the models did not take over."""
    if isinstance(written, dict):
        said = understood if isinstance(understood, dict) else {}
        return [one for key, entry in written.items() for one in lost(entry, said.get(key), f"{at}.{key}")]
    if isinstance(written, list):
        heard = understood if isinstance(understood, list) else []
        pairs = zip(written, heard + [None] * (len(written) - len(heard)), strict=False)
        return [one for number, pair in enumerate(pairs) for one in lost(*pair, f"{at}[{number}]")]
    return [] if written == understood else [f"{at}: {written!r} became {understood!r}"]


def fits(value: Any, kind: Any) -> bool:
    """Is a value what its annotation says?"""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in (typing.Any, object):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is list:
        return isinstance(value, list) and all(fits(one, inner[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(one, inner[1]) for one in value.values())
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return value in [one.value for one in kind]
    return not isinstance(kind, type) or (isinstance(value, kind) and not (kind is int and isinstance(value, bool)))


def wrong(made: Any, at: str = "") -> list[str]:
    """Fields of a model, at any depth, whose value is not of the field's type."""
    if isinstance(made, list):
        return [one for number, entry in enumerate(made) for one in wrong(entry, f"{at}[{number}]")]
    if not type(made).__module__.startswith("grafana_foundation_sdk.models"):
        return []
    hints = typing.get_type_hints(type(made), vars(sys.modules[type(made).__module__]))
    found = []
    for name, value in vars(made).items():
        if value is not None and name in hints and not fits(value, hints[name]):
            found.append(f"{at}.{name}: {value!r}")
        found += wrong(value, f"{at}.{name}")
    return found


@pytest.fixture(params=PAGES, ids=lambda path: path.stem)
def page(request: pytest.FixtureRequest) -> Any:
    return json.loads(request.param.read_text())


def test_grafana_knows_every_field(page: Any) -> None:
    assert lost(without_nulls(page), read(page)) == []
    for panel in page["panels"]:
        for part, model in parts(panel):
            assert lost(part, read(part, model)) == [], panel["title"]


def test_every_value_is_of_its_fields_type(page: Any) -> None:
    assert wrong(dashboard.Dashboard.from_json(page)) == []
    for panel in page["panels"]:
        assert wrong([model.from_json(part) for part, model in parts(panel)]) == [], panel["title"]


def test_panels_have_ids_of_their_own_and_do_not_overlap(page: Any) -> None:
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in page["panels"]}) == len(page["panels"])
    for panel in page["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_uids_are_unique_and_short_enough() -> None:
    uids = [json.loads(path.read_text())["uid"] for path in PAGES]
    assert len(set(uids)) == len(uids) and all(8 <= len(uid) <= 40 for uid in uids)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda page: page["panels"][0].update(fieldconfig={"defaults": {"unit": "s"}}),
        lambda page: page.update(titel="Host"),
        lambda page: page["panels"][0]["targets"][0].update(expression="up"),
    ],
)
def test_a_field_that_grafana_does_not_know_is_found(spoilt: Any) -> None:
    page = json.loads(PAGES[0].read_text())
    spoilt(page)
    assert len(lost(without_nulls(page), read(page))) == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda page: page.update(title=7),
        lambda page: page.update(schemaVersion="41"),
        lambda page: page["panels"][0].update(id="1"),
        lambda page: page["panels"][0]["targets"][0].update(instant="yes"),
    ],
)
def test_a_value_of_another_type_is_found(spoilt: Any) -> None:
    page = json.loads(PAGES[0].read_text())
    spoilt(page)
    assert len(wrong(dashboard.Dashboard.from_json(page))) == 1


def test_the_written_pages_are_fresh() -> None:
    command = [sys.executable, str(ROOT / ".ci/dashboards.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
