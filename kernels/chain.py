"""One Markov chain: propose, weigh, accept.

With two species a sublattice a move is weighed by the fields of its sites. They are kept where few moves are accepted, evaluated
where many are; as both give the same whole numbers, which of the two is done changes nothing but the time.
"""

import numba as nb
import numpy as np

from .energy import _index, fill_halo, place, site_change
from .fields import field_at, mutual_at, spread
from .layout import ACCEPTANCE_UNIT, SQUARE_UNIT
from .random import below, uniform

MOST_FLIPS = 16
NEVER, ALWAYS, WHERE_CHEAPER = 0, 1, 2  # keep the fields
BLOCK = 1024  # attempts from one look at the costs to the next
SPREAD = 3  # cost of an accepted flip that is spread to the fields around, over that of an evaluated field


@nb.njit
def group_sites(species, sublattice, q):
    """Sites by row: members (rows, most sites), their number (rows,), and each site's place in its row (n,)."""
    count = np.zeros((sublattice.max() + 1) * q, np.int64)
    for site in range(species.size):
        count[sublattice[site]] += 1
    members = np.empty((count.size, count.max()), np.int32)
    where = np.empty(species.size, np.int32)
    count[:] = 0
    for site in range(species.size):
        row = sublattice[site] * q + species[site]
        members[row, count[row]] = site
        where[site] = count[row]
        count[row] += 1
    return members, count, where


@nb.njit(forceinline=True)
def _regroup(site, old_row, new_row, members, count, where):
    last = members[old_row, count[old_row] - 1]
    members[old_row, where[site]] = last
    where[last] = where[site]
    count[old_row] -= 1
    members[new_row, count[new_row]] = site
    where[site] = count[new_row]
    count[new_row] += 1


@nb.njit(forceinline=True)
def pick_sites(
    stream, start, stop, flip_from, flip_species_from, flip_anchor, near_start, near_width, near, species, members, count, chosen
):
    """Choose the sites of a move; False if that fails. The flips of the move are start..stop.

    A free flip takes any site of its row not yet chosen; an anchored one draws from the near sites of its anchor, whatever
    they hold, and fails unless the draw is of its row and not yet chosen. The anchor's near sites do not depend on the
    occupation, so the reverse move draws the same site with the same probability.
    """
    for f in range(start, stop):
        row = flip_from[f]
        anchor = flip_anchor[f]
        site = 0
        if anchor >= 0:
            site = near[near_start[f] + chosen[anchor] * near_width[f] + below(stream, near_width[f])]
            if site < 0 or species[site] != flip_species_from[f]:
                return False
            for g in range(f - start):
                if chosen[g] == site:
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
                site = members[row, below(stream, count[row])]
                fresh = True
                for g in range(f - start):
                    if chosen[g] == site:
                        fresh = False
        chosen[f - start] = site
    return True


@nb.njit(forceinline=True)
def hastings(start, stop, flip_from, flip_to, flip_anchor, count):
    """q(s'->s)/q(s->s') of a move: ways to choose its free sites before, over ways to choose them back after."""
    ratio = 1.0
    for f in range(start, stop):
        if flip_anchor[f] >= 0:
            continue
        before = count[flip_from[f]]
        after = count[flip_to[f]]
        for g in range(start, stop):
            if flip_to[g] == flip_to[f] and g >= f:
                after += 1
            if flip_from[g] == flip_to[f]:
                after -= 1
            if flip_from[g] == flip_from[f] and g < f:
                before -= 1
        ratio *= before / after
    return ratio


@nb.njit(forceinline=True)
def _tally(sums, origin, slope, unit, step, ratio, n, up, energy, log_ratio):
    """step: what the reference adds to the log of the ratio of weights; ratio: the Hastings factor."""
    column = 0 if up else 2
    sums[n, column] += 1
    acceptance = min(ratio * np.exp(log_ratio + step), 1.0)
    sums[n, column + 1] += np.int64(np.rint(acceptance / ACCEPTANCE_UNIT))
    excess = (energy - origin - slope * n) / unit
    sums[n, 4] += np.int64(np.rint(excess))
    excess /= SQUARE_UNIT
    sums[n, 5] += np.int64(np.rint(excess * excess))


@nb.njit
def _site_at(geometry):
    """Site (halo_length,) of every position."""
    site_at = np.empty(geometry.halo_length, np.int32)
    for site in range(geometry.home.size):
        for k in range(geometry.image_start[site], geometry.image_start[site + 1]):
            site_at[geometry.images[k]] = site
    return site_at


@nb.njit
def _evaluate(fields, halo, home, template, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv):
    for site in range(fields.size):
        fields[site] = field_at(halo, home[site], template[site], rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv)


@nb.njit
def is_cheaper(kept, evaluated, spread_flips, attempts, n_sites):
    """Whether to keep the fields in the attempts to come, from the flips evaluated and spread in the last BLOCK.

    A field costs as much to evaluate as to set up, and all n_sites must be; so nothing depends on the model or the machine.
    """
    gain = evaluated - SPREAD * spread_flips
    return gain > 0 and (kept or gain * attempts > BLOCK * n_sites)


