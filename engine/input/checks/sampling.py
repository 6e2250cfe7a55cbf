"""Checks of sampling, ground states, correction and learning against the lattice."""

import numpy as np
from ase.data import atomic_numbers

from ...crystal.lattice import VACANCY, Lattice, Supercell
from ...crystal.neutral_states import count_neutral_states
from ...crystal.neutrality import Exchange, exchangeable_ions, swaps
from ...crystal.subsystems import MOST_LISTED, can_be_listed, has_electrons, separable
from ...crystal.symmetry import primitive_size
from ...errors import did_you_mean
from ..reader import InputFile
from .checker import Checker

MOST_ENUMERATED = 20_000  # neutral states of a small cell, whose symmetry-distinct ones are all relaxed
MOST_STATES = 10_000_000  # neutral states of a supercell; listing them takes half a minute


def check_sampling(source: InputFile, lattice: Lattice, exchanges: list[Exchange], check: Checker) -> tuple[str, ...]:
    """Names of the exchangeable ions; problems of the section sampling are noted."""
    given = source.config.sampling
    if given is None:
        return ()
    if not exchanges and not swaps(lattice):
        check.wrong(
            ("lattice", "sublattices"),
            "found one species on every sublattice, so nothing can move; allowed: several species on one sublattice",
        )
    _, log_states = count_neutral_states(Supercell(lattice, source.config.lattice.matrix))
    if log_states.max() < np.log(1.5):
        check.wrong(
            ("lattice", "sublattices"), "found charges with a single neutral arrangement, and nothing to sample; correct a charge"
        )
    keys = list(given.chemical_potential_eV)
    automatic = exchangeable_ions(lattice, exchanges)
    names = [sp.name for sp in lattice.species]
    for key in keys:
        if key not in names:
            check.wrong(
                ("sampling", "chemical_potential_eV", key),
                f"found an unknown species; allowed: {', '.join(automatic) or 'none'}{did_you_mean(key, automatic)}",
            )
    ions = tuple(keys) if keys and set(keys) <= set(names) else tuple(automatic)
    if len(ions) != len(automatic):
        check.wrong(
            ("sampling", "chemical_potential_eV"),
            f"found {', '.join(ions)}; allowed: one key for each exchangeable ion ({', '.join(automatic) or 'there is none'})",
        )
    if not automatic and given.ensemble in ("semigrand", "vcsgc"):
        check.wrong(
            ("sampling", "ensemble"),
            f"found {given.ensemble}, but no exchange changes the number of ions; allowed: canonical, auto",
        )
    if len(automatic) > 1:
        if given.ensemble not in ("auto", "semigrand"):
            check.wrong(
                ("sampling", "ensemble"), f"found {given.ensemble}; allowed with several ions ({', '.join(automatic)}): semigrand"
            )
        for key in automatic:
            if key not in given.chemical_potential_eV or given.chemical_potential_eV[key].automatic:
                check.wrong(
                    ("sampling", "chemical_potential_eV"),
                    f"found no grid for {key}; allowed with several ions: {{min, max, points}} for each",
                )
    elements = {lattice.species_named(ion).element for ion in automatic}
    for element in source.config.analysis.reference_energy_eV:
        if element not in elements:
            check.wrong(
                ("analysis", "reference_energy_eV", element),
                f"found {element}; allowed: {', '.join(sorted(elements)) or 'none'} (elements of exchangeable ions)",
            )
    return ions


def check_electrons(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: Checker) -> None:
    """Electrons in their ground state have sublattices of their own beside those of ions, and cells that can be listed."""
    energy, at = source.config.energy, ("energy", "electrons")
    if energy is None or energy.electrons != "ground_state" or source.config.sampling is None:
        return
    if not (has_electrons(lattice) and separable(lattice) and ions):
        check.wrong(
            at,
            "found ground_state; allowed with sublattices of ions and sublattices of electrons, apart, and an exchangeable ion: "
            "electrons: equilibrium samples all lattices",
        )
    elif not can_be_listed(lattice, 1) and not can_be_listed(lattice, Supercell(lattice, source.config.lattice.matrix).n_cells):
        primitive = primitive_size(lattice.atoms)
        fewer = f"The primitive cell has {primitive} atoms instead of {len(lattice.atoms)}. "
        check.wrong(
            at,
            f"found a cell of {lattice.n_sites} sites in lattice.structure, whose states are too many to list; allowed: up to "
            f"{MOST_LISTED} arrangements of the ions and as many of the electrons. "
            + (fewer if primitive < len(lattice.atoms) else "")
            + "Give a smaller cell and larger multiples in lattice.supercell, or use electrons: equilibrium",
        )


def check_ground_states(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: Checker) -> None:
    """The search for ground states has one exchangeable ion, real elements and few enough states."""
    given = source.config.ground_states
    if given is None:
        return
    if len(ions) != 1:
        check.wrong(
            ("ground_states",), f"found {len(ions)} exchangeable ions; allowed: one, whose composition is the axis of the hull"
        )
    for element in sorted({sp.element for sp in lattice.species} - {VACANCY} - set(atomic_numbers)):
        check.wrong(
            ("ground_states",), f"found {element}, which is not a chemical element; ground states are written as structures"
        )
    _, log_states = count_neutral_states(Supercell(lattice, np.diag([given.enumerate_up_to, 1, 1])))
    if log_states.max(initial=0.0) > np.log(MOST_STATES):
        check.wrong(
            ("ground_states", "enumerate_up_to"),
            f"found {given.enumerate_up_to} cells with 1e{log_states[0] / np.log(10):.0f} neutral states; "
            f"allowed: up to {MOST_STATES:.0e}",
        )


def check_correction(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: Checker) -> None:
    """The correction has one exchangeable ion, charges, and few enough states to enumerate if asked to."""
    given = source.config.correction
    if given is None:
        return
    if len(ions) != 1:
        check.wrong(("correction",), f"found {len(ions)} exchangeable ions; allowed: one, whose number the walkers change")
    if source.config.energy is not None and source.config.energy.electrons == "ground_state":
        check.wrong(
            ("correction",),
            "found electrons: ground_state, which samples ions only; allowed: equilibrium, since the potential needs charges",
        )
    try:
        _, log_states = count_neutral_states(Supercell(lattice, given.matrix))
    except ValueError:
        return  # a supercell without volume is reported with the lattice
    if "enumerated" in given.methods and log_states.max(initial=0.0) > np.log(MOST_ENUMERATED):
        check.wrong(
            ("correction", "methods"),
            f"found enumerated with 1e{log_states[0] / np.log(10):.0f} neutral states; allowed: up to {MOST_ENUMERATED}",
        )


def check_learning(source: InputFile, ions: tuple[str, ...], check: Checker) -> None:
    """Active learning makes its own data set, with charges and one exchangeable ion."""
    energy, at = source.config.energy, ("label", "learning")
    if source.config.label.learning is None or energy is None:
        return
    if not energy.needs_labels:
        check.wrong(at, "found dataset or model in energy.cluster_expansion; allowed: neither, since learning makes the data set")
    if len(ions) != 1:
        check.wrong(at, f"found {len(ions)} exchangeable ions; allowed: one, whose composition is the axis of the phase diagrams")
    if energy.electrons == "ground_state":
        check.wrong(
            at,
            "found electrons: ground_state, which samples ions only; allowed: equilibrium, since labels have charges",
        )
