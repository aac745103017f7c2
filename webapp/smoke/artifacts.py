"""Artifacts, tried from outside: the whole way of a download, and everything that has to stop one.

Over HTTP alone, so against any server. What a trial makes is its own: a user, a machine, a module and releases under a
random name; the object is that of a release that is there already.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from webapp.licensing.service import lease_rules
from webapp.redaction import Secret
from webapp.responses import rfc3339
from webapp.smoke import refusals
from webapp.smoke.plane import Plane
from webapp.smoke.refusals import Case
from webapp.smoke.scene import Scene

# A lease and a URL live for 300 s at most; the margin is for clocks that round, here and in the store.
LONGEST_WAIT_SECONDS, MARGIN_SECONDS = 310.0, 2.0
REFUSED_BY_THE_STORE = frozenset({400, 401, 403})
# The audit table is read this far back; a server that is asked more often meanwhile would hide rows of the trial.
MOST_PAGES, PAGE_ROWS = 50, 200


@dataclass(frozen=True)
class Tried:
    """One thing, and how it went."""

    what: str
    outcome: Literal["ok", "FAILED", "not tried"]
    detail: str = ""


class Stopped(Exception):
    """What the rest stands on failed."""


@dataclass
class Ends:
    """What is left to end by itself: when, by this process's monotonic clock."""

    lease: dict[str, Any]
    lease_at: float
    url: str
    url_at: float


def trial(plane: Plane, release_id: int, *, stranger: Secret | None, longest_wait: float) -> Iterator[Tried]:
    """Each thing as it is tried: first the way that must work, then what must not.

    `stranger` is a bearer of another tenant; `longest_wait` (seconds) is what may be spent on the end of a lease and of
    a URL. Raises SmokeUnprepared, ServerUnreachable, ServerNonsense; also then what was made is taken out of force.
    """
    scene = Scene.of(plane, release_id)
    began = plane.call("GET", "/health").at
    try:
        ends = yield from _download(scene)
        yield from _store(plane, ends.url)
        for case in refusals.cases(scene):
            yield _refused(case)
        yield from _tenants_own(scene)
        yield from _stranger(scene, stranger)
        for case in refusals.revoked(scene):
            yield _refused(case)
        yield from _ended(scene, ends, longest_wait)
        yield _audited(scene, began)
        for what, error in refusals.FROM_INSIDE:
            yield Tried(what + (f": {error.code}" if error else ""), "not tried", "cannot be brought about over HTTP")
    except Stopped as words:
        yield Tried("everything else", "not tried", str(words))
    finally:
        wrong = scene.clear()
    yield Tried("taken out of force again", "FAILED" if wrong else "ok", "; ".join(wrong))


def _download(scene: Scene) -> Generator[Tried, None, Ends]:
    """The way that a runner goes."""
    scene.register()
    scene.licensed()
    scene.entitle(scene.name)
    scene.release_id = scene.release()
    assigned = scene.assign(scene.release_id)
    yield _seen("a release, assigned", assigned.status == 201, str(assigned))
    scene.lease, early = scene.take_lease(), scene.take_lease()
    began = time.monotonic()
    yield _seen("a lease", True, f"for {scene.lease['seconds']:.0f} s")
    beaten = scene.made("POST", "/license/heartbeat", {"lease_id": scene.lease["lease_id"]})
    scene.lease["token"] = beaten["token"]
    yield _seen("its heartbeat", beaten["status"] == "active")
    answer = scene.resolve()
    yield _seen("a URL", answer.status == 200, str(answer))
    if answer.status != 200:
        raise Stopped("without a URL there is nothing to refuse")
    found = answer.data
    yield _fetched(scene, found["download_url"])
    report = {"resolution_id": found["resolution_id"], "lease_token": scene.lease["token"], "outcome": "verified"}
    reported = scene.plane.call("POST", "/artifacts/report-download", report)
    yield _seen("its report", reported.status in {200, 201}, str(reported))
    url_seconds = found["url_expires_at"] / 1000 - answer.at
    return Ends(early, began + early["seconds"], found["download_url"], time.monotonic() + url_seconds)


