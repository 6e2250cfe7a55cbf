"""One Markov chain: propose, weigh, accept.

With at most two species per sublattice a move is weighed by the fields of its sites. The fields are kept where few moves are
accepted and evaluated where many are. Both give the same integers, so the choice affects the speed only.
"""

import numpy as np

from .compiling import entry, inner, part
from .energy import site_change
from .fields import evaluate, field_at, may_meet, mutual_of, spread
from .halo import index_of, lay_out, put, read_species
from .layout import ACCEPTANCE_UNIT, MOST_FLIPS, SQUARE_UNIT
from .proposal import group_sites, hastings, hastings_shifts, kind_at, look_ahead, pick_sites, regroup
from .random import uniform
from .view import hold, view

NEVER, ALWAYS, WHERE_CHEAPER = 0, 1, 2  # when to keep the fields
BLOCK = 1024  # attempts between two comparisons of the costs
CACHE = 2**20  # bytes; larger arrays are far
SPREAD, SPREAD_FAR = 3, 12  # cost of spreading an accepted flip to the near or far fields around it, in evaluations of a field


@part
def change_by_table(halo, kind, chosen, moves, geometry, couplings):
    """Energy change of a move, neV, from the cluster tables: its flips are made one after the other, then undone."""
    start, stop = moves.flip_start[kind], moves.flip_start[kind + 1]
    change = 0
    for f in range(start, stop):
        at, new = chosen[f - start], moves.flip_species[f]
        template = np.int64(index_of(at) % index_of(couplings.point.shape[0]))
        change += site_change(halo, at, template, moves.flip_species_from[f], new, couplings)
        if f < stop - 1:
            put(halo, geometry, at, new)
    for f in range(start, stop - 1):
        put(halo, geometry, chosen[f - start], moves.flip_species_from[f])
    return change


@inner
def change_by_fields(board, kind, chosen, field, kept, moves, model):
    """Energy change of a move, neV, from the fields of its sites; field (MOST_FLIPS,): work space."""
    geometry, polynomial, mutual = model.geometry, model.polynomial, model.mutual
    halo, per_cell = board.halo, index_of(polynomial.rest.size)
    start, stop = moves.flip_start[kind], moves.flip_start[kind + 1]
    for f in range(start, stop):
        at = chosen[f - start]
        if kept:
            field[f - start] = board.fields[index_of(at)]
        else:
            field[f - start] = field_at(halo, at, np.int64(index_of(at) % per_cell), polynomial)
    change = 0
    for f in range(start, stop):
        at = chosen[f - start]
        template = np.int64(index_of(at) % per_cell)
        sign = moves.flip_species[f] - moves.flip_species_from[f]
        change += sign * field[f - start]
        for g in range(f + 1, stop):
            partner = chosen[g - start]
            if mutual.near.size == 0 or may_meet(template, partner - at, mutual):
                field[g - start] += sign * mutual_of(halo, at, template, partner, model)
        if f < stop - 2:
            put(halo, geometry, at, moves.flip_species[f])
    for f in range(start, stop - 2):
        put(halo, geometry, chosen[f - start], moves.flip_species_from[f])
    return change


@inner
def add_attempt(tally, n, up, energy, acceptance):
    """Tally an attempted exchange at count n, up or down, with its acceptance probability; energy: before the move, neV."""
    column = 0 if up else 2
    tally.sums[n, column] += 1
    tally.sums[n, column + 1] += np.int64(np.rint(acceptance * (1.0 / ACCEPTANCE_UNIT)))
    excess = (energy - tally.origin - tally.slope * n) * (1.0 / tally.unit)
    tally.sums[n, 4] += np.int64(np.rint(excess))
    excess *= 1.0 / SQUARE_UNIT
    tally.sums[n, 5] += np.int64(np.rint(excess * excess))


@inner
def make_move(board, kind, chosen, kept, rows, moves, model):
    """Flip the chosen sites."""
    geometry, polynomial = model.geometry, model.polynomial
    start = moves.flip_start[kind]
    for f in range(start, moves.flip_start[kind + 1]):
        at, species = chosen[f - start], moves.flip_species[f]
        if kept:
            template = np.int64(index_of(at) % index_of(polynomial.rest.size))
            spread(board, at, template, species - moves.flip_species_from[f], geometry, polynomial)
        put(board.halo, geometry, at, species)
        regroup(at, moves.flip_from[f], moves.flip_to[f], rows)


