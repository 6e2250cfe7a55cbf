"""/canonical: free energies, entropies and all that follows from them at fixed temperature and composition."""

from .schema import Bool, Float, Group, attribute, coordinate, error_of, part, results_group, variable

T, TX = ("temperature_K",), ("temperature_K", "x")


@results_group
class CrossChecks(Group):
    """The free energy by each method alone. Energies and mbar are absent where the method cannot be used."""

    free_energy_ratios_eV: Float = variable(
        TX, "eV/fu", "free energy by the transition-matrix estimate of each temperature alone"
    )
    free_energy_ratios_eV_error: Float = error_of("free_energy_ratios_eV")
    free_energy_beta_eV: Float | None = variable(TX, "eV/fu", "free energy by integrating the energy from beta = 0", default=None)
    free_energy_beta_eV_error: Float | None = error_of("free_energy_beta_eV", default=None)
    free_energy_mbar_eV: Float | None = variable(TX, "eV/fu", "free energy by MBAR", default=None)
    free_energy_mbar_eV_error: Float | None = error_of("free_energy_mbar_eV", default=None)
    routes_agree: Bool = variable(TX, "1", "all methods used here agree within 4 standard errors")


@results_group
class TrustCriteria(Group):
    """Each criterion of `trusted` alone; `routes_agree` is one more."""

    samples_suffice: Bool = variable(TX, "1", "criterion of trusted: at least 10 independent parts, and this composition in each")
    steps_sampled: Bool = variable(TX, "1", "criterion of trusted: moves to the neighbouring compositions went both ways")
    replicas_converged: Bool = variable(TX, "1", "criterion of trusted: the nearest replica is trusted")
    walkers_agree: Bool = variable(
        TX, "1", "criterion of trusted: F, U and C from walkers of either end agree within 4 standard errors"
    )
    precise: Bool = variable(TX, "1", "criterion of trusted: the standard error of F of the whole cell is at most 5 kT")
    stable: Bool = variable(TX, "1", "criterion of trusted: F does not rise, and U does not fall, with temperature")


@results_group
class EntropySplit(Group):
    """The joint entropy split by the chain rule, S(ions, electrons) = S(ions) + S(electrons | ions).

    nan at temperatures where it was not sampled.
    """

    entropy_electron_given_ion_kB: Float | None = variable(
        TX, "k_B/fu", "entropy of the electrons with the ions frozen, S(e|ions)", default=None
    )
    entropy_electron_given_ion_kB_error: Float | None = error_of("entropy_electron_given_ion_kB", default=None)
    entropy_ion_kB: Float | None = variable(TX, "k_B/fu", "entropy of the ions, S - S(e|ions)", default=None)
    entropy_ion_kB_error: Float | None = error_of("entropy_ion_kB", default=None)
    entropy_ion_given_electron_kB: Float | None = variable(
        TX, "k_B/fu", "entropy of the ions with the electrons frozen, S(ions|e)", default=None
    )
    entropy_ion_given_electron_kB_error: Float | None = error_of("entropy_ion_given_electron_kB", default=None)
    entropy_electron_kB: Float | None = variable(TX, "k_B/fu", "entropy of the electrons, S - S(ions|e)", default=None)
    entropy_electron_kB_error: Float | None = error_of("entropy_electron_kB", default=None)
    mutual_information_kB: Float | None = variable(
        TX, "k_B/fu", "mutual information of ions and electrons, S - S(e|ions) - S(ions|e)", default=None
    )
    mutual_information_kB_error: Float | None = error_of("mutual_information_kB", default=None)
    entropy_split_trusted: Bool = variable(
        TX, "1", "the free energy is trusted, the conditional runs were equilibrated, and every bound holds"
    )
    entropy_split_x: Float = attribute("compositions at which the conditional entropies were sampled")


