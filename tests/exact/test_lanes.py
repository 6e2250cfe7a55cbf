"""Chains in lanes: each samples its own ensemble, and all of them together the product."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from redoxmc.engine.hamiltonian.polynomial import build_polynomial
from redoxmc.engine.sampling.chains.chains import Chains, advance_together, groups_of, in_lanes, start_chains
from redoxmc.engine.sampling.chains.log_z import estimated_steps
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.kernels.lanes import PROPOSALS
from redoxmc.kernels.layout import Ensemble, Ensembles, Moves, Record, Tally
from redoxmc.kernels.random import below, new_stream, uniform
from redoxmc.kernels.simd import LANES

from ..helpers.ensembles import stack
from ..helpers.enumeration import Enumeration, semigrand

ROWS = np.zeros(LANES, np.int64)


def begin(system: System, states: NDArray[np.int8], seed: int = 1) -> tuple[Chains, Tally]:
    streams = [new_stream(seed, 0, r) for r in range(len(states))]
    tally = empty_tally(system)
    return start_chains(system, states, streams, new_stream(seed, 1)), tally._replace(sums=tally.sums[None])


def run(chains: Chains, system: System, ensembles: Ensembles, tally: Tally, sweeps: int) -> Record:
    return advance_together(chains, system, system.moves, ensembles, tally, ROWS[: len(chains)], sweeps)


def test_every_lane_samples_its_own_ensemble(small: System, small_states: Enumeration) -> None:
    temperatures, mu_eV = np.linspace(300.0, 2000.0, LANES), np.linspace(-0.2, 0.2, LANES)
    chains, tally = begin(small, small_states.states[:LANES])
    ensembles = stack([semigrand(small, t, m) for t, m in zip(temperatures, mu_eV)])
    run(chains, small, ensembles, tally, 100)
    batches = []
    for _ in range(40):
        record = run(chains, small, ensembles, tally, 200)
        batches.append(np.stack([record.energy.mean(axis=1) / 1e9, record.ions[..., 0].mean(axis=1)]))
    error = np.std(batches, axis=0, ddof=1) / np.sqrt(len(batches))
    p = [small_states.probability(t, m) for t, m in zip(temperatures, mu_eV)]
    expected = np.array([[q @ small_states.energy_eV for q in p], [q @ small_states.n for q in p]])
    assert error[0].max() < 0.002 and error[1].max() < 0.03
    assert (((np.mean(batches, axis=0) - expected) / error) ** 2).mean() == pytest.approx(1, abs=0.5)
    assert chains.energy.tolist() == [small.energy_neV(s) for s in chains.species]
    assert chains.ions.tolist() == [small.count_ions(s).tolist() for s in chains.species]


def test_tallies_give_the_ratios_of_partition_functions(small: System, small_states: Enumeration) -> None:
    """Far windows, free and near exchanges mixed: a wrong normalization of the tries shows as 0.2."""
    chains, tally = begin(small, small_states.states[:LANES])
    n = np.arange(tally.sums.shape[1])
    log_z = small_states.log_z(900.0)
    bias, reference = np.zeros(len(n)), np.zeros(len(n))
    bias[: len(log_z)], reference[: len(log_z) - 1] = -log_z, log_z[:-1] - log_z[1:]
    beta = semigrand(small, 900.0, 0.0).beta
    weights = [bias - (n - t) ** 2 / 2 for t in np.linspace(0, 4, LANES)]
    ensembles = stack([Ensemble(beta, np.zeros(1), w, reference, 1) for w in weights])
    run(chains, small, ensembles, tally, 100)
    batches = []
    for _ in range(20):
        tally.sums[:] = 0
        run(chains, small, ensembles, tally, 500)
        sums = tally.sums[0, :5]
        energy = sums[:, 4] / (sums[:, 0] + sums[:, 2]) * tally.unit + tally.origin + tally.slope * n[:5]
        batches.append([*estimated_steps(tally.sums[0], reference, 1)[:4], *energy / 1e9])
    error = np.std(batches, axis=0, ddof=1) / np.sqrt(len(batches))
    expected = np.concatenate([reference[:4], small_states.canonical_energy_eV(900.0)])
    assert error[:4].max() < 0.02 and error[4:].max() < 0.001
    assert np.abs((np.mean(batches, axis=0) - expected) / np.maximum(error, 1e-9)).max() < 4.5


def test_lanes_are_independent(small: System, small_states: Enumeration) -> None:
    """Mutant: a shared acceptance number lets chains of one temperature move alike."""
    chains, tally = begin(small, small_states.states[:LANES])
    ensembles = stack([semigrand(small, 800.0, 0.0)] * LANES)
    run(chains, small, ensembles, tally, 200)

    def correlation(c: Chains) -> tuple[float, float]:
        found = []
        for _ in range(20):
            energy = run(c, small, ensembles, tally, 200).energy.astype(float)
            r = np.corrcoef(energy)
            found.append(r[np.triu_indices(LANES, 1)].mean())
        return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(20))

    mean, error = correlation(chains)
    assert error < 2e-3 and abs(mean) < 4 * error
    alike = Chains(chains.species, chains.energy, chains.ions, np.array([new_stream(1, 2)] * LANES), chains.proposals)
    mean, error = correlation(alike)
    assert mean > 10 * error


@dataclass(frozen=True)
class Proposal:
    probability: float
    sites: tuple[int, ...]
    species: tuple[int, ...]  # that the sites hold before, forward
    conserves: bool


def proposals(moves: Moves, system: System) -> list[Proposal]:
    """All that the lanes can draw, kinds with one free and one anchored or two free flips."""
    q, sublattice = system.lattice.n_species, system.geometry.sublattice
    found = []
    for kind, share in enumerate(np.diff(moves.cumulative, prepend=0.0)):
        start, stop = moves.flip_start[kind], moves.flip_start[kind + 1]
        ways: list[tuple[float, tuple[int, ...]]] = [(float(share), ())]
        for f in range(start, stop):
            longer = []
            for p, sites in ways:
                if moves.flip_anchor[f] >= 0:
                    first = moves.near_start[f] + sites[moves.flip_anchor[f]] * moves.near_width[f]
                    choice = moves.near[first : first + moves.near_width[f]]
                else:
                    choice = np.flatnonzero(sublattice == moves.flip_from[f] // q)
                longer += [(p / len(choice), (*sites, int(s))) for s in choice if s >= 0 and s not in sites]
            ways = longer
        species = tuple(moves.flip_species_from[start:stop].tolist())
        found += [Proposal(p, sites, species, bool(moves.conserves[kind])) for p, sites in ways]
    return found


def matrix(proposal: Proposal, small_states: Enumeration, log_weight: NDArray[np.float64], directed: bool) -> NDArray[np.float64]:
    """Transitions of one chain under a proposal; directed: the mutant that only goes forward."""
    t = np.eye(len(small_states.states))
    sites, before = list(proposal.sites), np.array(proposal.species)
    for k, state in enumerate(small_states.states):
        here = state[sites]
        if (here == before).all() or ((here == 1 - before).all() and not directed):
            other = state.copy()
            other[sites] = 1 - here
            j = small_states.index[other.tobytes()]
            t[k, j] = min(1.0, np.exp(log_weight[j] - log_weight[k]))
            t[k, k] = 1 - t[k, j]
    return t


def test_two_lanes_and_exchange_leave_the_product_alone(small: System, small_states: Enumeration) -> None:
    """As matrices: under shared proposals the distribution of two chains stays the product of their own.

    Mutant: proposals with a direction, which leave each chain's own distribution alone, do not.
    """
    w1, w2 = small_states.log_weight(400.0, 0.0), small_states.log_weight(700.0, 0.0)
    p1, p2 = small_states.probability(400.0, 0.0), small_states.probability(700.0, 0.0)

    def after(directed: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        joint, alone = np.zeros((len(p1), len(p2))), np.zeros(len(p1))
        for proposal in proposals(small.moves.arrays, small):
            if len(proposal.sites) == 2:
                a = p1 @ matrix(proposal, small_states, w1, directed)
                b = p2 @ matrix(proposal, small_states, w2, directed)
                joint += proposal.probability * np.outer(a, b)
                alone += proposal.probability * a
        return joint / joint.sum(), alone / alone.sum()

    product = np.outer(p1, p2)
    joint, _ = after(directed=False)
    assert np.abs(joint - product).max() < 1e-14
    accept = np.minimum(1.0, np.exp(np.subtract.outer(w2, w2) + np.subtract.outer(w1, w1).T))  # of (i, j) -> (j, i)
    moved = product * accept
    assert np.abs(product - moved + moved.T - product).max() < 1e-15
    joint, alone = after(directed=True)
    assert np.abs(joint - np.outer(alone, joint.sum(axis=0))).max() > 1e-6


def replay(chains: Chains, system: System, ensembles: Ensembles, sweeps: int) -> None:
    """The rules of the lanes in plain Python, energies from the whole cell."""
    m, q = system.moves.arrays, system.lattice.n_species
    sublattice = system.geometry.sublattice
    members = [np.flatnonzero(sublattice == g) for g in range(sublattice.max() + 1)]
    for _ in range(sweeps * PROPOSALS * system.supercell.n_sites):
        kind = int(np.searchsorted(m.cumulative, uniform(chains.proposals), side="right"))
        sites: list[int] = []
        for f in range(m.flip_start[kind], m.flip_start[kind + 1]):
            if m.flip_anchor[f] >= 0:
                first = m.near_start[f] + sites[m.flip_anchor[f]] * m.near_width[f]
                site = int(m.near[first + below(chains.proposals, m.near_width[f])])
            else:
                row = members[m.flip_from[f] // q]
                site = int(row[below(chains.proposals, len(row))])
            if site < 0 or site in sites:
                break
            sites.append(site)
        before = m.flip_species_from[m.flip_start[kind] : m.flip_start[kind + 1]]
        if len(sites) < len(before):
            continue
        here = chains.species[:, sites]
        forward, backward = (here == before).all(axis=1), (here == 1 - before).all(axis=1)
        if not (forward | backward).any():
            continue
        for r in range(len(chains)):
            number = uniform(chains.streams[r])
            if not (forward[r] or backward[r]):
                continue
            other = chains.species[r].copy()
            other[sites] = 1 - other[sites]
            energy, ions = system.energy_neV(other), system.count_ions(other)
            weight = ensembles.log_weight[r]
            log_ratio = weight[ions[0]] - weight[chains.ions[r, 0]] + ensembles.beta_mu[r] @ (ions - chains.ions[r])
            log_ratio -= ensembles.beta[r] * (energy - chains.energy[r])
            if number < np.exp(log_ratio):
                chains.species[r], chains.energy[r], chains.ions[r] = other, energy, ions


def test_lanes_agree_with_plain_python_move_by_move(small: System, small_states: Enumeration) -> None:
    temperatures = np.linspace(300.0, 3000.0, 12)
    ensembles = stack([semigrand(small, t, 0.05) for t in temperatures])
    rng = np.random.default_rng(3)
    ensembles = ensembles._replace(log_weight=rng.normal(scale=0.3, size=ensembles.log_weight.shape))
    fast, _ = begin(small, small_states.states[20:32])
    slow, _ = begin(small, small_states.states[20:32])
    for _ in range(10):
        in_lanes(fast, small, small.moves, ensembles, 1)
        replay(slow, small, ensembles, 1)
        for a, b in zip(vars(fast).values(), vars(slow).values()):
            assert np.array_equal(a, b)
    assert (fast.species != small_states.states[20:32]).any(axis=1).all()


def test_polynomials_are_the_table(small: System) -> None:
    """Every change of one site, in the integers; with 64-bit values too."""
    p = build_polynomial(small.couplings)
    home, template = small.geometry.home, small.geometry.template
    rng = np.random.default_rng(1)
    assert p.value.dtype == np.int32 and p.many_size.size == 0
    for species in rng.integers(0, 2, (20, small.supercell.n_sites)).astype(np.int8):
        halo = np.zeros(small.geometry.halo_length, np.int64)
        for site, s in enumerate(species):
            halo[small.geometry.images[small.geometry.image_start[site] : small.geometry.image_start[site + 1]]] = s
        for site in range(len(species)):
            t, at = template[site], home[site]
            single, double = slice(p.start[t], p.start[t + 1]), slice(p.product_start[t], p.product_start[t + 1])
            field = int(p.middle[t]) + int(p.rest[t]) + int(halo[at + p.offset[single]] @ p.value[single])
            field += int(halo[at + p.product_offset[double]].prod(axis=1) @ p.product_value[double])
            on, off = species.copy(), species.copy()
            on[site], off[site] = 1, 0
            assert field == small.energy_neV(on) - small.energy_neV(off)


@pytest.mark.parametrize("chains", [1, 7, 36, 64, 65, 200, 2000])
def test_groups_hold_all_and_fit_the_lanes(chains: int) -> None:
    groups = groups_of(chains)
    assert [k for g in groups for k in g] == list(range(chains))
    assert max(map(len, groups)) <= LANES and max(map(len, groups)) - min(map(len, groups)) <= 1
