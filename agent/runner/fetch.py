"""The whole sequence: register, lease, resolve, download, verify, put in place, report."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from agent.control_plane import ControlPlane
from agent.failures import Failure
from agent.pace import Pace, ServerClock
from agent.runner.download import UrlRefused, pull
from agent.runner.lease import Lease
from agent.runner.order import Order
from agent.runner.part import Part, Resolved, digest
from agent.runner.retries import Patience, Remedy, remedy
from agent.wire import pool

log = logging.getLogger("agent.runner")

MISMATCH_EXIT = 3
# New URLs in a row that brought not one byte: then it is not their age.
MOST_USELESS_URLS = 3


def fetch(order: Order, *, pace: Pace | None = None) -> dict[str, Any]:
    """What was fetched. Raises Failure: whatever it is, no unverified byte stands under the output's name."""
    pace = pace or Pace()
    clock = ServerClock(pace)
    plane = ControlPlane(order.server, token=lambda: order.token, tls=order.tls, clock=clock)
    patience = Patience(pace, order.max_seconds)
    part = Part(order.output)
    lease = Lease(plane, order, clock=clock, pace=pace, patience=patience)
    try:
        return _Fetch(order, plane, part, lease, patience).run()
    except (KeyError, TypeError, ValueError) as error:
        words = f"{plane.server} gave an answer that lacks what the contract says ({error}). Is it a newer server?"
        raise Failure("SERVER_NONSENSE", words) from error
    finally:
        lease.close()
        part.release()


class _Fetch:
    def __init__(self, order: Order, plane: ControlPlane, part: Part, lease: Lease, patience: Patience) -> None:
        self._order, self._plane, self._part, self._lease, self._patience = order, plane, part, lease, patience
        self._resolved: Resolved | None = None

    def run(self) -> dict[str, Any]:
        order = self._order
        vm = {"vm_uuid": order.vm_uuid, **({"user_id": order.user_id} if order.user_id else {})}
        self._patience.keep_trying(lambda: self._plane.call("POST", "/vm/register", vm))
        self._lease.take()
        self._lease.start()
        self._resolve()
        try:
            kept = self._stands_already()
            if not kept:
                self._download()
                self._verify()
                self._part.seal()
        except Failure as failure:
            mismatch = failure.exit_code == MISMATCH_EXIT
            self._report_failure("mismatch" if mismatch else "failed", failure)
            if mismatch:
                self._part.discard()
            raise
        self._report_verified()
        found = self._now()
        return {
            "output": str(order.output), "module": order.module, "platform": order.platform, "channel": order.channel,
            "version": found.version, "release_id": found.release_id, "sha256": found.sha256,
            "size_bytes": found.size, "downloaded_bytes": self._part.received,
            "resumed_from": self._part.resumed_from or 0,
            "already_there": kept, "lease_id": self._lease.lease_id, "resolution_id": found.resolution_id,
        }  # fmt: skip

    def _now(self) -> Resolved:
        assert self._resolved is not None  # noqa: S101 - run() resolves before anything else
        return self._resolved

    def _resolve(self) -> None:
        """A URL for what is assigned now, which may be another release than before."""
        order = self._order

        def ask() -> Any:
            self._lease.check()
            body = {"lease_token": self._lease.token(), "vm_uuid": order.vm_uuid, "module": order.module,
                    "platform": order.platform, "channel": order.channel}  # fmt: skip
            return self._plane.call("POST", "/artifacts/resolve-download", body)

        found = self._patience.keep_trying(ask, new_lease=self._lease.take)
        self._resolved = Resolved(
            url=str(found["download_url"]), resolution_id=str(found.get("resolution_id", "")),
            release_id=int(found["release_id"]), version=str(found["version"]),
            sha256=str(found["sha256"]).lower(), size=int(found["size_bytes"]),
        )  # fmt: skip

    def _stands_already(self) -> bool:
        output, found = self._order.output, self._now()
        return output.is_file() and output.stat().st_size == found.size and digest(output) == found.sha256

    def _download(self) -> None:
        store = pool(self._order.tls, connections=1)
        self._part.open_for(self._now())
        useless = 0
        while self._part.size < self._now().size:
            before = self._part.size
            try:
                pull(store, self._now(), self._part, self._check)
            except UrlRefused as refused:
                useless += 1
                if useless > MOST_USELESS_URLS:
                    raise
                if useless > 1:
                    self._patience.rest(refused)
                self._resolve()
                self._part.open_for(self._now())
                continue
            except Failure as failure:
                if remedy(failure) is Remedy.NEVER:
                    raise
                if self._part.size > before:
                    self._patience.backoff.reset()
                    useless = 0
                self._patience.rest(failure)

    def _check(self) -> None:
        self._lease.check()
        self._patience.check()

    def _verify(self) -> None:
        self._check()
        found, have = self._now(), digest(self._part.path)
        if have != found.sha256:
            raise Failure("SHA256_MISMATCH", f"The store's object of release {found.release_id} has the SHA-256 {have},"
                          f" and the release says {found.sha256}. The file was deleted. Publish the release again, or"
                          " ask who changed the object.", exit_code=MISMATCH_EXIT)

    def _report_verified(self) -> None:
        try:
            self._patience.keep_trying(lambda: self._report("verified", self._now().size))
        except Failure as failure:
            raise Failure("REPORT_NOT_TAKEN", f"{self._order.output} is whole and verified, but the server did not take"
                          f" the report ({failure}). Run the same command again: it will only report.") from failure

    def _report_failure(self, outcome: str, failure: Failure) -> None:
        """Once: what failed stays failed, whether the server hears of it or not."""
        with contextlib.suppress(Failure):
            self._report(outcome, self._part.size, error=failure.code)

    def _report(self, outcome: str, size: int, error: str | None = None) -> None:
        body = {"resolution_id": self._now().resolution_id, "lease_token": self._lease.token(), "outcome": outcome,
                "bytes": size, **({"error": error} if error else {})}  # fmt: skip
        self._plane.call("POST", "/artifacts/report-download", body, seconds=10)
