"""The split of the entropy against enumeration."""

from math import comb, log

import numpy as np
import pytest
from scipy.special import logsumexp

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, build_lattice
from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.sampling.chains.ions_and_electrons import FreeSubsystem, Subsystem, free_subsystems, has_electrons, separable
from redoxmc.engine.sampling.chains.moves import Mix, Scope, list_moves
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.conditional_entropies.conditional_entropy import (
    annealed,
    draw_states,
    drawn_states,
    free_entropies,
    integrated,
    listed,
)
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, inverse_temperature
from redoxmc.kernels.energy import total_energies

from ..helpers.enumeration import Enumeration, begin, enumerate_states
from ..helpers.systems import HOST, SODIUM

TEMPERATURE_K = 500.0
BETA = inverse_temperature(TEMPERATURE_K)


@pytest.fixture(scope="module")
def many(medium: System) -> Enumeration:
    return enumerate_states(medium)


def exact_split(e: Enumeration, n: int) -> dict[str, float]:
    """Joint and marginal entropies (k_B of the cell) at n, from all states: p ln p over the whole, the ions, the electrons."""
    states = e.states[e.n == n]
    p = np.exp(-e.energy_eV[e.n == n] / (BOLTZMANN_EV_PER_K * TEMPERATURE_K))
    p /= p.sum()
    sub = e.system.supercell.site_sublattice

    def marginal(columns: np.ndarray) -> float:
        _, inverse = np.unique(states[:, columns], axis=0, return_inverse=True)
        q = np.bincount(inverse.ravel(), weights=p)
        return float(-(q * np.log(q)).sum())

    return {"joint": float(-(p * np.log(p)).sum()), "ions": marginal(sub == 0), "electrons": marginal(sub == 1)}


def compare_with_walkers(system: System, n: int, exact: dict[str, float]) -> None:
    """Within 4.5 standard errors of at most 1e-3 k_B/fu, over 20 chains from both ends: by Student's t one comparison in 4
    000 fails.
    """
    starts = [random_neutral_state(system.supercell, "Na+", system.n_range[k % 2], np.random.default_rng(k)) for k in range(20)]
    states = [drawn_states(system, s, BETA, n, 400, (0, k), 1) for k, s in enumerate(starts)]
    frees = [[[FreeSubsystem(system, s, half) for s in walker] for half in Subsystem] for walker in states]
    keys = [(k,) for k in range(400)]
    found = np.array([[free_entropies(system, f, BETA, 12, 1, keys) for f in walker] for walker in frees])  # 20, halves, 400, 2
    entropy = found[..., 0].mean(axis=2) / system.n_formula_units
    drawn = np.array([[system.energy_neV(s) for s in walker] for walker in states], float).mean(axis=1)
    wanted = np.array([exact["joint"] - exact["ions"], exact["joint"] - exact["electrons"]]) / system.n_formula_units
    error = entropy.std(axis=0, ddof=1) / np.sqrt(20)
    assert (error < 1e-3).all(), error
    assert (np.abs(entropy.mean(axis=0) - wanted) < 4.5 * error + 1e-9).all(), (entropy.mean(axis=0), wanted, error)
    assert [f[0].log_states for f in frees[0]] == pytest.approx([log(comb(system.n_formula_units, n))] * 2)
    mean = found[..., 1].mean(axis=2)
    for h in range(2):  # the free half, averaged over the frozen one, has the energy of the states drawn
        difference = BETA * (mean[:, h] - drawn) / system.n_formula_units
        assert abs(difference.mean()) < 4.5 * difference.std(ddof=1) / np.sqrt(20) + 1e-12


@pytest.mark.parametrize(
    "cell, n",
    [
        ("small", 1),
        pytest.param("small", 2, marks=pytest.mark.runs),
        pytest.param("medium", 3, marks=pytest.mark.runs),
        pytest.param("medium", 4, marks=pytest.mark.runs),
    ],
)
def test_conditional_entropies_are_those_of_the_enumeration(cell: str, n: int, request: pytest.FixtureRequest) -> None:
    system: System = request.getfixturevalue(cell)
    e = request.getfixturevalue("many") if cell == "medium" else enumerate_states(system)
    compare_with_walkers(system, n, exact_split(e, n))


@pytest.mark.validate
@pytest.mark.parametrize("n", [3, 6])
def test_conditional_entropies_of_two_million_states(n: int, olivine_hamiltonian: Hamiltonian) -> None:
    """12 + 12 sites, 2 704 156 states in all: every arrangement of the ions with every one of the electrons."""
    system = build_system(olivine_hamiltonian, np.diag([1, 1, 3]), ("Na+",))
    start = random_neutral_state(system.supercell, "Na+", n, np.random.default_rng(0))
    energies = []
    for ions in FreeSubsystem(system, start, Subsystem.IONS).states:
        energies.append(
            total_energies(FreeSubsystem(system, ions, Subsystem.ELECTRONS).states, system.geometry, system.couplings)
        )
    log_p = -BETA * (np.array(energies) - np.min(energies)).astype(float)
    log_p -= logsumexp(log_p)

    def entropy(log_q: np.ndarray) -> float:
        return float(-(np.exp(log_q) * log_q).sum())

    exact = {"joint": entropy(log_p), "ions": entropy(logsumexp(log_p, axis=1)), "electrons": entropy(logsumexp(log_p, axis=0))}
    assert log_p.size == comb(12, n) ** 2
    compare_with_walkers(system, n, exact)


