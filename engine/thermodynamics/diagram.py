"""/hull and /phase_diagram of results.h5."""

import numpy as np
from numpy.typing import NDArray

from ..hamiltonian.table import NEV_PER_EV
from ..results import Group, Results
from .hull import hull_values, lower_hull
from .isotherms import Isotherms, spread
from .phase_diagram import DISTINCT_KT, Gap, find_gaps, join_regions

Float = NDArray[np.float64]


def hull_group(isotherms: Isotherms) -> Group:
    group, grid = Group(), isotherms.grid
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


def two_phase_gaps(isotherms: Isotherms) -> list[list[Gap]]:
    """Per rung, regions numbered from rung to rung."""
    rows = []
    for rung, c in zip(isotherms.rungs, isotherms.curves):
        resampled = np.array([isotherms.mixing_free_energy(r, rung) for r in c.resampled])
        halves = np.array([isotherms.mixing_free_energy(half, rung) for half in (c.up, c.down)])
        least = DISTINCT_KT / isotherms.plan.betas[rung] / NEV_PER_EV / isotherms.n_fu
        whole = isotherms.mixing_free_energy(c.all, rung)
        rows.append(find_gaps(isotherms.x, whole, resampled, halves, isotherms.spacing, least))
    return join_regions(rows)


def diagram_group(isotherms: Isotherms, canonical: Group) -> Group:
    """canonical: the group of that name, for what is trusted."""
    group, gaps = Group(), two_phase_gaps(isotherms)
    temperatures = isotherms.temperature_K
    rows = [
        (t, gap.x[side], gap.x_error[side], gap.region, side, gap.height_eV, _gap_trusted(gap, canonical, k))
        for k, (t, row) in enumerate(zip(temperatures, gaps))
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
    group.add("temperature_K", ("temperature_K",), temperatures, "K", "temperatures that were looked at")
    words = "number of two-phase regions; 0: one phase at every x"
    group.add("n_two_phase_regions", ("temperature_K",), [len(row) for row in gaps], "1", words)
    regions = sorted({g.region for row in gaps for g in row})
    spans = [[g for row in gaps for g in row if g.region == r] for r in regions]
    names = [f"two phases, x = {min(g.x[0] for g in s):.2f} to {max(g.x[1] for g in s):.2f}" for s in spans]
    group.add("region_name", ("region",), np.array(names or [], dtype="U64"), "1", "name of each two-phase region")
    group.attributes["not_resolved"] = _not_resolved(isotherms, gaps, canonical)
    group.attributes["kind"] = "incoherent: coherency strain is not included"
    return group


def _gap_trusted(gap: Gap, canonical: Group, row: int) -> bool:
    inside = (canonical["x"] >= gap.x[0]) & (canonical["x"] <= gap.x[1])
    return bool(inside.any() and canonical["trusted"][row][inside].mean() > 0.5)


def _not_resolved(isotherms: Isotherms, gaps: list[list[Gap]], canonical: Group) -> str:
    t = isotherms.temperature_K
    text = [
        f"Regions narrower than {isotherms.spacing:.3f} in x, lower than the noise of F or than {DISTINCT_KT:g} kT in the whole cell are not seen."
    ]
    closes = [(t[i], t[i + 1]) for i in range(len(t) - 1) for g in gaps[i] if g.region not in [h.region for h in gaps[i + 1]]]
    if closes:
        text.append("A two-phase region ends somewhere between " + "; ".join(f"{a:g} and {b:g} K" for a, b in closes) + ".")
    if gaps and gaps[-1]:
        text.append(f"At {t[-1]:g} K, the highest temperature, there still are two phases: where the region closes is not known.")
    share = 1 - canonical["trusted"].mean()
    if share > 0:
        text.append(f"{share:.0%} of the points (T, x) are not trusted.")
    text.append("Ordered phases are not identified, invariant points are not classified, and coherency strain is not included.")
    return " ".join(text)


def beside(other: Results) -> Group:
    """The phase diagram of another run, with what it trusts, as a group of this one's results."""
    diagram, canonical = other.groups["phase_diagram"], other.groups["canonical"]
    kept = {name: canonical.variables[name] for name in ("x", "trusted")}
    attributes = {"title": str(other.attributes.get("title", "")), "fingerprint": str(other.attributes["fingerprint"])}
    return Group({**diagram.variables, **kept}, {**diagram.attributes, **attributes})


def closing_temperatures(diagram: Group) -> list[tuple[str, float, float]]:
    """Per two-phase region its name, the highest temperature at which it was seen, and the next one looked at (nan: none)."""
    t, found = diagram["temperature_K"], []
    for region, name in enumerate(diagram["region_name"]):
        last = diagram["boundary_temperature_K"][diagram["boundary_region"] == region].max()
        above = t[t > last]
        found.append((str(name), float(last), float(above.min()) if len(above) else float("nan")))
    return found
