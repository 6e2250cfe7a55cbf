"""Fit uncertainty: that of the effective cluster interactions (ECIs), propagated to free energies and the phase diagram.

Each draw of the ECIs changes the energy of every sampled state. To first order F(T, x) changes by the mean of that, which is
also an upper bound (Gibbs, Bogoliubov). The boundaries are then those of the hull of each draw's free energies. What the
expansion cannot express at all is not included: the validation error measures it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..runtime.results.canonical import Canonical
from ..runtime.results.phase_diagram import PhaseDiagram
from ..sampling.chains.system import System
from ..sampling.samples import Samples
from ..units import NEV_PER_EV
from .free_energy.isotherms import Isotherms, spread
from .free_energy.transition_matrix import local_mean
from .phase_diagram.boundaries import boundaries_drawn
from .phase_diagram.diagram import Diagram
from .phase_diagram.invariants import Invariant, invariants
from .phase_diagram.trace import Trace

Float = NDArray[np.float64]
ENERGIES = 80_000  # of sampled states, evaluated by all draws together; at least one state of every replica
SMOOTH = 24  # means over states are taken over this part of the range of x


@dataclass(frozen=True)
class Changes:
    """Changes of the mixing free energy by each draw of the ECIs, eV/fu: mixing_eV (draws, rungs, n) at all counts."""

    mixing_eV: Float

    def traced(self, isotherms: Isotherms, trace: Trace) -> Trace:
        """The trace with the draws in place of the resamples, as the only error; between rungs the change is linear in T."""
        at = np.searchsorted(isotherms.x, trace.x - 1e-12)
        rungs, wanted = isotherms.temperature_K, trace.temperature_K
        above = (
            np.clip(np.searchsorted(rungs, wanted), 1, max(len(rungs) - 1, 1)) if len(rungs) > 1 else np.zeros(len(wanted), int)
        )
        below = np.maximum(above - 1, 0)
        width = np.where(rungs[above] > rungs[below], rungs[above] - rungs[below], 1.0)
        part = ((wanted - rungs[below]) / width)[:, None]
        change = self.mixing_eV[:, :, at]
        moved = (1 - part) * change[:, below] + part * change[:, above]
        same = np.stack([trace.value, trace.value], axis=1)
        return replace(trace, cubic=trace.value, from_either_end=same, resampled=trace.value[:, None] + moved.swapaxes(0, 1))


def changes(samples: Samples, isotherms: Isotherms, system: System, drawn: Sequence[System]) -> Changes:
    """Changes from some states of every replica; `drawn`: the system with each draw of the ECIs."""
    n, n_fu, each = isotherms.n, isotherms.n_fu, max(1, ENERGIES // (len(drawn) * len(samples.plan.slots)))
    total = np.zeros((len(isotherms.rungs), len(drawn), len(n)))
    number = np.zeros((len(isotherms.rungs), len(n)))
    row_of = {r: row for row, r in enumerate(isotherms.rungs)}
    for k, slot in enumerate(samples.plan.slots):
        if slot.rung not in row_of:
            continue
        seen = samples.snapshots(k).species
        states = seen.reshape(-1, seen.shape[-1])
        for state in states[np.unique(np.linspace(k % seen.shape[1], len(states) - 1, each).astype(int))]:
            place, own = int(np.searchsorted(n, system.count_ions(state)[0])), system.energy_neV(state)
            total[row_of[slot.rung], :, place] += [d.energy_neV(state) - own for d in drawn]
            number[row_of[slot.rung], place] += 1
    for place in (0, -1):
        state = system.any_state(int(n[place]))
        own = system.energy_neV(state)
        total[:, :, place], number[:, place] = [d.energy_neV(state) - own for d in drawn], 1
    rows = np.array([_smooth(t, w) for t, w in zip(total / NEV_PER_EV / n_fu, number)])  # (rungs, draws, n)
    line = (n - n[0]) / max(n[-1] - n[0], 1)
    mixing = rows - rows[..., :1] * (1 - line) - rows[..., -1:] * line
    return Changes(mixing.swapaxes(0, 1))


def _smooth(total: Float, number: Float) -> Float:
    """Local means (draws, n) of totals (draws, n) over numbers (n,) of states; the ends as they are."""
    everywhere = np.arange(len(number))
    with np.errstate(invalid="ignore"):
        mean = total / number
    found = []
    for values in mean:
        smooth = local_mean(values, number, everywhere, len(number) // SMOOTH // 2)
        smooth[[0, -1]] = values[[0, -1]]
        known = np.isfinite(smooth)
        found.append(np.interp(everywhere, everywhere[known], smooth[known]))
    return np.array(found)


@dataclass(frozen=True)
class FitUncertainty:
    """The diagram, the free energies that it was made from, and how draws of the ECIs change them."""

    diagram: Diagram
    isotherms: Isotherms
    changes: Changes


def with_fit_uncertainty(
    canonical: Canonical, group: PhaseDiagram, uncertainty: FitUncertainty
) -> tuple[Canonical, PhaseDiagram]:
    """The two groups with their uncertainty by the fit, beside the errors by sampling."""
    diagram, isotherms, found = uncertainty.diagram, uncertainty.isotherms, uncertainty.changes
    trace = found.traced(isotherms, diagram.trace)
    ends = [boundaries_drawn(trace.at(k), gap) for k, row in enumerate(diagram.rows) for gap in row]
    x_error = np.array(ends).std(axis=1, ddof=1).ravel() if ends else np.zeros(0)
    again = {_name(i): i.error_K for i in invariants(trace, diagram.rows)}
    error_K = np.array([again.get(_name(i), np.nan) for i in diagram.invariants], float)
    return (
        replace(canonical, mixing_free_energy_eV_fit_uncertainty=spread(found.mixing_eV)[:, isotherms.grid]),
        replace(
            group,
            boundary=replace(group.boundary, x_fit_uncertainty=x_error),
            invariant=replace(group.invariant, temperature_K_fit_uncertainty=error_K),
        ),
    )


def widest_band(uncertainty: FitUncertainty) -> Float:
    """The least certain number of the diagram, for every draw (draws,): x of a boundary, or a mixing free energy."""
    diagram, found = uncertainty.diagram, uncertainty.changes
    trace = found.traced(uncertainty.isotherms, diagram.trace)
    ends = [boundaries_drawn(trace.at(k), gap).T for k, row in enumerate(diagram.rows) for gap in row]
    values = np.concatenate(ends) if ends else found.mixing_eV.reshape(len(found.mixing_eV), -1).T
    return values[np.argmax(values.std(axis=1))]


def _name(point: Invariant) -> tuple[object, ...]:
    return point.regions, tuple(np.nan_to_num(point.x))
