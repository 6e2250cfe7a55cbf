"""/hull and /phase_diagram of results.h5."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...runtime.results import Group
from ...runtime.results.transition import LooseGroup
from ...units import BOLTZMANN_EV_PER_K
from ..free_energy.isotherms import Isotherms, spread
from .boundaries import DISTINCT_KT, Gap, gaps_of, join_regions, without_flicker
from .fields import labels, single_phase_fields
from .hull import hull_values, lower_hull
from .invariants import Invariant, invariants
from .phases import name_regions
from .spinodal import Spinodal, spinodals
from .trace import Trace, trace

Float = NDArray[np.float64]
T = ("temperature_K",)


def hull_group(isotherms: Isotherms) -> LooseGroup:
    group, grid = LooseGroup(), isotherms.grid
    on, above, error = [], [], []
    for rung, c in zip(isotherms.rungs, isotherms.curves):
        height = [_above_hull(isotherms.x, isotherms.free_energy(i, rung)) for i in (c.all, *c.resampled)]
        above.append(height[0][grid])
        error.append(spread(np.array(height[1:])[:, grid]))
        on.append(height[0][grid] <= np.maximum(2 * error[-1], 1e-12))
    group.add("temperature_K", ("temperature_K",), isotherms.temperature_K, "K", "temperature")
    group.add("x", ("x",), isotherms.x_grid, "1", f"{isotherms.system.ion} per formula unit")
    dims = ("temperature_K", "x")
    group.add("energy_above_hull_eV", dims, above, "eV/fu", "free energy above the lower convex hull of F(T, x)", error)
    group.add("on_hull", dims, on, "1", "on the hull within two standard errors")
    return group


def _above_hull(x: Float, f: Float) -> Float:
    return f - hull_values(x, f, lower_hull(x, f)) if np.isfinite(f).all() else np.full(len(f), np.nan)


@dataclass(frozen=True)
class Diagram:
    """The two-phase regions at every temperature of the trace, numbered, and the invariant points where they meet or end."""

    trace: Trace
    rows: list[list[Gap]]
    invariants: list[Invariant]
    spinodals: list[Spinodal]


def least_height_eV(traced: Trace, n_fu: int) -> Float:
    """Of a gap, at every temperature of the trace."""
    return DISTINCT_KT * BOLTZMANN_EV_PER_K * traced.temperature_K / n_fu


def build_diagram(isotherms: Isotherms) -> Diagram:
    traced = trace(isotherms)
    least = least_height_eV(traced, isotherms.n_fu)
    rows = join_regions(without_flicker(gaps_of(traced, least), traced.temperature_K))
    counts, log_states = isotherms.system.neutral_counts
    ideal = np.interp(traced.x * isotherms.n_fu, counts, log_states) / isotherms.n_fu
    return Diagram(traced, rows, invariants(traced, rows, least), spinodals(traced, rows, ideal))


def diagram_group(diagram: Diagram, canonical: Group, order: Group) -> LooseGroup:
    """canonical, order: the groups of these names, for what is trusted and for the names of the phases."""
    group, gaps, temperatures = LooseGroup(), diagram.rows, diagram.trace.temperature_K
    rows = [
        (t, gap.x[side], gap.x_error[side], gap.region, side, gap.height_eV, trusted_between(canonical, t, gap.x))
        for t, row in zip(temperatures, gaps)
        for gap in row
        for side in (0, 1)
    ]
    table = np.array(rows, float).reshape(-1, 7)
    point = ("boundary",)
    group.add("boundary_temperature_K", point, table[:, 0], "K", "temperature of the boundary point")
    group.add("boundary_x", point, table[:, 1], "1", "composition of the boundary point", table[:, 2])
    group.add("boundary_region", point, table[:, 3].astype(int), "1", "number of the two-phase region that it bounds")
    group.add("boundary_side", point, table[:, 4].astype(int), "1", "0: low-x side, 1: high-x side of the region")
    group.add("boundary_height_eV", point, table[:, 5], "eV/fu", "height of F above the common tangent inside the region")
    group.add("boundary_trusted", point, table[:, 6] > 0, "1", "most of the compositions inside the region are trusted")
    group.add("temperature_K", T, temperatures, "K", "temperatures that were looked at, sampled and between")
    rows_sampled = np.isin(canonical["temperature_K"], temperatures)
    sampled, x = ("sampled_temperature_K",), canonical.variables["x"]
    group.add(*sampled, sampled, canonical["temperature_K"][rows_sampled], "K", "temperatures that were sampled")
    group.variables["x"] = x
    group.add("trusted", (*sampled, "x"), canonical["trusted"][rows_sampled], "1", "as in /canonical")
    words = "number of two-phase regions; 0: one phase at every x"
    group.add("n_two_phase_regions", T, [len(row) for row in gaps], "1", words)
    regions = sorted({g.region for row in gaps for g in row})
    spans = [[g for row in gaps for g in row if g.region == r] for r in regions]
    names = [f"two phases, x = {min(g.x[0] for g in s):.2f} to {max(g.x[1] for g in s):.2f}" for s in spans]
    group.add("region_name", ("region",), np.array(names or [], dtype="U64"), "1", "name of each two-phase region")
    _add_invariants(group, [congruent(i, diagram, order) for i in diagram.invariants], canonical)
    _add_spinodals(group, diagram.spinodals)
    _add_phases(group, diagram, order)
    group.attributes["not_resolved"] = _not_resolved(diagram, canonical)
    group.attributes["kind"] = "incoherent: coherency strain is not included"
    return group


def _add_invariants(group: LooseGroup, found: list[Invariant], canonical: Group) -> None:
    point, phases = ("invariant",), ("invariant", "of_three")
    group.add("invariant_kind", point, np.array([i.kind for i in found], "U16"), "1", "what happens there")
    words = "temperature of the invariant point"
    group.add("invariant_temperature_K", point, _floats(found, "temperature_K"), "K", words, _floats(found, "error_K"))
    words = "composition of the low, middle and high phase; nan: there is none"
    x, error = (_floats(found, name).reshape(-1, 3) for name in ("x", "x_error"))
    group.add("invariant_x", phases, x, "1", words, error)
    group.add("invariant_found", point, _floats(found, "found"), "1", "share of the bootstrap resamples that show it nearby")
    words = f"closing, opening: the region is lost to sight at invariant_temperature_K, lower than {DISTINCT_KT:g} kT in the whole cell or than the noise; between these its height, followed on, vanishes (infinite: it does not fall; nan: other kinds)"
    group.add("invariant_height_vanishes_K", ("invariant", "of_two"), _floats(found, "vanishes_K").reshape(-1, 2), "K", words)
    trusted = [trusted_between(canonical, i.temperature_K, (np.nanmin(i.x), np.nanmax(i.x))) for i in found]
    group.add("invariant_trusted", point, np.array(trusted, bool), "1", "most of the compositions between are trusted")


def height_vanishes_K(diagram: Group) -> Float:
    """(invariants, 2), of closings and openings; nan: not one of these, or analysed before this was looked at."""
    name = "invariant_height_vanishes_K"
    return diagram[name] if name in diagram else np.full((len(diagram["invariant_kind"]), 2), np.nan)


def congruent(point: Invariant, diagram: Diagram, order: Group) -> Invariant:
    """A critical point between phases of different order is no critical point: one melts into the other at one composition.

    Looked at where the region is wide enough, at the rung nearest to the point at which /order has both its sides apart.
    """
    spans = {t: g.x for t, row in zip(diagram.trace.temperature_K, diagram.rows) for g in row if g.region == point.regions[0]}
    apart = np.diff(order["x"]).max(initial=0.0)
    rungs = [k for k, t in enumerate(order["temperature_K"]) if t in spans and spans[t][1] - spans[t][0] > 2 * apart]
    if point.kind != "critical" or not rungs:
        return point
    row = min(rungs, key=lambda k: abs(order["temperature_K"][k] - point.temperature_K))
    sides = [order_at(order, row, x) for x in spans[order["temperature_K"][row]]]
    return replace(point, kind="congruent") if sides[0] != sides[1] else point


def order_at(order: Group, row: int, x: float) -> tuple[tuple[float, ...], ...]:
    """Wave vectors of the orders that hold at the composition of /order nearest to x, where chains were seen."""
    seen = np.flatnonzero(order["chains"][row] > 0)
    if not len(seen):
        return ()
    column = seen[np.abs(order["x"][seen] - x).argmin()]
    halves = [half for half in ("ion", "electron") if f"{half}_ordered" in order and order[f"{half}_ordered"][row, column]]
    return tuple((half, *order[f"{half}_order_q"][row, column].tolist()) for half in halves)


def _add_phases(group: LooseGroup, diagram: Diagram, order: Group) -> None:
    x, traced = (float(diagram.trace.x[0]), float(diagram.trace.x[-1])), diagram.trace.temperature_K
    found = labels(
        single_phase_fields(diagram.rows, x, diagram.trace.spacing), traced, group["sampled_temperature_K"], order["x"]
    )
    names = name_regions(order, _on_rows_of(order, group["sampled_temperature_K"], found))
    group.add("phase_name", ("phase",), np.array(names or [], "U400"), "1", "name of each single-phase field")
    words = "number of the single-phase field; -1: two phases"
    group.add("phase_number", ("sampled_temperature_K", "x"), found, "1", words)


def _on_rows_of(order: Group, sampled_K: Float, found: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels on all rows of /order; -1 at temperatures that were not traced."""
    rows = np.full((len(order["temperature_K"]), found.shape[1]), -1)
    rows[np.isin(order["temperature_K"], sampled_K)] = found
    return rows


