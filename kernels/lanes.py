"""Many chains at once: the same proposal for all, each with its own temperature, ensemble and acceptance number.

Chain r is bit r of a word; a halo array holds one word a position. Every proposal is fixed before it is known what the sites
hold, and is its own inverse: a set of sites, all of whose species are exchanged for the other one, in the chains where they read
as one side or the other of the move. So each chain alone obeys detailed balance for every proposal, and the chains stay
independent in distribution though they share the proposals.

Counts change too, but hardly where one species is rare: then few sites hold it, and proposals do not know which.
"""

import numba as nb
import numpy as np

from .chain import MOST_FLIPS
from .energy import _index
from .random import below, uniform
from .simd import LANES, add_signed, add_where, count_where, less, lowest, new_vector, power_of_two, unload

ALL = np.uint64(2**64 - 1)
PROPOSALS = 2  # a site and sweep: about half of them find what they can change
SPLIT = 2.0**-53


@nb.njit(inline="always")
def _exp(x):
    """exp for |x| <= 700, by Taylor's series about the nearest multiple of ln 2; only what vectorizes."""
    k = np.floor(x * 1.4426950408889634 + 0.5)
    r = (x - k * 0.6931471803691238) - k * 1.9082149292705877e-10
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * power_of_two(np.int64(k))


@nb.njit
def draw(first, second, numbers):
    """One number in [0, 1) from each chain's stream (xoroshiro128++); first, second (LANES,) hold the states."""
    for r in range(LANES):
        s0, s1 = first[_index(r)], second[_index(r)]
        total = s0 + s1
        bits = ((total << np.uint64(17)) | (total >> np.uint64(47))) + s0
        s1 ^= s0
        first[_index(r)] = ((s0 << np.uint64(49)) | (s0 >> np.uint64(15))) ^ s1 ^ (s1 << np.uint64(21))
        second[_index(r)] = (s1 << np.uint64(28)) | (s1 >> np.uint64(36))
        numbers[_index(r)] = np.float64(np.int64(bits >> np.uint64(11))) * SPLIT


@nb.njit
def weigh(change, beta, shift, weight):
    """weight = exp(shift - beta change), (LANES,)."""
    for r in range(LANES):
        x = shift[_index(r)] - beta[_index(r)] * np.float64(change[_index(r)])
        weight[_index(r)] = _exp(min(max(x, -700.0), 700.0))


@nb.njit
def put(words, image_start, images, site, flipped):
    """Exchange the species of a site in the chains of a word, at its home and its images."""
    for k in range(_index(image_start[site]), _index(image_start[site + 1])):
        words[_index(images[k])] ^= flipped


@nb.njit
def pack(species, geometry):
    """Words (halo_length,) of occupations (chains, n)."""
    words = np.zeros(geometry.halo_length, np.uint64)
    image_start, images = geometry.image_start, geometry.images
    for site in range(species.shape[1]):
        word = np.uint64(0)
        for r in range(species.shape[0]):
            word |= np.uint64(species[r, site]) << np.uint64(r)
        put(words, image_start, images, site, word)
    return words


@nb.njit
def unpack(words, home, species):
    for site in range(species.shape[1]):
        word = words[home[site]]
        for r in range(species.shape[0]):
            species[r, site] = (word >> np.uint64(r)) & np.uint64(1)


@nb.njit
def pick(stream, start, stop, flip_anchor, flip_row, q, site_start, sites, near_start, near_width, near, chosen):
    """Choose the sites of a proposal, whatever they hold; False if there are not as many different ones."""
    for f in range(start, stop):
        anchor = flip_anchor[f]
        if anchor >= 0:
            site = np.int64(near[near_start[f] + chosen[anchor] * near_width[f] + below(stream, near_width[f])])
            if site < 0:
                return False
        else:
            g = flip_row[f] // q
            site = sites[site_start[g] + below(stream, site_start[g + 1] - site_start[g])]
        for h in range(f - start):
            if chosen[h] == site:
                return False
        chosen[f - start] = site
    return True