@results_group
class VibrationalShare(Group):
    """What of free energy, energy and entropy is the vibrations' share."""

    free_energy_eV: Float = variable(TX, "eV/fu", "free energy F_vib(T, x) of the vibrations, included in free_energy_eV")
    energy_eV: Float = variable(TX, "eV/fu", "energy of the vibrations, F_vib - T dF_vib/dT, included in energy_eV")
    entropy_kB: Float = variable(TX, "k_B/fu", "entropy of the vibrations, -dF_vib/dT, included in entropy_kB")
    residual_eV: Float | None = variable(
        T,
        "eV/fu",
        "standard error of the fit of F_vib over x: the dependence on the arrangement, which is neglected",
        default=None,
    )


@results_group
class Scans(Group):
    """One fast scan in each direction of x at every requested temperature: they show hysteresis in x and are no results."""

    up_mixing_free_energy_eV: Float = variable(
        TX, "eV/fu", "mixing free energy by one fast scan up in x, its closure not removed; nan: not scanned"
    )
    down_mixing_free_energy_eV: Float = variable(
        TX, "eV/fu", "mixing free energy by one fast scan down in x, its closure not removed; nan: not scanned"
    )


@results_group
class Canonical(Group):
    """Thermodynamics over temperature and composition, with errors and a mask of what is trusted."""

    temperature_K: Float = coordinate("K", "temperature")
    x: Float = coordinate("1", "ions per formula unit")
    asked: Bool = variable(T, "1", "temperature given by the user; the others were inserted")
    free_energy_eV: Float = variable(TX, "eV/fu", "free energy F(T, x)")
    free_energy_eV_error: Float = error_of("free_energy_eV")
    mixing_free_energy_eV: Float = variable(TX, "eV/fu", "free energy above the line between the ends")
    mixing_free_energy_eV_error: Float = error_of("mixing_free_energy_eV")
    mixing_free_energy_eV_fit_uncertainty: Float | None = variable(
        TX,
        "eV/fu",
        "standard deviation of the mixing free energy over draws of the effective cluster interactions, to first order",
        default=None,
    )
    energy_eV: Float = variable(TX, "eV/fu", "mean energy U(T, x)")
    energy_eV_error: Float = error_of("energy_eV")
    mixing_energy_eV: Float = variable(
        TX, "eV/fu", "mean energy above the line between the ends: the enthalpy of mixing at zero pressure"
    )
    mixing_energy_eV_error: Float = error_of("mixing_energy_eV")
    entropy_kB: Float = variable(
        TX, "k_B/fu", "joint entropy of ions, electrons and, where they are included, vibrations, (U - F)/T"
    )
    entropy_kB_error: Float = error_of("entropy_kB")
    chemical_potential_eV: Float = variable(TX, "eV", "chemical potential of the ion, dF/dn over one step of the grid")
    chemical_potential_eV_error: Float = error_of("chemical_potential_eV")
    heat_capacity_x_kB: Float = variable(TX, "k_B/fu", "heat capacity at fixed composition")
    heat_capacity_x_kB_error: Float = error_of("heat_capacity_x_kB")
    closure_eV: Float = variable(
        T,
        "eV/fu",
        "closure error of the transition-matrix estimate: F missing at the far end; nan: one end is not known",
    )
    closure_eV_error: Float = error_of("closure_eV")
    free_energy_up_eV: Float = variable(TX, "eV/fu", "free energy from the walkers that started at the lowest x")
    free_energy_down_eV: Float = variable(TX, "eV/fu", "free energy from the walkers that started at the highest x")
    trusted: Bool = variable(TX, "1", "all criteria of trust are met, and all methods agree")
    criteria: TrustCriteria | None = part("trust_", default=None)
    checks: CrossChecks | None = part("", default=None)
    split: EntropySplit | None = part("", default=None)
    vibrational: VibrationalShare | None = part("vibrational_", default=None)
    scan: Scans | None = part("scan_", default=None)
    entropy_definition: str = attribute("what the entropies are of, and how they are split")
    vibrations: str | None = attribute("where the vibrations come from; absent: they are not included", default=None)
