"""Energies of an occupation in integer neV: of the whole cell, and of the change of one site.

The compiled helpers take the arrays one by one: reading a field of a named tuple inside the loop costs two atomic
reference counts, more than a cluster does.
"""

import numba as nb
import numpy as np


@nb.njit(inline="always")
def _index(i):
    """Unsigned, so that numba leaves out its test for negative indices."""
    return np.uint64(i)


@nb.njit(forceinline=True)
def place(halo, image_start, images, site, species):
    """Write a site's species to its home and its images."""
    for k in range(_index(image_start[site]), _index(image_start[site + 1])):
        halo[_index(images[k])] = species


@nb.njit(forceinline=True)
def is_inside(rim, position):
    """Whether the site at home there has no image, and so meets none; rim (halo_length/64,): a bit for every position."""
    return (rim[_index(position) >> np.uint64(6)] >> (_index(position) & np.uint64(63))) & np.uint64(1) == 0


@nb.njit(forceinline=True)
def put(halo, rim, site_at, image_start, images, position, species):
    """Write the species of the site at home there."""
    halo[_index(position)] = species
    outside = not is_inside(rim, position)
    site = site_at[_index(position * outside)]
    for k in range(_index(image_start[site]), _index(image_start[site + outside])):
        halo[_index(images[k])] = species


@nb.njit
def map_halo(geometry):
    """Site (halo_length,) of every position, and the bits of `is_inside`."""
    site_at = np.empty(geometry.halo_length, np.int32)
    rim = np.zeros(geometry.halo_length // 64 + 1, np.uint64)
    image_start, images = geometry.image_start, geometry.images
    for site in range(geometry.home.size):
        for k in range(image_start[site], image_start[site + 1]):
            site_at[images[k]] = site
        if image_start[site + 1] - image_start[site] > 1:
            position = np.uint64(geometry.home[site])
            rim[position >> np.uint64(6)] |= np.uint64(1) << (position & np.uint64(63))
    return site_at, rim


@nb.njit(forceinline=True)
def site_change(
    halo, position, template, old, new,
    q, point, pair_start, pair_offset, pair_table, triplet_start, triplet_offset, triplet_table,
    many_start, many_size, many_offset, many_table, values,
):  # fmt: skip
    """E(new) - E(old) of one site, all others as in `halo`; the last arguments are the fields of Couplings."""
    change = point[template, new] - point[template, old]
    jump = (old * q + new) * q
    for k in range(_index(pair_start[template]), _index(pair_start[template + 1])):
        partner = halo[_index(position + pair_offset[k])]
        change += values[_index(pair_table[k] + jump + partner)]
    jump *= q
    for k in range(_index(triplet_start[template]), _index(triplet_start[template + 1])):
        first = halo[_index(position + triplet_offset[k, 0])]
        second = halo[_index(position + triplet_offset[k, 1])]
        change += values[_index(triplet_table[k] + jump + first * q + second)]
    for k in range(many_start[template], many_start[template + 1]):
        at = old * q + new
        for m in range(many_size[k]):
            at = at * q + halo[position + many_offset[k, m]]
        change += values[many_table[k] + at]
    return change


@nb.njit(cache=True)
def fill_halo(species, geometry):
    """Halo array, int8 of shape (halo_length,), of an occupation of shape (n,)."""
    halo = np.zeros(geometry.halo_length, np.int8)
    image_start, images = geometry.image_start, geometry.images
    for site in range(species.size):
        place(halo, image_start, images, site, species[site])
    return halo


@nb.njit
def read_species(halo, geometry, species):
    """The occupation (n,) that a halo array holds."""
    for site in range(species.size):
        species[site] = halo[geometry.home[site]]


@nb.njit(cache=True)
def total_energy(species, geometry, couplings):
    """Energy of the cell, neV.

    Sites are filled one after the other from species 0, so it is a sum of the same integer changes that the chain makes.
    """
    halo = fill_halo(np.zeros_like(species), geometry)
    home, template, image_start, images = geometry.home, geometry.template, geometry.image_start, geometry.images
    q, constant, point, ps, po, pt, ts, to, tt, ms, mz, mo, mt, values = couplings
    energy = constant
    for site in range(species.size):
        new = np.int64(species[site])
        if new != 0:
            energy += site_change(
                halo, home[site], template[site], 0, new, q, point, ps, po, pt, ts, to, tt, ms, mz, mo, mt, values
            )
            place(halo, image_start, images, site, new)
    return energy


@nb.njit(cache=True)
def total_energies(states, geometry, couplings):
    """Energies (k,) of occupations (k, n), neV."""
    energies = np.empty(len(states), np.int64)
    for k in range(len(states)):
        energies[k] = total_energy(states[k], geometry, couplings)
    return energies


@nb.njit(cache=True)
def single_changes(species, sites, new, geometry, couplings):
    """Energy changes (k,), neV, of putting species new[i] on sites[i], each alone, into an occupation (n,)."""
    halo = fill_halo(species, geometry)
    home, template = geometry.home, geometry.template
    q, constant, point, ps, po, pt, ts, to, tt, ms, mz, mo, mt, values = couplings
    changes = np.zeros(len(sites), np.int64)
    for i in range(len(sites)):
        site = sites[i]
        old = np.int64(species[site])
        changes[i] = site_change(
            halo, home[site], template[site], old, new[i], q, point, ps, po, pt, ts, to, tt, ms, mz, mo, mt, values
        )
    return changes
