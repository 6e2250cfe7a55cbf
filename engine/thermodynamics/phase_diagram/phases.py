"""The phases in the single-phase fields: where each of them is, its plain name and its small cell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...crystal.cif import occupied_cif
from ...crystal.lattice import Species, Supercell
from ...crystal.ordered_cell import OrderedCell, arms, disordered_cell, has_arms, ordered_cell
from ...crystal.phase_names import LOW, ascii_name, disordered_name, file_name, phase_name
from ...crystal.structure_factor import Waves, ion_field
from ...runtime.results.order import Order
from ...runtime.results.phase_diagram import PhaseDiagram
from ...runtime.results.transitions import Transitions
from ...runtime.storage import write_text
from ...sampling.samples import Samples

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
LEAST_SHARE = 0.01  # of all points (T, x) that an ordered phase covers
LONGEST_OF_THE_CELL = 4  # periods that are longer must be shorter than the cell: else they may be an effect of it
MOST_STATES = 16  # of one chain that the cell of a phase is made from
SAME_X = 0.02  # distance in x of states of one phase


@dataclass(frozen=True, eq=False)
class Phase:
    """region (temperature, x): where it is, on the grid of /order. states: what its cell is the mean of. cell: None if unseen."""

    name: str
    region: Bool
    states: str
    cell: OrderedCell | None


@dataclass(frozen=True)
class Seen:
    """The samples that orders are looked up in, and the supercell that they are of."""

    order: Order
    samples: Samples
    supercell: Supercell


def name_ends(order: Order, labels: Int) -> list[str]:
    """A name for each field 0, 1, ... of labels (temperature, x) on the grid of /order, by the end of composition alone."""
    return [end_name(order, labels == k) or "disordered" for k in range(int(labels.max(initial=-1)) + 1)]


def end_name(order: Order, region: Bool) -> str:
    """Such as "FePO₄ (Na-poor)" if the region has one end of composition and is narrower than half of the range; else empty."""
    columns = np.flatnonzero(region.any(axis=0))
    last = region.shape[1] - 1
    ends = [columns[0] == 0, columns[-1] == last] if len(columns) else []
    if all(ends) or not any(ends) or np.ptp(columns) > last / 2:
        return ""
    words, formula = ("poor", order.low_x) if ends[0] else ("rich", order.high_x)
    return f"{formula.translate(LOW)} ({Species(order.ion.species, 0).element}-{words})"


def phases_of(diagram: PhaseDiagram, seen: Seen, transitions: Transitions | None) -> list[Phase]:
    """The phases of the single-phase fields, which are divided by order.

    An order is one where /order recognises it over LEAST_SHARE of the points, /transitions do not deny it, its period is not
    that of the cell, and states there have a smaller ordered cell.
    """
    number, found = on_grid_of(seen.order, diagram), []
    orders = [(q, part) for q, area in _orders(seen, transitions) for part in _by_arms(seen, q, area)]
    for q, mask in orders:
        here = mask & (number >= 0)
        states, cell = _cell(seen, here, q)
        if cell is not None and cell.ordered:
            found.append(Phase(phase_name(cell), here, states, cell))
            number[here] = -1
    for k in np.unique(number[number >= 0]):
        field = number == k
        name = end_name(seen.order, field) or disordered_name(seen.supercell.lattice)
        found.append(Phase(name, field, *_cell(seen, field)))
    alike = [[p for p in found if p.name == name] for name in dict.fromkeys(p.name for p in found)]
    return [replace(max(same, key=_points), region=np.any([p.region for p in same], axis=0)) for same in alike]


def _points(phase: Phase) -> int:
    return int(phase.region.sum())


def with_phases(diagram: PhaseDiagram, order: Order, phases: Sequence[Phase]) -> PhaseDiagram:
    """The diagram with these phases as its single-phase fields."""
    number = np.full(on_grid_of(order, diagram).shape, -1)
    for k, phase in enumerate(phases):
        number[phase.region] = k
    rows = np.isin(order.temperature_K, diagram.sampled_temperature_K)
    return replace(diagram, phase_name=np.array([p.name for p in phases], dtype=str), phase_number=number[rows])


def on_grid_of(order: Order, diagram: PhaseDiagram) -> Int:
    """Numbers of the single-phase fields at every point of /order; -1: two phases, not trusted, or not in the diagram."""
    number = np.full((len(order.temperature_K), len(order.x)), -1)
    number[np.isin(order.temperature_K, diagram.sampled_temperature_K)] = diagram.phase_number
    return number


def _orders(seen: Seen, transitions: Transitions | None) -> list[tuple[Float, Bool]]:
    """Wave vectors of the orders and where they are, (temperature, x): of the ions, where these have none of the electrons."""
    from scipy.ndimage import label  # takes time to import

    order, period = seen.order, Waves(seen.supercell).period
    q, ordered = order.ion.order_q.copy(), order.ion.ordered.copy()
    if (electron := order.electron) is not None:
        alone = electron.ordered & ~ordered
        q[alone], ordered = electron.order_q[alone], ordered | electron.ordered
    found = []
    for wave_vector in np.unique(q[ordered], axis=0):
        if _denominator(wave_vector) == period > LONGEST_OF_THE_CELL:
            continue
        mask = ordered & (q == wave_vector).all(axis=-1) & _below_its_end(order, wave_vector, transitions)
        parts, n = label(mask, np.ones((3, 3)))
        areas = [parts == k + 1 for k in range(n)]
        found += [(wave_vector, area) for area in areas if area.sum() >= max(2, LEAST_SHARE * mask.size)]
    return sorted(found, key=lambda f: -int(f[1].sum()))


def _by_arms(seen: Seen, q: Float, mask: Bool) -> list[Bool]:
    """The parts of the area of a star in which the order has different arms, from the coldest states at each composition."""
    known = mask & (seen.order.chains > 0)
    columns = np.flatnonzero(known.any(axis=0))
    points = [(int(known[:, c].argmax()), int(c)) for c in columns] if has_arms(seen.supercell.lattice, q) else []
    number = np.array([arms(seen.supercell, _states_at(seen, point)[1]) for point in points], np.int64)
    columns, number = columns[: len(number)][number > 0], number[number > 0]
    if not len(number):
        return [mask]
    nearest = number[np.abs(np.arange(mask.shape[1])[:, None] - columns).argmin(axis=1)]
    parts = [mask & (nearest == n) for n in np.unique(number)]
    large = [part for part in parts if part.sum() >= max(2, LEAST_SHARE * mask.size)]
    return large if len(large) > 1 else [mask]


def _denominator(q: Float) -> int:
    return lcm(*(Fraction(float(v)).limit_denominator(1000).denominator for v in q))


def _below_its_end(order: Order, q: Float, transitions: Transitions | None) -> Bool:
    """Where T is below the line of the transitions of this order, which is extended at constant T; everywhere without any."""
    end_K = np.full(len(order.x), np.inf)
    if transitions is not None and (same := np.isclose(transitions.q, q).all(axis=1)).any():
        mine = np.flatnonzero(same)[np.argsort(transitions.x[same])]
        end_K = np.interp(order.x, transitions.x[mine], transitions.temperature_K[mine])
    return order.temperature_K[:, None] < end_K


def _cell(seen: Seen, region: Bool, q: Float | None = None) -> tuple[str, OrderedCell | None]:
    """The cell of the phase in a region and the states that it is from: of one chain where the order is strongest.

    q: of the order; None: there is none, and the chain is that in the middle of the widest row. No cell if none was seen.
    """
    point = _example_point(seen.order, region, q)
    if point is None:
        return "", None
    words, states = _states_at(seen, point)
    return words, (disordered_cell if q is None else ordered_cell)(seen.supercell, states)


def _example_point(order: Order, region: Bool, q: Float | None) -> tuple[int, int] | None:
    """(temperature, x) of the states that stand for a region."""
    known = region & (order.chains > 0)
    if not known.any():
        return None
    if q is not None:
        weight = np.max([np.where((p.order_q == q).all(axis=-1), p.order_weight, -1.0) for p in order.long_range], axis=0)
        at = np.unravel_index(int(np.where(known, weight, -2.0).argmax()), known.shape)
        return int(at[0]), int(at[1])
    row = len(known) - 1 - int(known.sum(axis=1)[::-1].argmax())
    columns = np.flatnonzero(known[row])
    return row, int(columns[np.abs(columns - columns.mean()).argmin()])


def _states_at(seen: Seen, point: tuple[int, int]) -> tuple[str, NDArray[np.int8]]:
    """What the states are, and the states (k, n_sites) of one chain near the composition of a point."""
    order, supercell = seen.order, seen.supercell
    replica, sweep, walker = order.example[point].tolist()
    snapshots = seen.samples.snapshots(int(replica))
    states = snapshots.species[:, walker]
    occupied = ion_field(supercell.lattice, order.ion.species).table[supercell.site_sublattice, states]
    x = occupied.sum(axis=1) / supercell.n_formula_units
    near = np.flatnonzero((np.abs(x - order.x[point[1]]) <= SAME_X) & (2 * snapshots.sweep >= snapshots.sweep[-1]))
    near = near if len(near) else np.flatnonzero(snapshots.sweep == sweep)
    where = f"T = {order.temperature_K[point[0]]:g} K, x = {order.x[point[1]]:.4f}; replica {replica}, walker {walker}"
    return where, states[near[np.rint(np.linspace(0, len(near) - 1, min(len(near), MOST_STATES))).astype(int)]]


def write_cells(phases: Sequence[Phase], folder: Path) -> list[Path]:
    """Write the cell of each phase with its charges, on ideal positions, as folder/NAME.cif; earlier files are removed."""
    for old in folder.glob("*.cif"):
        old.unlink()
    written = []
    for phase in phases:
        if phase.cell is not None:
            written.append(folder / f"{file_name(phase.name)}.cif")
            heading = f"# {ascii_name(phase.name)}\n# mean of states at {phase.states}\n"
            write_text(written[-1], heading + occupied_cif(phase.cell.supercell, phase.cell.fractions))
    return written


def wave(q: Sequence[float]) -> str:
    """A wave vector as text, such as (0 1/3 0)."""
    return "(" + " ".join(str(Fraction(v).limit_denominator(1000)) for v in q) + ")"
