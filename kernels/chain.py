"""One Markov chain: propose, weigh, accept.

With two species a sublattice a move is weighed by the fields of its sites. They are kept where few moves are accepted, evaluated
where many are; as both give the same whole numbers, which of the two is done changes nothing but the time.
"""

import numba as nb
import numpy as np

from .energy import _index, fill_halo, is_inside, map_halo, put, read_species, site_change
from .fields import field_at, may_meet, mutual_at, spread
from .layout import ACCEPTANCE_UNIT, SQUARE_UNIT, Board
from .prefetch import prefetch
from .random import below, following, uniform, unit

MOST_FLIPS = 16
NEVER, ALWAYS, WHERE_CHEAPER = 0, 1, 2  # keep the fields
BLOCK = 1024  # attempts from one look at the costs to the next
CACHE = 2**20  # bytes; what is larger is far
SPREAD, SPREAD_FAR = (
    3,
    12,
)  # cost of an accepted flip that is spread to the fields around, near or far, over that of an evaluated field


@nb.njit
def group_sites(sites, home, halo, sublattice, rows, q, where):
    """Homes of the sites (k,) by row: members (rows, k) and their number (rows,). where[home] becomes each one's place in its row."""
    members, count = np.empty((rows, sites.size), np.int32), np.zeros(rows, np.int64)
    for site in sites:
        position = home[site]
        row = sublattice[site] * q + halo[position]
        members[row, count[row]] = position
        where[position] = count[row]
        count[row] += 1
    return members, count


@nb.njit(forceinline=True)
def _regroup(position, old_row, new_row, members, count, where):
    last = members[old_row, count[old_row] - 1]
    members[old_row, where[position]] = last
    where[last] = where[position]
    count[old_row] -= 1
    members[new_row, count[new_row]] = position
    where[position] = count[new_row]
    count[new_row] += 1


@nb.njit(forceinline=True)
def pick_sites(
    stream, start, stop, flip_from, flip_species_from, flip_anchor, near_start, near_width, near, halo, home, site_at, members, count,
    where, chosen,
):  # fmt: skip
    """Choose the sites of a move, by their homes; False if that fails. The flips of the move are start..stop.

    A free flip takes any site of its row not yet chosen; an anchored one draws from the near sites of its anchor, whatever
    they hold, and fails unless the draw is of its row, not frozen and not yet chosen. The anchor's near sites do not depend on
    the occupation, so the reverse move draws the same site with the same probability.
    """
    for f in range(start, stop):
        row = flip_from[f]
        anchor = flip_anchor[f]
        position = np.int64(0)
        if anchor >= 0:
            site = near[near_start[f] + site_at[chosen[anchor]] * near_width[f] + below(stream, near_width[f])]
            if site < 0:
                return False
            position = np.int64(home[site])
            if halo[_index(position)] != flip_species_from[f] or where[_index(position)] < 0:
                return False
            for g in range(f - start):
                if chosen[g] == position:
                    return False
        else:
            taken = 0
            for g in range(start, f):
                if flip_from[g] == row:
                    taken += 1
            if count[row] <= taken:
                return False
            fresh = False
            while not fresh:
                position = np.int64(members[row, _index(below(stream, count[row]))])
                fresh = True
                for g in range(f - start):
                    if chosen[g] == position:
                        fresh = False
        chosen[f - start] = position
    return True


@nb.njit
def hastings_shifts(flip_start, flip_from, flip_to):
    """Per flip, by how much a row's count differs from what the flip finds: (flips,) before the move, and after it on the way back."""
    before, after = np.zeros(flip_from.size, np.int64), np.zeros(flip_from.size, np.int64)
    for kind in range(flip_start.size - 1):
        start, stop = flip_start[kind], flip_start[kind + 1]
        for f in range(start, stop):
            for g in range(start, stop):
                after[f] += (flip_to[g] == flip_to[f] and g >= f) - (flip_from[g] == flip_to[f])
                before[f] -= flip_from[g] == flip_from[f] and g < f
    return before, after


@nb.njit(forceinline=True)
def hastings(start, stop, flip_from, flip_to, flip_anchor, count, before, after):
    """q(s'->s)/q(s->s') of a move: ways to choose its free sites before, over ways to choose them back after."""
    ways, ways_back = 1.0, 1.0
    for f in range(start, stop):
        if flip_anchor[f] < 0:
            ways *= count[flip_from[f]] + before[f]
            ways_back *= count[flip_to[f]] + after[f]
    return ways / ways_back


@nb.njit(forceinline=True)
def _look_ahead(stream, cumulative, flip_start, flip_from, flip_anchor, count, members, most):
    """Have the sites fetched that the next attempt will find in the flat list (rows * most,); it follows one more number."""
    _, s0, s1 = following(stream[0], stream[1])
    bits, s0, s1 = following(s0, s1)
    kind = 0
    while unit(bits) >= cumulative[kind]:
        kind += 1
    for f in range(flip_start[kind], flip_start[kind + 1]):
        if flip_anchor[f] < 0:
            bits, s0, s1 = following(s0, s1)
            row = flip_from[f]
            prefetch(members, row * most + np.int64(unit(bits) * count[row]))


