"""Arrangements that chains of the expansion visit in the labelled supercells, at all temperatures and compositions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from icet import ClusterSpace
from numpy.typing import NDArray

from ...crystal.lattice import Lattice, Supercell
from ...crystal.neutral_states import random_neutral_state
from ...crystal.supercells import distinct_supercells
from ...crystal.symmetry import canonical, is_primitive, site_permutations, site_translations
from ...potentials.labelling.configurations import Configuration, configuration_of
from ...runtime.streams import Stream, chain_stream, generator
from ...sampling.chains.chain import advance, ensemble_by_count, start_chain
from ...sampling.chains.system import System, build_system
from ...sampling.chains.tally import empty_tally
from ...sampling.ground_states.electron_ground_state import HamiltonianOf
from ...units import NEV_PER_EV, inverse_temperature

Float = NDArray[np.float64]
EQUILIBRATE_SWEEPS, APART_SWEEPS, LOOKS, WALKERS = 400, 50, 8, 2
Counts = dict[tuple[int, bytes], NDArray[np.int64]]


@dataclass(frozen=True)
class Visited:
    """Symmetry-distinct arrangements, and how often the chains visited them.

    seen (arrangements, temperatures): how often; temperatures ascending. energy_eV (arrangements,): predicted, per formula unit.
    vectors (arrangements, p): cluster vectors. distinct (arrangements,): not one of a smaller cell repeated, so worth a label.
    """

    temperature_K: Float
    configurations: list[Configuration]
    x: Float
    vectors: Float
    energy_eV: Float
    seen: NDArray[np.int64]
    distinct: NDArray[np.bool_]


def visit(
    lattice: Lattice,
    ions: tuple[str, ...],
    of_supercell: HamiltonianOf,
    space: ClusterSpace,
    matrices: list[NDArray[np.int64]],
    temperatures_K: tuple[float, ...],
    seed: int,
    round_number: int,
    comm: Any,
) -> Visited:
    """Run chains at every count of the ion, cooled through the temperatures. Collective; the same for any number of ranks."""
    cells = distinct_supercells([Supercell(lattice, m) for m in matrices])
    systems = [build_system(of_supercell(np.asarray(c.matrix)), np.asarray(c.matrix), ions) for c in cells]
    jobs = [(c, int(n)) for c, s in enumerate(systems) for n in s.neutral_counts[0]]
    temperatures = np.sort(np.array(temperatures_K))
    found: Counts = {}
    for c, n in jobs[comm.rank :: comm.size]:
        for image, seen in _cooled(systems[c], n, temperatures, seed, (round_number, c, n)).items():
            found[c, image] = seen
    everything: Counts = {key: seen for part in comm.allgather(found) for key, seen in part.items()}
    translations = [site_translations(cell) for cell in cells]
    rows = []
    for (c, image), seen in sorted(everything.items(), key=lambda item: item[0]):
        state, system = np.frombuffer(image, np.int8), systems[c]
        energy = system.energy_neV(state) / NEV_PER_EV / system.n_formula_units
        x = float(system.count_ions(state)[0] / system.n_formula_units)
        worth = c == 0 or is_primitive(state, translations[c])
        vector = space.get_cluster_vector(cells[c].to_atoms(state))
        rows.append((configuration_of(cells[c], image), x, vector, energy, seen, worth))
    configurations, *values = zip(*rows)
    return Visited(temperatures, list(configurations), *(np.array(v) for v in values))


def _cooled(system: System, n: int, temperatures_K: Float, seed: int, key: tuple[int, ...]) -> dict[bytes, NDArray[np.int64]]:
    """Visits of each canonical arrangement at every temperature."""
    permutations = site_permutations(system.supercell)
    weights = np.zeros(len(empty_tally(system).sums))
    found: dict[bytes, NDArray[np.int64]] = {}
    for walker in range(WALKERS):
        rng = generator(seed, Stream.LEARNING, Stream.START, *key, walker)
        start = random_neutral_state(system.supercell, system.ion, n, rng)
        chain = start_chain(system, start, chain_stream(seed, Stream.LEARNING, Stream.CHAIN, *key, walker))
        for row in range(len(temperatures_K) - 1, -1, -1):
            ensemble = ensemble_by_count(system, inverse_temperature(float(temperatures_K[row])), weights)
            for sweeps in (EQUILIBRATE_SWEEPS, *[APART_SWEEPS] * (LOOKS - 1)):
                advance(chain, system, system.canonical_moves, ensemble, empty_tally(system), sweeps)
                image = canonical(chain.species, permutations)
                found.setdefault(image, np.zeros(len(temperatures_K), np.int64))[row] += 1
    return found
