"""What can go wrong with servers on a developer's machine, in words that say what to do."""

from __future__ import annotations

from webapp.failures import Failure


class LocalFailure(Failure):
    code = "LOCAL_FAILED"


class AlreadyRunning(LocalFailure):
    code = "ALREADY_RUNNING"


class PortInUse(LocalFailure):
    code = "PORT_IN_USE"


class NotInstalled(LocalFailure):
    code = "NOT_INSTALLED"


class RootRefused(LocalFailure):
    code = "ROOT_REFUSED"