def _fetched(scene: Scene, url: str) -> Tried:
    status, body = scene.plane.fetch(url)
    digest = hashlib.sha256(body).hexdigest()
    well = status == 200 and digest == scene.given["sha256"]
    return _seen("the object", well, f"{status}, {len(body)} bytes, SHA-256 {digest[:12]}…")


def _store(plane: Plane, url: str) -> Iterator[Tried]:
    """The bucket opens to nothing but the URL as it is."""
    plain, _, query = url.partition("?")
    parts = urlsplit(url)
    name, at, signature = query.rpartition("Signature=")
    turned = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    for what, wrong in {
        "the object without a signature": plain,
        "the URL with another signature": f"{plain}?{name}{at}{turned}",
        "the URL for another object": f"{plain}-2?{query}",
        "a list of the bucket": f"{parts.scheme}://{parts.netloc}/{parts.path.split('/')[1]}/?list-type=2",
    }.items():
        status, _ = plane.fetch(wrong)
        yield _seen(f"{what} is refused", status in REFUSED_BY_THE_STORE, str(status))


def _refused(case: Case) -> Tried:
    with case.during:
        answer = case.ask()
    wanted = f"{case.error.status} {case.error.code}"
    return _seen(case.what, str(answer) == wanted, wanted if str(answer) == wanted else f"{answer}, not {wanted}")


def _tenants_own(scene: Scene) -> Iterator[Tried]:
    """A licence of the whole tenant covers the trial's user too, and is nothing to be touched."""
    case = refusals.unlicensed(scene)
    standing = scene.made("GET", "/licenses?status=active&limit=200", None)
    if any("user_id" not in one for one in standing):
        yield Tried(case.what, "not tried", "the tenant has a licence for everybody")
    else:
        yield _refused(case)


def _stranger(scene: Scene, bearer: Secret | None) -> Iterator[Tried]:
    if bearer is None:
        yield Tried("another tenant's bearer", "not tried", "give --other-token-file")
    else:
        yield _refused(refusals.strangers(scene, bearer))


def _ended(scene: Scene, ends: Ends, longest: float) -> Iterator[Tried]:
    """A lease and a URL whose time is over."""
    now = time.monotonic()
    lasting = max(ends.lease_at, ends.url_at) + MARGIN_SECONDS - now
    if lasting > longest:
        for what in ("a lease past its time", "the URL past its time"):
            yield Tried(what, "not tried", f"takes {lasting:.0f} s, and --max-wait is {longest:.0f}")
        return
    time.sleep(max(0.0, lasting))
    late = Case(
        "a lease past its time", lease_rules.LeaseExpired, lambda: scene.resolve(lease_token=ends.lease["token"])
    )
    yield _refused(late)
    status, _ = scene.plane.fetch(ends.url)
    yield _seen("the URL past its time is refused", status in REFUSED_BY_THE_STORE, str(status))


def _audited(scene: Scene, since: float) -> Tried:
    """Each attempt is one row, in order, with its reason, and nothing of another tenant's is there."""
    rows: list[str] = []
    ours = {scene.name, f"{scene.name}-2"}
    moment = rfc3339(datetime.fromtimestamp(since - 1, UTC))
    for page in range(1, MOST_PAGES + 1):
        path = f"/artifacts/audit?order=asc&limit={PAGE_ROWS}&page={page}&since={moment}"
        found = scene.made("GET", path, None)
        rows += [one.get("reason", "") for one in found
                 if one.get("vm_uuid") in ours and one["event"] != "download_reported"]  # fmt: skip
        if len(found) < PAGE_ROWS:
            break
    if rows == scene.attempts:
        return _seen("one audit row for each attempt", True, f"{len(rows)} rows")
    return _seen("one audit row for each attempt", False, f"asked {scene.attempts}, recorded {rows}")


def _seen(what: str, well: bool, detail: str = "") -> Tried:
    return Tried(what, "ok" if well else "FAILED", detail)
