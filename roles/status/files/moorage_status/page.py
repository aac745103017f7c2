"""The page and its JSON, out of the days: no script, and in words what is coloured. Pure functions of data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from moorage_status import days

Report = dict[str, Any]
WORDS = {"up": "Works", "down": "Does not answer", "unknown": "No data"}
# What a bar's colour means, from which uptime on; the page's key says it too.
GRADES = ((0.999, "good", "99.9 % and more"), (0.95, "fair", "95 % and more"), (0.0, "poor", "less"))
BAR, GAP, TALL = 7, 2, 34
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="60">
<title>{title}: {summary}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<main>
"""


def report(config: Mapping[str, Any], known: Mapping[str, days.Days], now: float) -> Report:
    """What `status.json` says. Times are RFC 3339 in UTC; an uptime is the share of known minutes, null without any."""
    window = days.window(now, config["days"])
    checks, troubles = [], []
    for check in config["checks"]:
        mine = {day: known.get(check["name"], {}).get(day) for day in window}
        seen = {day: one for day, one in mine.items() if one}
        now_is = days.state(seen, now)
        checks.append(
            {
                "name": check["name"],
                "title": check["title"],
                "state": now_is["state"],
                **({"no_data_since": moment(now_is["since"])} if now_is["state"] == "unknown" else {}),
                "uptime": days.uptime(mine.values()),
                "days": [day_report(day, one) for day, one in mine.items()],
            }
        )
        for one in days.incidents(seen, now):
            times = {"begin": moment(one["begin"]), "end": moment(one["end"])}
            troubles.append({"check": check["title"], **times, "minutes": minutes(one, now)})
    troubles.sort(key=lambda one: str(one["begin"]), reverse=True)
    said = {"state": overall([check["state"] for check in checks]), "checks": checks, "incidents": troubles}
    return {"title": config["title"], "written_at": moment(now), **said}


def day_report(day: str, one: Mapping[str, Any] | None) -> dict[str, Any]:
    """One day of a check."""
    return {"date": day, "uptime": days.uptime([one]), "down_minutes": days.down_minutes(one) if one else 0}


def minutes(incident: Mapping[str, Any], now: float) -> int:
    """How long it lasted, or lasts so far."""
    return round(((incident["end"] or now) - incident["begin"]) / 60)


