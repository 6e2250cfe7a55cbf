"""Differential capacity: how much charge is stored at which voltage, -dQ/dV."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ..runtime.results.electrochemistry import DifferentialCapacity
from .free_energy.isotherms import Isotherms, spread
from .phase_diagram.diagram import Diagram
from .phase_diagram.trusted_hull import trusted_steps
from .plateaus import Curve, curves
from .voltage import capacity_per_x, voltage_of

Float = NDArray[np.float64]
STEP_V = 0.001
BROADENING_V = 0.005  # standard deviation; on a plateau, where dQ/dV diverges, it sets the height of the peak
REACH = 5.0  # standard deviations by which the grid extends beyond the voltages: the integral over it is the whole charge
LEAST_SHARE = 0.95  # of the charge near a voltage, that is stored at trusted compositions
PORTIONS = 4000  # of charge: in a small cell one ion changes V by more than the broadening; and as many by ln[u/(1-u)]
NODES = 100  # compositions at which mu is found, and as many by ln[u/(1-u)], in which mu is linear between them
DILUTE = 0.01  # u up to which mu is linear in that
REFINEMENTS = 7  # halvings of the distance of nodes between which mu rises by more than the broadening
SMALLEST = 1e-6  # u of the first one, from 0 to 1 between the ends of composition


def differential_capacity_group(
    isotherms: Isotherms, diagram: Diagram | None, reference_energy_eV: float, trusted: NDArray[np.bool_]
) -> DifferentialCapacity:
    """The group /differential_capacity.

    Small portions of charge are put on a grid of voltages, each at the voltage of its composition, and broadened. No
    derivative of noisy data is taken, and the integral over V is the charge between the ends of composition. Voltages at which
    charge is stored that is not trusted have no value.

    diagram: as in /voltage. reference_energy_eV: per atom, of the ion's element. trusted (rungs, x): of /canonical.
    """
    found = [_portions(isotherms, c, reference_energy_eV) for c in curves(isotherms, diagram)]
    good = [trusted_steps(isotherms, row, trusted[row])[p.step] | p.inside for row, p in enumerate(found)]
    grid = _grid([p.voltage_V[0][g] for p, g in zip(found, good)])
    values, errors, sound = [], [], []
    for p, g in zip(found, good):
        values.append(_broadened(p.voltage_V[0], p.charge, grid))
        errors.append(spread(np.array([_broadened(pick, p.charge, grid) for pick in p.voltage_V[1:]])))
        with np.errstate(invalid="ignore"):
            sound.append(_broadened(p.voltage_V[0], p.charge * g, grid) >= LEAST_SHARE * values[-1])
    return DifferentialCapacity(
        temperature_K=isotherms.temperature_K,
        voltage_V=grid,
        differential_capacity_mAh_per_g_per_V=np.where(sound, values, np.nan),
        differential_capacity_mAh_per_g_per_V_error=np.where(sound, errors, np.nan),
        trusted=np.array(sound),
        broadening_V=BROADENING_V,
    )


def _grid(voltages: list[Float]) -> Float:
    """Voltages STEP_V apart that hold all known ones, broadened."""
    known = np.concatenate([v[np.isfinite(v)] for v in voltages] + [np.zeros(0)])
    margin = REACH * BROADENING_V
    low, high = (known.min() - margin, known.max() + margin) if known.size else (0.0, 0.0)
    return STEP_V * np.arange(np.floor(low / STEP_V), np.ceil(high / STEP_V) + 1)


@dataclass(frozen=True, eq=False)
class _Portions:
    """Of one temperature: charges (k,), their voltages (1 + resamples, k), step of the count (k,), and whether in a plateau."""

    charge: Float
    voltage_V: Float
    step: NDArray[np.int64]
    inside: NDArray[np.bool_]


def _portions(isotherms: Isotherms, of: Curve, reference_energy_eV: float) -> _Portions:
    """The voltage of a portion is that of its middle, between nodes linear in ln[u/(1-u)]."""
    low, span = of.x[0], np.ptp(of.x)
    nodes = _nodes(of)
    edges = np.unique([0.0, *_places(PORTIONS), *nodes, 1.0])
    middle = (edges[1:] + edges[:-1]) / 2
    places, at = (np.log(u / (1 - u)) for u in (nodes, middle))
    mu_eV = np.array([np.interp(at, places, row) for row in of.mu_eV(low + span * nodes)])
    charge = np.diff(edges) * span * capacity_per_x(isotherms)
    step = (middle * (len(of.x) - 1)).astype(int)
    return _Portions(charge, voltage_of(isotherms, mu_eV, reference_energy_eV), step, of.inside(low + span * middle))


def _nodes(of: Curve) -> Float:
    """From 0 to 1 between the ends of composition, closer where mu rises steeply, with the ends of the plateaus."""
    low, span = of.x[0], np.ptp(of.x)
    ends = [(v - low) / span for p in of.plateaus for v in p.x]
    nodes = np.unique([*_places(NODES), *(u for u in ends if SMALLEST < u < 1 - SMALLEST)])
    mu_eV = of.first.mu_eV(low + span * nodes)[0]
    for _ in range(REFINEMENTS):
        wide = (np.diff(mu_eV) > BROADENING_V) & (nodes[1:] > DILUTE) & (nodes[:-1] < 1 - DILUTE)
        middle = ((nodes[1:] + nodes[:-1]) / 2)[wide]
        place = np.searchsorted(nodes, middle)
        mu_eV = np.insert(mu_eV, place, of.first.mu_eV(low + span * middle)[0])
        nodes = np.insert(nodes, place, middle)
    return nodes


def _places(number: int) -> Float:
    """From SMALLEST to 1 - SMALLEST, evenly spaced, and evenly in ln[u/(1-u)]."""
    ends = np.log(1 / SMALLEST - 1)
    return np.unique([*np.linspace(SMALLEST, 1 - SMALLEST, number), *1 / (1 + np.exp(np.linspace(-ends, ends, number)))])


def _broadened(voltage: Float, charge: Float, grid: Float) -> Float:
    """Charges (portions,) at their voltages, shared out between the two nearest points of the grid and broadened; per volt."""
    if not np.isfinite(voltage).all() or len(grid) < 2:
        return np.full(len(grid), np.nan)
    place = np.clip((voltage - grid[0]) / STEP_V, 0, len(grid) - 1 - 1e-9)  # resamples, and what is not trusted, may lie beyond
    left = place.astype(int)
    part = place - left
    heaps = np.bincount(left, charge * (1 - part), len(grid)) + np.bincount(left + 1, charge * part, len(grid))
    return gaussian_filter1d(heaps, BROADENING_V / STEP_V, mode="constant", truncate=REACH) / STEP_V
