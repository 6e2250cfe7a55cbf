"""The group /dilute: an ion with its electron in the empty host, a vacancy with its hole in the full one; solubility limits."""

from dataclasses import dataclass

import numpy as np
from ase.geometry import get_distances
from numpy.typing import NDArray

from ....kernels.energy import single_changes
from ...crystal.lattice import Lattice, Supercell
from ...crystal.neutrality import Exchange, count_change, neutral_exchanges
from ...crystal.structure_factor import site_orbits
from ...runtime.results.order import Dilute, DilutePair
from ...runtime.results.phase_diagram import PhaseDiagram
from ...sampling.chains.system import System
from ...units import NEV_PER_EV, inverse_temperature
from .short_range import SAME_SHELL_A

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """All states with one pair, up to symmetry: an ion and an electron, or a vacancy and a hole.

    species: the names of the two. sites (pairs, 2): of the ion and of the electron. count (pairs,): states that are
    equivalent. distance_A (pairs,): between nearest images. energy_neV (pairs,): above the host.
    """

    species: str
    sites: Int
    count: Int
    distance_A: Float
    energy_neV: Int


def dilute_pairs(system: System, side: int) -> Pairs | None:
    """Pairs at the lowest composition (side 0) or at the highest (1), with exact energies of the Hamiltonian in this supercell.

    None where the host is not one state, or its first neighbours in composition are more than one ion and one electron.
    """
    _, log_states = system.neutral_counts
    if len(log_states) < 2 or not np.isclose(log_states[(0, -1)[side]], 0.0) or len(system.ions) != 1:
        return None
    host = system.any_state(system.n_range[side])
    found = [p for e in _exchanges(system.lattice, system.ions[0], 1 - 2 * side) for p in _pairs(system, host, e)]
    if not found or not np.isclose(np.log(sum(p.count.sum() for p in found)), log_states[(1, -2)[side]]):
        return None
    return Pairs(
        " or ".join(dict.fromkeys(p.species for p in found)),
        np.concatenate([p.sites for p in found]),
        np.concatenate([p.count for p in found]),
        np.concatenate([p.distance_A for p in found]),
        np.concatenate([p.energy_neV for p in found]),
    )


def _exchanges(lattice: Lattice, ion: str, change: int) -> list[Exchange]:
    """Neutral exchanges of two species, that of the ion first, which change its count by `change`."""
    both = [e for one in neutral_exchanges(lattice) for e in (one, one.reversed())]
    wanted = [e for e in both if len(e.flips) == 2 and count_change(e, lattice, ion) == change]
    return [e if count_change(Exchange(e.flips[:1]), lattice, ion) else Exchange(e.flips[::-1]) for e in wanted]


def _pairs(system: System, host: NDArray[np.int8], exchange: Exchange) -> list[Pairs]:
    """Pairs of one site of the ion in each orbit of the cell with every site of the electron."""
    supercell, (first, second) = system.supercell, exchange.flips
    names = [system.lattice.sublattices[f.sublattice].species[f.new].name for f in (first, second)]
    orbits = site_orbits(system.lattice)
    in_cell = np.flatnonzero((system.lattice.site_sublattice == first.sublattice) & (host[: system.lattice.n_sites] == first.old))
    electron = np.flatnonzero((supercell.site_sublattice == second.sublattice) & (host == second.old))
    found = []
    for orbit in np.unique(orbits[in_cell]):
        members = in_cell[orbits[in_cell] == orbit]
        site, partners = int(members[0]), electron[electron != members[0]]
        if not len(partners):
            continue  # with three valences some exchanges are impossible in the host
        sites = np.column_stack([np.full(len(partners), site), partners])
        count = np.full(len(partners), len(members) * supercell.n_cells)
        distance_A, energy_neV = _distances(supercell, site, partners), _energies(system, host, exchange, site, partners)
        found.append(Pairs(" and ".join(names), sites, count, distance_A, energy_neV))
    return found


def _energies(system: System, host: NDArray[np.int8], exchange: Exchange, site: int, partners: Int) -> Int:
    first, second = exchange.flips
    with_ion = host.copy()
    with_ion[site] = first.new
    own = single_changes(host, np.array([site]), np.array([first.new]), system.geometry, system.couplings)
    new = np.full(len(partners), second.new)
    return own + single_changes(with_ion, partners, new, system.geometry, system.couplings)


def _distances(supercell: Supercell, site: int, partners: Int) -> Float:
    lattice, cell = supercell.lattice, np.asarray(supercell.lattice.atoms.cell)
    places = ((supercell.cells @ cell)[:, None] + lattice.atoms.positions[lattice.site_atom]).reshape(-1, 3)
    return get_distances(places[[site]], places[partners], cell=supercell.matrix @ cell, pbc=True)[1][0]


def dilute_group(system: System, temperature_K: Float) -> Dilute | None:
    """The group /dilute; None where neither end of composition has such pairs."""
    low, high = (dilute_pairs(system, side) for side in (0, 1))
    if low is None and high is None:
        return None
    return Dilute(
        temperature_K=temperature_K,
        low=_by_shells(low, temperature_K) if low else None,
        high=_by_shells(high, temperature_K) if high else None,
    )


def _by_shells(pairs: Pairs, temperature_K: Float) -> DilutePair:
    """Binding energies and exact probabilities by shell: pairs of one distance and one energy make a shell."""
    order = np.argsort(pairs.distance_A, kind="stable")
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(np.diff(pairs.distance_A[order], prepend=-1.0) > SAME_SHELL_A) - 1
    shells, member = np.unique(np.column_stack([number, pairs.energy_neV]), axis=0, return_inverse=True)
    member = member.reshape(-1)
    count = np.bincount(member, pairs.count)
    farthest = shells[:, 0] == shells[-1, 0]
    binding_neV = shells[:, 1] - shells[farthest, 1].min()
    random = count / count.sum()
    beta = np.array([inverse_temperature(t) for t in temperature_K])
    boltzmann = random * np.exp(-beta[:, None] * (shells[:, 1] - shells[:, 1].min()))
    return DilutePair(
        pair=pairs.species,
        distance_A=np.bincount(member, pairs.distance_A * pairs.count) / count,
        random_probability=random,
        binding_energy_eV=binding_neV / NEV_PER_EV,
        probability=boltzmann / boltzmann.sum(axis=1, keepdims=True),
    )


@dataclass(frozen=True)
class Solubility:
    """Largest x, as a distance from one end, at which a second phase has not formed yet, over temperature."""

    temperature_K: Float
    x: Float
    error: Float
    trusted: NDArray[np.bool_]


def solubility_limit(diagram: PhaseDiagram, side: int) -> Solubility:
    """From /phase_diagram: the boundary of the first two-phase region from the lowest (side 0) or the highest x (1)."""
    points = diagram.boundary
    t, x, on_side = points.temperature_K, points.x, points.side == side
    rows = [np.flatnonzero(on_side & (t == value)) for value in np.unique(t)]
    first = np.array([mine[(np.argmin, np.argmax)[side](x[mine])] for mine in rows], int)
    away = x[first] if side == 0 else 1 - x[first]
    return Solubility(t[first], away, points.x_error[first], points.trusted[first])
