"""One Markov chain: propose, weigh, accept."""
import numba as nb
import numpy as np

from .energy import fill_halo, place, site_change
from .random import below, uniform

MOST_FLIPS = 16


@nb.njit
def _group(species, geometry, n_rows, q):
    """Sites by row: members (rows, most sites), their number, and each site's place in its row."""
    count = np.zeros(n_rows, np.int64)
    for site in range(species.size):
        count[geometry.sublattice[site]] += 1
    members = np.empty((n_rows, count.max()), np.int32)
    where = np.empty(species.size, np.int32)
    count[:] = 0
    for site in range(species.size):
        row = geometry.sublattice[site] * q + species[site]
        members[row, count[row]] = site
        where[site] = count[row]
        count[row] += 1
    return members, count, where


@nb.njit(inline="always")
def _regroup(site, old_row, new_row, members, count, where):
    last = members[old_row, count[old_row] - 1]
    members[old_row, where[site]] = last
    where[last] = where[site]
    count[old_row] -= 1
    members[new_row, count[new_row]] = site
    where[site] = count[new_row]
    count[new_row] += 1


@nb.njit
def pick_sites(stream, moves, kind, members, count, chosen):
    """Choose the sites of a move, each uniformly among those of its row not yet chosen. False if a row runs out.

    The probability of the choice is 1/product(ways), with ways as in `hastings`.
    """
    start = moves.flip_start[kind]
    for f in range(moves.flip_start[kind + 1] - start):
        row = moves.flip_from[start + f]
        taken = 0
        for g in range(f):
            if moves.flip_from[start + g] == row:
                taken += 1
        if count[row] <= taken:
            return False
        fresh = False
        site = 0
        while not fresh:
            site = members[row, below(stream, count[row])]
            fresh = True
            for g in range(f):
                if chosen[g] == site:
                    fresh = False
        chosen[f] = site
    return True


@nb.njit
def hastings(moves, kind, count):
    """q(s'->s)/q(s->s') of a move: ways to choose its sites before, over ways to choose them back after."""
    ratio = 1.0
    start, stop = moves.flip_start[kind], moves.flip_start[kind + 1]
    for f in range(start, stop):
        before = count[moves.flip_from[f]]
        after = count[moves.flip_to[f]]
        for g in range(start, stop):
            if moves.flip_to[g] == moves.flip_to[f] and g >= f:
                after += 1
            if moves.flip_from[g] == moves.flip_to[f]:
                after -= 1
            if moves.flip_from[g] == moves.flip_from[f] and g < f:
                before -= 1
        ratio *= before / after
    return ratio


@nb.njit
def energy_change(halo, species, geometry, couplings, moves, kind, chosen):
    """E(s') - E(s), neV. Leaves all flips but the last one written in `halo`."""
    q = couplings.n_species
    start, stop = moves.flip_start[kind], moves.flip_start[kind + 1]
    change = 0
    for f in range(start, stop):
        site = chosen[f - start]
        new = moves.flip_to[f] % q
        change += site_change(halo, geometry.home[site], geometry.template[site], np.int64(species[site]), new, couplings)
        if f < stop - 1:
            place(halo, geometry, site, new)
    return change


@nb.njit
def weight_change(ensemble, moves, kind, ions):
    """Change of the log weight apart from -beta E."""
    total = 0.0
    for k in range(ions.size):
        total += ensemble.beta_mu[k] * moves.ion_change[kind, k]
    n = ions[0]
    return total + ensemble.log_weight[n + moves.ion_change[kind, 0]] - ensemble.log_weight[n]


@nb.njit
def _tally(tally, ensemble, n, dn, energy, log_ratio):
    at = n - tally.first
    if at < 0 or at >= tally.sums.shape[0]:
        return
    up = dn > 0
    column = 0 if up else 2
    tally.sums[at, column] += 1.0
    if log_ratio > -1e300:
        log_ratio += ensemble.reference[n] if up else -ensemble.reference[n + dn]
        tally.sums[at, column + 1] += 1.0 if log_ratio >= 0.0 else np.exp(log_ratio)
    excess = energy - tally.origin - tally.slope * n
    tally.sums[at, 4] += excess
    tally.sums[at, 5] += excess * excess


@nb.njit(cache=True)
def run(species, energy, ions, stream, geometry, couplings, moves, ensemble, tally, record):
    """Advance a chain by record.energy.size sweeps of species.size attempted moves; returns the energy, neV.

    `species` (n,), `ions` (ions,), `stream`, `tally.sums` and `record` are changed in place. Random scan: the kind is drawn
    afresh for each attempt, so any stretch of attempts is reversible.
    """
    q = couplings.n_species
    n_rows = (geometry.sublattice.max() + 1) * q
    halo = fill_halo(species, geometry)
    members, count, where = _group(species, geometry, n_rows, q)
    chosen = np.zeros(MOST_FLIPS, np.int64)
    for sweep in range(record.energy.size):
        for _ in range(species.size):
            u = uniform(stream)
            kind = 0
            while u >= moves.cumulative[kind]:
                kind += 1
            record.tried[kind] += 1
            dn = moves.ion_change[kind, 0]
            counted = dn != 0 and abs(dn) == ensemble.step
            if not pick_sites(stream, moves, kind, members, count, chosen):
                if counted:
                    _tally(tally, ensemble, ions[0], dn, energy, -np.inf)
                continue
            change = energy_change(halo, species, geometry, couplings, moves, kind, chosen)
            log_ratio = -ensemble.beta * change
            if not moves.conserves[kind]:
                log_ratio += np.log(hastings(moves, kind, count))
                if counted:
                    _tally(tally, ensemble, ions[0], dn, energy, log_ratio)
                log_ratio += weight_change(ensemble, moves, kind, ions)
            start, stop = moves.flip_start[kind], moves.flip_start[kind + 1]
            if log_ratio >= 0.0 or uniform(stream) < np.exp(log_ratio):
                record.accepted[kind] += 1
                energy += change
                for f in range(start, stop):
                    site = chosen[f - start]
                    species[site] = moves.flip_to[f] % q
                    _regroup(site, moves.flip_from[f], moves.flip_to[f], members, count, where)
                place(halo, geometry, chosen[stop - start - 1], species[chosen[stop - start - 1]])
                for k in range(ions.size):
                    ions[k] += moves.ion_change[kind, k]
            else:
                for f in range(start, stop - 1):
                    place(halo, geometry, chosen[f - start], species[chosen[f - start]])
        record.energy[sweep] = energy
        record.ions[sweep] = ions
    return energy
