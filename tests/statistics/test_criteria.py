"""What is trusted, and that nothing follows from what is not."""

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from redoxmc.engine.runtime.results.canonical import TrustCriteria
from redoxmc.engine.runtime.results.replicas import Semigrand
from redoxmc.engine.sampling.ladder.slots import EnsembleKind, Slot
from redoxmc.engine.thermodynamics.free_energy.hull import lower_hull
from redoxmc.engine.thermodynamics.free_energy.isotherms import Isotherms
from redoxmc.engine.thermodynamics.free_energy.transition_matrix import Curves
from redoxmc.engine.thermodynamics.free_energy.trust import COMPARED, criteria
from redoxmc.engine.thermodynamics.grand_potential import with_grand_potential
from redoxmc.engine.thermodynamics.phase_diagram.diagram import build_diagram
from redoxmc.engine.thermodynamics.phase_diagram.group import diagram_group, hull_group
from redoxmc.engine.thermodynamics.phase_diagram.trusted import trusted_part

from ..helpers.blank import blank
from ..helpers.mean_field import all_trusted, ideal, isotherms_of, no_order

LADDER = [300.0, 320.0, 340.0]
W_EV = 0.25


@pytest.fixture(scope="module")
def gas() -> Isotherms:
    """A regular solution that closes at W / 4k = 725 K."""
    return isotherms_of(lambda x, t: W_EV * x * (1 - x) + ideal(x, t), LADDER, noise_eV=1e-6)


def with_variance(curves: Curves, variance_neV2: float) -> Curves:
    return replace(curves, all=replace(curves.all, energy_variance_neV2=np.full(len(curves.all.n), variance_neV2)))


def found_for(isotherms: Isotherms, convergence_trusted: bool = True, **changed: Any) -> TrustCriteria:
    """The criteria of sound values, but for what is changed."""
    shape = len(isotherms.rungs), len(isotherms.grid)
    t = isotherms.temperature_K[:, None] * np.ones(shape)
    values = {
        "free_energy_eV": -1e-4 * t, "energy_eV": 1e-5 * t, "entropy_kB": np.ones(shape), "heat_capacity_x_kB": np.ones(shape)
    }  # fmt: skip
    values |= {f"{name}_error": np.full(shape, 1e-5) for name in list(values)} | changed.pop("values", {})
    halves = {name: (values[name], values[name]) for name in COMPARED} | changed.pop("halves", {})
    slots = tuple(Slot(r, EnsembleKind.VCSGC, 0, 600.0) for r in isotherms.rungs)
    plan = replace(isotherms.plan, slots=slots)
    curves = changed.pop("curves", tuple(with_variance(c, 1e16) for c in isotherms.curves))
    convergence: Any = SimpleNamespace(trusted=np.full(len(slots), convergence_trusted))
    return criteria(replace(isotherms, plan=plan, curves=curves), convergence, values, halves)


def inner(found: TrustCriteria) -> dict[str, np.ndarray]:
    """Every mask between the ends, which are exact."""
    masks = {f.name: getattr(found, f.name) for f in fields(found)}
    assert all(m[:, [0, -1]].all() for m in masks.values())
    return {name: m[:, 1:-1] for name, m in masks.items()}


def test_sound_values_are_trusted(gas: Isotherms) -> None:
    assert all(m.all() for m in inner(found_for(gas)).values())
    assert not inner(found_for(gas, convergence_trusted=False))["replicas_converged"].any()


def test_below_ten_independent_parts_nothing_is_trusted(gas: Isotherms) -> None:
    curves = tuple(with_variance(replace(c, units=units), 1e16) for c, units in zip(gas.curves, (9, 10, 80)))
    few = inner(found_for(gas, curves=curves))
    assert few["samples_suffice"].all(axis=1).tolist() == [False, True, True] and not few["samples_suffice"][0].any()


def test_a_temperature_at_which_nothing_is_excited_is_not_trusted_if_a_hotter_one_is(gas: Isotherms) -> None:
    curves = [
        replace(c, all=replace(c.all, energy_variance_neV2=v * np.ones(len(gas.n)))) for c, v in zip(gas.curves, (0, 0, 1e16))
    ]
    seen = inner(found_for(gas, curves=tuple(curves)))["samples_suffice"]
    assert not seen[:2].any() and seen[2].all()
    never = tuple(with_variance(c, 0.0) for c in gas.curves)
    assert inner(found_for(gas, curves=never))["samples_suffice"].all()


def test_free_energy_must_not_rise_and_energy_must_not_fall_on_heating(gas: Isotherms) -> None:
    shape = len(gas.rungs), len(gas.grid)
    falls_on_cooling = np.full(shape, -0.03)  # as where F at 200 K was -196 meV/fu and -30 at 300 K
    falls_on_cooling[0, 40] = -0.196
    stable = inner(found_for(gas, values={"free_energy_eV": falls_on_cooling}))["stable"]
    assert not stable[:2, 39].any() and stable[2].all() and stable[:, :39].all() and stable[:, 40:].all()
    halves = {"free_energy_eV": (falls_on_cooling, falls_on_cooling + (falls_on_cooling < -0.1))}  # 200 K is out otherwise
    blamed = inner(found_for(gas, values={"free_energy_eV": falls_on_cooling}, halves=halves))["stable"]
    assert blamed[:, 39].tolist() == [False, True, True]
    within = np.full(shape, -0.03)
    within[0, 40] -= 5e-5  # 3.5 standard errors
    assert inner(found_for(gas, values={"free_energy_eV": within}))["stable"].all()
    energy = np.zeros(shape)
    energy[1, 40] = 1e-3
    assert inner(found_for(gas, values={"energy_eV": energy}))["stable"][:, 39].tolist() == [True, False, False]
    assert not inner(found_for(gas, values={"entropy_kB": np.full(shape, -0.1)}))["stable"].any()


