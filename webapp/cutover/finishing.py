"""Whether the observation window was quiet enough to end it: errors and slowness since the switch, beside before it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from webapp.failures import Failure

# p95 may rise by so much, and an unmeasurably quick service by so many seconds.
P95_RISE, P95_FLOOR_SECONDS = 1.2, 0.005
# Answers with 5xx, of all: what one restart of a proxy makes of a day's requests is no rise.
ERRORS_FLOOR = 0.0001
SECONDS = 15
_ERRORS = (
    'sum(increase(moorage_http_requests_total{{status=~"5.."}}[{span}s])) '
    "/ sum(increase(moorage_http_requests_total[{span}s]))"
)
_P95 = "histogram_quantile(0.95, sum by (le) (increase(moorage_http_request_duration_seconds_bucket[{span}s])))"


class NotQuiet(Failure):
    """The window is not over, or not as quiet as what was before."""

    code = "WINDOW_NOT_QUIET"


class PrometheusSilent(Failure):
    code = "PROMETHEUS_UNREACHABLE"


@dataclass(frozen=True)
class Figures:
    """Of a span of time: answers with 5xx, of all; seconds that 95 of 100 answers took at most."""

    errors: float
    p95: float


@dataclass(frozen=True)
class Compared:
    before: Figures
    since: Figures

    def refusals(self) -> list[str]:
        """What has risen; none where nothing has."""
        said = []
        if self.since.errors > max(self.before.errors, ERRORS_FLOOR):
            said.append(f"answers with 5xx rose from {self.before.errors:.3%} to {self.since.errors:.3%}")
        if self.since.p95 > max(self.before.p95 * P95_RISE, self.before.p95 + P95_FLOOR_SECONDS):
            said.append(f"p95 rose from {self.before.p95 * 1000:.0f} ms to {self.since.p95 * 1000:.0f} ms")
        return said

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def compared(server: str, begun: datetime, switched: datetime, now: datetime) -> Compared:
    """Since the switch, beside as long a time before the cutover began to freeze.

    Args:
        server: Prometheus' address, such as http://prometheus:9090.

    Raises:
        PrometheusSilent: it does not answer, or has no figures of then.
    """
    span = max(timedelta(minutes=1), now - switched)
    return Compared(_figures(server, begun, span), _figures(server, now, span))


def _figures(server: str, at: datetime, span: timedelta) -> Figures:
    seconds = round(span.total_seconds())
    errors = _asked(server, _ERRORS.format(span=seconds), at, 0.0)
    return Figures(errors, _asked(server, _P95.format(span=seconds), at, None))


def _asked(server: str, query: str, at: datetime, missing: float | None) -> float:
    """`missing` is what no answer means; None: that it cannot be said."""
    import requests  # noqa: PLC0415 - 0.1 s at the start of every step, and only this one asks

    try:
        answer = requests.get(
            f"{server}/api/v1/query", params={"query": query, "time": f"{at.timestamp():.3f}"}, timeout=SECONDS
        )
        answer.raise_for_status()
        found = answer.json()["data"]["result"]
        value = float(found[0]["value"][1]) if found else missing
    except (requests.RequestException, KeyError, ValueError) as error:
        raise PrometheusSilent(f"{server} does not say what there was: {error}") from error
    if value is None or math.isnan(value):
        raise PrometheusSilent(
            f"{server} has no figures of {at:%Y-%m-%d %H:%M} UTC: nobody asked anything then, or it was not watching."
            " Wait until it has, or give --unmeasured with the reason why it is to end without."
        )
    return value
