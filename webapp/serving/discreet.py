"""gunicorn's workers without the words of clients: what it cannot read as HTTP it would log, and send back."""

from __future__ import annotations

from typing import Any

from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]  # gunicorn has no types

from webapp.credential_shapes import HIDDEN


class Discreet:
    """Before a class of gunicorn's: `class Threads(Discreet, ThreadWorker)`."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Says what was wrong with a request, but not in the request's own words."""
        if isinstance(exc, ParseException | NoMoreData):
            for name, value in vars(exc).items():
                if isinstance(value, str | bytes | bytearray):
                    setattr(exc, name, HIDDEN)
        if hasattr(req, "uri") and hasattr(req, "path"):
            req.uri = req.path  # a query is never logged
        super().handle_error(req, client, addr, exc)  # type: ignore[misc]  # gunicorn's, by inheritance
