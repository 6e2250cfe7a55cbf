"""The groups /hull and /phase_diagram."""

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.canonical import Canonical
from ...runtime.results.order import Order
from ...runtime.results.phase_diagram import Boundaries, Hull, Invariants, PhaseDiagram, Spinodals
from ..free_energy.hull import hull_values, lower_hull
from ..free_energy.isotherms import Isotherms, spread
from .boundaries import DISTINCT_KT
from .diagram import Diagram, congruent
from .fields import labels, single_phase_fields
from .invariants import Invariant
from .phases import name_ends
from .spinodal import Spinodal
from .trusted import Kept
from .trusted_hull import trusted_hull

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def hull_group(isotherms: Isotherms, trusted: NDArray[np.bool_]) -> Hull:
    """Heights above the lower convex hull of F(T, x), with their errors; nan where F or the hull is not trusted.

    trusted (rungs, x): of /canonical.
    """
    grid = isotherms.grid
    on, above, error = [], [], []
    for rung, c in zip(isotherms.rungs, isotherms.curves):
        height = [_above_hull(isotherms.x, isotherms.free_energy(i, rung)) for i in (c.all, *c.resampled)]
        above.append(height[0][grid])
        error.append(spread(np.array(height[1:])[:, grid]))
        on.append(height[0][grid] <= np.maximum(2 * error[-1], 1e-12))
    known = trusted & trusted_hull(isotherms, trusted)
    return Hull(
        temperature_K=isotherms.temperature_K,
        x=isotherms.x_grid,
        energy_above_hull_eV=np.where(known, above, np.nan),
        energy_above_hull_eV_error=np.where(known, error, np.nan),
        on_hull=np.array(on) & known,
    )


def _above_hull(x: Float, f: Float) -> Float:
    return f - hull_values(x, f, lower_hull(x, f)) if np.isfinite(f).all() else np.full(len(f), np.nan)


def diagram_group(diagram: Diagram, kept: Kept, canonical: Canonical, order: Order) -> PhaseDiagram:
    """The trusted part of a diagram, with names of its phases by /order. Fields are numbered where the whole diagram has them."""
    temperatures, part = diagram.trace.temperature_K, kept.diagram
    sampled = np.isin(canonical.temperature_K, temperatures)
    sampled_K = canonical.temperature_K[sampled]
    number = np.where(kept.trusted[sampled], _phase_number(diagram, order, sampled_K), -1)
    number = np.searchsorted(np.unique(number[number >= 0]), number) * (number >= 0) - (number < 0)
    return PhaseDiagram(
        temperature_K=temperatures,
        sampled_temperature_K=sampled_K,
        x=canonical.x,
        trusted=kept.trusted[sampled],
        n_two_phase_regions=np.array([len(row) for row in part.rows]),
        region_name=np.array(_region_names(part)),
        phase_name=np.array(name_ends(order, number), dtype=str),
        phase_number=number,
        boundary=_boundaries(part),
        invariant=_invariants([congruent(i, part, order) for i in part.invariants]),
        spinodal=_spinodals(part.spinodals),
        not_resolved=_not_resolved(part, kept),
        kind="incoherent: coherency strain is not included",
    )


def _boundaries(diagram: Diagram) -> Boundaries:
    rows = [
        (t, gap.x[side], gap.x_error[side], gap.region, side, gap.height_eV)
        for t, row in zip(diagram.trace.temperature_K, diagram.rows)
        for gap in row
        for side in (0, 1)
    ]
    t, x, error, region, side, height = np.array(rows, float).reshape(-1, 6).T
    return Boundaries(
        temperature_K=t,
        x=x,
        x_error=error,
        region=region.astype(int),
        side=side.astype(int),
        height_eV=height,
        trusted=np.ones(len(t), bool),
    )


def _region_names(diagram: Diagram) -> list[str]:
    regions = sorted({g.region for row in diagram.rows for g in row})
    spans = [[g for row in diagram.rows for g in row if g.region == r] for r in regions]
    return [f"two phases, x = {min(g.x[0] for g in s):.2f} to {max(g.x[1] for g in s):.2f}" for s in spans]


def _invariants(found: list[Invariant]) -> Invariants:
    return Invariants(
        kind=np.array([i.kind for i in found]),
        temperature_K=np.array([i.temperature_K for i in found]),
        temperature_K_error=np.array([i.error_K for i in found]),
        temperature_K_interpolation=np.array([i.interpolation_K for i in found]),
        temperature_K_size=np.array([i.size_K for i in found]),
        x=np.array([i.x for i in found], float).reshape(-1, 3),
        x_error=np.array([i.x_error for i in found], float).reshape(-1, 3),
        found=np.array([i.found for i in found]),
        height_vanishes_K=np.array([i.vanishes_K for i in found], float).reshape(-1, 2),
        trusted=np.ones(len(found), bool),
    )


def _spinodals(found: list[Spinodal]) -> Spinodals:
    sides = [(s.temperature_K, s.x[k], s.x_error[k], s.region, k) for s in found for k in (0, 1)]
    t, x, error, region, side = np.array(sides, float).reshape(-1, 5).T
    return Spinodals(temperature_K=t, x=x, x_error=error, region=region.astype(int), side=side.astype(int))


def _phase_number(diagram: Diagram, order: Order, sampled_K: Float) -> Int:
    """Number of the single-phase field at the sampled points, (temperatures, x); -1: two phases."""
    trace = diagram.trace
    fields = single_phase_fields(diagram.rows, (float(trace.x[0]), float(trace.x[-1])), trace.spacing)
    return labels(fields, trace.temperature_K, sampled_K, order.x)


def _not_resolved(diagram: Diagram, kept: Kept) -> str:
    t = diagram.trace.temperature_K
    by_barrier = (
        "if their free-energy barrier is lower than the noise of F, if two sizes of the cell do not tell whether it grows, "
        "or if their width follows the size of the cell, as that of its layers does."
        if diagram.two_sizes
        else f"or if their free-energy barrier is lower than the noise of F or than {DISTINCT_KT:g} kT in the whole cell."
    )
    text = [f"Two-phase regions are not resolved if they are narrower than {diagram.trace.spacing:.3f} in x, {by_barrier}"]
    if diagram.rows and diagram.rows[-1]:
        text.append(f"At {t[-1]:g} K, the highest temperature, there are still two phases: where the region closes is not known.")
    if (share := 1 - kept.trusted.mean()) > 0:
        gaps, points = kept.left_out
        text.append(
            f"{share:.0%} of the points (T, x) are not trusted, and nothing is derived from them: "
            f"{gaps} of {gaps + sum(map(len, diagram.rows))} pairs of boundary points and "
            f"{points} of {points + len(diagram.invariants)} invariant points are left out."
        )
    text.append("Coherency strain is not included.")
    return " ".join(text)
