"""Cooling and heating: equal where chains are long and exact by enumeration; apart where a chain is frozen in."""

from dataclasses import replace

import numpy as np
from mpi4py import MPI

from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.preparation.cycle import cycles
from redoxmc.engine.thermodynamics.hysteresis import hysteresis_group, hysteresis_note
from redoxmc.engine.units import NEV_PER_EV

from ..helpers.enumeration import enumerate_states

TEMPERATURES = np.array([300.0, 600.0, 1200.0])


def test_long_chains_meet_the_exact_energies_both_ways(small: System) -> None:
    """70 states: within 5 standard errors, which stay below 0.3 meV/fu."""
    found = cycles(small, TEMPERATURES, 40_000, 5, MPI.COMM_SELF)
    exact = enumerate_states(small)
    for row, t in enumerate(TEMPERATURES):
        mean = exact.canonical_energy_eV(float(t))[found.n, None]
        energy, error = found.energy_neV[..., row] / NEV_PER_EV, found.error_neV[..., row] / NEV_PER_EV
        assert error.max() / small.n_formula_units < 3e-4
        assert (np.abs(energy - mean) < 5 * error + 1e-9).all()
    assert not hysteresis_group(found, small).hysteresis.any() and hysteresis_note(hysteresis_group(found, small)) is None


def test_what_differs_is_said(small: System) -> None:
    found = cycles(small, TEMPERATURES, 2_000, 5, MPI.COMM_SELF)
    shift = np.zeros_like(found.energy_neV)
    shift[1, 1, 0] = 0.05 * NEV_PER_EV
    group = hysteresis_group(replace(found, energy_neV=found.energy_neV + shift), small)
    assert group.hysteresis.sum() == 1 and group.hysteresis[0, 1]
    assert "between 300 and 300 K" in (hysteresis_note(group) or "")
