"""Errors that a user can correct; the command line prints them without a traceback."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """What was probably meant, as a part of a message; "" if nothing is close."""
    names = {name.lower(): name for name in allowed}
    same = [name for name in names if sorted(name) == sorted(found.lower())]  # Fe+2 is Fe2+
    close = same or get_close_matches(found.lower(), names, n=1, cutoff=0.6)
    return f" (did you mean {names[close[0]]}?)" if close else ""


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