def moment(at: float | None) -> str | None:
    """A time as RFC 3339 has it."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def overall(states: list[str]) -> str:
    """One word for all: what is not known is never called well."""
    if "down" in states:
        return "down" if set(states) == {"down"} else "partly_down"
    return "up" if states and set(states) == {"up"} else "unknown"


def summary(report: Report) -> str:
    """The first sentence."""
    broken = [check["title"] for check in report["checks"] if check["state"] == "down"]
    unseen = [check for check in report["checks"] if check["state"] == "unknown"]
    if broken:
        besides = f"; no data for {', '.join(check['title'] for check in unseen)}" if unseen else ""
        return f"{', '.join(broken)} {'does' if len(broken) == 1 else 'do'} not answer{besides}"
    if report["state"] == "up":
        return "Everything works"
    which = "" if len(unseen) == len(report["checks"]) else f" for {', '.join(check['title'] for check in unseen)}"
    # The longest silence, where there was ever anything to hear.
    times = sorted(check["no_data_since"] for check in unseen if check["no_data_since"])
    return f"No data{which} since {shown(times[0])}" if times else f"No data{which} yet"


def shown(at: str | None) -> str:
    """A time for people."""
    return datetime.fromisoformat(at or "").strftime("%-d %B %Y, %H:%M UTC") if at else ""


def percent(share: float | None) -> str:
    """Never rounded up to 100."""
    if share is None:
        return "no data"
    return "100 %" if share == 1 else f"{int(share * 100_000) / 1000:.3f} %"


def lasting(minutes: int) -> str:
    """A length of time for people."""
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{rest} min" if rest or not hours else ""]
    return " ".join(part for part in parts if part)


def grade(share: float | None) -> str:
    """The class of a bar."""
    return "none" if share is None else next(name for least, name, _ in GRADES if share >= least)


def html(report: Report) -> str:
    """The whole page."""
    said = summary(report)
    parts = [
        HEAD.format(title=escape(report["title"]), summary=escape(said)),
        f"<h1>{escape(report['title'])}</h1>\n",
        f'<p class="now {report["state"]}"><span aria-hidden="true"></span>{escape(said)}</p>\n',
        *map(check_html, report["checks"]),
        key(),
        incidents_html(report["incidents"], len(report["checks"][0]["days"]) if report["checks"] else 0),
        f'<footer>Written <time datetime="{report["written_at"]}">{shown(report["written_at"])}</time>, anew every'
        ' minute. The same <a href="status.json">as JSON</a>.</footer>\n</main>\n</body>\n</html>\n',
    ]
    return "".join(parts)


def check_html(check: Mapping[str, Any]) -> str:
    """One check: how it is, and its days."""
    words = WORDS[check["state"]]
    if check["state"] == "unknown":
        words += f" since {shown(check['no_data_since'])}" if check["no_data_since"] else " yet"
    length = len(check["days"])
    return (
        f'<section>\n<h2>{escape(check["title"])}</h2>\n'
        f'<p class="state {check["state"]}"><span aria-hidden="true"></span>{words}</p>\n'
        f"{bars(check)}"
        f'<p class="ends"><span>{length} days ago</span>'
        f"<span>Uptime: {percent(check['uptime'])}</span><span>today</span></p>\n</section>\n"
    )


def bars(check: Mapping[str, Any]) -> str:
    """A bar for each day; for ears, the days on which something was wrong."""
    width = len(check["days"]) * (BAR + GAP) - GAP
    bad = [f"{day['date']} {lasting(day['down_minutes'])}" for day in check["days"] if day["down_minutes"]]
    heard = f"Uptime of {check['title']} by day. Down on: {', '.join(bad) if bad else 'no day'}."
    drawn = "".join(
        f'<rect class="{grade(day["uptime"])}" x="{number * (BAR + GAP)}" width="{BAR}" height="{TALL}" rx="1.5">'
        f"<title>{escape(told(day))}</title></rect>"
        for number, day in enumerate(check["days"])
    )
    return (
        f'<svg role="img" aria-label="{escape(heard)}" viewBox="0 0 {width} {TALL}" preserveAspectRatio="none">'
        f"{drawn}</svg>\n"
    )


def told(day: Mapping[str, Any]) -> str:
    """What stands under the mouse."""
    down = f", down {lasting(day['down_minutes'])}" if day["down_minutes"] else ""
    return f"{day['date']}: {percent(day['uptime'])}{down}"


def key() -> str:
    """What the colours mean."""
    grades = [(name, words) for _, name, words in GRADES] + [("none", "no data")]
    items = "".join(
        f'<li><svg class="one" aria-hidden="true" viewBox="0 0 {BAR} {BAR}"><rect class="{name}" width="{BAR}"'
        f' height="{BAR}" rx="1.5"/></svg>{words}</li>'
        for name, words in grades
    )
    return f'<ul class="key" aria-label="What the colours of a day mean">{items}</ul>\n'


def incidents_html(incidents: list[dict[str, Any]], length: int) -> str:
    """Every time that something was wrong."""
    if not incidents:
        return f"<h2>Incidents</h2>\n<p>None in {length} days.</p>\n"
    lines = "".join(
        f'<li><time datetime="{one["begin"]}">{shown(one["begin"])}</time> <b>{escape(one["check"])}</b>'
        f" {'did not answer' if one['end'] else 'has not answered'} for {lasting(one['minutes'])}</li>\n"
        for one in incidents
    )
    return f'<h2>Incidents</h2>\n<ol class="incidents">\n{lines}</ol>\n'
