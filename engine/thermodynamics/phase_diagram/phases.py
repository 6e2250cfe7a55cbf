"""Names of the single-phase regions, and an example structure of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...crystal.cif import charged_cif
from ...crystal.lattice import Supercell
from ...runtime.results.order import Order
from ...runtime.storage import write_text
from ...sampling.samples import Samples

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
LARGEST_DENOMINATOR = 6  # of a composition that is named as a fraction
MOST_ORDERS = 3  # orders named in a region that is mostly not ordered
LEAST_POINTS = 2  # points of an order that is named there


@dataclass(frozen=True)
class Ordered:
    """One order within a region. points (temperature, x): where it is found; strongest: the point with the largest weight."""

    species: str
    q: tuple[float, float, float]
    points: Bool
    strongest: tuple[int, int]


def name_regions(order: Order, labels: Int) -> list[str]:
    """A name for each region 0, 1, ... of labels (temperature, x) on the grid of /order; -1 there: two phases."""
    return [name_region(order, labels == region) for region in range(int(labels.max(initial=-1)) + 1)]


def name_region(order: Order, region: Bool) -> str:
    """The order, if one holds at half of the sampled points or more; else the end of composition, if the region has one."""
    seen = region & (order.chains > 0)
    if not seen.any():
        return "not sampled"
    found = orders_within(order, region)
    if found and 2 * found[0].points.sum() >= seen.sum():
        same = [o for o in found if o.q == found[0].q and 2 * o.points.sum() >= seen.sum()]
        x = composition(order, found[0].strongest[1])
        return f"ordered x = {x}, q = {wave(found[0].q)} of " + " and ".join(o.species for o in same)
    notes = [_where(order, o) for o in found[:MOST_ORDERS] if o.points.sum() >= LEAST_POINTS]
    return _unordered(order, region) + (f"; ordered within: {', '.join(notes)}" if notes else "")


def orders_within(order: Order, region: Bool) -> list[Ordered]:
    """Orders found in a region, those with most points first."""
    found = []
    for kind in order.long_range:
        mine = kind.ordered & region
        for wave_vector in np.unique(kind.order_q[mine], axis=0):
            here = mine & (kind.order_q == wave_vector).all(axis=-1)
            t, c = np.unravel_index(np.where(here, kind.order_weight, -1.0).argmax(), here.shape)
            found.append(Ordered(kind.species, tuple(wave_vector.tolist()), here, (int(t), int(c))))
    return sorted(found, key=lambda o: -int(o.points.sum()))


def composition(order: Order, column: int) -> str:
    """x of a column: a simple fraction if one is at most one column away, else a decimal."""
    x = order.x
    fraction = Fraction(float(x[column])).limit_denominator(LARGEST_DENOMINATOR)
    near = abs(float(fraction) - x[column]) <= np.diff(x).max(initial=0.0)
    return str(fraction) if near else f"{x[column]:.2f}"


def wave(q: Sequence[float]) -> str:
    """A wave vector as text, such as (0 1/3 0)."""
    return "(" + " ".join(str(Fraction(v).limit_denominator(1000)) for v in q) + ")"


def _where(order: Order, o: Ordered) -> str:
    rows, columns = np.nonzero(o.points)
    x, t = order.x[columns], order.temperature_K[rows]
    return f"q = {wave(o.q)} of {o.species} at x = {x.min():.2f} to {x.max():.2f} up to {t.max():g} K"


def _unordered(order: Order, region: Bool) -> str:
    columns = np.flatnonzero(region.any(axis=0))
    last = region.shape[1] - 1
    ends = [columns[0] == 0, columns[-1] == last]
    if all(ends) or not any(ends) or np.ptp(columns) > last / 2:
        return "solid solution"
    words, formula = ("poor", order.low_x) if ends[0] else ("rich", order.high_x)
    return f"{order.ion.species}-{words} end ({formula}-like)"


def example_point(order: Order, region: Bool) -> tuple[int, int] | None:
    """Where the region's order is strongest if it is named after one, else the middle of its coldest row; (temperature, x)."""
    seen = region & (order.chains > 0)
    if not seen.any():
        return None
    found = orders_within(order, region)
    if found and 2 * found[0].points.sum() >= seen.sum():
        return found[0].strongest
    row = int(np.flatnonzero(seen.any(axis=1))[0])
    columns = np.flatnonzero(seen[row])
    return row, int(columns[np.abs(columns - columns.mean()).argmin()])


def write_examples(
    order: Order, labels: Int, names: Sequence[str], samples: Samples, supercell: Supercell, folder: Path
) -> list[Path]:
    """Write one sampled state of each region, on ideal positions and with its charges, as folder/region_NN.cif."""
    for old in folder.glob("region_*.cif"):
        old.unlink()
    written = []
    for region, name in enumerate(names):
        point = example_point(order, labels == region)
        if point is None:
            continue
        replica, sweep, walker = order.example[point].tolist()
        seen = samples.snapshots(int(replica))
        temperature_K, x = order.temperature_K[point[0]], order.x[point[1]]
        heading = f"# {name}\n# T = {temperature_K:g} K, x = {x:.4f}; replica {replica}, sweep {sweep}, walker {walker}\n"
        written.append(folder / f"region_{region:02d}.cif")
        write_text(written[-1], heading + charged_cif(supercell, seen.species[seen.sweep == sweep][0, walker]))
    return written
