"""Errors that a user can correct; the command line prints them without a traceback."""

from dataclasses import dataclass


class RedoxError(Exception):
    """An error that the user can correct; the message says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class Problem:
    """One problem in an input file: where it is, what was found, what is allowed."""

    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}, " if self.line else ""
        return f"{where}{self.key}: {self.message}"


class InputError(RedoxError):
    """All problems of an input file at once."""

    def __init__(self, problems: list[Problem], source: str = "the input") -> None:
        self.problems = problems
        self.source = source
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{count} in {source}\n" + "\n".join(f"  {p}" for p in problems))


class Interrupted(BaseException):
    """A signal or the walltime ends the run; exit code 75 asks the queue to start it again.

    It derives from BaseException so that no handler of other errors catches it. together: all ranks raise it at the same
    place; otherwise one rank raises it and has to end the others.
    """

    def __init__(self, message: str, together: bool = True) -> None:
        super().__init__(message)
        self.together = together
