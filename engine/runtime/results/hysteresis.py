"""/hysteresis: energies on cooling and on heating."""

from .schema import Bool, Float, Group, coordinate, error_of, results_group, variable

TX = ("temperature_K", "x")


@results_group
class Hysteresis(Group):
    """Mean energies of short chains cooled and heated at fixed composition."""

    temperature_K: Float = coordinate("K", "temperature")
    x: Float = coordinate("1", "ions per formula unit")
    energy_cooling_eV: Float = variable(TX, "eV/fu", "mean energy of one short chain on cooling")
    energy_cooling_eV_error: Float = error_of("energy_cooling_eV")
    energy_heating_eV: Float = variable(TX, "eV/fu", "mean energy of one short chain on heating")
    energy_heating_eV_error: Float = error_of("energy_heating_eV")
    hysteresis: Bool = variable(TX, "1", "cooling and heating differ by more than their errors")
