"""/transitions_compared: transitions of this run and of the run beside it."""

from .schema import Float, Group, Text, attribute, error_of, results_group, variable

EACH = ("transition",)


@results_group
class TransitionsCompared(Group):
    """Transitions of this run (here) and of the run that `analysis: beside` names (there), matched by kind, order and x."""

    kind: Text = variable(
        EACH, "1", "kind of the invariant point, order–disorder, tricritical interval, or end of a phase on heating"
    )
    of: Text = variable(EACH, "1", "the order or the phase that ends; empty: an invariant point")
    x: Float = variable(EACH, "1", "ions per formula unit here; of what is only there, there")
    temperature_K: Float = variable(
        EACH, "K", "temperature here; one of two order–disorder lines is interpolated to x; nan: only there"
    )
    temperature_K_error: Float = error_of("temperature_K")
    temperature_there_K: Float = variable(EACH, "K", "temperature there; nan: only here")
    temperature_there_K_error: Float = error_of("temperature_there_K")
    difference_K: Float = variable(EACH, "K", "temperature there less temperature here; nan: only in one of the runs")
    difference_K_error: Float = error_of("difference_K")
    title: str = attribute("title of the other run")
    tolerance_x: float = attribute("largest distance in x of what is matched, beside three standard errors")
