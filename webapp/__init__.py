"""Moorage's control plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webapp.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings | None = None) -> Flask:
    """The application with everything wired. Raises SettingsError on an environment it cannot use.

    Nothing is imported before the call: the sockets process patches the standard library first, and
    `moorage health` must cost little, because it runs every few seconds.
    """
    from webapp.wiring import wire  # noqa: PLC0415 - see above

    return wire(settings)
