"""User-specified terms of the Hamiltonian."""

import numpy as np

from ...crystal.lattice import Lattice, Supercell
from ...crystal.shells import on_a_shell
from ...errors import did_you_mean
from ...hamiltonian.electrostatics import MOST_SITES
from ...hamiltonian.terms import Hamiltonian, nearest_A, pair_clusters, pairs_within, point_clusters, sublattices_of
from ...input.checks.checker import Checker
from ...input.reader import InputFile, Location
from ...input.schema import PairInput

LONGEST_PAIR_A = 50.0
MOST_CLUSTERS = 200_000  # per cell
MOST_EV = 4e9


def user_terms(source: InputFile, lattice: Lattice, check: Checker) -> Hamiltonian:
    energy = source.config.energy
    if energy is None:
        return Hamiltonian(lattice, (), 0.0, "")
    names = {sp.name for sp in lattice.species}
    clusters = []
    for k, point in enumerate(energy.points):
        if point.species in [p.species for p in energy.points[:k]]:
            check.wrong(("energy", "points", k, "species"), f"{point.species} is given twice; allowed: once, with the sum")
        if point.species not in names:
            check.wrong(("energy", "points", k, "species"), _unknown([point.species], names))
        clusters += point_clusters(lattice, point.species, point.energy_eV)
    for k, pair in enumerate(energy.pairs):
        at: Location = ("energy", "pairs", k)
        if unknown := [s for s in pair.species if s not in names]:
            check.wrong((*at, "species"), _unknown(unknown, names))
        elif (other := _overlapping(energy.pairs, k)) is not None:
            check.wrong(
                (*at, "r_A"),
                f"the shell overlaps that of pairs[{other + 1}], and pairs of sites in both would count twice; make them meet",
            )
        elif pair.r_A[1] > LONGEST_PAIR_A:
            check.wrong((*at, "r_A"), f"found {pair.r_A[1]} A; allowed: up to {LONGEST_PAIR_A:g}")
        elif len(clusters) > MOST_CLUSTERS:
            check.wrong((*at, "r_A"), f"the terms before hold {len(clusters)} pairs per cell; allowed: up to {MOST_CLUSTERS}")
        elif problem := _on_a_shell(lattice, pair):
            check.wrong((*at, "r_A"), problem)
        elif not pairs_within(lattice, pair.species, pair.r_A):
            near = nearest_A(lattice, pair.species)
            check.wrong(
                (*at, "r_A"),
                f"no two sites for {pair.species[0]} and {pair.species[1]} are {pair.r_A[0]} to {pair.r_A[1]} A apart; "
                f"the nearest are {near:.3f} A apart (nm? multiply by 10)",
            )
        else:
            clusters += pair_clusters(lattice, pair.species, pair.r_A, pair.energy_eV)
    check_size(("energy",), sum(float(np.abs(c.energies_eV).max()) for c in clusters), source, lattice, check)
    if energy.electrostatics is not None:
        check_electrostatics(("energy", "electrostatics", "charges"), energy.electrostatics.charges, source, lattice, check)
    parts = [f"{len(energy.points)} user-specified point terms"] * bool(energy.points)
    parts += [f"{len(energy.pairs)} user-specified pair terms"] * bool(energy.pairs)
    return Hamiltonian(lattice, tuple(clusters), 0.0, ", ".join(parts))


def _overlapping(pairs: tuple[PairInput, ...], k: int) -> int | None:
    """Index of an earlier shell of the same two species, in either order, that shares distances with this one."""
    (low, high), kind = pairs[k].r_A, sorted(pairs[k].species)
    return next((j for j, p in enumerate(pairs[:k]) if sorted(p.species) == kind and low < p.r_A[1] and p.r_A[0] < high), None)


def _unknown(species: list[str], names: set[str]) -> str:
    hints = "".join(did_you_mean(s, sorted(names)) for s in species)
    return f"found {', '.join(species)}; allowed: {', '.join(sorted(names))}{hints}"


def _on_a_shell(lattice: Lattice, pair: PairInput) -> str | None:
    groups = sublattices_of(lattice, pair.species)
    return next((problem for r in pair.r_A if (problem := on_a_shell(lattice, *groups, r))), None)


def check_size(at: Location, largest_eV: float, source: InputFile, lattice: Lattice, check: Checker) -> None:
    """Check that energies of the supercell fit into 64 bits as whole neV. largest_eV: per cell of the structure."""
    total = largest_eV * Supercell(lattice, source.config.lattice.matrix).n_cells
    if not total < MOST_EV:
        check.wrong(at, f"found energies of up to {total:.1e} eV in the supercell; allowed: {MOST_EV:.0e}")


def check_electrostatics(at: Location, charges: dict[str, float], source: InputFile, lattice: Lattice, check: Checker) -> None:
    supercell = Supercell(lattice, source.config.lattice.matrix)
    names = sorted({sp.name for sp in lattice.species})
    if unknown := [name for name in charges if name not in names]:
        check.wrong(at, _unknown(unknown, set(names)))
    elif supercell.n_sites > MOST_SITES:
        check.wrong(at, f"every pair of sites interacts; found {supercell.n_sites} sites, allowed: up to {MOST_SITES}")
