"""Statistical tests of two lengths: short by default, ten times as long, with error bars that are narrower by the root of
ten, in `validate`.
"""

import pytest

SHORT, FULL = 1, 10
LENGTHS = pytest.mark.parametrize(
    "length", [pytest.param(SHORT, id="short"), pytest.param(FULL, id="full", marks=pytest.mark.validate)]
)


def bar(largest_error: float, length: int) -> float:
    """The widest error bar that a test of this length may have, given that of the full one."""
    return largest_error * (FULL / length) ** 0.5