@nb.njit(forceinline=True)
def _tally(sums, origin, slope, per_unit, step, ratio, n, up, energy, log_ratio):
    """step: what the reference adds to the log of the ratio of weights; ratio: the Hastings factor."""
    column = 0 if up else 2
    sums[n, column] += 1
    acceptance = min(ratio * np.exp(log_ratio + step), 1.0)
    sums[n, column + 1] += np.int64(np.rint(acceptance * (1.0 / ACCEPTANCE_UNIT)))
    excess = (energy - origin - slope * n) * per_unit
    sums[n, 4] += np.int64(np.rint(excess))
    excess *= 1.0 / SQUARE_UNIT
    sums[n, 5] += np.int64(np.rint(excess * excess))


@nb.njit
def evaluate(board, geometry, polynomial):
    """Set the fields of all sites."""
    halo, home, template = board.halo, geometry.home, geometry.template
    _, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv = polynomial
    for site in range(home.size):
        board.fields[home[site]] = field_at(halo, home[site], template[site], rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv)


@nb.njit
def is_cheaper(kept, evaluated, spread_flips, attempts, n_sites, n_fields):
    """Whether to keep the fields in the attempts to come, from the flips evaluated and spread in the last BLOCK.

    A field costs as much to evaluate as to set up, and all n_sites must be; so nothing depends on the model or the machine.
    """
    gain = evaluated - (SPREAD if 8 * n_fields <= CACHE else SPREAD_FAR) * spread_flips
    return gain > 0 and (kept or gain * attempts > BLOCK * n_sites)


@nb.njit
def lay_out(species, geometry):
    """The board of an occupation (n,): all sites frozen, fields not set."""
    halo = fill_halo(species, geometry)
    site_at, rim = map_halo(geometry)
    where = np.full(halo.size, -1, np.int32)
    return Board(halo, site_at, geometry.home[site_at], rim, where, np.empty(halo.size, np.int64))


