"""Grand potentials of phases with degenerate electrons, from both kinds of anchors, against all 12 870 states of 8 + 8 sites."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters
from redoxmc.engine.sampling.chains.system import build_system
from redoxmc.engine.sampling.phases import sheets
from redoxmc.engine.sampling.phases.catalogue import find_phases
from redoxmc.engine.sampling.phases.sheets import STRENGTHS, Kind, Sheet, Task, make_sheet
from redoxmc.engine.sampling.phases.tasks import DISORDERED, Catalogue, pattern_of
from redoxmc.engine.thermodynamics.phases.grand_potential import Anchor, coupling_anchors, grand_potential, states_anchors
from redoxmc.engine.thermodynamics.phases.surface import Surface, surface_of
from redoxmc.engine.units import NEV_PER_EV

from ..helpers.enumeration import Enumeration, enumerate_states
from ..helpers.lengths import FULL, LENGTHS, SHORT, bar

ALONG_B_EV, ACROSS_EV = 0.24, -0.12  # between ions 3.2 and 5.8 A apart; electrons cost nothing wherever they are
ASKED_K, MU_EV = (450.0, 650.0), np.array([-0.05, 0.0, 0.05])
SEED, VARIANTS = 5, 2
SWEEPS = 4000  # times the length
COUPLED_SWEEPS, SNAPSHOTS = {SHORT: 2000, FULL: 40_000}, {SHORT: 25, FULL: 200}
CLOSE_KT = 1e-3  # per formula unit, of the full length


@pytest.fixture(scope="module")
def states(olivine: Lattice) -> Enumeration:
    """Every second Na along b at x = 1/2, in two variants; 70 states of the electrons in each."""
    ions = ("Na+", "Na+")
    clusters = (*pair_clusters(olivine, ions, (3.0, 3.2), ALONG_B_EV), *pair_clusters(olivine, ions, (5.8, 5.85), ACROSS_EV))
    return enumerate_states(build_system(Hamiltonian(olivine, clusters), np.diag([1, 2, 1]), ("Na+",)))


def exact(states: Enumeration, surface: Surface) -> np.ndarray:
    """beta Phi of the cell at all points but beta = 0, (beta, mu)."""
    mu_n = surface.mu_eV[:, None] * states.n
    return np.array([-logsumexp(-b * (states.energy_eV - mu_n), axis=1) for b in surface.beta_per_eV if b > 0])


def made(states: Enumeration, catalogue: Catalogue, phase: int, kinds: Sequence[Kind], length: int) -> list[Sheet]:
    tasks = [Task(phase, k, mu, 0) for k in kinds if k is not Kind.COUPLED for mu in catalogue.mu_of(phase).tolist()]
    if Kind.COUPLED in kinds:
        tasks += [Task(phase, Kind.COUPLED, catalogue.reference_mu_eV(phase), 0, node) for node in range(STRENGTHS)]
    system = states.system
    patterns = [pattern_of(catalogue, t, system) for t in tasks]
    sweeps = [COUPLED_SWEEPS[length] if t.kind is Kind.COUPLED else SWEEPS * length for t in tasks]
    given = enumerate(zip(tasks, patterns, sweeps))
    return [make_sheet(system, p, (), t, ASKED_K, n, SEED, (k, phase + 1)) for k, (t, p, n) in given]


def deviation_kT(surface: Surface, anchors: Sequence[Anchor], expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """beta phi less the exact one, and its error, per formula unit, (beta, mu)."""
    found = grand_potential(surface, anchors, 8)
    beta_phi = (surface.beta_per_eV[:, None] * found.value_eV)[:, -len(expected) :]
    return beta_phi[0] - expected / 8, beta_phi[1:].std(axis=0, ddof=1)


@LENGTHS
def test_the_number_of_states_as_an_anchor(states: Enumeration, length: int) -> None:
    """From beta = 0, all variants of the order together. In a cell this small nothing counts as ordered for long."""
    catalogue = Catalogue((), MU_EV, ASKED_K)
    surface = surface_of(catalogue, made(states, catalogue, DISORDERED, (Kind.HOT, Kind.COLD), length), DISORDERED, 0, 8, SEED)
    assert surface is not None
    surface = replace(surface, exists=np.ones_like(surface.exists))
    anchors = states_anchors(surface, states.system.neutral_counts[1], 8)
    deviation, error = deviation_kT(surface, anchors, exact(states, surface))
    assert error.max() < bar(CLOSE_KT / 2, length) and (np.abs(deviation) < 3 * error + 1e-4).mean() > 0.97
    assert np.abs(deviation).max() < bar(CLOSE_KT, length)


@LENGTHS
def test_the_coupling_to_a_pattern_as_an_anchor(states: Enumeration, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two variants of the ions, and all 70 states of the electrons, ln 2 and ln 70 of the cell.

    Mutant: anchors off by ln 2 for each electron are outside the bar.
    """
    monkeypatch.setattr(sheets, "SNAPSHOTS", SNAPSHOTS[length])
    system = states.system
    phases = [p for p in find_phases((system, system), np.array([0.0]), ASKED_K, [], SEED) if p.n == 4]
    catalogue = Catalogue(tuple(phases), MU_EV, ASKED_K)
    own = made(states, catalogue, 0, (Kind.COLD, Kind.COUPLED), length)
    surface = surface_of(catalogue, own, 0, 0, 8, SEED)
    assert surface is not None and surface.exists.all()
    nodes, pattern = [s for s in own if s.task.kind is Kind.COUPLED], (phases[0].energy_neV / NEV_PER_EV, phases[0].n)
    anchors = coupling_anchors(surface, nodes, ASKED_K, pattern, 8, SEED)
    one_variant = exact(states, surface) + np.log(VARIANTS)
    deviation, error = deviation_kT(surface, anchors, one_variant)
    assert error.max() < bar(1.1 * CLOSE_KT, length)
    assert (np.abs(deviation) < 3 * error).all() and np.abs(deviation).max() < bar(CLOSE_KT, length)
    mistaken = [replace(a, value=a.value + np.log(2)) for a in anchors]
    off, error = deviation_kT(surface, mistaken, one_variant)
    assert np.abs(off).min() > 100 * error.max() and np.abs(off).min() > bar(CLOSE_KT, SHORT)
