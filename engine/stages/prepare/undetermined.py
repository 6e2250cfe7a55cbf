"""What a data set leaves open, in words: pairs of species that no cell has, clusters it cannot tell apart, a cell that would."""

from typing import TYPE_CHECKING

import numpy as np
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ...crystal.lattice import VACANCY, Lattice, Supercell
from ...crystal.neutral_states import count_neutral_states, random_neutral_state
from ...crystal.neutrality import exchangeable_ions, neutral_exchanges
from ...crystal.occupations import species_on_sites
from ...crystal.primitive import primitive_lattice
from ...crystal.shells import TOLERANCE_A
from ...crystal.supercells import supercells_of
from ...hamiltonian.fit import undetermined_directions
from ...potentials.dataset import DataSet
from ...runtime.streams import ANY_SEED, Stream, generator

if TYPE_CHECKING:
    from icet import ClusterSpace  # slow to import

Float = NDArray[np.float64]
LARGEST_CELLS = 4  # primitive cells of a supercell that is proposed
DRAWS = 30  # arrangements of each supercell
LEAST_PART = 1e-3  # of a cluster vector along an undetermined direction
MOST_NAMED = 6


def what_is_open(
    space: "ClusterSpace", vectors: Float, null: Float, data: DataSet, lattice: Lattice, reach_A: float
) -> str | None:
    """What the cells do not determine, in words, with a cell that would; None if they determine all clusters."""
    kernel = undetermined_directions(vectors, null)
    if not len(kernel):
        return None
    missing = missing_pairs(data, lattice, reach_A)
    named = f"no cell has {_listed(missing)}" if missing else f"they cannot tell apart {_clusters(space, kernel)}"
    combinations = f"{len(kernel)} combination{'s' if len(kernel) > 1 else ''} of {len(space)} interactions"
    cell = telling_cell(space, kernel, lattice)
    cure = f"; it would take, for example, {cell}" if cell else "; no small cell tells them apart: shorten cutoffs_A"
    return f"the {len(data.cells)} cells leave {combinations} undetermined: {named}{cure}"


def missing_pairs(data: DataSet, lattice: Lattice, reach_A: float) -> list[str]:
    """Pairs of species, with their distance, that the lattice allows and that occur in none of the cells, the nearest first."""
    host = primitive_lattice(lattice)
    sites = host.atoms[host.site_atom]
    i, j, distance = neighbor_list("ijd", sites, reach_A + TOLERANCE_A)
    shells = np.unique(distance.round(2))
    names = {sp.symbol: sp.name for sp in lattice.species}
    possible = {
        (_shell(shells, d), *sorted((a.name, b.name)))
        for p, q, d in zip(i, j, distance)
        for a in host.sublattices[host.site_sublattice[p]].species
        for b in host.sublattices[host.site_sublattice[q]].species
    }
    active = {sp.symbol for sp in lattice.species}
    for cell in data.cells:
        symbols = np.array(cell.get_chemical_symbols())
        kept = np.isin(symbols, list(active - set(lattice.spectators)))
        i, j, distance = neighbor_list("ijd", cell[kept], reach_A + TOLERANCE_A)
        codes = np.stack([symbols[kept][i], symbols[kept][j], distance.round(2).astype(str)], axis=1)
        for a, b, d in np.unique(codes, axis=0).tolist():
            possible.discard((_shell(shells, float(d)), *sorted((names[a], names[b]))))
    return [f"{a} and {b} {shells[k]:.2f} A apart" for k, a, b in sorted(possible)]


def _shell(shells: Float, distance_A: float) -> int:
    return int(np.abs(shells - distance_A).argmin())


def telling_cell(space: "ClusterSpace", kernel: Float, lattice: Lattice) -> str | None:
    """A small cell whose energy depends on the undetermined combinations (k, p), in words."""
    host = primitive_lattice(lattice)
    ions = exchangeable_ions(host, neutral_exchanges(host))
    rng = generator(ANY_SEED, Stream.ANY_STATE)
    for n_cells in range(1, LARGEST_CELLS + 1):
        for supercell in supercells_of(host, n_cells):
            counts, _ = count_neutral_states(supercell, ions[0] if ions else None)
            for k in range(DRAWS if len(counts) else 0):
                state = random_neutral_state(supercell, ions[0] if ions else None, int(counts[k % len(counts)]), rng)
                vector = np.array(space.get_cluster_vector(supercell.to_atoms(state)))
                if np.linalg.norm(kernel @ vector) > LEAST_PART * np.linalg.norm(vector):
                    return _in_words(supercell, state)
    return None


def _in_words(supercell: Supercell, state: NDArray[np.int8]) -> str:
    names = [sp.name for sp in species_on_sites(supercell, state)]
    content = " ".join(f"{names.count(n)} {n}" for n in dict.fromkeys(names) if n != VACANCY)
    return f"the cell {supercell.matrix.tolist()} (in primitive cells) with {content}"


def _listed(texts: list[str]) -> str:
    return ", ".join(texts[:MOST_NAMED]) + (f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else "")


def _clusters(space: "ClusterSpace", kernel: Float) -> str:
    involved = np.flatnonzero(np.linalg.norm(kernel, axis=0) > LEAST_PART).tolist()
    return clusters_in_words(space, [i for i in involved if space.as_list[i]["order"] > 1] or involved)


def clusters_in_words(space: "ClusterSpace", group: list[int]) -> str:
    """Clusters by their size, pairs by their distance."""
    order = {0: "the constant", 1: "point", 2: "pair", 3: "triplet", 4: "quadruplet"}
    words = []
    for row in (space.as_list[i] for i in group):
        size = (
            f" of {2 * row['radius']:.2f} A"
            if row["order"] == 2
            else f" of radius {row['radius']:.2f} A"
            if row["order"] > 2
            else ""
        )
        words.append(f"{order.get(row['order'], 'cluster')} {row['index']}{size}" if row["order"] else order[0])
    return _listed(words)
