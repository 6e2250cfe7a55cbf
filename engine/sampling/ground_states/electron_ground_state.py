"""A Hamiltonian of the ions alone, with the electrons in their ground state: Z = sum over ions of exp(-beta min_e E(ions, e)).

It leaves out the electronic entropy, as most published models do. In a small supercell the minimum is found by listing all
electron arrangements, and the energy is one exact table over the ion sites. For a larger supercell a cluster expansion of the
ions is fitted to such minima in all small supercells.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.special import logsumexp

from ....kernels.energy import total_energies
from ...crystal.arrangements import Arrangements
from ...crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from ...crystal.subsystems import MOST_LISTED, can_be_listed, has_electrons, separable
from ...crystal.supercells import distinct_supercells, hermite_forms
from ...crystal.symmetry import orbits, site_permutations
from ...errors import RedoxError
from ...hamiltonian.clusters import cluster_space, from_icet
from ...hamiltonian.fit import Fit, cluster_vectors, end_vectors, expansion, fit_expansion, undetermined
from ...hamiltonian.terms import Cluster, Hamiltonian
from ...potentials.dataset import DataSet
from ...units import NEV_PER_EV, inverse_temperature
from ..chains.ions_and_electrons import FreeSubsystem, Subsystem
from ..chains.system import System, build_system

if TYPE_CHECKING:
    from icet import ClusterSpace  # slow to import

Float = NDArray[np.float64]
HamiltonianOf = Callable[[NDArray[np.int64]], Hamiltonian]  # by supercell matrix, on which point charges depend
CUTOFFS_A = tuple(
    (pairs, 6.0, 4.8) for pairs in (9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0)
)  # the first whose clusters the cells determine
FOLDS = 10
ROUNDING_EV = 1e-9
WHAT = "the electrons are in their ground state for every arrangement of the ions, found "
N_CELLS = 3  # of the largest supercells that are listed, if their electrons are few enough


@dataclass(frozen=True)
class GroundStates:
    """The Hamiltonian of the ions. record: how it was made and its errors. note: the same in a sentence."""

    hamiltonian: Hamiltonian
    record: dict[str, Any]
    note: str


def ions_lattice(lattice: Lattice) -> Lattice:
    """The lattice of the ions alone, without charges. Raises RedoxError if ions and electrons share a sublattice."""
    if not has_electrons(lattice) or not separable(lattice):
        raise RedoxError("energy: electrons: ground_state needs sublattices of ions and sublattices of electrons, apart")
    kept = [s for s in lattice.sublattices if len({sp.element for sp in s.species}) > 1]
    sublattices = tuple(Sublattice(s.element, tuple(Species(sp.name, 0, sp.proxy) for sp in s.species)) for s in kept)
    moving = {s.element for s in kept}
    hosts = {symbol: 0 for symbol in lattice.atoms.get_chemical_symbols() if symbol not in moving}
    return build_lattice(lattice.atoms, sublattices, hosts)


def lowest_energy_neV(system: System, species: NDArray[np.int8]) -> int:
    """Lowest energy over all arrangements of the electrons, with the ions of `species` (n_sites,) of the full lattice."""
    states = FreeSubsystem(system, species, Subsystem.ELECTRONS).states
    if not len(states):
        raise RedoxError("energy: electrons: ground_state: an arrangement of the ions has no neutral electrons")
    return int(total_energies(states, system.geometry, system.couplings).min())


def ion_states(system: System) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """All ion arrangements (k, n_sites) of a small supercell, each with some neutral electrons, and their ion counts (k,)."""
    counts, _ = system.neutral_counts
    states = [FreeSubsystem(system, system.any_state(n), Subsystem.IONS).states for n in counts.tolist()]
    return np.concatenate(states), np.repeat(counts, [len(s) for s in states])


def of_ions(system: System, states: NDArray[np.int8]) -> NDArray[np.int8]:
    """The ions of states (k, n_sites) of the full lattice: states (k, ion sites) of the lattice of ions."""
    ionic = [len({sp.element for sp in s.species}) > 1 for s in system.lattice.sublattices]
    return np.ascontiguousarray(states[:, np.array(ionic)[system.supercell.site_sublattice]])


def exact_hamiltonian(system: System, ions: Lattice) -> Hamiltonian:
    """One table over all ion sites of the supercell, divided evenly among its cells."""
    states, _ = ion_states(system)
    energies = np.array([lowest_energy_neV(system, s) for s in states]) / NEV_PER_EV
    cell = Supercell(ions, system.supercell.matrix)
    sites = tuple((site, tuple(place)) for place in cell.cells.tolist() for site in range(ions.n_sites))
    table = np.zeros([len(ions.sublattices[g].species) for g in cell.site_sublattice])
    table[tuple(of_ions(system, states).T.astype(int))] = energies / cell.n_cells
    return Hamiltonian(ions, (Cluster(sites, table),), 0.0, "lowest energies over all electrons, listed")


def ground_states(
    lattice: Lattice,
    matrix: NDArray[np.int64],
    ion: str,
    hamiltonian_of: HamiltonianOf,
    temperatures_K: tuple[float, ...],
    seed: int,
) -> GroundStates:
    """The Hamiltonian of the ions in the supercell `matrix`: exact if it is small, else a cluster expansion.

    temperatures_K: at which the error of the expansion in F is measured. Raises RedoxError if no expansion can be determined.
    """
    ions = ions_lattice(lattice)
    whole = Supercell(lattice, matrix)
    if whole.n_sites <= 2 * np.log2(MOST_LISTED) and can_be_listed(lattice, whole.n_cells):
        system = build_system(hamiltonian_of(matrix), matrix, (ion,))
        return GroundStates(exact_hamiltonian(system, ions), {"ground_states": "listed"}, WHAT + "exactly, by listing")
    systems = _small_systems(lattice, ion, hamiltonian_of)
    data = _data_set(systems, ions)
    space, vectors = _determined_space(ions, data)
    fit = fit_expansion(space, vectors, data, np.zeros(len(space)), end_vectors(space, ions), "ardr", FOLDS, seed)
    fitted = from_icet(expansion(space, fit), ions)
    small = [s for s in systems if s.supercell.n_cells < N_CELLS]
    bias = {t: max(float(np.abs(bias_eV(s, fitted, t)).max()) for s in small) for t in temperatures_K}
    note = (
        f"by an expansion of the ions fitted to the lowest energies of {len(data.cells)} arrangements: "
        f"error {1e3 * fit.validation_rmse_eV:.1f} meV/fu ({FOLDS}-fold); "
        f"free energies of the {len(small)} smallest supercells off by at most {1e3 * max(bias.values()):.1f} meV/fu"
    )
    record = {"ground_states": "fitted", "n_cells": len(data.cells), **_errors(fit), "largest_bias_eV": bias}
    return GroundStates(fitted, record, WHAT + note)


def _errors(fit: Fit) -> dict[str, float]:
    return {"n_parameters": len(fit.parameters), "rmse_eV": fit.rmse_eV, "validation_rmse_eV": fit.validation_rmse_eV}


def _small_systems(lattice: Lattice, ion: str, hamiltonian_of: HamiltonianOf) -> list[System]:
    """Distinct supercells of up to N_CELLS cells whose states can be listed, smallest first."""
    sizes = [n_cells for n_cells in range(1, N_CELLS + 1) if can_be_listed(lattice, n_cells)]
    cells = distinct_supercells([Supercell(lattice, h) for n_cells in sizes for h in hermite_forms(n_cells)])
    return [build_system(hamiltonian_of(c.matrix), c.matrix, (ion,)) for c in cells]


def _data_set(systems: list[System], ions: Lattice) -> DataSet:
    """Lowest energies of all symmetry-distinct ion arrangements; of one that several supercells show, the lowest of all."""
    arrangements, found = Arrangements(ions), dict[bytes, tuple[float, Atoms, str, int]]()
    for k, system in enumerate(systems):
        supercell = Supercell(ions, system.supercell.matrix)
        states, _ = ion_states(system)
        full = dict(zip((s.tobytes() for s in of_ions(system, states)), states))
        for number, first in enumerate(orbits(of_ions(system, states), site_permutations(supercell)).values()):
            occupation = np.frombuffer(first, np.int8)
            energy_eV = lowest_energy_neV(system, full[first]) / NEV_PER_EV / system.n_formula_units
            key = arrangements.canonical(supercell, occupation)
            if key not in found or energy_eV < found[key][0] - ROUNDING_EV:
                found[key] = energy_eV, supercell.to_atoms(occupation), f"{k}/{number}", system.n_formula_units
    energies, cells, names, units = zip(*found.values())
    return DataSet(cells, names, np.array(energies), np.array(units))


def _determined_space(ions: Lattice, data: DataSet) -> "tuple[ClusterSpace, Float]":
    """The cluster space with the widest cutoffs that the cells determine, and its cluster vectors (cells, parameters).

    If they determine none as a whole, the widest space is left without the clusters that they cannot tell from smaller ones.
    """
    for cutoffs in CUTOFFS_A:
        space = cluster_space(ions, cutoffs)
        vectors = cluster_vectors(space, data)
        if not undetermined(vectors, np.zeros(len(space))) and len(space) < len(data.cells):
            return space, vectors
    space = cluster_space(ions, CUTOFFS_A[0])
    while (groups := undetermined(vectors := cluster_vectors(space, data), np.zeros(len(space)))) or len(space) >= len(
        data.cells
    ):
        last = max(groups[0]) if groups else len(space) - 1
        orbit = space.as_list[last]["orbit_index"]
        if orbit < 0 or space.as_list[last]["order"] < 2:
            raise RedoxError("energy: electrons: ground_state: the small supercells do not determine the energies of single ions")
        space.prune_orbit_list([orbit])
    return space, vectors


def bias_eV(system: System, hamiltonian: Hamiltonian, temperature_K: float) -> Float:
    """F by an expansion of the ions minus the exact F, eV/fu, at every ion count of a small supercell of the full lattice."""
    states, n = ion_states(system)
    exact = np.array([lowest_energy_neV(system, s) for s in states])
    approximate = build_system(hamiltonian, system.supercell.matrix, system.ions)
    found = total_energies(of_ions(system, states), approximate.geometry, approximate.couplings)
    beta = inverse_temperature(temperature_K)
    counts = np.unique(n)
    log_z = [[logsumexp(-beta * (e[n == m] - exact.min())) for m in counts] for e in (found, exact)]
    return (np.array(log_z[1]) - np.array(log_z[0])) / beta / NEV_PER_EV / system.n_formula_units
