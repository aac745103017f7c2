"""What can go wrong in the lab, in words that say what to do next."""


class LabError(RuntimeError):
    """The lab cannot do what was asked; the message says why and what to do."""


class CommandError(LabError):
    """A command ended with another code than 0."""

    def __init__(self, command: list[str], code: int, output: str) -> None:
        super().__init__(f"`{' '.join(command)}` ended with code {code}:\n{output.strip()}")
        self.code = code
        self.output = output
