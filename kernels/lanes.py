"""Many chains at once: the same proposal for all, each with its own temperature, ensemble and random number for the
acceptance.

Chain r is bit r of a word; a halo array holds one word per position. A proposal is a set of sites whose species are all
exchanged for the other one, in the chains where the sites read as one side or the other of the move. It is fixed before it is
known what the sites hold, and it is its own inverse. So each chain alone obeys detailed balance for every proposal, and the
chains stay independent in distribution although they share the proposals.

Counts change too, but seldom where one species is rare: few sites hold it, and the proposals do not know which.
"""

import numpy as np

from .compiling import entry, inner, part
from .halo import index_of
from .lane_moves import ALL, draw, evaluate_changes, exchange, pick, read_sides, set_shift, weigh
from .layout import MOST_FLIPS, Lanes
from .proposal import kind_at
from .random import uniform
from .simd import LANES, count_where, less, lowest
from .view import hold, view

PROPOSALS = 2  # per site and sweep: about half of them find what they can change


@part
def _pack(species, geometry):
    """Words (h,) of occupations (chains, n)."""
    words = np.zeros(geometry.halo_length, np.uint64)
    for site in range(species.shape[1]):
        word = np.uint64(0)
        for r in range(species.shape[0]):
            word |= np.uint64(species[r, site]) << np.uint64(r)
        exchange(words, geometry, site, word)
    return words


@part
def _unpack(words, geometry, species):
    for site in range(species.shape[1]):
        word = words[geometry.home[site]]
        for r in range(species.shape[0]):
            species[r, site] = (word >> np.uint64(r)) & np.uint64(1)


@part
def _sort_sites(sublattice):
    """Sites sorted by sublattice (n,), and where each sublattice starts."""
    last = 0
    for g in sublattice:
        last = max(last, np.int64(g))
    start, sites, k = np.zeros(last + 2, np.int64), np.empty(sublattice.size, np.int64), 0
    for g in range(last + 1):
        for site in range(sublattice.size):
            if sublattice[site] == g:
                sites[k] = site
                k += 1
        start[g + 1] = k
    return sites, start


@part
def _reach(r, n, ensembles, weight_step):
    """Renew what depends on the count n of chain r."""
    log_weight, step = ensembles.log_weight, ensembles.step
    weight_step[r] = log_weight[r, n + step] - log_weight[r, n] if n + step < log_weight.shape[1] else 0.0
    weight_step[LANES + r] = log_weight[r, n - step] - log_weight[r, n] if n >= step else 0.0


@inner
def add_energies(agreed, energy, change):
    """energy += change (L,) in the lanes of the word."""
    for r in range(LANES):
        energy[index_of(r)] += change[index_of(r)] if (agreed >> np.uint64(r)) & np.uint64(1) else 0


@part
def _change_counts(agreed, forward, kind, counts, moves, ensembles, weight_step):
    """Change the counts (chains, ions) of the chains of the word `agreed`."""
    while agreed:
        r = lowest(agreed)
        agreed &= agreed - np.uint64(1)
        sign = 1 if (forward >> np.uint64(r)) & np.uint64(1) else -1
        for k in range(counts.shape[1]):
            counts[r, k] += sign * moves.ion_change[kind, k]
        _reach(r, counts[r, 0], ensembles, weight_step)


@part
def _count(agreed, forward, backward, kind, moves, lanes):
    """Count the attempted and accepted moves, and those of the reverse kind where the proposal went backward."""
    if moves.conserves[kind]:
        count_where(lanes.tried, kind, forward | backward)
        count_where(lanes.accepted, kind, agreed)
    else:
        count_where(lanes.tried, kind, forward)
        count_where(lanes.accepted, kind, agreed & forward)
        count_where(lanes.tried, moves.reverse[kind], backward)
        count_where(lanes.accepted, moves.reverse[kind], agreed & backward)


