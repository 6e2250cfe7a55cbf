"""One chain in a cell too large for the caches: box after box, and boxes of one colour at the same time.

Every sweep the cell is cut anew, at a place drawn from the chain's stream whatever the sites hold. Boxes of one colour are advanced two
by two, paired at random, so that species that must stay in number travel across the cell in a few sweeps instead of by diffusion. A pair
is advanced by itself, by as many attempts as its share of the sites, its moves drawn from its own sites, all others frozen: that leaves
the distribution alone, whatever the order of the pairs. It is: colours as in `Domains`, pairs as drawn. Each pair has a stream of its
own, and none reads or writes what another one of its colour writes: one by one or at the same time, the result is the same.

A pair is copied with its surroundings to the board, a small cell with geometry, couplings and moves of its own, periodic as the cell is
on an axis that one box fills.
"""

import numba as nb
import numpy as np

from .chain import ALWAYS, BLOCK, NEVER, is_cheaper, lay_out, walk
from .energy import _index, is_inside, place
from .fields import field_at
from .layout import Board, Record
from .random import below, bits, branch


@nb.njit
def map_boxes(boxes, around, origin, domains):
    """Cells of one or two boxes (1 or 2, 3, 2), and those around them up to so many (3,): their numbers on the board and in the cell, two (k,)."""
    shape, margin, board, second, _ = domains
    number = 0
    for box in boxes:
        number += np.prod(box[:, 1] - box[:, 0] + 2 * around)
    there, here = np.empty(number, np.int64), np.empty(number, np.int64)
    k = 0
    for b in range(len(boxes)):
        first, last = boxes[b, :, 0] - around, boxes[b, :, 1] + around
        shift = margin - boxes[b, :, 0] + b * second
        for x in range(first[0], last[0]):
            for y in range(first[1], last[1]):
                row = (x + shift[0]) * board[1] + y + shift[1]
                row_here = (origin[0] + x) % shape[0] * shape[1] + (origin[1] + y) % shape[1]
                for z in range(first[2], last[2]):
                    there[k] = row * board[2] + z + shift[2]
                    here[k] = row_here * shape[2] + (origin[2] + z) % shape[2]
                    k += 1
    return there, here


@nb.njit
def copy_in(species, there, here, layout, geometry, per_cell):
    """A board that holds the cells `here` (k,) of an occupation (n,) at its own `there` (k,), all frozen, fields not set.

    layout: any board of the geometry. The sites of a cell have consecutive homes.
    """
    halo, where = np.zeros(layout.halo.size, np.int8), np.full(layout.halo.size, -1, np.int32)
    for k in range(here.size):
        site, first = there[k] * per_cell, here[k] * per_cell
        home = geometry.home[site]
        for s in range(per_cell):
            halo[_index(home + s)] = species[_index(first + s)]
        if not is_inside(layout.rim, home):
            for s in range(per_cell):
                place(halo, geometry.image_start, geometry.images, site + s, species[first + s])
    return Board(halo, layout.site_at, layout.home_of, layout.rim, where, np.empty(halo.size, np.int64))


@nb.njit
def _evaluate_boxes(species, fields, boxes, origin, domains, layout, geometry, polynomial):
    """Set the fields (n,) of one or two boxes."""
    _, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv = polynomial
    per_cell = rest.size
    there, here = map_boxes(boxes, domains.margin, origin, domains)
    halo = copy_in(species, there, here, layout, geometry, per_cell).halo
    there, here = map_boxes(boxes, np.zeros(3, np.int64), origin, domains)
    for k in range(here.size):
        for s in range(per_cell):
            at = geometry.home[there[k] * per_cell + s]
            fields[here[k] * per_cell + s] = field_at(halo, at, s, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv)


