"""What draws of the couplings do to free energies and boundaries, against enumeration and against curves made for it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from redoxmc.engine.input.reader import read_input
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.samples import read_samples
from redoxmc.engine.stages.learn.motion import motion
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.thermodynamics.analysis import analyse_samples, isotherms_of
from redoxmc.engine.thermodynamics.fit_uncertainty import Changes, FitUncertainty, changes, with_fit_uncertainty
from redoxmc.engine.thermodynamics.phase_diagram.diagram import build_diagram
from redoxmc.engine.thermodynamics.phase_diagram.group import diagram_group
from redoxmc.engine.thermodynamics.phase_diagram.trusted import trusted_part
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers import shared
from ..helpers.enumeration import enumerate_states
from ..helpers.mean_field import Float, all_trusted, ideal, no_order
from ..helpers.mean_field import isotherms_of as made_up
from ..helpers.shared import made_once

W_EV = 0.08


@pytest.fixture(scope="module")
def sampled(common: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, System, list[System]]:
    """The input of the samples, its system, and those of three other Hamiltonians."""
    path, folder = made_once(common, "sampled", shared.sampled) / "input.yaml", tmp_path_factory.mktemp("couplings")
    systems = []
    for k, (ion_electron, ion_ion) in enumerate(((-0.03, 0.015), (-0.036, 0.015), (-0.03, 0.009), (-0.024, 0.021))):
        other = folder / f"other_{k}.yaml"
        text = path.read_text().replace("energy_eV: -0.03}", f"energy_eV: {ion_electron}}}")
        other.write_text(text.replace("energy_eV: 0.015}", f"energy_eV: {ion_ion}}}"))
        given, _ = prepare(read_input(other))
        systems.append(build_system(given.user_terms, given.matrix, given.ions))
    return path, systems[0], systems[1:]


@pytest.mark.runs
def test_free_energies_change_as_enumeration_says(sampled: tuple[Path, System, list[System]]) -> None:
    path, system, drawn = sampled
    samples = read_samples(SampleStore(path.parent / "out/samples"))
    isotherms = isotherms_of(samples, system, 9, 3)
    assert isotherms is not None
    found = changes(samples, isotherms, system, drawn).mixing_eV
    own, others = enumerate_states(system), [enumerate_states(d) for d in drawn]
    line = np.linspace(0, 1, 9)
    for row, t in enumerate(isotherms.temperature_K):
        kT = BOLTZMANN_EV_PER_K * t
        for change, other in zip(found[:, row], others):
            exact = -kT * (other.log_z(t) - own.log_z(t)) / 8
            exact = exact - exact[0] * (1 - line) - exact[-1] * line
            assert np.abs(exact).max() > 1.2e-3
            assert np.abs(change - exact).max() < 0.2 * np.abs(exact).max() + 2e-4, (t, 1e3 * change, 1e3 * exact)


@pytest.mark.runs
def test_they_are_in_the_results(sampled: tuple[Path, System, list[System]]) -> None:
    path, system, drawn = sampled
    samples = read_samples(SampleStore(path.parent / "out/samples"))
    settings = read_input(path).config.analysis
    without = analyse_samples(samples, system, settings, 3).results
    found = analyse_samples(samples, system, settings, 3, drawn=drawn).results
    assert without.canonical is not None and found.canonical is not None and found.phase_diagram is not None
    assert set(found.canonical.datasets()) - set(without.canonical.datasets()) == {"mixing_free_energy_eV_fit_uncertainty"}
    band, x_error = found.canonical.mixing_free_energy_eV_fit_uncertainty, found.phase_diagram.boundary.x_fit_uncertainty
    assert band is not None and x_error is not None
    assert (band[:, 1:-1] > 1e-4).all() and np.abs(band[:, [0, -1]]).max() < 1e-12
    assert len(x_error) == len(found.phase_diagram.boundary.x)


def regular(x: Float, temperature_K: float) -> Float:
    return W_EV * x * (1 - x) + ideal(x, temperature_K)


def boundary(w: float, temperature_K: float) -> float:
    """The low boundary of a regular solution; its middle where there is none."""
    kT = BOLTZMANN_EV_PER_K * temperature_K
    if w <= 4 * kT:
        return 0.5
    return float(brentq(lambda v: w * (1 - 2 * v) + 2 * kT * np.log(v / (1 - v)), 1e-9, 0.4999))


def test_a_critical_temperature_moves_with_the_interaction() -> None:
    """Regular solution with two lattices' entropy: T_c = W / 4k, so 10 % of W is 10 % of T_c; the boundaries by the
    derivative.
    """
    isotherms = made_up(regular, [150.0, 180.0, 210.0, 230.0, 260.0], n_fu=4000, noise_eV=1e-7)
    diagram = build_diagram(isotherms)
    share = np.random.default_rng(1).normal(scale=0.03, size=60)
    x = isotherms.x
    mixing = np.tile((W_EV * x * (1 - x) * share[:, None])[:, None], (1, len(isotherms.rungs), 1))
    canonical, order = all_trusted(isotherms), no_order(isotherms)
    group = diagram_group(diagram, trusted_part(diagram, canonical), canonical, order)
    _, drawn = with_fit_uncertainty(canonical, group, FitUncertainty(diagram, isotherms, Changes(mixing)))
    critical = W_EV / 4 / BOLTZMANN_EV_PER_K
    found = drawn.invariant.temperature_K_fit_uncertainty
    assert found is not None and len(found) == 1 and abs(found[0] / (share.std() * critical) - 1) < 0.25
    at = np.abs(drawn.boundary.temperature_K - 180.0) < 1e-9
    slope = (boundary(1.01 * W_EV, 180) - boundary(0.99 * W_EV, 180)) / 0.02
    assert drawn.boundary.x_fit_uncertainty is not None
    assert np.allclose(drawn.boundary.x_fit_uncertainty[at], abs(slope) * share.std(), rtol=0.15)


@pytest.mark.parametrize("share", [0.04, -0.04, -0.9])
def test_motion_is_that_of_the_boundaries(share: float) -> None:
    """Between two strengths of the interaction, from either to the other; the last has no boundary of its own left."""
    temperatures = [150.0, 165.0, 180.0]
    found = []
    for own, factor in ((1.0, 1 + share), (1 + share, 1.0)):
        isotherms = made_up(lambda x, t, w=own: w * W_EV * x * (1 - x) + ideal(x, t), temperatures, n_fu=4000, noise_eV=1e-7)
        x = isotherms.x
        change = np.tile((factor - own) * W_EV * x * (1 - x), (1, len(temperatures), 1))
        found.append(motion(build_diagram(isotherms), isotherms, Changes(change)))
    ts = np.arange(150.0, 181.0)
    exact = np.array([boundary((1 + share) * W_EV, t) - boundary(W_EV, t) for t in ts])
    for moved_x, moved_eV in found:
        assert moved_x == pytest.approx(np.abs(exact).mean(), rel=0.05, abs=5e-4)
        assert moved_eV == pytest.approx(abs(share) * W_EV / 4, rel=1e-6)
