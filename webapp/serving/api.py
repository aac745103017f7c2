"""The API: threads, because requests do CPU work and wait for a database driver written in C."""

from __future__ import annotations

from webapp.serving.http import serve
from webapp.settings import Settings


def main(settings: Settings, host: str) -> None:
    serve(
        "api",
        settings,
        host,
        worker_class="gthread",
        workers=settings.api_workers,
        threads=settings.api_threads,
    )
