"""What can go wrong, in words for the person who has to act: a code, and what happened, what it means, what to do."""

from __future__ import annotations


class Failure(Exception):
    """A failure with a code (`UPPER_SNAKE`) and words; `exit_code` is what the process ends with."""

    exit_code = 1

    def __init__(self, code: str, words: str, *, exit_code: int | None = None) -> None:
        super().__init__(words)
        self.code = code
        if exit_code is not None:
            self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.code}: {self.args[0]}"

    @property
    def words(self) -> str:
        return str(self.args[0])


class Refused(Failure):
    """A server answered, and said no. `retry_after` is in seconds, where the server named them."""

    def __init__(self, status: int, code: str, words: str, *, retry_after: float | None = None) -> None:
        super().__init__(code, words)
        self.status = status
        self.retry_after = retry_after


class Unreachable(Failure):
    """No answer, or none that can be read: the network, a time-out, a certificate, an answer past its bounds."""

    def __init__(self, words: str) -> None:
        super().__init__("SERVER_UNREACHABLE", words)


class Stopped(Failure):
    """The server wants no more of this agent: revoked, or its token is dead. Trying again changes nothing."""

    # systemd is told not to start again after this one (RestartPreventExitStatus).
    exit_code = 3
