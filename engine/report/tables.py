"""The tables of the report, from the fit to the phase diagram."""

from typing import Any

from ..runtime.results import Results
from .diagram_tables import diagram_tables
from .energy_tables import correction_tables, fit_tables, ground_state_tables, learning_tables
from .page import Table


def result_tables(results: Results, fit: dict[str, Any] | None) -> list[Table]:
    """What there is data for."""
    groups = results.groups
    return [
        *diagram_tables(groups),
        *ground_state_tables(groups),
        *fit_tables(fit),
        *learning_tables(fit),
        *correction_tables(groups),
    ]
