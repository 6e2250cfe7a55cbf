"""Two species a sublattice: the field E(1) - E(0) of a site, evaluated or kept, decides a move.

A move costs its sites' fields, each with the sign of its flip, and for every two of its sites their mutual term, the change of one's
field by the other's flip. Kept fields are only read by an attempt; an accepted flip adds its mutual terms to the fields around.
All is integer arithmetic on the same whole numbers, so evaluated and kept fields never differ.
"""

import numba as nb
import numpy as np

from .energy import _index


@nb.njit(inline="always")
def _others(halo, position, k, left_out, many_size, many_offset):
    """Product of the species at the partners of a term of three and more, but for one of them."""
    every = 1
    for m in range(many_size[k]):
        if m != left_out:
            every &= halo[position + many_offset[k, m]]
    return every


@nb.njit(forceinline=True)
def field_at(
    halo, position, template, rest, start, offset, value, product_start, product_offset, product_value,
    many_start, many_size, many_offset, many_value,
):  # fmt: skip
    """E(1) - E(0) of a site, all others as in `halo`; the last arguments are the fields of a Polynomial without middle."""
    field = np.int64(rest[_index(template)])
    for k in range(_index(start[template]), _index(start[template + 1])):
        field += value[_index(k)] * np.int64(halo[_index(position + offset[k])])
    for k in range(_index(product_start[template]), _index(product_start[template + 1])):
        both = halo[_index(position + product_offset[k, 0])] & halo[_index(position + product_offset[k, 1])]
        field += product_value[k] * np.int64(both)
    for k in range(many_start[template], many_start[template + 1]):
        field += many_value[k] * _others(halo, position, k, -1, many_size, many_offset)
    return field


@nb.njit(forceinline=True)
def may_meet(template, distance, span, near):
    """Whether two sites whose homes are so far apart can have a mutual term, by any image of the second."""
    bit = np.uint64(template * (2 * span + 1) + distance + span)
    return (near[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1) != 0


@nb.njit(forceinline=True)
def mutual_at(
    halo, position, template, distance, entry_of, reach, term, term_start, other, term_value,
    many_start, many_size, many_offset, many_value,
):  # fmt: skip
    """Change of the field of the site `distance` away by this site's going from 0 to 1; the fields of Mutual and Polynomial."""
    column = distance + reach
    inside = 0 <= column <= 2 * reach
    entry = entry_of[_index(template), _index(column * inside)] * inside
    change = np.int64(term[_index(entry)])
    for k in range(_index(term_start[entry]), _index(term_start[entry + 1])):
        change += term_value[k] * np.int64(halo[_index(position + other[k])])
    for k in range(many_start[template], many_start[template + 1]):
        for m in range(many_size[k]):
            if many_offset[k, m] == distance:
                change += many_value[k] * _others(halo, position, k, m, many_size, many_offset)
    return change


@nb.njit(forceinline=True)
def spread(
    fields, halo, home_of, inside, position, template, sign, start, offset, value, product_start, product_offset, product_value,
    many_start, many_size, many_offset, many_value,
):  # fmt: skip
    """Add what a site's flip by `sign` changes to the fields of all others, kept at their homes (halo_length,).

    inside: no partner is met at an image.
    """
    for k in range(_index(start[template]), _index(start[template + 1])):
        at = np.int64(position + offset[k])
        fields[_index(at if inside else home_of[_index(at)])] += sign * value[k]
    for k in range(_index(product_start[template]), _index(product_start[template + 1])):
        for m in range(2):
            at, beside = np.int64(position + product_offset[k, m]), position + product_offset[k, 1 - m]
            fields[_index(at if inside else home_of[_index(at)])] += sign * product_value[k] * halo[_index(beside)]
    for k in range(many_start[template], many_start[template + 1]):
        for m in range(many_size[k]):
            others = _others(halo, position, k, m, many_size, many_offset)
            fields[home_of[position + many_offset[k, m]]] += sign * many_value[k] * others
