"""Proposing a move: its kind, its sites, and the ratio of the probabilities of proposing it and its reverse."""

import numpy as np

from .compiling import inner, part
from .halo import index_of
from .layout import Rows
from .prefetch import prefetch
from .random import below, following, unit


@part
def group_sites(sites, halo, home, sublattice, per_cell, n_species):
    """The sites (k,) by row; all others are frozen. home, sublattice: of Geometry; per_cell: sites of a primitive cell;
    n_species: largest number on a sublattice.
    """
    last = 0
    for k in range(per_cell):
        last = max(last, np.int64(sublattice[k]))
    n_rows = (last + 1) * n_species
    members, count, place = np.empty((n_rows, sites.size), np.int32), np.zeros(n_rows, np.int64), np.empty(halo.size, np.int32)
    for position in range(halo.size):
        place[position] = -1
    for site in sites:
        position = home[site]
        row = sublattice[site] * n_species + halo[position]
        members[row, count[row]] = position
        place[position] = count[row]
        count[row] += 1
    return Rows(members, count, place)


@inner
def regroup(position, old_row, new_row, rows):
    """Move a site to another row."""
    members, count, place = rows.members, rows.number, rows.place
    last = members[old_row, count[old_row] - 1]
    members[old_row, place[position]] = last
    place[last] = place[position]
    count[old_row] -= 1
    members[new_row, count[new_row]] = position
    place[position] = count[new_row]
    count[new_row] += 1


@part
def kind_at(u, cumulative):
    """The kind of move that a number in [0, 1) draws."""
    kind = 0
    while u >= cumulative[kind]:
        kind += 1
    return kind


@part
def _draw_member(stream, row, taken, chosen, rows):
    """Home of a site of a row, other than the first `taken` chosen ones."""
    position, fresh = np.int64(0), False
    while not fresh:
        position = np.int64(rows.members[row, index_of(below(stream, rows.number[row]))])
        fresh = True
        for g in range(taken):
            if chosen[g] == position:
                fresh = False
    return position


@inner
def pick_sites(stream, kind, moves, halo, geometry, rows, chosen):
    """Choose the sites of a move, by their homes; False if that fails.

    A free flip takes any site of its row that is not chosen yet. An anchored flip draws one of the sites near its anchor,
    whatever they hold; it fails unless the site is in its row, not frozen and not chosen yet. The near sites of the anchor do
    not depend on the occupation, so the reverse move draws the same site with the same probability.
    """
    start, stop = moves.flip_start[kind], moves.flip_start[kind + 1]
    for f in range(start, stop):
        row, anchor = moves.flip_from[f], moves.flip_anchor[f]
        if anchor >= 0:
            near = moves.near_start[f] + geometry.site_at[chosen[anchor]] * moves.near_width[f]
            site = moves.near[near + below(stream, moves.near_width[f])]
            if site < 0:
                return False
            position = np.int64(geometry.home[site])
            if halo[index_of(position)] != moves.flip_species_from[f] or rows.place[index_of(position)] < 0:
                return False
            for g in range(f - start):
                if chosen[g] == position:
                    return False
        else:
            taken = 0
            for g in range(start, f):
                if moves.flip_from[g] == row:
                    taken += 1
            if rows.number[row] <= taken:
                return False
            position = _draw_member(stream, row, f - start, chosen, rows)
        chosen[f - start] = position
    return True


@inner
def look_ahead(stream, moves, rows):
    """Prefetch the sites that the next attempt will draw; it follows one more random number."""
    flat, most = rows.members.reshape(rows.members.size), rows.members.shape[1]
    _, s0, s1 = following(stream[0], stream[1])
    bits, s0, s1 = following(s0, s1)
    kind = kind_at(unit(bits), moves.cumulative)
    for f in range(moves.flip_start[kind], moves.flip_start[kind + 1]):
        if moves.flip_anchor[f] < 0:
            bits, s0, s1 = following(s0, s1)
            row = moves.flip_from[f]
            prefetch(flat, row * most + np.int64(unit(bits) * rows.number[row]))


@part
def hastings_shifts(moves):
    """Difference between the count of a flip's row and the number of sites that the flip chooses from, two (flips,).

    The first is for the row that the flip leaves, before the move; the second for the row that it joins, after the move.
    """
    before, after = np.zeros(moves.flip_from.size, np.int64), np.zeros(moves.flip_from.size, np.int64)
    for kind in range(moves.flip_start.size - 1):
        start, stop = moves.flip_start[kind], moves.flip_start[kind + 1]
        for f in range(start, stop):
            for g in range(start, stop):
                after[f] += (moves.flip_to[g] == moves.flip_to[f] and g >= f) - (moves.flip_from[g] == moves.flip_to[f])
                before[f] -= moves.flip_from[g] == moves.flip_from[f] and g < f
    return before, after


@inner
def hastings(kind, moves, count, shifts):
    """q(s'->s) / q(s->s') of a move: ways to choose its free sites before it, over ways to choose them back after it.

    count (rows,): sites of every row before the move; shifts: of `hastings_shifts`.
    """
    before, after = shifts
    ways, ways_back = 1.0, 1.0
    for f in range(moves.flip_start[kind], moves.flip_start[kind + 1]):
        if moves.flip_anchor[f] < 0:
            ways *= count[moves.flip_from[f]] + before[f]
            ways_back *= count[moves.flip_to[f]] + after[f]
    return ways / ways_back
