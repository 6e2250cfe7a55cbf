"""Energies from the cluster tables, in integer neV: of the whole supercell, and of the change of one site."""

import numpy as np

from .compiling import entry, inner
from .halo import fill_halo, index_of, place


@inner
def site_change(halo, position, template, old, new, couplings):
    """E(new) - E(old) of the site at a home, neV, all other sites as in `halo`."""
    q, values = couplings.n_species, couplings.values
    change = couplings.point[template, new] - couplings.point[template, old]
    jump = (old * q + new) * q
    for k in range(index_of(couplings.pair_start[template]), index_of(couplings.pair_start[template + 1])):
        partner = halo[index_of(position + couplings.pair_offset[k])]
        change += values[index_of(couplings.pair_table[k] + jump + partner)]
    jump *= q
    for k in range(index_of(couplings.triplet_start[template]), index_of(couplings.triplet_start[template + 1])):
        first = halo[index_of(position + couplings.triplet_offset[k, 0])]
        second = halo[index_of(position + couplings.triplet_offset[k, 1])]
        change += values[index_of(couplings.triplet_table[k] + jump + first * q + second)]
    for k in range(couplings.many_start[template], couplings.many_start[template + 1]):
        at = old * q + new
        for m in range(couplings.many_size[k]):
            at = at * q + halo[position + couplings.many_offset[k, m]]
        change += values[couplings.many_table[k] + at]
    return change


def total_energy(species, geometry, couplings):
    """Energy of the supercell with an occupation (n,), neV."""
    return total_energies(species[None], geometry, couplings)[0]


@entry
def total_energies(states, geometry, couplings):
    """Energies (k,) of the supercell with occupations (k, n), neV.

    The sites are filled one after the other, starting from species 0 everywhere, so that the energy is a sum of the same
    integer changes that a chain makes.
    """
    energies = np.empty(len(states), np.int64)
    for k in range(len(states)):
        halo = np.zeros(geometry.halo_length, np.int8)
        energy = couplings.constant
        for site in range(states.shape[1]):
            new = np.int64(states[k, site])
            if new != 0:
                energy += site_change(halo, geometry.home[site], geometry.template[site], 0, new, couplings)
                place(halo, geometry, site, new)
        energies[k] = energy
    return energies


@entry
def single_changes(species, sites, new, geometry, couplings):
    """Energy changes (k,), neV, when sites[i] takes species new[i], each site alone, from an occupation (n,)."""
    halo = fill_halo(species, geometry)
    changes = np.zeros(len(sites), np.int64)
    for i in range(len(sites)):
        home, template = geometry.home[sites[i]], geometry.template[sites[i]]
        changes[i] = site_change(halo, home, template, np.int64(species[sites[i]]), new[i], couplings)
    return changes
