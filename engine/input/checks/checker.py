"""Collection of the problems of an input, so that all are reported at once."""

from ...errors import InputError, Problem
from ..reader import InputFile, Location


class Checker:
    """Collects problems; `stop_if_wrong` reports them."""

    def __init__(self, source: InputFile) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def wrong(self, location: Location, message: str) -> None:
        """Note a problem of the key at `location`."""
        self.problems.append(self.source.problem(location, message))

    def stop_if_wrong(self) -> None:
        """Raises InputError with all problems so far."""
        if self.problems:
            raise InputError(self.problems, self.source.path.name)