@nb.njit
def visit(
    found, species, fields, boxes, number, origin, seed, energy, ions, attempts, domains, layout, geometry, couplings, polynomial, mutual,
    moves, ensemble, tally, keep,
):  # fmt: skip
    """Advance one or two boxes as one, by their share of a sweep of so many attempts, from its stream `number` of those of the seed.

    `species` (n,), `fields` (n,) if kept, and tally.sums are changed in place. found (3 + ions + 2 kinds,): change of the energy (neV),
    flips evaluated and spread, changes of the ions' counts, moves tried and accepted.
    """
    per_cell, home = couplings.point.shape[0], geometry.home
    there, here = map_boxes(boxes, domains.margin, origin, domains)
    board = copy_in(species, there, here, layout, geometry, per_cell)
    if keep == ALWAYS:
        for k in range(here.size):
            at, first = home[there[k] * per_cell], here[k] * per_cell
            for s in range(per_cell):
                board.fields[_index(at + s)] = fields[_index(first + s)]
    own, own_here = map_boxes(boxes, np.zeros(3, np.int64), origin, domains)
    sites = (own.reshape(-1, 1) * per_cell + np.arange(per_cell)).ravel()
    counts, kinds = ions.copy(), moves.conserves.size
    found[:] = 0
    tried = found[3 + ions.size : 3 + ions.size + kinds]
    record = Record(np.empty(1, np.int64), np.empty((1, ions.size), np.int64), tried, found[3 + ions.size + kinds :])
    reached, found[1], found[2] = walk(
        board, sites, energy, counts, branch(seed, number), attempts * sites.size // species.size, geometry, couplings, polynomial,
        mutual, moves, ensemble, tally, record, keep,
    )  # fmt: skip
    found[0] = reached - energy
    found[3 : 3 + ions.size] = counts - ions
    for k in range(own.size):
        at, first = home[own[k] * per_cell], own_here[k] * per_cell
        for s in range(per_cell):
            species[_index(first + s)] = board.halo[_index(at + s)]
    if keep == ALWAYS:
        for k in range(here.size):
            at, first = home[there[k] * per_cell], here[k] * per_cell
            for s in range(per_cell):
                fields[_index(first + s)] = board.fields[_index(at + s)]


@nb.njit(parallel=True)
def _visit_together(
    found, species, fields, boxes, order, first, origin, seed, energy, ions, attempts, domains, layout, geometry, couplings, polynomial,
    mutual, moves, ensemble, tally, keep,
):  # fmt: skip
    for b in nb.prange(len(found)):
        visit(
            found[b], species, fields, boxes[order[2 * b : 2 * b + 2]], first + b, origin, seed, energy, ions, attempts, domains, layout,
            geometry, couplings, polynomial, mutual, moves, ensemble, tally, keep,
        )  # fmt: skip


@nb.njit
def _shuffle(order, stream):
    for k in range(order.size - 1, 0, -1):
        other = below(stream, k + 1)
        order[k], order[other] = order[other], order[k]


@nb.njit(cache=True)
def run_domains(
    species,
    energy,
    ions,
    stream,
    attempts,
    domains,
    together,
    geometry,
    couplings,
    polynomial,
    mutual,
    moves,
    ensemble,
    tally,
    record,
):
    """As `run`, box by box; geometry, couplings, polynomial, mutual and moves are those of the board. Returns the energy, neV.

    together: boxes of a colour on several threads; none then knows the energy and the counts that the others reach, so the
    log weight must be linear in the counts and nothing may be tallied.
    """
    boxes, colours, layout = domains.boxes, len(domains.boxes), lay_out(np.zeros(geometry.home.size, np.int8), geometry)
    fields, origin = np.empty(species.size, np.int64), np.empty(3, np.int64)
    keep = np.int64(NEVER)  # not a literal, for which all would be compiled once more
    kinds = moves.conserves.size
    order = np.arange(boxes.shape[1])
    found = np.empty(((order.size + 1) // 2, 3 + ions.size + 2 * kinds), np.int64)
    for sweep in range(record.energy.size):
        for axis in range(3):
            origin[axis] = below(stream, domains.shape[axis])
        seed = bits(stream)
        for colour in range(colours):
            first = colour * order.size
            _shuffle(order, stream)
            if together:
                _visit_together(
                    found, species, fields, boxes[colour], order, first, origin, seed, energy, ions, attempts, domains, layout, geometry,
                    couplings, polynomial, mutual, moves, ensemble, tally, keep,
                )  # fmt: skip
            evaluated, spread_flips = 0, 0
            for b in range(len(found)):
                row = found[b]
                if not together:
                    visit(
                        row, species, fields, boxes[colour][order[2 * b : 2 * b + 2]], first + b, origin, seed, energy, ions, attempts, domains, layout, geometry,
                        couplings, polynomial, mutual, moves, ensemble, tally, keep,
                    )  # fmt: skip
                energy += row[0]
                evaluated += row[1]
                spread_flips += row[2]
                ions += row[3 : 3 + ions.size]
                record.tried[:] += row[3 + ions.size : 3 + ions.size + kinds]
                record.accepted[:] += row[3 + ions.size + kinds :]
            blocks = max(1, attempts // (colours * BLOCK))
            left = ((record.energy.size - sweep) * colours - colour - 1) * attempts // colours
            wanted = polynomial.rest.size > 0 and is_cheaper(
                keep == ALWAYS, evaluated // blocks, spread_flips // blocks, left, species.size, geometry.halo_length
            )
            if wanted and keep == NEVER:
                for box in boxes.reshape(-1, 1, 3, 2):
                    _evaluate_boxes(species, fields, box, origin, domains, layout, geometry, polynomial)
            keep = np.int64(ALWAYS if wanted else NEVER)
        record.energy[sweep] = energy
        record.ions[sweep] = ions
    return energy
