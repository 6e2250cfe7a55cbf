"""One chain in a cell too large for the caches: it is advanced box by box, and boxes of one colour can be advanced at the
same time.

Every sweep the cell is cut anew, at a place drawn from the chain's stream, whatever the occupation. Boxes of one colour are
advanced in pairs, drawn at random, so that species whose number must stay the same cross the cell in a few sweeps instead of
by diffusion. A pair is advanced by itself, by as many attempts as its share of the sites; its moves are drawn from its own
sites, and all others are frozen. That leaves the distribution unchanged, whatever the order of the pairs. The order is:
colours as in `Domains`, pairs as drawn. Each pair has a random stream of its own, and no pair reads or writes what another
one of its colour writes. One by one or at the same time, the result is the same.

A pair is copied with its surroundings to the board: a small cell with a geometry, energies and moves of its own, periodic
along an axis where the cell is one box wide.
"""

import numba as nb
import numpy as np

from .chain import ALWAYS, BLOCK, NEVER, is_cheaper, walk
from .compiling import apart, entry, part
from .fields import field_at
from .halo import index_of, is_inside, place
from .layout import Board, Record, State, Sweep
from .random import below, bits, branch
from .view import hold, view


@apart
def map_boxes(boxes, around, origin, domains):
    """Cells of one or two boxes (1 or 2, 3, 2), with `around` (3,) cells on every side: their numbers on the board and in the
    cell, two (k,).
    """
    shape, margin, board, second = domains.shape, domains.margin, domains.board, domains.second
    number = 0
    for b in range(len(boxes)):
        cells = 1
        for axis in range(3):
            cells *= boxes[b, axis, 1] - boxes[b, axis, 0] + 2 * around[axis]
        number += cells
    there, here = np.empty(number, np.int64), np.empty(number, np.int64)
    k = 0
    for b in range(len(boxes)):
        box = boxes[b]
        shift = (
            margin[0] - box[0, 0] + b * second[0],
            margin[1] - box[1, 0] + b * second[1],
            margin[2] - box[2, 0] + b * second[2],
        )
        for x in range(box[0, 0] - around[0], box[0, 1] + around[0]):
            for y in range(box[1, 0] - around[1], box[1, 1] + around[1]):
                row = (x + shift[0]) * board[1] + y + shift[1]
                row_here = (origin[0] + x) % shape[0] * shape[1] + (origin[1] + y) % shape[1]
                for z in range(box[2, 0] - around[2], box[2, 1] + around[2]):
                    there[k] = row * board[2] + z + shift[2]
                    here[k] = row_here * shape[2] + (origin[2] + z) % shape[2]
                    k += 1
    return there, here


@part
def _to_board(cell_array, board_array, there, here, home, per_cell):
    """Copy cells `here` (k,) of an array (n,) to the homes of cells `there` (k,) of the board. The sites of a cell have
    consecutive homes.
    """
    for k in range(here.size):
        at, first = home[there[k] * per_cell], here[k] * per_cell
        for s in range(per_cell):
            board_array[index_of(at + s)] = cell_array[index_of(first + s)]


@part
def _from_board(board_array, cell_array, there, here, home, per_cell):
    """The way back."""
    for k in range(here.size):
        at, first = home[there[k] * per_cell], here[k] * per_cell
        for s in range(per_cell):
            cell_array[index_of(first + s)] = board_array[index_of(at + s)]


@part
def copy_in(species, there, here, geometry, per_cell):
    """A board that holds the cells `here` (k,) of an occupation (n,) as its own cells `there` (k,), fields not set."""
    halo = np.zeros(geometry.halo_length, np.int8)
    _to_board(species, halo, there, here, geometry.home, per_cell)
    for k in range(here.size):
        first = there[k] * per_cell
        if not is_inside(geometry.imaged, geometry.home[first]):
            for site in range(first, first + per_cell):
                place(halo, geometry, site, halo[geometry.home[site]])
    return Board(halo, np.empty(halo.size, np.int64))


@apart
def _evaluate_boxes(species, fields, boxes, origin, domains, model):
    """Set the fields (n,) of one or two boxes."""
    geometry, polynomial = model.geometry, model.polynomial
    per_cell = polynomial.rest.size
    there, here = map_boxes(boxes, domains.margin, origin, domains)
    halo = copy_in(species, there, here, geometry, per_cell).halo
    there, here = map_boxes(boxes, np.zeros(3, np.int64), origin, domains)
    for k in range(here.size):
        for s in range(per_cell):
            at = geometry.home[there[k] * per_cell + s]
            fields[here[k] * per_cell + s] = field_at(halo, at, s, polynomial)


