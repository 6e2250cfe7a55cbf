"""Two species per sublattice: the field E(1) - E(0) of a site, evaluated or kept.

The energy change of a move is the sum of the fields of its sites, each with the sign of its flip, plus the mutual term of
every pair of its sites: the change of the field of one by the flip of the other. Kept fields are only read by an attempted
move; an accepted flip adds its mutual terms to the fields around it. All arithmetic is on the same integers, so evaluated and
kept fields never differ.
"""

import numpy as np

from .compiling import inner, part
from .halo import index_of, is_inside


@part
def _others(halo, position, k, left_out, polynomial):
    """Product of the species at the partners of term k of three partners and more, without one of them."""
    every = 1
    for m in range(polynomial.many_size[k]):
        if m != left_out:
            every &= halo[position + polynomial.many_offset[k, m]]
    return every


@inner
def field_at(halo, position, template, polynomial):
    """E(1) - E(0) of the site at a home, neV, all other sites as in `halo`; polynomial: with middle = 0."""
    offset, product_offset = polynomial.offset, polynomial.product_offset
    field = np.int64(polynomial.rest[index_of(template)])
    for k in range(index_of(polynomial.start[template]), index_of(polynomial.start[template + 1])):
        field += polynomial.value[index_of(k)] * np.int64(halo[index_of(position + offset[k])])
    for k in range(index_of(polynomial.product_start[template]), index_of(polynomial.product_start[template + 1])):
        both = halo[index_of(position + product_offset[k, 0])] & halo[index_of(position + product_offset[k, 1])]
        field += polynomial.product_value[k] * np.int64(both)
    for k in range(polynomial.many_start[template], polynomial.many_start[template + 1]):
        field += polynomial.many_value[k] * _others(halo, position, k, -1, polynomial)
    return field


@part
def evaluate(board, geometry, polynomial):
    """Set the fields of all sites."""
    for site in range(geometry.home.size):
        home = geometry.home[site]
        board.fields[home] = field_at(board.halo, home, geometry.template[site], polynomial)


@part
def may_meet(template, distance, mutual):
    """Whether two sites whose homes are this far apart can have a mutual term, by any image of the second."""
    bit = np.uint64(template * (2 * mutual.span + 1) + distance + mutual.span)
    return (mutual.near[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1) != 0


@part
def mutual_at(halo, position, template, distance, polynomial, mutual):
    """Change of the field of the site `distance` away, neV, when the site at this home goes from 0 to 1."""
    column = distance + mutual.reach
    inside = 0 <= column <= 2 * mutual.reach
    entry = mutual.entry[index_of(template), index_of(column * inside)] * inside
    change = np.int64(mutual.term[index_of(entry)])
    for k in range(index_of(mutual.start[entry]), index_of(mutual.start[entry + 1])):
        change += mutual.value[k] * np.int64(halo[index_of(position + mutual.other[k])])
    for k in range(polynomial.many_start[template], polynomial.many_start[template + 1]):
        for m in range(polynomial.many_size[k]):
            if polynomial.many_offset[k, m] == distance:
                change += polynomial.many_value[k] * _others(halo, position, k, m, polynomial)
    return change


@inner
def mutual_of(halo, position, template, partner, model):
    """As `mutual_at` for the site with home `partner`, summed over its images."""
    geometry = model.geometry
    many = not (is_inside(geometry.imaged, position) or is_inside(geometry.imaged, partner))
    site, change = geometry.site_at[index_of(partner * many)], 0
    first = geometry.image_start[site]
    for k in range(index_of(first), index_of(geometry.image_start[site + 1] if many else first + 1)):
        distance = (np.int64(geometry.images[index_of(k)]) if many else partner) - position
        change += mutual_at(halo, position, template, distance, model.polynomial, model.mutual)
    return change


@inner
def spread(board, position, template, sign, geometry, polynomial):
    """Add to the fields of all other sites what the flip of the site at a home changes; sign: new - old species."""
    fields, halo, home_of, inside = board.fields, board.halo, geometry.home_of, is_inside(geometry.imaged, position)
    start, offset, value = polynomial.start, polynomial.offset, polynomial.value
    for k in range(index_of(start[template]), index_of(start[template + 1])):
        at = np.int64(position + offset[k])
        fields[index_of(at if inside else home_of[index_of(at)])] += sign * value[k]
    start, offset, value = polynomial.product_start, polynomial.product_offset, polynomial.product_value
    for k in range(index_of(start[template]), index_of(start[template + 1])):
        for m in range(2):
            at, beside = np.int64(position + offset[k, m]), position + offset[k, 1 - m]
            fields[index_of(at if inside else home_of[index_of(at)])] += sign * value[k] * halo[index_of(beside)]
    offset, value = polynomial.many_offset, polynomial.many_value
    for k in range(polynomial.many_start[template], polynomial.many_start[template + 1]):
        for m in range(polynomial.many_size[k]):
            others = _others(halo, position, k, m, polynomial)
            fields[home_of[position + offset[k, m]]] += sign * value[k] * others
