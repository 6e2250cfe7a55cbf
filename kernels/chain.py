"""One Markov chain: propose, weigh, accept."""

import numba as nb
import numpy as np

from .energy import fill_halo, place, site_change
from .layout import ACCEPTANCE_UNIT, SQUARE_UNIT
from .random import below, uniform

MOST_FLIPS = 16


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


@nb.njit
def _regroup(site, old_row, new_row, members, count, where):
    last = members[old_row, count[old_row] - 1]
    members[old_row, where[site]] = last
    where[last] = where[site]
    count[old_row] -= 1
    members[new_row, count[new_row]] = site
    where[site] = count[new_row]
    count[new_row] += 1


@nb.njit
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


@nb.njit
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


@nb.njit
def _tally(sums, origin, slope, unit, step_down, step_up, n, up, energy, log_ratio):
    column = 0 if up else 2
    sums[n, column] += 1
    log_ratio += step_up if up else step_down
    acceptance = 1.0 if log_ratio >= 0.0 else np.exp(log_ratio)
    sums[n, column + 1] += np.int64(np.rint(acceptance / ACCEPTANCE_UNIT))
    excess = (energy - origin - slope * n) / unit
    sums[n, 4] += np.int64(np.rint(excess))
    excess /= SQUARE_UNIT
    sums[n, 5] += np.int64(np.rint(excess * excess))


@nb.njit(cache=True)
def run(species, energy, ions, stream, attempts, geometry, couplings, moves, ensemble, tally, record):
    """Advance a chain by record.energy.size sweeps of so many attempted moves; returns the energy, neV.

    `species` (n,), `ions` (ions,), `stream`, `tally.sums` and `record` are changed in place. Random scan: the kind is drawn
    afresh for each attempt, so any stretch of attempts is reversible.
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
    for sweep in range(record.energy.size):
        for _ in range(attempts):
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
                    _tally(sums, origin, slope, unit, 0.0, 0.0, n, dn > 0, energy, -np.inf)
                continue
            change = 0
            for f in range(start, stop):
                site = chosen[f - start]
                new = flip_species[f]
                change += site_change(
                    halo, home[site], template[site], np.int64(species[site]), new,
                    q, point, ps, po, pt, ts, to, tt, ms, mz, mo, mt, values,
                )  # fmt: skip
                if f < stop - 1:
                    place(halo, image_start, images, site, new)
            log_ratio = -beta * change
            if not conserves[kind]:
                log_ratio += np.log(hastings(start, stop, flip_from, flip_to, flip_anchor, count))
                if counted:
                    _tally(sums, origin, slope, unit, -reference[n + min(dn, 0)], reference[n], n, dn > 0, energy, log_ratio)
                log_ratio += log_weight[n + dn] - log_weight[n]
                for k in range(ions.size):
                    log_ratio += beta_mu[k] * ion_change[kind, k]
            if log_ratio >= 0.0 or uniform(stream) < np.exp(log_ratio):
                accepted[kind] += 1
                energy += change
                for f in range(start, stop):
                    site = chosen[f - start]
                    species[site] = flip_species[f]
                    _regroup(site, flip_from[f], flip_to[f], members, count, where)
                last = chosen[stop - start - 1]
                place(halo, image_start, images, last, species[last])
                for k in range(ions.size):
                    ions[k] += ion_change[kind, k]
            else:
                for f in range(start, stop - 1):
                    site = chosen[f - start]
                    place(halo, image_start, images, site, species[site])
        record.energy[sweep] = energy
        record.ions[sweep] = ions
    return energy