def phase_labels(diagram: Group, order: Group) -> NDArray[np.int64]:
    """Number of the single-phase field at every point of /order; -1: two phases, or not traced."""
    return _on_rows_of(order, diagram["sampled_temperature_K"], diagram["phase_number"])


def _add_spinodals(group: LooseGroup, found: list[Spinodal]) -> None:
    point = ("spinodal",)
    sides = [(s.temperature_K, s.x[k], s.x_error[k], s.region, k) for s in found for k in (0, 1)]
    table = np.array(sides, float).reshape(-1, 5)
    group.add("spinodal_temperature_K", point, table[:, 0], "K", "temperature")
    words = "composition where F of this cell loses its convexity: where the cell itself falls into two phases, nearer to the boundary than the spinodal of the homogeneous solution"
    group.add("spinodal_x", point, table[:, 1], "1", words, table[:, 2])
    group.add("spinodal_region", point, table[:, 3].astype(int), "1", "number of the two-phase region")
    group.add("spinodal_side", point, table[:, 4].astype(int), "1", "0: low-x side, 1: high-x side")


def _floats(found: list[Invariant], name: str) -> Float:
    return np.array([getattr(i, name) for i in found], float)


def trusted_between(canonical: Group, temperature_K: float, x: tuple[float, float]) -> bool:
    """Most points of /canonical between two compositions are trusted at the sampled temperatures around this one."""
    t = canonical["temperature_K"]
    at = int(np.clip(np.searchsorted(t, temperature_K), 0, len(t) - 1))
    rows = [at] if t[at] == temperature_K or at == 0 else [at - 1, at]
    inside = (canonical["x"] >= x[0]) & (canonical["x"] <= x[1])
    inside |= np.abs(canonical["x"] - sum(x) / 2) == np.abs(canonical["x"] - sum(x) / 2).min()
    return bool(canonical["trusted"][rows][:, inside].mean() > 0.5)


def _not_resolved(diagram: Diagram, canonical: Group) -> str:
    t = diagram.trace.temperature_K
    text = [
        f"Regions narrower than {diagram.trace.spacing:.3f} in x, lower than the noise of F or than {DISTINCT_KT:g} kT in the whole cell are not seen."
    ]
    if diagram.rows and diagram.rows[-1]:
        text.append(f"At {t[-1]:g} K, the highest temperature, there still are two phases: where the region closes is not known.")
    share = 1 - canonical["trusted"].mean()
    if share > 0:
        text.append(f"{share:.0%} of the points (T, x) are not trusted.")
    text.append("Coherency strain is not included.")
    return " ".join(text)