@nb.njit(cache=True)
def run(species, energy, ions, stream, geometry, couplings, polynomial, mutual, moves, ensemble, tally, record, keep):
    """Advance a chain by record.energy.size sweeps of species.size attempted moves; returns the energy, neV.

    `species` (n,), `ions` (ions,), `stream`, `tally.sums` and `record` are changed in place. polynomial: of `wide_polynomial`; without templates, the
    couplings are read instead. keep: the fields, NEVER, ALWAYS or WHERE_CHEAPER. Random scan: the kind is drawn afresh for each
    attempt, so any stretch of attempts is reversible.
    """
    halo = fill_halo(species, geometry)
    home, template, image_start, images = geometry.home, geometry.template, geometry.image_start, geometry.images
    q, _, point, ps, po, pt, ts, to, tt, ms, mz, mo, mt, values = couplings
    cumulative, flip_start, flip_from, flip_to = moves.cumulative, moves.flip_start, moves.flip_from, moves.flip_to
    flip_species, flip_species_from, flip_anchor = moves.flip_species, moves.flip_species_from, moves.flip_anchor
    near_start, near_width, near = moves.near_start, moves.near_width, moves.near
    conserves, ion_change = moves.conserves, moves.ion_change
    beta, beta_mu, log_weight, reference, step = ensemble
    sums, origin, slope, unit = tally
    tried, accepted = record.tried, record.accepted
    members, count, where = group_sites(species, geometry.sublattice, q)
    chosen = np.zeros(MOST_FLIPS, np.int64)
    _, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv = polynomial
    entry, reach, term, term_start, other, term_value = mutual
    tabled = rest.size == 0
    site_at = _site_at(geometry)
    fields = np.zeros(species.size, np.int64)
    extra = np.zeros(MOST_FLIPS, np.int64)
    kept = keep == ALWAYS and not tabled
    if kept:
        _evaluate(fields, halo, home, template, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv)
    evaluated, spread_flips, block, left = 0, 0, BLOCK, record.energy.size * species.size
    for sweep in range(record.energy.size):
        for _ in range(species.size):
            block -= 1
            left -= 1
            if block == 0:
                if keep == WHERE_CHEAPER and not tabled:
                    wanted = is_cheaper(kept, evaluated, spread_flips, left, species.size)
                    if wanted and not kept:
                        _evaluate(fields, halo, home, template, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv)
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
                stream,
                start,
                stop,
                flip_from,
                flip_species_from,
                flip_anchor,
                near_start,
                near_width,
                near,
                species,
                members,
                count,
                chosen,
            ):
                if counted:
                    _tally(sums, origin, slope, unit, 0.0, 1.0, n, dn > 0, energy, -np.inf)
                continue
            evaluated += stop - start
            change = 0
            if tabled:
                for f in range(start, stop):
                    site = chosen[f - start]
                    new = flip_species[f]
                    change += site_change(
                        halo, home[site], template[site], flip_species_from[f], new,
                        q, point, ps, po, pt, ts, to, tt, ms, mz, mo, mt, values,
                    )  # fmt: skip
                    if f < stop - 1:
                        place(halo, image_start, images, site, new)
            elif kept:
                for f in range(start, stop):
                    extra[f - start] = 0
                for f in range(start, stop):
                    site = chosen[f - start]
                    at, t = home[site], template[site]
                    sign = flip_species[f] - flip_species_from[f]
                    change += sign * (fields[_index(site)] + extra[f - start])
                    for g in range(f + 1, stop):
                        partner = chosen[g - start]
                        for k in range(_index(image_start[partner]), _index(image_start[partner + 1])):
                            extra[g - start] += sign * mutual_at(
                                halo,
                                at,
                                t,
                                images[_index(k)] - at,
                                entry,
                                reach,
                                term,
                                term_start,
                                other,
                                term_value,
                                ns,
                                nz,
                                no,
                                nv,
                            )
                    if f < stop - 2:
                        place(halo, image_start, images, site, flip_species[f])
                for f in range(start, stop - 2):
                    place(halo, image_start, images, chosen[f - start], flip_species_from[f])
            else:
                for f in range(start, stop):
                    site = chosen[f - start]
                    t = template[site]
                    field = field_at(halo, home[site], t, rest, fs, fo, fv, ds, do, dv, ns, nz, no, nv)
                    change += (flip_species[f] - flip_species_from[f]) * field
                    if f < stop - 1:
                        place(halo, image_start, images, site, flip_species[f])
            log_ratio = -beta * change
            ratio = 1.0
            if not conserves[kind]:
                ratio = hastings(start, stop, flip_from, flip_to, flip_anchor, count)
                if counted:
                    known = reference[n] if dn > 0 else -reference[n + dn]
                    _tally(sums, origin, slope, unit, known, ratio, n, dn > 0, energy, log_ratio)
                log_ratio += log_weight[n + dn] - log_weight[n]
                for k in range(ions.size):
                    log_ratio += beta_mu[k] * ion_change[kind, k]
            if uniform(stream) < ratio * np.exp(log_ratio):
                accepted[kind] += 1
                spread_flips += stop - start
                energy += change
                for f in range(start, stop):
                    site = chosen[f - start]
                    if kept:
                        sign = flip_species[f] - flip_species_from[f]
                        spread(fields, halo, site_at, home[site], template[site], sign, fs, fo, fv, ds, do, dv, ns, nz, no, nv)
                    if kept or f == stop - 1:
                        place(halo, image_start, images, site, flip_species[f])
                    species[site] = flip_species[f]
                    _regroup(site, flip_from[f], flip_to[f], members, count, where)
                for k in range(ions.size):
                    ions[k] += ion_change[kind, k]
            elif not kept:
                for f in range(start, stop - 1):
                    place(halo, image_start, images, chosen[f - start], flip_species_from[f])
        record.energy[sweep] = energy
        record.ions[sweep] = ions
    return energy