@part
def _begin(states, geometry, moves, ensembles):
    kinds = moves.cumulative.size
    sites, site_start = _sort_sites(geometry.sublattice)
    lanes = Lanes(
        _pack(states.species, geometry), np.ones(LANES, np.uint64), np.ones(LANES, np.uint64), np.zeros(LANES),
        np.zeros(LANES, np.int64), np.zeros(LANES, np.int64), np.zeros(LANES), np.zeros(LANES), np.zeros(LANES), np.zeros(LANES),
        np.zeros(2 * LANES), np.zeros((kinds, LANES)), np.zeros((kinds, LANES), np.int32), np.zeros((kinds, LANES), np.int32),
        sites, site_start,
    )  # fmt: skip
    for r in range(states.energies.size):
        lanes.first[r], lanes.second[r] = states.streams[r, 0], states.streams[r, 1]
        lanes.beta[r], lanes.energy[r] = ensembles.beta[r], states.energies[r]
        _reach(r, states.ions[r, 0], ensembles, lanes.weight_step)
        for k in range(kinds):
            for i in range(states.ions.shape[1]):
                lanes.chemical[k, r] += moves.ion_change[k, i] * ensembles.beta_mu[r, i]
    return lanes


@part
def _write_sweep(sweep, counts, lanes, record):
    """Add a sweep to the record, and set the counts of moves to zero."""
    for r in range(counts.shape[0]):
        record.energy[r, sweep] = lanes.energy[r]
        for k in range(counts.shape[1]):
            record.ions[r, sweep, k] = counts[r, k]
        for k in range(lanes.tried.shape[0]):
            record.tried[r, k] += lanes.tried[k, r]
            record.accepted[r, k] += lanes.accepted[k, r]
            lanes.tried[k, r] = lanes.accepted[k, r] = 0


@part
def _end(states, geometry, lanes):
    for r in range(states.energies.size):
        states.energies[r] = lanes.energy[r]
        states.streams[r, 0], states.streams[r, 1] = lanes.first[r], lanes.second[r]
    _unpack(lanes.words, geometry, states.species)


@entry
def run_lanes(states, geometry, polynomial, n_species, moves, ensembles, record):
    """Advance up to LANES chains by record.energy.shape[1] sweeps of PROPOSALS proposals per site.

    polynomial: as `build_polynomial` makes it. `states` and `record`, whose arrays have the chains as first axis, are changed
    in place.
    """
    states, geometry, polynomial, record = view(states), view(geometry), view(polynomial), view(record)
    moves, ensembles = view(moves), view(ensembles)
    owner = _begin(states, geometry, moves, ensembles)
    lanes, counts, active = view(owner), states.ions, np.uint64(ALL >> np.uint64(LANES - states.energies.size))
    chosen = np.zeros(MOST_FLIPS, np.int64)
    for sweep in range(record.energy.shape[1]):
        for _ in range(PROPOSALS * geometry.home.size):
            kind = kind_at(uniform(states.proposals), moves.cumulative)
            if not pick(states.proposals, kind, moves, n_species, lanes, chosen):
                continue
            forward, backward = read_sides(kind, chosen, active, moves, geometry, lanes.words)
            allowed = forward | backward
            if allowed == 0:
                continue
            number = moves.flip_start[kind + 1] - moves.flip_start[kind]
            evaluate_changes(chosen, number, allowed, geometry, polynomial, lanes)
            draw(lanes)
            shift = lanes.nothing
            if not moves.conserves[kind]:
                set_shift(forward, kind, counts, moves, ensembles, lanes)
                shift = lanes.shift
            weigh(lanes, shift)
            agreed = less(lanes.numbers, lanes.weight) & allowed
            for f in range(number - 1):
                exchange(lanes.words, geometry, chosen[f], allowed & ~agreed)
            exchange(lanes.words, geometry, chosen[number - 1], agreed)
            add_energies(agreed, lanes.energy, lanes.change)
            _count(agreed, forward, backward, kind, moves, lanes)
            if not moves.conserves[kind]:
                _change_counts(agreed, forward, kind, counts, moves, ensembles, lanes.weight_step)
        _write_sweep(sweep, counts, lanes, record)
    _end(states, geometry, lanes)
    hold(owner)