def test_differences_count_in_standard_errors_not_in_meV(gas: Isotherms) -> None:
    shape = len(gas.rungs), len(gas.grid)
    for error, agree in ((1e-5, False), (1e-4, True)):  # walkers 0.5 meV/fu apart
        values = {"free_energy_eV_error": np.full(shape, error)}
        up = np.full(shape, -0.05)
        found = inner(found_for(gas, values=values, halves={"free_energy_eV": (up, up + 5e-4)}))
        assert (found["walkers_agree"] == agree).all()
    energy = np.zeros(shape)
    assert not inner(found_for(gas, halves={"energy_eV": (energy, energy + 5e-4)}))["walkers_agree"].any()
    error = np.full(shape, 1.2e-4)  # 5.6, 5.2, 4.9 kT of the cell
    assert inner(found_for(gas, values={"free_energy_eV_error": error}))["precise"].all(axis=1).tolist() == [False, False, True]


def test_nothing_of_a_diagram_is_derived_from_what_is_not_trusted(gas: Isotherms) -> None:
    diagram, every = build_diagram(gas), all_trusted(gas)
    whole = diagram_group(diagram, trusted_part(diagram, every), every, no_order(gas))
    assert (whole.n_two_phase_regions == 1).all() and "not trusted" not in whole.not_resolved
    doubtful = every.trusted.copy()
    doubtful[0, (gas.x_grid > 0) & (gas.x_grid < 0.1)] = False  # the low side of the region at 300 K
    part = replace(every, trusted=doubtful)
    kept = trusted_part(diagram, part)
    group = diagram_group(diagram, kept, part, no_order(gas))
    assert group.boundary.temperature_K.min() == 320.0 and (group.n_two_phase_regions[group.temperature_K < 320] == 0).all()
    assert kept.left_out[0] == (group.temperature_K < 320).sum() and f"{kept.left_out[0]} of" in group.not_resolved
    inside = (group.x > diagram.rows[0][0].x[0]) & (group.x < diagram.rows[0][0].x[1])
    assert not group.trusted[0, inside].any() and group.trusted[1:].all() and (group.phase_number[0, inside] == -1).all()
    hull = hull_group(gas, doubtful)
    assert np.isnan(hull.energy_above_hull_eV[0, inside]).all() and np.isfinite(hull.energy_above_hull_eV[1:]).all()


def test_an_invariant_point_needs_its_regions(gas: Isotherms) -> None:
    isotherms = isotherms_of(lambda x, t: W_EV * x * (1 - x) + ideal(x, t), [690.0, 715.0, 740.0], n_fu=4000, noise_eV=1e-7)
    diagram, every = build_diagram(isotherms), all_trusted(isotherms)
    assert len(trusted_part(diagram, every).diagram.invariants) == len(diagram.invariants) == 1
    part = replace(every, trusted=every.trusted & (isotherms.temperature_K != 690.0)[:, None])
    kept = trusted_part(diagram, part)
    assert kept.diagram.invariants == [] and kept.left_out[1] == 1


def test_x_and_grand_potential_have_masks(gas: Isotherms) -> None:
    """At the chemical potential of the gap F must be known on both sides; elsewhere on one side alone."""
    mu = np.array([-0.1, 0.0, 0.1])
    chains = blank(
        Semigrand,
        temperature_K=gas.temperature_K,
        chemical_potential_eV=mu,
        x=np.full((3, 3), 0.5),
        x_error=np.full((3, 3), 1e-3),
        trusted=np.ones((3, 3), bool),
        move=np.array(["swap"]),
        acceptance=np.ones((3, 3, 1)),
    )
    found = with_grand_potential(chains, gas, np.ones((3, len(gas.grid)), bool) & (gas.x_grid < 0.5))
    assert found.grand is not None
    assert found.grand.grand_potential_trusted.tolist() == [[True, False, False]] * 3
    assert found.grand.x_from_free_energy_trusted.tolist() == [[True, False, False]] * 3
    assert not found.trusted[:, [0, 2]].any(), "x of the chains is not that of F: they did not see the other phase"


def test_the_hull_does_not_depend_on_the_zero_of_the_energies() -> None:
    x = np.linspace(0, 1, 401)
    f = 1e-3 * (x * (x - 1) + 0.1 * np.sin(9 * x))
    vertices = lower_hull(x, f)
    assert 5 < len(vertices) < 400 and np.array_equal(lower_hull(x, f - 60_272.278278 * x - 12_000), vertices)