@nb.njit
def _blend(word, both, chosen):
    """chosen (LANES,) = the first half of `both` (2 LANES,) in the lanes of the word, the second in the others."""
    for r in range(LANES):
        on = (word >> np.uint64(r)) & np.uint64(1)
        chosen[_index(r)] = both[_index(r)] if on else both[_index(LANES + r)]


@nb.njit
def _step(forward, dn, step, counts, log_weight, weight_step, chemical, shift):
    """shift (LANES,): what the ensembles add to the log of the ratio of weights, in the lanes that can go forward or backward.

    weight_step (2 LANES,): by which log_weight changes on a step up, and down; chemical (LANES,): what the chemical potentials add forward.
    """
    if abs(dn) == step:
        _blend(forward if dn > 0 else ~forward, weight_step, shift)
    elif dn == 0:
        shift[:] = 0.0
    else:
        for r in range(counts.shape[0]):
            n, change = counts[r, 0], dn if (forward >> np.uint64(r)) & np.uint64(1) else -dn
            shift[r] = log_weight[r, n + change] - log_weight[r, n] if 0 <= n + change < log_weight.shape[1] else 0.0
    for r in range(LANES):
        on = (forward >> np.uint64(r)) & np.uint64(1)
        shift[_index(r)] += chemical[_index(r)] if on else -chemical[_index(r)]


@nb.njit
def _reach(r, n, step, log_weight, weight_step):
    """Refresh what depends on the count n of chain r."""
    weight_step[r] = log_weight[r, n + step] - log_weight[r, n] if n + step < log_weight.shape[1] else 0.0
    weight_step[LANES + r] = log_weight[r, n - step] - log_weight[r, n] if n >= step else 0.0


@nb.njit
def _changes(words, chosen, number, allowed, geometry, polynomial, change):
    """change (LANES,): of the energy if the chosen sites are flipped, neV; leaves all but the last flipped in the allowed chains."""
    home, template, image_start, images = geometry
    middle, rest, ls, lo, lv, ps, po, pv, ms, mz, mo, mv = polynomial
    total, field = new_vector(np.int64(0)), new_vector(rest[0])
    for f in range(number):
        site = chosen[f]
        position, t = home[site], template[site]
        add_where(field, ALL, rest[t])
        for k in range(_index(ls[t]), _index(ls[t + 1])):
            add_where(field, words[_index(position + lo[k])], lv[k])
        for k in range(_index(ps[t]), _index(ps[t + 1])):
            add_where(field, words[_index(position + po[k, 0])] & words[_index(position + po[k, 1])], pv[k])
        for k in range(ms[t], ms[t + 1]):
            every = ALL
            for m in range(mz[k]):
                every &= words[_index(position + mo[k, m])]
            add_where(field, every, mv[k])
        add_signed(total, field, rest[0], middle[t], words[_index(position)])
        if f < number - 1:
            put(words, image_start, images, site, allowed)
    unload(total, change)


@nb.njit
def _count(counters, r, kind, sign, ion_change):
    for k in range(counters.shape[1]):
        counters[r, k] += sign * ion_change[kind, k]


@nb.njit
def _sublattices(sublattice):
    """Sites sorted by sublattice, and where each starts."""
    start = np.zeros(sublattice.max() + 2, np.int64)
    for g in sublattice:
        start[g + 1] += 1
    return np.argsort(sublattice, kind="mergesort"), np.cumsum(start)


