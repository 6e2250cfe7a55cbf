"""Energies of an occupation in integer neV: of the whole cell, and of the change of one site."""
import numba as nb
import numpy as np


@nb.njit(inline="always")
def place(halo, geometry, site, species):
    """Write a site's species to its home and its images."""
    for k in range(geometry.image_start[site], geometry.image_start[site + 1]):
        halo[geometry.images[k]] = species


@nb.njit
def site_change(halo, position, template, old, new, couplings):
    """E(new) - E(old) of one site, all others as in `halo`."""
    q = couplings.n_species
    values = couplings.values
    change = couplings.point[template, new] - couplings.point[template, old]
    step = (new - old) * q
    for k in range(couplings.pair_start[template], couplings.pair_start[template + 1]):
        at = couplings.pair_table[k] + old * q + halo[position + couplings.pair_offset[k]]
        change += values[at + step] - values[at]
    step *= q
    for k in range(couplings.triplet_start[template], couplings.triplet_start[template + 1]):
        at = couplings.triplet_table[k] + (
            (old * q + halo[position + couplings.triplet_offset[k, 0]]) * q + halo[position + couplings.triplet_offset[k, 1]]
        )
        change += values[at + step] - values[at]
    for k in range(couplings.many_start[template], couplings.many_start[template + 1]):
        at = 0
        stride = 1
        for m in range(couplings.many_size[k]):
            at = at * q + halo[position + couplings.many_offset[k, m]]
            stride *= q
        at += couplings.many_table[k]
        change += values[at + new * stride] - values[at + old * stride]
    return change


@nb.njit(cache=True)
def fill_halo(species, geometry):
    """Halo array, int8 of shape (halo_length,), of an occupation of shape (n,)."""
    halo = np.zeros(geometry.halo_length, np.int8)
    for site in range(species.size):
        place(halo, geometry, site, species[site])
    return halo


@nb.njit(cache=True)
def total_energy(species, geometry, couplings):
    """Energy of the cell, neV.

    Sites are filled one after the other from species 0, so it is a sum of the same integer changes that the chain makes.
    """
    halo = fill_halo(np.zeros_like(species), geometry)
    energy = couplings.constant
    for site in range(species.size):
        new = species[site]
        if new != 0:
            energy += site_change(halo, geometry.home[site], geometry.template[site], 0, new, couplings)
            place(halo, geometry, site, new)
    return energy
