"""/semigrand, /vcsgc, /fixed_composition and /exchange: what each replica saw, and how replicas exchanged."""

from typing import ClassVar

from .schema import (
    Bool,
    Float,
    FloatByIon,
    Group,
    Int,
    Text,
    attribute,
    by_ion,
    coordinate,
    error_of,
    part,
    results_group,
    variable,
)

OWN = ("temperature_K", "{replica_axis}")
MU = ("temperature_K", "chemical_potential_eV")


@results_group
class Replicas(Group):
    """Observables of the replicas of one ensemble. With several ions x is in x_by_ion and None itself."""

    temperature_K: Float = coordinate("K", "temperature")
    energy_eV: Float = variable(OWN, "eV/fu", "mean energy")
    energy_eV_error: Float = error_of("energy_eV")
    x: Float | None = variable(OWN, "1", "ions per formula unit", default=None)
    x_error: Float | None = error_of("x", default=None)
    x_by_ion: FloatByIon | None = by_ion("x", "x_{ion}", default=None)
    x_by_ion_error: FloatByIon | None = error_of("x_by_ion", default=None)
    move: Text = coordinate("1", "kind of move, both directions together")
    acceptance: Float = variable((*OWN, "move"), "1", "accepted over attempted moves; nan: none attempted")
    autocorrelation_sweeps: Float = variable(OWN, "sweeps", "integrated autocorrelation time, the longer of energy and x")
    equilibrated_after_sweeps: Int = variable(OWN, "sweeps", "sweeps discarded as equilibration")
    ess: Float = variable(OWN, "1", "effective sample size over all walkers")
    r_hat: Float = variable(OWN, "1", "rank-normalised split R-hat, the larger of energy and x")
    trusted: Bool = variable(OWN, "1", "long enough: effective sample size, R-hat and equilibration are within their limits")


@results_group
class GrandPotential(Group):
    """From the free energies F(T, n), summed over n at each chemical potential."""

    grand_potential_eV: Float = variable(MU, "eV/fu", "grand potential, -kT/N ln of the sum over n")
    grand_potential_eV_error: Float = error_of("grand_potential_eV")
    x_from_free_energy: Float = variable(MU, "1", "x from the free energies F(T, n)")
    x_from_free_energy_error: Float = error_of("x_from_free_energy")
    grand_potential_trusted: Bool = variable(MU, "1", "F is trusted at the compositions that hold 99 % of the sum over n")
    x_from_free_energy_trusted: Bool = variable(
        MU, "1", "likewise, and F between these compositions is known to 1 kT of the whole cell"
    )
    vibrations: str | None = attribute("which of the quantities include vibrations", default=None)


@results_group
class Semigrand(Replicas):
    """Semigrand-canonical replicas over temperature and chemical potential: one axis for each exchangeable ion."""

    replica_axis: ClassVar[str] = "chemical_potential_eV"

    chemical_potential_eV: Float | None = coordinate(
        "eV", "chemical potential of the ion, on the zero of the energies", default=None
    )
    chemical_potential_by_ion_eV: FloatByIon | None = by_ion("chemical_potential_eV", "chemical_potential_{ion}_eV", default=None)
    heat_capacity_mu_kB: Float = variable(OWN, "k_B/fu", "heat capacity at fixed chemical potential")
    heat_capacity_mu_kB_error: Float = error_of("heat_capacity_mu_kB")
    grand: GrandPotential | None = part("", default=None)


@results_group
class Vcsgc(Replicas):
    """Replicas of the variance-constrained semigrand-canonical ensemble over temperature and the centre of their window in x."""

    replica_axis: ClassVar[str] = "target_x"

    target_x: Float = coordinate("1", "centre of the window: ions per formula unit")
    kappa: float = attribute("stiffness of the constraint on x")
    bias: str = attribute("the weight that is sampled")


@results_group
class FixedComposition(Replicas):
    """Canonical replicas over temperature and composition."""

    replica_axis: ClassVar[str] = "target_x"

    target_x: Float = coordinate("1", "composition: ions per formula unit")
    heat_capacity_x_kB: Float = variable(OWN, "k_B/fu", "heat capacity at fixed composition")
    heat_capacity_x_kB_error: Float = error_of("heat_capacity_x_kB")


@results_group
class Exchange(Group):
    """Exchanges between pairs of replicas, and the ladder of temperatures."""

    pair: Int = coordinate("1", "number of the pair of replicas")
    replicas: Int = variable(("pair", "side"), "1", "the two replicas")
    axis: Text = variable(("pair",), "1", "what differs between the two: temperature or composition")
    pair_temperature_K: Float = variable(("pair", "side"), "K", "temperatures of the two replicas; nan: not known")
    name: Text = variable(("pair",), "1", "description of the pair")
    acceptance: Float = variable(("pair",), "1", "accepted over attempted exchanges")
    temperature_ladder_K: Float = variable(("rung",), "K", "temperatures of all rungs; inf: beta = 0")
    rung_asked: Bool = variable(("rung",), "1", "temperature given by the user; the others were inserted")