@nb.njit(cache=True)
def run_lanes(species, energies, counts, streams, shared, geometry, polynomial, q, moves, ensembles, record):
    """Advance up to LANES chains by record.energy.shape[1] sweeps of PROPOSALS proposals a site.

    `species` (chains, n), `energies` (chains,), `counts` (chains, ions), `streams` (chains, 2), the stream `shared` of the proposals
    and `record`, whose arrays have the chains as first axis, are changed in place.
    """
    chains, n_sites = species.shape
    home, image_start, images = geometry.home, geometry.image_start, geometry.images
    places = (home, geometry.template, image_start, images)
    cumulative, flip_start, flip_from = moves.cumulative, moves.flip_start, moves.flip_from
    flip_species_from, flip_anchor, reverse = moves.flip_species_from, moves.flip_anchor, moves.reverse
    near_start, near_width, near = moves.near_start, moves.near_width, moves.near
    conserves, ion_change = moves.conserves, moves.ion_change
    log_weight, step = ensembles.log_weight, ensembles.step
    words = pack(species, geometry)
    active = np.uint64(ALL >> np.uint64(LANES - chains))
    first, second, beta, energy = np.ones(LANES, np.uint64), np.ones(LANES, np.uint64), np.zeros(LANES), np.zeros(LANES, np.int64)
    first[:chains], second[:chains], beta[:chains], energy[:chains] = streams[:, 0], streams[:, 1], ensembles.beta, energies
    sites, site_start = _sublattices(geometry.sublattice)
    change, numbers, weight, shift, nothing = (
        np.zeros(LANES, np.int64),
        np.zeros(LANES),
        np.zeros(LANES),
        np.zeros(LANES),
        np.zeros(LANES),
    )
    weight_step, chemical = np.zeros(2 * LANES), np.zeros((cumulative.size, LANES))
    for r in range(chains):
        _reach(r, counts[r, 0], step, log_weight, weight_step)
        for k in range(cumulative.size):
            for i in range(counts.shape[1]):
                chemical[k, r] += ion_change[k, i] * ensembles.beta_mu[r, i]
    chosen = np.zeros(MOST_FLIPS, np.int64)
    tries, agreements = np.zeros((cumulative.size, LANES), np.int32), np.zeros((cumulative.size, LANES), np.int32)
    for sweep in range(record.energy.shape[1]):
        for _ in range(PROPOSALS * n_sites):
            u = uniform(shared)
            kind = 0
            while u >= cumulative[kind]:
                kind += 1
            start, stop = flip_start[kind], flip_start[kind + 1]
            if not pick(shared, start, stop, flip_anchor, flip_from, q, site_start, sites, near_start, near_width, near, chosen):
                continue
            forward, backward = active, active
            for f in range(start, stop):
                word = words[_index(home[chosen[f - start]])]
                if flip_species_from[f] == 0:
                    word = ~word
                forward &= word
                backward &= ~word
            allowed = forward | backward
            if allowed == 0:
                continue
            _changes(words, chosen, stop - start, allowed, places, polynomial, change)
            draw(first, second, numbers)
            if conserves[kind]:
                weigh(change, beta, nothing, weight)
            else:
                _step(forward, ion_change[kind, 0], step, counts, log_weight, weight_step, chemical[kind], shift)
                weigh(change, beta, shift, weight)
            agreed = less(numbers, weight) & allowed
            for f in range(start, stop - 1):
                put(words, image_start, images, chosen[f - start], allowed & ~agreed)
            put(words, image_start, images, chosen[stop - start - 1], agreed)
            for r in range(LANES):
                energy[_index(r)] += change[_index(r)] if (agreed >> np.uint64(r)) & np.uint64(1) else 0
            if conserves[kind]:
                count_where(tries, kind, allowed)
                count_where(agreements, kind, agreed)
                continue
            count_where(tries, kind, forward)
            count_where(agreements, kind, agreed & forward)
            count_where(tries, reverse[kind], backward)
            count_where(agreements, reverse[kind], agreed & backward)
            left = agreed
            while left:
                r = lowest(left)
                left &= left - np.uint64(1)
                _count(counts, r, kind, 1 if (forward >> np.uint64(r)) & np.uint64(1) else -1, ion_change)
                _reach(r, counts[r, 0], step, log_weight, weight_step)
        for r in range(chains):
            for k in range(cumulative.size):
                record.tried[r, k] += tries[k, r]
                record.accepted[r, k] += agreements[k, r]
        tries[:], agreements[:] = 0, 0
        record.energy[:, sweep] = energy[:chains]
        record.ions[:, sweep] = counts
    energies[:] = energy[:chains]
    streams[:, 0], streams[:, 1] = first[:chains], second[:chains]
    unpack(words, home, species)
