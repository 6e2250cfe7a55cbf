"""Coverage of error bars of boundaries and of critical temperatures, by cells whose P(n) is known exactly."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.order_scans.crossing import crossing, of_count
from redoxmc.engine.sampling.order_scans.gap_scan import GapScan
from redoxmc.engine.sampling.samples import convergence_of, read_samples
from redoxmc.engine.thermodynamics.analysis import isotherms_of
from redoxmc.engine.thermodynamics.free_energy.canonical import canonical_group
from redoxmc.engine.thermodynamics.phase_diagram.boundaries import DISTINCT_KT
from redoxmc.engine.thermodynamics.phase_diagram.coexistence import coexistence, domains
from redoxmc.engine.thermodynamics.phase_diagram.diagram import build_diagram
from redoxmc.engine.thermodynamics.phase_diagram.trusted import trusted_part
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from .coverage import Coverage, Float, Levels

RANGE_K = (400.0, 700.0)  # in which the cumulants of two cells cross


def exact_boundaries(exact: Levels, temperature_K: float) -> Float:
    """Compositions of the two phases of the cell, (2,): means of the peaks of the exact P(n) at equal weight."""
    x, per_kT = np.array(list(exact.energy_eV)) / exact.n_fu, exact.n_fu / (BOLTZMANN_EV_PER_K * temperature_K)
    f = exact.canonical(temperature_K)["free_energy_eV"]
    f = f - f[0] - x * (f[-1] - f[0])
    (domain,) = domains(x, f, x[1], DISTINCT_KT / per_kT)
    return np.asarray(coexistence(x, f[None], per_kT, domain)[0, :2])


def boundaries_compared(store: SampleStore, system: System, exact: Levels, seed: int) -> Iterator[tuple[float, bool]]:
    """Deviation over error, and whether it is trusted, of both boundaries at every temperature that was asked for.

    A region that was not found counts as one that is not trusted. F(T, n) is trusted without its comparison with MBAR.
    """
    samples = read_samples(store)
    isotherms = isotherms_of(samples, system, system.n_range[1] + 1, seed)
    assert isotherms is not None
    canonical, _ = canonical_group(isotherms, convergence_of(samples))
    diagram = build_diagram(isotherms)
    kept = trusted_part(diagram, canonical).diagram
    for t in canonical.temperature_K[canonical.asked].tolist():
        row = int(np.abs(diagram.trace.temperature_K - t).argmin())
        gaps, known = diagram.rows[row], len(diagram.rows[row]) == 1
        expected, trusted = exact_boundaries(exact, t), known and len(kept.rows[row]) == 1
        for side in (0, 1):
            yield (float((gaps[0].x[side] - expected[side]) / gaps[0].x_error[side]) if known else 0.0), trusted


def covered(compared: list[tuple[float, bool]]) -> Coverage:
    off, trusted = np.array([z for z, _ in compared]), np.array([t for _, t in compared])
    return Coverage(off[trusted], float(trusted.mean()))


def exact_crossing_K(larger: Levels, smaller: Levels) -> float:
    """Where the fourth-order cumulants of the compositions of two cells cross, at x = 1/2."""

    def cumulant(levels: Levels, temperature_K: float) -> float:
        away = np.array(list(levels.energy_eV)) - levels.n_fu / 2
        p = softmax(-levels.canonical(temperature_K)["free_energy_eV"] * levels.n_fu / (BOLTZMANN_EV_PER_K * temperature_K))
        return float(1 - p @ away**4 / (3 * (p @ away**2) ** 2))

    return float(brentq(lambda t: cumulant(larger, t) - cumulant(smaller, t), *RANGE_K))


def crossing_of(scan: GapScan | None, expected_K: float) -> tuple[float, bool]:
    """Deviation over error of the crossing, without the part of the error by the size of the cells, and whether there is one."""
    if scan is None:
        return 0.0, False
    at = crossing(scan.temperature_K, *(of_count(n, float(m)) for n, m in zip((scan.of_larger, scan.of_smaller), scan.middle)))
    return ((at.temperature_K - expected_K) / at.error_K, True) if at is not None else (0.0, False)
