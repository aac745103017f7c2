"""The page says in words what it colours, escapes what it is given, and needs nothing from anywhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from moorage_status import days, page

NOW = days.midnight("2026-11-28") + 12 * 3600
NAMES = ["api", "app"]
VOID = {"meta", "link", "rect"}


def config(*titles: str) -> dict[str, Any]:
    checks = [{"name": name, "title": title} for name, title in zip(NAMES, titles, strict=False)]
    return {"title": "example.com", "days": 90, "checks": checks}


def seen(*, down: list[list[int]] | None = None, last: int = 719) -> days.Days:
    """A whole yesterday, and today until `last`."""
    today = {"known": last + 1, "down": down or [], "last": last, "sealed": False}
    return {"2026-11-27": {"known": 1440, "down": [[600, 612]], "last": 1439, "sealed": True}, "2026-11-28": today}


def written(known: dict[str, days.Days], *titles: str) -> str:
    return page.html(page.report(config(*titles), known, NOW))


@pytest.mark.parametrize(
    ("known", "state", "first"),
    [
        ({"api": seen(), "app": seen()}, "up", "Everything works"),
        ({"api": seen(), "app": seen(down=[[700, 720]])}, "partly_down", "Website does not answer"),
        ({"api": seen(down=[[700, 720]]), "app": seen(down=[[700, 720]])}, "down", "API, Website do not answer"),
        ({"api": seen(), "app": seen(last=600)}, "unknown", "No data for Website since 28 November 2026, 10:01 UTC"),
        ({"api": seen(last=600), "app": seen(last=500)}, "unknown", "No data since 28 November 2026, 08:21 UTC"),
        (
            {"api": seen(down=[[700, 720]]), "app": seen(last=600)},
            "partly_down",
            "API does not answer; no data for Website",
        ),
        ({"api": seen()}, "unknown", "No data for Website yet"),
        ({}, "unknown", "No data yet"),
    ],
)
def test_the_first_sentence(known: dict[str, days.Days], state: str, first: str) -> None:
    report = page.report(config("API", "Website"), known, NOW)
    assert (report["state"], page.summary(report)) == (state, first)
    assert f"<title>example.com: {first}</title>" in page.html(report)


def test_without_checks_nothing_is_called_well() -> None:
    assert page.report(config(), {}, NOW)["state"] == "unknown"
    assert "No data yet" in written({})


class Reader(HTMLParser):
    """Fails where elements are not closed in their order; keeps what a screen reader would say of pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.heard: list[str] = []
        self.asked: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID or tag == "rect":
            self.open.append(tag)
        self.asked += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "svg" and given.get("aria-hidden") != "true":
            self.heard.append(given["aria-label"] or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_sound_and_asks_only_for_its_own() -> None:
    read = Reader(written({"api": seen(), "app": seen()}, "API", "Website"))
    assert set(read.asked) == {"style.css", "status.json"}
    assert read.heard == [f"Uptime of {name} by day. Down on: 2026-11-27 12 min." for name in ("API", "Website")]


def test_there_is_no_script_and_no_inline_style() -> None:
    text = written({"api": seen()}, "API")
    assert "<script" not in text and not re.findall(r"<[^>]*\s(?:style|on\w+)=", text)


def test_what_it_is_given_is_escaped() -> None:
    text = written({"api": seen(down=[[700, 720]])}, '<b onclick="x">')
    assert "<b onclick" not in text and text.count("&lt;b onclick=&quot;x&quot;&gt;") >= 4


@pytest.mark.parametrize(
    ("share", "said", "grade"),
    [
        (None, "no data", "none"),
        (1.0, "100 %", "good"),
        (0.999999, "99.999 %", "good"),
        (0.9989, "99.890 %", "fair"),
        (0.5, "50.000 %", "poor"),
        (0.0, "0.000 %", "poor"),
    ],
)
def test_a_share_is_never_made_better_than_it_is(share: float | None, said: str, grade: str) -> None:
    assert (page.percent(share), page.grade(share)) == (said, grade)


def test_a_day_without_data_is_no_good_day() -> None:
    text = written({"api": seen()}, "API")
    assert text.count('<rect class="none"') == 88 + 1 and text.count('<rect class="good"') == 1 + 1


@pytest.mark.parametrize(("minutes", "said"), [(0, "0 min"), (59, "59 min"), (60, "1 h"), (125, "2 h 5 min")])
def test_lengths_of_time(minutes: int, said: str) -> None:
    assert page.lasting(minutes) == said


def test_incidents_are_the_latest_first_and_one_that_lasts_says_so() -> None:
    report = page.report(config("API", "Website"), {"api": seen(down=[[700, 720]]), "app": seen()}, NOW)
    assert [(one["check"], one["end"] is None) for one in report["incidents"]] == [
        ("API", True), ("API", False), ("Website", False),
    ]  # fmt: skip
    assert "<b>API</b> has not answered for 20 min" in page.html(report)
