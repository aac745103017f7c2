"""What can go wrong with servers on a developer's machine, in words that say what to do."""

from __future__ import annotations

from typing import ClassVar

from webapp.failures import Failure


class LocalFailure(Failure):
    code: ClassVar[str] = "LOCAL_FAILED"


class AlreadyRunning(LocalFailure):
    code: ClassVar[str] = "ALREADY_RUNNING"


class PortInUse(LocalFailure):
    code: ClassVar[str] = "PORT_IN_USE"


class NotInstalled(LocalFailure):
    code: ClassVar[str] = "NOT_INSTALLED"


class RootRefused(LocalFailure):
    code: ClassVar[str] = "ROOT_REFUSED"
