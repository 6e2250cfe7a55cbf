"""Problems of an input, collected so that all are told at once."""

from ...errors import InputError, Problem
from ..reader import InputFile, Location


class Checker:
    def __init__(self, source: InputFile) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def wrong(self, location: Location, message: str) -> None:
        self.problems.append(self.source.problem(location, message))

    def stop_if_wrong(self) -> None:
        if self.problems:
            raise InputError(self.problems, self.source.path.name)
