"""Pairs of state points by the ensemble check of physical_validation (Shirts, J. Chem. Theory Comput. 9, 909, 2013).

Two chains of one ensemble differ by exactly their Boltzmann factors: ln P_2/P_1 is linear in the energy and in the
count of the ion, with known slopes. An error that both chains share cancels in that ratio, and so does a lost Hastings
factor if both make the same moves. The second chain of each pair therefore makes others: near exchanges and pair hops,
which count their sites differently.
"""

from dataclasses import dataclass, replace

import numpy as np
import physical_validation as pv
import pytest

from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.sampling.chains import chain as sampling_chain
from redoxmc.engine.sampling.chains.chain import advance
from redoxmc.engine.sampling.chains.moves import Mix, MoveSet
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.sampling.diagnostics import autocorrelation_time
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV

from ..helpers.enumeration import begin, semigrand
from ..helpers.mutants import broken_chain

FREE, NEAR = Mix(0.5, 0.5, 0.0, 0.0, 0.0), Mix(0.1, 0.0, 0.7, 0.2, 0.0)
COLD_K, HOT_K, MU_EV, N_IONS = 800.0, 1800.0, 0.04, 12
MOST_QUANTILES = 3.0
THIN = 4  # sweeps between samples; the package widens its error bars by what correlation is left
KJ_PER_MOL = 96.485332
UNITS = pv.data.UnitData(BOLTZMANN_EV_PER_K, KJ_PER_MOL, 0.1, 1e-3, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Chain:
    """Samples at a temperature and a chemical potential (None: at a fixed count); energy_eV of the cell and n, both
    (samples,).
    """

    temperature_K: float
    mu_eV: float | None
    energy_eV: np.ndarray
    n: np.ndarray

    def data(self, beta_factor: float) -> pv.data.SimulationData:
        """As if the chain had been asked for at a temperature that is higher by beta_factor: its beta is then wrong by that."""
        t = self.temperature_K * beta_factor
        ensemble = (
            pv.data.EnsembleData("NVT", natoms=1, volume=1.0, temperature=t)
            if self.mu_eV is None
            else pv.data.EnsembleData("muVT", mu=self.mu_eV, volume=1.0, temperature=t)
        )
        observables = pv.data.ObservableData(potential_energy=self.energy_eV, number_of_species=self.n)
        return pv.data.SimulationData(units=UNITS, ensemble=ensemble, observables=observables)


def sample(
    system: System, temperature_K: float, mu_eV: float | None, n_samples: int, seed: int, moves: MoveSet | None = None
) -> Chain:
    """The engine's own chain after a short equilibration; mu_eV None: canonical."""
    moves = moves or (system.canonical_moves if mu_eV is None else system.moves)
    start = random_neutral_state(system.supercell, system.ion, N_IONS, np.random.default_rng(seed))
    ensemble, tally, chain = semigrand(system, temperature_K, mu_eV or 0.0), empty_tally(system), begin(system, seed, start)
    advance(chain, system, moves, ensemble, tally, 2000)
    record = advance(chain, system, moves, ensemble, tally, THIN * n_samples)
    energy, n = record.energy[::THIN] / NEV_PER_EV, record.ions[::THIN, 0].astype(float)
    return Chain(temperature_K, mu_eV, energy, n)


def nearly_independent(pair: tuple[Chain, Chain]) -> bool:
    return all(autocorrelation_time(series) < 2.0 for chain in pair for series in (chain.energy_eV, chain.n))


def quantiles(pair: tuple[Chain, Chain], beta_factor: float = 1.0, over_both: bool = False) -> float:
    """Largest number of standard errors by which a slope of ln P_2/P_1 is off.

    over_both: slopes in energy and in n together. The package does this only between temperatures, which here differ in the ninth
    digit; at equal ones it wants a histogram over n of 40 bins, which has holes wherever n spans fewer whole numbers.
    """
    a, b = pair
    if over_both:
        b = replace(b, temperature_K=b.temperature_K * (1 + 1e-9))
    found = pv.ensemble.check(a.data(beta_factor), b.data(beta_factor), verbosity=0, data_is_uncorrelated=True)
    return float(np.max(np.abs(found)))


def cell(hamiltonian: Hamiltonian, mix: Mix, *repeats: int) -> System:
    return build_system(hamiltonian, np.diag(repeats), ("Na+",), mix)


def all_pairs(hamiltonian: Hamiltonian, n_samples: int) -> dict[str, tuple[Chain, Chain]]:
    """Of 32 formula units."""
    free, near = (cell(hamiltonian, mix, 2, 2, 2) for mix in (FREE, NEAR))
    one = sample(free, COLD_K, -MU_EV, n_samples, 1)
    return {
        "canonical": (sample(free, COLD_K, None, n_samples, 2), sample(near, HOT_K, None, n_samples, 3)),
        "two temperatures": (one, sample(near, HOT_K, -MU_EV, n_samples, 4)),
        "two potentials": (one, sample(near, COLD_K, MU_EV, n_samples, 5)),
    }


NAMES = ["canonical", "two temperatures", "two potentials"]


@pytest.fixture(scope="module")
def pairs(olivine_hamiltonian: Hamiltonian) -> dict[str, tuple[Chain, Chain]]:
    return all_pairs(olivine_hamiltonian, 50_000)


@pytest.mark.validate
@pytest.mark.parametrize("name", NAMES)
def test_pairs_differ_by_their_boltzmann_factors(name: str, pairs: dict[str, tuple[Chain, Chain]]) -> None:
    over_both = name == "two potentials"
    assert nearly_independent(pairs[name])
    assert quantiles(pairs[name], over_both=over_both) < MOST_QUANTILES
    assert quantiles(pairs[name], 1.05, over_both) > MOST_QUANTILES, "mutant: beta 5 % too large"


def without_hastings(moves: MoveSet) -> MoveSet:
    """Exchanges that pass for their own reverse; they miss the chemical potential too, so that has to be 0."""
    return replace(moves, arrays=moves.arrays._replace(conserves=np.ones_like(moves.arrays.conserves)))


def test_a_dropped_hastings_factor_is_seen(olivine_hamiltonian: Hamiltonian) -> None:
    free, near = (cell(olivine_hamiltonian, mix, 2, 2, 2) for mix in (FREE, NEAR))
    intact, broken = (
        (sample(free, COLD_K, 0.0, 3000, 1, change(free.moves)), sample(near, HOT_K, 0.0, 3000, 2, change(near.moves)))
        for change in (lambda moves: moves, without_hastings)
    )
    assert quantiles(intact) < MOST_QUANTILES < quantiles(broken)


@pytest.mark.validate
def test_pairs_at_length(olivine_hamiltonian: Hamiltonian) -> None:
    """Long enough to see 3 % of beta either way."""
    for name, pair in all_pairs(olivine_hamiltonian, 100_000).items():
        over_both = name == "two potentials"
        assert nearly_independent(pair)
        assert quantiles(pair, over_both=over_both) < MOST_QUANTILES, name
        assert all(quantiles(pair, f, over_both) > MOST_QUANTILES for f in (0.97, 1.03)), name


@pytest.mark.validate
def test_two_potentials_by_the_histogram(olivine_hamiltonian: Hamiltonian) -> None:
    """320 formula units: n spans enough whole numbers for the package's own check at one temperature."""
    free, near = (cell(olivine_hamiltonian, mix, 4, 4, 5) for mix in (FREE, NEAR))
    pair = sample(free, 1000.0, -0.01, 20_000, 1), sample(near, 1000.0, 0.01, 20_000, 2)
    assert nearly_independent(pair)
    assert quantiles(pair) < MOST_QUANTILES < quantiles(pair, 1.05)


@pytest.mark.validate
def test_the_compiled_chain_without_hastings_factor_is_seen(
    olivine_hamiltonian: Hamiltonian, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling_chain, "run", broken_chain("dropped Hastings factor").run)
    free, near = (cell(olivine_hamiltonian, mix, 2, 2, 2) for mix in (FREE, NEAR))
    temperatures = (sample(s, t, -MU_EV, 5000, 1) for s, t in ((free, COLD_K), (near, HOT_K)))
    potentials = (
        sample(s, COLD_K, mu, 5000, 2) for s, mu in ((free, -MU_EV / 2), (near, MU_EV / 2))
    )  # nearer: they must overlap
    assert quantiles(tuple(temperatures)) > MOST_QUANTILES
    assert quantiles(tuple(potentials), over_both=True) > MOST_QUANTILES
