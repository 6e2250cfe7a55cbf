"""/transitions: temperatures at which an order of the ions or of the electrons ends, at given chemical potentials."""

from .schema import Float, Group, Text, attribute, error_of, results_group, variable

EACH = ("transition",)


@results_group
class Transitions(Group):
    """Order–disorder transitions, by crossings of fourth-order cumulants of the order parameter in two sizes of the cell."""

    kind: Text = variable(
        EACH,
        "1",
        "continuous, or first order: the cumulant has a negative dip that deepens with the size; tricritical interval: between "
        "neighbours of both kinds, with half its length in the errors",
    )
    species: Text = variable(EACH, "1", "the species that are ordered below the transition")
    q: Float = variable((*EACH, "axis"), "1", "wave vector of the order, in reciprocal vectors of the cell of the structure file")
    temperature_K: Float = variable(EACH, "K", "temperature of the transition")
    temperature_K_error: Float = error_of("temperature_K")
    x: Float = variable(EACH, "1", "ions per formula unit at the transition, extrapolated from both cells")
    x_error: Float = error_of("x")
    x_size_shift: Float | None = variable(EACH, "1", "what the extrapolation added to x of the larger cell", default=None)
    chemical_potential_eV: Float = variable(EACH, "eV", "chemical potential of the ion")
    method: str = attribute("how the transitions are found")
