"""/experiment: measured points of the phase diagram."""

from .schema import Float, Group, Text, attribute, error_of, results_group, variable

POINT = ("point",)


@results_group
class ExperimentalPoints(Group):
    """The points of the user's file, in its order; nothing is fitted to them."""

    x: Float = variable(POINT, "1", "measured: ions per formula unit")
    x_error: Float = error_of("x")
    temperature_K: Float = variable(POINT, "K", "measured: temperature")
    temperature_K_error: Float = error_of("temperature_K")
    label: Text = variable(POINT, "1", "name in the legend")
    kind: Text = variable(POINT, "1", "boundary, single-phase or two-phase")
    source: Text = variable(POINT, "1", "where it is from")
    sha256: str = attribute("digest of the file")
