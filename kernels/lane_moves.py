"""The steps of a proposal that all lanes share: its sites, the changes of the energies, the ratios of the weights."""

import numpy as np

from .compiling import inner, part
from .halo import index_of
from .random import below, following
from .simd import LANES, add_signed, add_where, new_vector, power_of_two, unload

ALL = np.uint64(2**64 - 1)
SPLIT = 2.0**-53


@part
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


@inner
def draw(lanes):
    """lanes.numbers: one from each chain's stream (xoroshiro128++)."""
    first, second, numbers = lanes.first, lanes.second, lanes.numbers
    for r in range(LANES):
        found, s0, s1 = following(first[index_of(r)], second[index_of(r)])
        first[index_of(r)], second[index_of(r)] = s0, s1
        numbers[index_of(r)] = np.float64(np.int64(found >> np.uint64(11))) * SPLIT


@inner
def weigh(lanes, shift):
    """lanes.weight = exp(shift - beta change)."""
    change, beta, weight = lanes.change, lanes.beta, lanes.weight
    for r in range(LANES):
        x = shift[index_of(r)] - beta[index_of(r)] * np.float64(change[index_of(r)])
        weight[index_of(r)] = _exp(min(max(x, -700.0), 700.0))


@inner
def exchange(words, geometry, site, chains):
    """Exchange the species of a site in the chains of a word, at its home and its images."""
    image_start, images = geometry.image_start, geometry.images
    for k in range(index_of(image_start[site]), index_of(image_start[site + 1])):
        words[index_of(images[k])] ^= chains


@inner
def pick(stream, kind, moves, n_species, lanes, chosen):
    """Choose the sites of a proposal, whatever they hold; False if they are not all different."""
    start, stop = moves.flip_start[kind], moves.flip_start[kind + 1]
    for f in range(start, stop):
        anchor = moves.flip_anchor[f]
        if anchor >= 0:
            near = moves.near_start[f] + chosen[anchor] * moves.near_width[f]
            site = np.int64(moves.near[near + below(stream, moves.near_width[f])])
            if site < 0:
                return False
        else:
            g = moves.flip_from[f] // n_species
            site = lanes.sites[lanes.site_start[g] + below(stream, lanes.site_start[g + 1] - lanes.site_start[g])]
        for h in range(f - start):
            if chosen[h] == site:
                return False
        chosen[f - start] = site
    return True


@inner
def evaluate_changes(chosen, number, allowed, geometry, polynomial, lanes):
    """lanes.change: of the energy when the chosen sites are flipped. Leaves all but the last flipped in the allowed chains."""
    words, middle, rest = lanes.words, polynomial.middle, polynomial.rest
    ls, lo, lv = polynomial.start, polynomial.offset, polynomial.value
    ps, po, pv = polynomial.product_start, polynomial.product_offset, polynomial.product_value
    ms, mz, mo, mv = polynomial.many_start, polynomial.many_size, polynomial.many_offset, polynomial.many_value
    total, field = new_vector(np.int64(0)), new_vector(rest[0])
    for f in range(number):
        position, t = geometry.home[chosen[f]], geometry.template[chosen[f]]
        add_where(field, ALL, rest[t])
        for k in range(index_of(ls[t]), index_of(ls[t + 1])):
            add_where(field, words[index_of(position + lo[k])], lv[k])
        for k in range(index_of(ps[t]), index_of(ps[t + 1])):
            add_where(field, words[index_of(position + po[k, 0])] & words[index_of(position + po[k, 1])], pv[k])
        for k in range(ms[t], ms[t + 1]):
            every = ALL
            for m in range(mz[k]):
                every &= words[index_of(position + mo[k, m])]
            add_where(field, every, mv[k])
        add_signed(total, field, rest[0], middle[t], words[index_of(position)])
        if f < number - 1:
            exchange(words, geometry, chosen[f], allowed)
    unload(total, lanes.change)


@part
def read_sides(kind, chosen, active, moves, geometry, words):
    """Words of the chains in which the chosen sites read as the move, and as its reverse."""
    start, forward, backward = moves.flip_start[kind], active, active
    for f in range(start, moves.flip_start[kind + 1]):
        word = words[index_of(geometry.home[chosen[f - start]])]
        if moves.flip_species_from[f] == 0:
            word = ~word
        forward &= word
        backward &= ~word
    return forward, backward


@inner
def blend(word, both, chosen):
    """chosen (L,) = the first half of `both` (2 L,) in the lanes of the word, the second half in the others."""
    for r in range(LANES):
        on = (word >> np.uint64(r)) & np.uint64(1)
        chosen[index_of(r)] = both[index_of(r)] if on else both[index_of(LANES + r)]


@inner
def add_chemical(forward, chemical, shift):
    """Add to shift (L,) what the chemical potentials (L,) add, with the sign of the direction."""
    for r in range(LANES):
        on = (forward >> np.uint64(r)) & np.uint64(1)
        shift[index_of(r)] += chemical[index_of(r)] if on else -chemical[index_of(r)]


@part
def set_shift(forward, kind, counts, moves, ensembles, lanes):
    """lanes.shift, in the lanes that can go forward or backward; counts (chains, ions)."""
    dn, log_weight, shift = moves.ion_change[kind, 0], ensembles.log_weight, lanes.shift
    if abs(dn) == ensembles.step:
        blend(forward if dn > 0 else ~forward, lanes.weight_step, shift)
    else:
        for r in range(LANES):
            shift[r] = 0.0
        if dn != 0:
            for r in range(counts.shape[0]):
                n, change = counts[r, 0], dn if (forward >> np.uint64(r)) & np.uint64(1) else -dn
                shift[r] = log_weight[r, n + change] - log_weight[r, n] if 0 <= n + change < log_weight.shape[1] else 0.0
    add_chemical(forward, lanes.chemical[kind], shift)
