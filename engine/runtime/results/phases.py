"""/phases: the grand potential of each phase over temperature and chemical potential, and first-order lines between phases."""

from .schema import Bool, Float, Group, Int, Text, attribute, coordinate, error_of, part, results_group, variable

TMU = ("phase", "temperature_K", "chemical_potential_eV")
LINE = ("line",)


@results_group
class Lines(Group):
    """Points of first-order lines: two phases of different order have the same grand potential."""

    low_phase: Int = variable(LINE, "1", "number of the phase of lower x")
    high_phase: Int = variable(LINE, "1", "number of the phase of higher x")
    temperature_K: Float = variable(LINE, "K", "temperature")
    temperature_K_error: Float = error_of("temperature_K")
    temperature_K_size_shift: Float = variable(LINE, "K", "temperature in the smaller cell, less this one; nan: it is not there")
    chemical_potential_eV: Float = variable(LINE, "eV", "chemical potential of the ion")
    chemical_potential_eV_error: Float = error_of("chemical_potential_eV")
    x: Float = variable((*LINE, "side"), "1", "composition of both phases, that of lower x first")
    x_error: Float = error_of("x")
    x_size_shift: Float = variable((*LINE, "side"), "1", "x in the smaller cell, less x here; nan: the line is not there")


@results_group
class Phases(Group):
    """Phases of this cell as objects, each where its chains stay in it."""

    temperature_K: Float = coordinate("K", "temperature")
    chemical_potential_eV: Float = coordinate("eV", "chemical potential of the ion")
    name: Text = variable(("phase",), "1", "name of the phase; the first one is disordered")
    limit_K: Float = variable(
        ("phase",),
        "K",
        "temperature up to which chains stay in the phase at some chemical potential; of the disordered phase, down to which "
        "they stay in it at all of them; nan: at none",
    )
    closure_kT: Float = variable(
        ("phase",), "kT", "grand potential of the cell from one anchor to another, less the difference of both; nan: one anchor"
    )
    closure_kT_error: Float = error_of("closure_kT")
    grand_potential_eV: Float = variable(
        TMU, "eV/fu", "grand potential; nan: the phase does not exist there, or is not tied to an anchor"
    )
    grand_potential_eV_error: Float = error_of("grand_potential_eV")
    x: Float = variable(TMU, "1", "ions per formula unit; nan: the phase does not exist there")
    x_error: Float = error_of("x")
    energy_eV: Float = variable(TMU, "eV/fu", "mean energy; nan: the phase does not exist there")
    energy_eV_error: Float = error_of("energy_eV")
    free_energy_eV: Float = variable(TMU, "eV/fu", "F(T, x) of the phase at its composition x; nan: the phase is not known there")
    free_energy_eV_error: Float = error_of("free_energy_eV")
    energy_above_hull_eV: Float = variable(TMU, "eV/fu", "F(T, x) above the lower convex hull of all phases at this temperature")
    energy_above_hull_eV_error: Float = error_of("energy_above_hull_eV")
    order_parameter: Float = variable(TMU, "1", "likeness to the pattern of the phase, 1 at T = 0; 0 of the disordered phase")
    stable: Bool = variable(TMU, "1", "no other phase has a lower grand potential")
    line: Lines = part("line_")
    method: str = attribute("how the grand potentials are found")
