"""The tables of the report, from the fit to the phase diagram."""

from typing import Any

from ..runtime.results import Results
from .diagram_tables import diagram_tables
from .energy_tables import correction_tables, fit_tables, ground_state_tables, learning_tables
from .page import Table
from .phase_tables import phase_tables, plateau_tables


def result_tables(results: Results, fit: dict[str, Any] | None) -> list[Table]:
    """Those for which there are data."""
    return [
        *diagram_tables(results),
        *phase_tables(results.phases),
        *plateau_tables(results.voltage),
        *ground_state_tables(results.ground_states),
        *fit_tables(fit),
        *learning_tables(fit),
        *correction_tables(results.corrected),
    ]
