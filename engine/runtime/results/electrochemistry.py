"""/voltage and /differential_capacity."""

from .schema import Bool, Float, Group, attribute, coordinate, error_of, part, results_group, variable

TX, TV = ("temperature_K", "x"), ("temperature_K", "voltage_V")


PLATEAU = ("plateau",)


@results_group
class Plateaus(Group):
    """Two-phase regions of /phase_diagram at the sampled temperatures."""

    temperature_K: Float = variable(PLATEAU, "K", "temperature of the plateau")
    x: Float = variable((*PLATEAU, "side"), "1", "compositions between which the voltage is constant, those of both phases")
    voltage_V: Float = variable(PLATEAU, "V", "voltage at which both phases coexist")
    voltage_V_error: Float = error_of("voltage_V")


@results_group
class Voltage(Group):
    """Equilibrium voltage, with a plateau in every two-phase region of /phase_diagram."""

    temperature_K: Float = coordinate("K", "temperature")
    x: Float = coordinate("1", "ions per formula unit")
    capacity_mAh_per_g: Float = variable(("x",), "mAh/g", "charge from x = 0 on, per gram of capacity_per_gram_of")
    voltage_V: Float = variable(
        TX, "V", "equilibrium voltage against the metal of the ion, -(mu - E_ref)/ze, at the mean composition x; nan: not trusted"
    )
    voltage_V_error: Float = error_of("voltage_V")
    entropy_coefficient_V_per_K: Float | None = variable(
        TX, "V/K", "dV/dT between neighbouring temperatures, without the entropy of the metal", default=None
    )
    entropy_coefficient_V_per_K_error: Float | None = error_of("entropy_coefficient_V_per_K", default=None)
    plateau: Plateaus | None = part("plateau_", default=None)
    reference_energy_eV: float = attribute("energy of an atom of the metal")
    reference: str = attribute("what the reference energy is of")
    capacity_per_gram_of: str | None = attribute("the neutral compound that is richest in the ion", default=None)


@results_group
class DifferentialCapacity(Group):
    """How much charge is stored at which voltage."""

    temperature_K: Float = coordinate("K", "temperature")
    voltage_V: Float = coordinate("V", "equilibrium voltage")
    differential_capacity_mAh_per_g_per_V: Float = variable(
        TV,
        "mAh/(g V)",
        "-dQ/dV, Q the charge from x = 0 on per gram of the neutral compound richest in the ion, "
        "broadened by a Gaussian of broadening_V",
    )
    differential_capacity_mAh_per_g_per_V_error: Float = error_of("differential_capacity_mAh_per_g_per_V")
    trusted: Bool = variable(TV, "1", "the charge stored near this voltage is stored at trusted compositions; nan elsewhere")
    broadening_V: float = attribute("standard deviation of the broadening")
