"""/corrected: free energies of the potential itself in a small cell."""

from .schema import Bool, Float, Group, Int, attribute, coordinate, error_of, part, results_group, variable

T, TX = ("temperature_K",), ("temperature_K", "x")


@results_group
class Chain(Group):
    """By a Markov chain of the potential's own energies."""

    free_energy_eV: Float = variable(TX, "eV/fu", "free energy F(T, x) of the potential, by {words}")
    free_energy_eV_error: Float = error_of("free_energy_eV")
    energy_eV: Float = variable(TX, "eV/fu", "mean energy of the potential, by {words}")
    energy_eV_error: Float = error_of("energy_eV")
    entropy_kB: Float = variable(TX, "k_B/fu", "joint entropy of ions and electrons, by {words}")
    entropy_kB_error: Float = error_of("entropy_kB")
    closure_eV: Float = variable(T, "eV/fu", "closure error: F missing at the far end, before it was distributed evenly")
    acceptance: Float = variable(T, "1", "accepted over new proposals")
    stretch: Float = variable(T, "1", "moves in a proposal (median)")
    potential_calls: Int = variable(T, "1", "states whose energy was needed, cached ones included")
    ess: Float = variable(T, "1", "effective sample size, the smaller of energy and x")
    r_hat: Float = variable(T, "1", "rank-normalised split R-hat")
    trusted: Bool = variable(T, "1", "effective sample size, R-hat and closure are within their limits")


@results_group
class Reweighted(Group):
    """By reweighting samples of the expansion."""

    expansion_free_energy_eV: Float = variable(TX, "eV/fu", "free energy of the expansion in the same cell")
    expansion_free_energy_eV_error: Float = error_of("expansion_free_energy_eV")
    reweighted_exponential_free_energy_eV: Float = variable(
        TX, "eV/fu", "free energy of the potential, by reweighting samples of the expansion: exponential average"
    )
    reweighted_exponential_free_energy_eV_error: Float = error_of("reweighted_exponential_free_energy_eV")
    reweighted_cumulant_free_energy_eV: Float = variable(
        TX, "eV/fu", "free energy of the potential, by reweighting samples of the expansion: second cumulant"
    )
    reweighted_cumulant_free_energy_eV_error: Float = error_of("reweighted_cumulant_free_energy_eV")
    reweighting_ess: Float = variable(TX, "1", "effective samples of the exponential average")
    bar_free_energy_eV: Float | None = variable(
        TX,
        "eV/fu",
        "free energy of the potential, by Bennett's acceptance ratio between samples of expansion and potential",
        default=None,
    )
    bar_free_energy_eV_error: Float | None = error_of("bar_free_energy_eV", default=None)


@results_group
class Enumerated(Group):
    """From the energies of all states."""

    enumerated_free_energy_eV: Float = variable(TX, "eV/fu", "free energy of the potential, from the energies of all states")
    enumerated_energy_eV: Float = variable(TX, "eV/fu", "mean energy of the potential, from the energies of all states")
    states: int = attribute("number of states enumerated")
    states_without_energy: int = attribute("states whose relaxation lost the charge order; they do not count")


@results_group
class Corrected(Group):
    """Free energies of the potential in a small cell, by every method that was requested."""

    temperature_K: Float = coordinate("K", "temperature")
    x: Float = coordinate("1", "ions per formula unit")
    chain: Chain | None = part("", "corrected sampling", default=None)
    direct: Chain | None = part("direct_", "direct sampling, move by move", default=None)
    reweighted: Reweighted | None = part("", default=None)
    enumerated: Enumerated | None = part("", default=None)
    n_formula_units: int = attribute("formula units in the cell")
    supercell: str = attribute("vectors of the cell, in cells of the structure file")
    energies: str = attribute("relaxed or static energies of the potential")
