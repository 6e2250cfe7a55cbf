"""The fit of a cluster expansion: what it leaves undetermined, and an expansion that is known."""

import numpy as np
import pytest

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.hamiltonian.clusters import from_icet
from redoxmc.engine.hamiltonian.fit import expansion, fit_expansion, neutrality_null_vector, undetermined
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.sampling.chains.system import build_system
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.stages.shared.run import FitData
from redoxmc.engine.units import NEV_PER_EV

from ..helpers.paths import ROOT

pytestmark = pytest.mark.runs


@pytest.fixture(scope="module")
def fit_data() -> FitData:
    found = prepare(read_input(ROOT / "inputs/nafepo4.yaml"))[1].fit_data
    assert found is not None
    return found


def test_predictions_do_not_change_along_the_null_vector(fit_data: FitData, olivine: Lattice) -> None:
    assert fit_data.null.any()
    assert np.abs(fit_data.vectors @ fit_data.null).max() < 1e-9
    fit = fit_expansion(fit_data.space, fit_data.vectors, fit_data.data, fit_data.null, fit_data.ends, "ardr", 10, 1)
    assert abs(fit.parameters @ fit_data.null) < 1e-9 * np.abs(fit.parameters).max()
    shifted = expansion(fit_data.space, fit)
    shifted = type(shifted)(fit_data.space, fit.parameters + 3.7 * fit_data.null)
    for matrix in (np.diag([1, 1, 1]), np.diag([2, 1, 2])):
        a = build_system(from_icet(expansion(fit_data.space, fit), olivine), matrix, ("Na+",))
        b = build_system(from_icet(shifted, olivine), matrix, ("Na+",))
        from redoxmc.engine.crystal.neutral_states import random_neutral_state

        for n in range(1, 4):
            state = random_neutral_state(a.supercell, "Na+", n, np.random.default_rng(n))
            assert abs(a.energy_neV(state) - b.energy_neV(state)) / NEV_PER_EV / a.n_formula_units < 1e-6
        charged = np.zeros(a.supercell.n_sites, np.int8)
        charged[0] = 1
        assert abs(a.energy_neV(charged) - b.energy_neV(charged)) > 1000


def test_fit_of_the_shipped_data(fit_data: FitData) -> None:
    """At least 120 certain cells, dilute and ordered ones among them; held-out errors are those of unseen cells."""
    assert len(fit_data.data.cells) >= 120
    x = fit_data.data.fraction("Na")
    assert {0.0, 0.125, 0.25, 0.5, 0.625, 0.75, 1.0} <= set(np.round(x, 3).tolist())
    fit = fit_expansion(fit_data.space, fit_data.vectors, fit_data.data, fit_data.null, fit_data.ends, "ardr", 10, 1)
    assert np.isfinite(fit.left_out_eV).all()
    assert fit.rmse_eV < fit.validation_rmse_eV < 0.012
    folds = np.sqrt(np.mean(fit.fold_rmse_eV**2))
    assert abs(folds - fit.validation_rmse_eV) < 0.1 * fit.validation_rmse_eV


def test_the_ends_are_met_exactly(fit_data: FitData) -> None:
    """By the fit and by every draw; without it mixing energies are off by up to 15 meV/fu. Cells at the ends do not test the
    fit.
    """
    fit = fit_expansion(fit_data.space, fit_data.vectors, fit_data.data, fit_data.null, fit_data.ends, "ardr", 10, 1)
    x = fit_data.data.fraction("Na")
    assert (fit.is_end == ((x == 0) | (x == 1))).all() and fit.is_end.sum() == 2
    energies = fit_data.data.energies_eV[fit.is_end]
    for parameters in (fit.parameters, *fit.draws):
        assert np.abs(fit_data.vectors[fit.is_end] @ parameters - energies).max() < 1e-8
    free = fit_expansion(fit_data.space, fit_data.vectors, fit_data.data, fit_data.null, fit_data.ends[:0], "ardr", 10, 1)
    assert not free.is_end.any()
    assert np.abs(free.fitted_eV - fit_data.data.energies_eV)[fit.is_end].max() > 0.005


def test_a_known_expansion_is_recovered(fit_data: FitData) -> None:
    """Energies made from known parameters: the fit predicts them, whatever the gauge."""
    rng = np.random.default_rng(4)
    true = rng.normal(scale=0.01, size=fit_data.vectors.shape[1])
    data = type(fit_data.data)(
        fit_data.data.cells, fit_data.data.names, fit_data.vectors @ true - 190.0, fit_data.data.n_formula_units
    )
    fit = fit_expansion(fit_data.space, fit_data.vectors, data, fit_data.null, fit_data.ends, "least-squares", 5, 1)
    assert fit.validation_rmse_eV < 1e-8


def test_aliased_clusters_are_found(fit_data: FitData, olivine: Lattice) -> None:
    null = neutrality_null_vector(fit_data.space, olivine)
    assert undetermined(fit_data.vectors, null) == []
    small = [k for k, c in enumerate(fit_data.data.cells) if len(c) <= 28]
    assert undetermined(fit_data.vectors[small], null)