@nb.njit
def walk(
    board, sites, energy, ions, stream, attempts, geometry, couplings, polynomial, mutual, moves, ensemble, tally, record, keep
):
    """Advance the sites (k,), all others frozen, by record.energy.size sweeps of so many attempted moves.

    Returns the energy, neV, and the numbers of flips evaluated and spread (WHERE_CHEAPER: of the last block). `board`, `ions` (ions,),
    `stream`, `tally.sums` and `record` are changed in place. polynomial: of `wide_polynomial`; without templates, the couplings are
    read instead. keep: the fields, NEVER, ALWAYS (they are set already) or WHERE_CHEAPER. Random scan: the kind is drawn afresh for each
    attempt, so any stretch of attempts is reversible. Inside, sites go by their homes: what surrounds them is then known.
    """
    halo, site_at, home_of, rim, where, fields = board
    home, image_start, images = geometry.home, geometry.image_start, geometry.images
    q, _, point, ps, po, pt, ts, to, tt, ms, mz, mo, mt, values = couplings
    cumulative, flip_start, flip_from, flip_to = moves.cumulative, moves.flip_start, moves.flip_from, moves.flip_to
    flip_species, flip_species_from, flip_anchor = moves.flip_species, moves.flip_species_from, moves.flip_anchor
    near_start, near_width, near = moves.near_start, moves.near_width, moves.near
    conserves, ion_change = moves.conserves, moves.ion_change
    beta, beta_mu, log_weight, reference, step = ensemble
    sums, origin, slope, unit = tally
    per_unit = 1.0 / unit
    tried, accepted = record.tried, record.accepted
    before, after = hastings_shifts(flip_start, flip_from, flip_to)
    rows = (geometry.sublattice[: point.shape[0]].max() + 1) * q
    members, count = group_sites(sites, home, halo, geometry.sublattice, rows, q, where)
    far = 4 * members.size > CACHE
    flat, most = members.reshape(members.size), members.shape[1]
    chosen = np.zeros(MOST_FLIPS, np.int64)
    _, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv = polynomial
    entry, reach, term, term_start, other, term_value, span, near_homes = mutual
    tabled, listed = rest.size == 0, near_homes.size > 0
    per_cell = _index(point.shape[0])
    field = np.zeros(MOST_FLIPS, np.int64)
    kept = keep == ALWAYS
    evaluated, spread_flips = 0, 0
    block, left = BLOCK if keep == WHERE_CHEAPER else 0, record.energy.size * attempts
    for sweep in range(record.energy.size):
        for _ in range(attempts):
            block -= 1
            left -= 1
            if block == 0:
                wanted = is_cheaper(kept, evaluated, spread_flips, left, home.size, halo.size)
                if wanted and not kept:
                    evaluate(board, geometry, polynomial)
                kept = wanted
                evaluated, spread_flips, block = 0, 0, BLOCK
            u = uniform(stream)
            kind = 0
            while u >= cumulative[kind]:
                kind += 1
            tried[kind] += 1
            start, stop = flip_start[kind], flip_start[kind + 1]
            dn = ion_change[kind, 0]
            n = ions[0]
            counted = dn != 0 and abs(dn) == step
            if not pick_sites(
                stream, start, stop, flip_from, flip_species_from, flip_anchor, near_start, near_width, near, halo, home, site_at,
                members, count, where, chosen,
            ):  # fmt: skip
                if counted:
                    _tally(sums, origin, slope, per_unit, 0.0, 1.0, n, dn > 0, energy, -np.inf)
                continue
            if far:
                _look_ahead(stream, cumulative, flip_start, flip_from, flip_anchor, count, flat, most)
            evaluated += stop - start
            change = 0
            if tabled:
                for f in range(start, stop):
                    at, new = chosen[f - start], flip_species[f]
                    change += site_change(
                        halo, at, np.int64(_index(at) % per_cell), flip_species_from[f], new,
                        q, point, ps, po, pt, ts, to, tt, ms, mz, mo, mt, values,
                    )  # fmt: skip
                    if f < stop - 1:
                        put(halo, rim, site_at, image_start, images, at, new)
                for f in range(start, stop - 1):
                    put(halo, rim, site_at, image_start, images, chosen[f - start], flip_species_from[f])
            else:
                for f in range(start, stop):
                    at = chosen[f - start]
                    if kept:
                        field[f - start] = fields[_index(at)]
                    else:
                        t = np.int64(_index(at) % per_cell)
                        field[f - start] = field_at(halo, at, t, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv)
                for f in range(start, stop):
                    at = chosen[f - start]
                    t = np.int64(_index(at) % per_cell)
                    sign = flip_species[f] - flip_species_from[f]
                    change += sign * field[f - start]
                    for g in range(f + 1, stop):
                        partner = chosen[g - start]
                        if listed and not may_meet(t, partner - at, span, near_homes):
                            continue
                        many = not (is_inside(rim, at) or is_inside(rim, partner))
                        site, shared = site_at[_index(partner * many)], 0
                        first = image_start[site]
                        for k in range(_index(first), _index(image_start[site + 1] if many else first + 1)):
                            distance = (np.int64(images[_index(k)]) if many else partner) - at
                            shared += mutual_at(
                                halo, at, t, distance, entry, reach, term, term_start, other, term_value, ns, nz, no, nv
                            )
                        field[g - start] += sign * shared
                    if f < stop - 2:
                        put(halo, rim, site_at, image_start, images, at, flip_species[f])
                for f in range(start, stop - 2):
                    put(halo, rim, site_at, image_start, images, chosen[f - start], flip_species_from[f])
            log_ratio = -beta * change
            ratio = 1.0
            if not conserves[kind]:
                ratio = hastings(start, stop, flip_from, flip_to, flip_anchor, count, before, after)
                if counted:
                    known = reference[n] if dn > 0 else -reference[n + dn]
                    _tally(sums, origin, slope, per_unit, known, ratio, n, dn > 0, energy, log_ratio)
                log_ratio += log_weight[n + dn] - log_weight[n]
                for k in range(ions.size):
                    log_ratio += beta_mu[k] * ion_change[kind, k]
            if uniform(stream) < ratio * np.exp(log_ratio):
                accepted[kind] += 1
                spread_flips += stop - start
                energy += change
                for f in range(start, stop):
                    at = chosen[f - start]
                    if kept:
                        t = np.int64(_index(at) % per_cell)
                        sign, inside = flip_species[f] - flip_species_from[f], is_inside(rim, at)
                        spread(fields, halo, home_of, inside, at, t, sign, fs, fo, fv, ds, do, dv, ns, nz, no, nv)
                    put(halo, rim, site_at, image_start, images, at, flip_species[f])
                    _regroup(at, flip_from[f], flip_to[f], members, count, where)
                for k in range(ions.size):
                    ions[k] += ion_change[kind, k]
        record.energy[sweep] = energy
        record.ions[sweep] = ions
    return energy, evaluated, spread_flips


@nb.njit(cache=True)
def run(species, energy, ions, stream, attempts, geometry, couplings, polynomial, mutual, moves, ensemble, tally, record, keep):
    """Advance a chain, all sites of `species` (n,), changed in place, and the rest as for `walk`; returns the energy, neV."""
    board = lay_out(species, geometry)
    if polynomial.rest.size == 0:
        keep = NEVER
    elif keep == ALWAYS:
        evaluate(board, geometry, polynomial)
    energy, _, _ = walk(
        board, np.arange(species.size), energy, ions, stream, attempts, geometry, couplings, polynomial, mutual, moves, ensemble, tally,
        record, keep,
    )  # fmt: skip
    read_species(board.halo, geometry, species)
    return energy
