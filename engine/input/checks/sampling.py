"""What is sampled, searched and corrected fits the lattice."""

import numpy as np
from ase.data import atomic_numbers

from ...crystal.lattice import VACANCY, Lattice, Supercell
from ...crystal.neutral_states import count_neutral_states
from ...crystal.neutrality import Exchange, exchangeable_ions, swaps
from ..reader import InputFile
from .checker import Checker

MOST_ENUMERATED = 20_000  # neutral states of a small cell, whose classes are all relaxed
MOST_STATES = 10_000_000  # of a supercell, to be listed one by one: half a minute


def check_sampling(source: InputFile, lattice: Lattice, exchanges: list[Exchange], check: Checker) -> tuple[str, ...]:
    given = source.config.sampling
    if given is None:
        return ()
    if not exchanges and not swaps(lattice):
        check.wrong(("lattice", "sublattices"), "nothing can move: every sublattice holds one species only")
    _, log_states = count_neutral_states(Supercell(lattice, source.config.lattice.matrix))
    if log_states.max() < np.log(1.5):
        check.wrong(
            ("lattice", "sublattices"), "these charges leave one neutral arrangement, and nothing to sample; mend a charge"
        )
    keys = list(given.chemical_potential_eV)
    automatic = exchangeable_ions(lattice, exchanges)
    names = [sp.name for s in lattice.sublattices for sp in s.species]
    for key in keys:
        if key not in names:
            check.wrong(("sampling", "chemical_potential_eV", key), f"no such species; allowed: {', '.join(automatic) or 'none'}")
    ions = tuple(keys) if keys and set(keys) <= set(names) else tuple(automatic)
    if len(ions) != len(automatic):
        check.wrong(
            ("sampling", "chemical_potential_eV"),
            f"found {', '.join(ions)}; allowed: one key for each exchangeable ion ({', '.join(automatic) or 'there is none'})",
        )
    if not automatic and given.ensemble in ("semigrand", "vcsgc"):
        check.wrong(
            ("sampling", "ensemble"), f"found {given.ensemble}; no exchange changes the ions here: allowed are canonical and auto"
        )
    if len(automatic) > 1:
        if given.ensemble not in ("auto", "semigrand"):
            check.wrong(
                ("sampling", "ensemble"), f"found {given.ensemble}; with several ions ({', '.join(automatic)}) allowed: semigrand"
            )
        for key in automatic:
            if key not in given.chemical_potential_eV or given.chemical_potential_eV[key].automatic:
                check.wrong(
                    ("sampling", "chemical_potential_eV"), f"with several ions each needs its grid {{min, max, points}}: {key}"
                )
    elements = {lattice.species_named(ion).element for ion in automatic}
    for element in source.config.analysis.reference_energy_eV:
        if element not in elements:
            check.wrong(
                ("analysis", "reference_energy_eV", element),
                f"not an exchangeable ion's element; allowed: {', '.join(sorted(elements)) or 'none'}",
            )
    return ions


def check_ground_states(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: Checker) -> None:
    given = source.config.ground_states
    if given is None:
        return
    if len(ions) != 1:
        check.wrong(("ground_states",), f"found {len(ions)} exchangeable ions; allowed: one, along which the hull runs")
    for element in sorted({sp.element for s in lattice.sublattices for sp in s.species} - {VACANCY} - set(atomic_numbers)):
        check.wrong(("ground_states",), f"{element} is no chemical element; ground states are written as structures")
    _, log_states = count_neutral_states(Supercell(lattice, np.diag([given.enumerate_up_to, 1, 1])))
    if log_states.max(initial=0.0) > np.log(MOST_STATES):
        check.wrong(
            ("ground_states", "enumerate_up_to"),
            f"{given.enumerate_up_to} cells have 1e{log_states[0] / np.log(10):.0f} neutral states; allowed: up to {MOST_STATES:.0e}",
        )


def check_correction(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: Checker) -> None:
    given = source.config.correction
    if given is None:
        return
    if len(ions) != 1:
        check.wrong(("correction",), f"found {len(ions)} exchangeable ions; allowed: one, along which the walkers go")
    if source.config.energy is not None and source.config.energy.electrons == "ground_state":
        check.wrong(
            ("correction",), "electrons: ground_state has an expansion of the ions alone; the potential needs the electrons too"
        )
    try:
        _, log_states = count_neutral_states(Supercell(lattice, given.matrix))
    except ValueError:
        return  # a supercell of no volume is reported elsewhere
    if "enumerated" in given.methods and log_states.max(initial=0.0) > np.log(MOST_ENUMERATED):
        check.wrong(
            ("correction", "methods"),
            f"found enumerated, and 1e{log_states[0] / np.log(10):.0f} neutral states; allowed: up to {MOST_ENUMERATED}",
        )


def check_learning(source: InputFile, ions: tuple[str, ...], check: Checker) -> None:
    energy, at = source.config.energy, ("label", "learning")
    if source.config.label.learning is None or energy is None:
        return
    if not energy.needs_labels:
        check.wrong(
            at, "found a data set or a model under energy.cluster_expansion; allowed: neither, as learning makes the data"
        )
    if len(ions) != 1:
        check.wrong(at, f"found {len(ions)} exchangeable ions; allowed: one, over whose composition phase diagrams are compared")
    if energy.electrons == "ground_state":
        check.wrong(at, "electrons: ground_state has an expansion of the ions alone; what is labelled has electrons too")