@apart
def visit(b, found, state, fields, sweep, domains, model, scheme):
    """Advance pair b of a colour, by its share of a sweep, as one chain with a random stream of its own.

    state.species, `fields` (n,) if they are kept, and tally.sums are changed in place. found[b] (3 + ions + 2 kinds,) is set
    to: change of the energy, neV; flips evaluated and spread; changes of the ion counts; moves tried and accepted.
    """
    state, model, scheme = view(state), view(model), view(scheme)
    geometry, species, ions = model.geometry, state.species, state.ions
    per_cell, home, keep = model.couplings.point.shape[0], geometry.home, sweep.keep
    boxes, row = sweep.boxes[sweep.order[2 * b : 2 * b + 2]], found[b]
    there, here = map_boxes(boxes, domains.margin, sweep.origin, domains)
    board = copy_in(species, there, here, geometry, per_cell)
    if keep == ALWAYS:
        _to_board(fields, board.fields, there, here, home, per_cell)
    own, own_here = map_boxes(boxes, np.zeros(3, np.int64), sweep.origin, domains)
    sites = np.empty(own.size * per_cell, np.int64)
    for k in range(own.size):
        for s in range(per_cell):
            sites[k * per_cell + s] = own[k] * per_cell + s
    for k in range(row.size):
        row[k] = 0
    tried = 3 + ions.size
    accepted = tried + scheme.moves.conserves.size
    record = Record(np.empty(1, np.int64), np.empty((1, ions.size), np.int64), row[tried:accepted], row[accepted:])
    chain = State(species, state.energy, ions.copy(), branch(sweep.seed, sweep.first + b))
    attempts = sweep.attempts * sites.size // species.size
    energy, row[1], row[2] = walk(view(board), sites, view(chain), model, scheme, view(record), attempts, keep)
    hold((board, chain, record))
    row[0] = energy - state.energy
    for k in range(ions.size):
        row[3 + k] = chain.ions[k] - ions[k]
    _from_board(board.halo, species, own, own_here, home, per_cell)
    if keep == ALWAYS:
        _from_board(board.fields, fields, there, here, home, per_cell)


@nb.njit(parallel=True)
def _visit_together(found, state, fields, sweep, domains, model, scheme):
    for b in nb.prange(len(found)):
        visit(b, found, state, fields, sweep, domains, model, scheme)


@part
def _shuffle(order, stream):
    for k in range(order.size - 1, 0, -1):
        other = below(stream, k + 1)
        order[k], order[other] = order[other], order[k]


@part
def _add_up(row, ions, record):
    """Add what a pair did to the chain's counts and record."""
    tried, kinds = 3 + ions.size, record.tried.size
    for k in range(ions.size):
        ions[k] += row[3 + k]
    for k in range(kinds):
        record.tried[k] += row[tried + k]
        record.accepted[k] += row[tried + kinds + k]


@part
def _run(state, domains, model, scheme, record, attempts, together):
    species, energy, ions, stream = state.species, state.energy, state.ions, state.stream
    boxes, n_colours, parts = domains.boxes, len(domains.boxes), (view(domains), view(model), view(scheme))
    fields, origin, order = np.empty(species.size, np.int64), np.empty(3, np.int64), np.arange(boxes.shape[1])
    keep = np.int64(NEVER)
    found = np.empty(((order.size + 1) // 2, 3 + ions.size + 2 * record.tried.size), np.int64)
    for s in range(record.energy.size):
        for axis in range(3):
            origin[axis] = below(stream, domains.shape[axis])
        seed = bits(stream)
        for colour in range(n_colours):
            _shuffle(order, stream)
            sweep = Sweep(origin, seed, colour * order.size, boxes[colour], order, attempts, keep)
            if together:
                reached = State(species, energy, ions, stream)
                _visit_together(found, view(reached), fields, view(sweep), *parts)
                hold((reached, sweep))
            evaluated, spread_flips = 0, 0
            for b in range(len(found)):
                if not together:
                    reached = State(species, energy, ions, stream)
                    visit(b, found, view(reached), fields, view(sweep), *parts)
                    hold((reached, sweep))
                energy += found[b, 0]
                evaluated += found[b, 1]
                spread_flips += found[b, 2]
                _add_up(found[b], ions, record)
            blocks = max(1, attempts // (n_colours * BLOCK))
            left = ((record.energy.size - s) * n_colours - colour - 1) * attempts // n_colours
            wanted = model.polynomial.rest.size > 0 and is_cheaper(
                keep == ALWAYS, evaluated // blocks, spread_flips // blocks, left, species.size, model.geometry.halo_length
            )
            if wanted and keep == NEVER:
                for c in range(n_colours):
                    for b in range(order.size):
                        _evaluate_boxes(species, fields, boxes[c, b : b + 1], origin, *parts[:2])
            keep = np.int64(ALWAYS if wanted else NEVER)
        record.energy[s] = energy
        for k in range(ions.size):
            record.ions[s, k] = ions[k]
    return energy


@entry
def run_domains(state, domains, model, scheme, record, attempts):
    """Advance a chain by record.energy.size sweeps of `attempts` attempted moves each, pair after pair of boxes; returns the
    energy, neV.

    model, scheme.moves: of the board. The other arguments and the changes in place are as for `chain.run`.
    """
    return _run(state, domains, model, scheme, record, attempts, False)


@entry
def run_domains_together(state, domains, model, scheme, record, attempts):
    """The same, with the pairs of a colour on several threads.

    No pair knows the energy and the counts that the others reach, so the log weight must be linear in the counts, and nothing
    can be tallied.
    """
    return _run(state, domains, model, scheme, record, attempts, True)
