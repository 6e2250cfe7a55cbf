"""Typed-in terms of the energy."""

import numpy as np

from ..hamiltonian.electrostatics import MOST_SITES
from ..hamiltonian.terms import Hamiltonian, pair_clusters, pairs_within, point_clusters
from ..inputfile import InputFile, Location
from ..lattice import Lattice, Supercell
from .checker import Checker


def typed_terms(source: InputFile, lattice: Lattice, check: Checker) -> Hamiltonian:
    energy = source.config.energy
    if energy is None:
        return Hamiltonian(lattice, (), 0.0, "")
    names = {sp.name for s in lattice.sublattices for sp in s.species}
    clusters = []
    for k, point in enumerate(energy.points):
        if point.species not in names:
            check.wrong(("energy", "points", k, "species"), f"found {point.species}; allowed: {', '.join(sorted(names))}")
        clusters += point_clusters(lattice, point.species, point.energy_eV)
    for k, pair in enumerate(energy.pairs):
        at: Location = ("energy", "pairs", k)
        if unknown := [s for s in pair.species if s not in names]:
            check.wrong((*at, "species"), f"found {', '.join(unknown)}; allowed: {', '.join(sorted(names))}")
        elif pair.r_A[1] > 50:
            check.wrong((*at, "r_A"), f"found {pair.r_A[1]} A; allowed: up to 50")
        elif not pairs_within(lattice, pair.species, pair.r_A):
            check.wrong(
                (*at, "r_A"),
                f"no two sites for {pair.species[0]} and {pair.species[1]} are {pair.r_A[0]} to {pair.r_A[1]} A apart",
            )
        else:
            clusters += pair_clusters(lattice, pair.species, pair.r_A, pair.energy_eV)
    if energy.electrostatics is not None:
        check_electrostatics(("energy", "electrostatics", "charges"), energy.electrostatics.charges, source, lattice, check)
    parts = [f"{len(energy.points)} typed-in point terms"] * bool(energy.points)
    parts += [f"{len(energy.pairs)} typed-in pair terms"] * bool(energy.pairs)
    return Hamiltonian(lattice, tuple(clusters), 0.0, ", ".join(parts))


def check_electrostatics(at: Location, charges: dict[str, float], source: InputFile, lattice: Lattice, check: Checker) -> None:
    supercell = Supercell(lattice, np.array(source.config.lattice.matrix))
    names = sorted({sp.name for s in lattice.sublattices for sp in s.species})
    if unknown := [name for name in charges if name not in names]:
        check.wrong(at, f"found {', '.join(unknown)}; allowed: {', '.join(names)}")
    elif supercell.n_sites > MOST_SITES:
        check.wrong(at, f"every pair of sites interacts; found {supercell.n_sites} sites, allowed: up to {MOST_SITES}")