@pytest.mark.runs
@pytest.mark.parametrize("n", [2, 4])
def test_cooling_gives_what_listing_gives(medium: System, n: int) -> None:
    """To 1e-3 k_B/fu, for the ions and the electrons of a state."""
    species = random_neutral_state(medium.supercell, "Na+", n, np.random.default_rng(n))
    for half in Subsystem:
        free = FreeSubsystem(medium, species, half)
        wanted = np.array(listed(total_energies(free.states, medium.geometry, medium.couplings), BETA))
        found = annealed(medium, [free] * 8, BETA, 4000, 1, [(k,) for k in range(8)])
        error = found.std(axis=0, ddof=1) / np.sqrt(8)
        assert error[0] / 8 < 5e-4 and abs(found[:, 0].mean() - wanted[0]) / 8 < 1e-3
        assert abs(found[:, 1].mean() - wanted[1]) < 4 * error[1]


def test_what_is_frozen_stays(medium: System) -> None:
    """Mutant: moves that touch the other half would pass unseen where only energies are looked at."""
    species = random_neutral_state(medium.supercell, "Na+", 3, np.random.default_rng(0))
    for half in Subsystem:
        scope = Scope.ELECTRONS if half is Subsystem.ELECTRONS else Scope.IONS
        free = FreeSubsystem(medium, species, half)
        kept = np.flatnonzero(medium.supercell.site_sublattice == (0 if half is Subsystem.ELECTRONS else 1))
        drawn = free.draw(np.random.default_rng(1))
        assert (drawn[kept] == species[kept]).all() and (drawn != species).any()
        kinds = list_moves(medium.lattice, ("Na+",), Mix(), scope)
        assert kinds and all(f.sublattice == (1 if half is Subsystem.ELECTRONS else 0) for m in kinds for f in m.flips)


def test_integral_of_a_two_level_system() -> None:
    """Spacings as coarse as those in use: error of the rule below 1e-5."""
    betas = np.linspace(0, 6, 25)
    p = 1 / (1 + np.exp(betas))
    assert abs(integrated(betas, p, p * (1 - p)) - (log(2) - log(1 + np.exp(-6.0)))) < 1e-5


def test_pulled_chain_arrives(medium: System) -> None:
    for n in (1, 4, 7):
        states = draw_states(medium, begin(medium, n), BETA, n, 3)
        assert all(medium.count_ions(s)[0] == n for s in states)


MANGANESE = Sublattice("Fe", (Species("Mn2+", 2), Species("Mn3+", 3), Species("Mn4+", 4)))
MIXED = Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3), Species("Mn2+", 2)))


def cell_of(olivine: Lattice, *sublattices: Sublattice) -> System:
    lattice = build_lattice(olivine.atoms, sublattices, HOST)
    clusters = pair_clusters(lattice, ("Na+", lattice.sublattices[1].species[0].name), (0, 3.9), -0.03)
    return build_system(Hamiltonian(lattice, tuple(clusters)), np.diag([1, 1, 1]), ("Na+",))


def test_three_valences_count_their_disproportionation(olivine: Lattice) -> None:
    system = cell_of(olivine, SODIUM, MANGANESE)
    e = enumerate_states(system)
    species = random_neutral_state(system.supercell, "Na+", 2, np.random.default_rng(0))
    free = FreeSubsystem(system, species, Subsystem.ELECTRONS)
    same_ions = (e.states[:, :4] == species[:4]).all(axis=1)
    assert sorted(s.tobytes() for s in free.states) == sorted(s.tobytes() for s in e.states[same_ions])
    assert np.exp(free.log_states) == pytest.approx(same_ions.sum())
    assert free_subsystems(system.lattice) == ("electrons", Subsystem.IONS)
    wanted = listed(total_energies(free.states, system.geometry, system.couplings), BETA)
    found = annealed(system, [free] * 8, BETA, 8000, 1, [(k,) for k in range(8)])[:, 0]
    assert abs(found.mean() - wanted[0]) / 4 < 1e-3


def test_elements_that_mix_are_frozen_with_the_ions(olivine: Lattice) -> None:
    """Fe and Mn on one sublattice: where they are belongs to the ions, and only the electrons can be free alone."""
    system = cell_of(olivine, SODIUM, MIXED)
    assert has_electrons(system.lattice) and not separable(system.lattice) and free_subsystems(system.lattice) == ("electrons",)
    species = random_neutral_state(system.supercell, "Na+", 2, np.random.default_rng(3))
    species[4:] = [0, 1, 2, 1]
    free = FreeSubsystem(system, species, Subsystem.ELECTRONS)
    assert {tuple(s[4:]) for s in free.states.tolist()} == {(0, 1, 2, 1), (1, 0, 2, 1), (1, 1, 2, 0)}
    assert (free.states[:, 6] == 2).all() and np.exp(free.log_states) == pytest.approx(3)


@pytest.mark.parametrize("energy_eV", [-15_068.0, -1306.0, 900.0])
def test_states_are_drawn_whatever_the_zero_of_the_energies(olivine: Lattice, energy_eV: float) -> None:
    """Total energies by all-electron codes are thousands of eV per ion."""
    system = build_system(Hamiltonian(olivine, tuple(point_clusters(olivine, "Na+", energy_eV))), np.eye(3, dtype=int), ("Na+",))
    for n in (1, 2, 3):
        states = draw_states(system, begin(system, n), BETA, n, 2)
        assert [int(system.count_ions(s)[0]) for s in states] == [n, n]