@part
def is_cheaper(kept, evaluated, spread_flips, attempts, n_sites, n_fields):
    """Whether to keep the fields in the attempts to come, from the numbers of flips evaluated and spread in the last BLOCK.

    Setting up the kept fields costs n_sites evaluations. The result depends on counts alone, not on the model or the machine.
    """
    gain = evaluated - (SPREAD if 8 * n_fields <= CACHE else SPREAD_FAR) * spread_flips
    return gain > 0 and (kept or gain * attempts > BLOCK * n_sites)


@part
def walk(board, sites, state, model, scheme, record, attempts, keep):
    """Advance the sites (k,), all others frozen, by record.energy.size sweeps of `attempts` attempted moves each.

    Returns the energy, neV, and the numbers of flips evaluated and spread (WHERE_CHEAPER: in the last block). `board`,
    state.ions, state.stream, tally.sums and `record` are changed in place. With a polynomial without templates the cluster
    tables are used. keep: the fields are kept NEVER, ALWAYS (they are set already) or WHERE_CHEAPER. The kind is drawn afresh
    for each attempt (random scan), so any sequence of attempts is reversible.
    """
    geometry, couplings, polynomial = model.geometry, model.couplings, model.polynomial
    moves, ensemble, tally = scheme.moves, scheme.ensemble, scheme.tally
    energy, ions, stream = state.energy, state.ions, state.stream
    per_cell = couplings.point.shape[0]
    sites_by_row = group_sites(sites, board.halo, geometry.home, geometry.sublattice, per_cell, couplings.n_species)
    shifts, chosen, field = hastings_shifts(moves), np.zeros(MOST_FLIPS, np.int64), np.zeros(MOST_FLIPS, np.int64)
    rows = view(sites_by_row)
    tabled, far = polynomial.rest.size == 0, 4 * rows.members.size > CACHE
    kept, evaluated, spread_flips = keep == ALWAYS, 0, 0
    block, left = BLOCK if keep == WHERE_CHEAPER else 0, record.energy.size * attempts
    for sweep in range(record.energy.size):
        for _ in range(attempts):
            block -= 1
            left -= 1
            if block == 0:
                wanted = is_cheaper(kept, evaluated, spread_flips, left, geometry.home.size, geometry.halo_length)
                if wanted and not kept:
                    evaluate(board, geometry, polynomial)
                kept = wanted
                evaluated, spread_flips, block = 0, 0, BLOCK
            u = uniform(stream)
            kind = kind_at(u, moves.cumulative)
            record.tried[kind] += 1
            flips, n, dn = moves.flip_start[kind + 1] - moves.flip_start[kind], ions[0], moves.ion_change[kind, 0]
            counted = dn != 0 and abs(dn) == ensemble.step
            if not pick_sites(stream, kind, moves, board.halo, geometry, rows, chosen):
                if counted:
                    add_attempt(tally, n, dn > 0, energy, 0.0)
                continue
            if far:
                look_ahead(stream, moves, rows)
            evaluated += flips
            if tabled:
                change = change_by_table(board.halo, kind, chosen, moves, geometry, couplings)
            else:
                change = change_by_fields(board, kind, chosen, field, kept, moves, model)
            log_ratio, ratio = -ensemble.beta * change, 1.0
            if not moves.conserves[kind]:
                ratio = hastings(kind, moves, rows.number, shifts)
                if counted:
                    known = ensemble.reference[n] if dn > 0 else -ensemble.reference[n + dn]
                    add_attempt(tally, n, dn > 0, energy, min(ratio * np.exp(log_ratio + known), 1.0))
                log_ratio += ensemble.log_weight[n + dn] - ensemble.log_weight[n]
                for k in range(ions.size):
                    log_ratio += ensemble.beta_mu[k] * moves.ion_change[kind, k]
            if uniform(stream) < ratio * np.exp(log_ratio):
                make_move(board, kind, chosen, kept, rows, moves, model)
                record.accepted[kind] += 1
                spread_flips += flips
                energy += change
                for k in range(ions.size):
                    ions[k] += moves.ion_change[kind, k]
        record.energy[sweep] = energy
        for k in range(ions.size):
            record.ions[sweep, k] = ions[k]
    hold(sites_by_row)
    return energy, evaluated, spread_flips


@entry
def run(state, model, scheme, record, attempts, keep):
    """Advance a chain; all sites may change. Arguments and changes in place as for `walk`, and state.species. Returns the
    energy, neV.
    """
    state, model, scheme, record = view(state), view(model), view(scheme), view(record)
    board = lay_out(state.species, model.geometry)
    if model.polynomial.rest.size == 0:
        keep = NEVER
    elif keep == ALWAYS:
        evaluate(board, model.geometry, model.polynomial)
    energy, _, _ = walk(view(board), np.arange(state.species.size), state, model, scheme, record, attempts, keep)
    read_species(board.halo, model.geometry, state.species)
    return energy
