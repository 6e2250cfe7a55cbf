"""The halo array: writing a site's species to its home and its images."""

import numpy as np

from .compiling import inner, part
from .layout import Board


@part
def index_of(i):
    """Unsigned, so that numba leaves out its test for negative indices."""
    return np.uint64(i)


@part
def is_inside(imaged, position):
    """Whether the site whose home this is has no images, and so is no neighbour of any image; imaged: of Geometry."""
    return (imaged[index_of(position) >> np.uint64(6)] >> (index_of(position) & np.uint64(63))) & np.uint64(1) == 0


@part
def place(halo, geometry, site, species):
    """Write the species of a site to its home and its images."""
    for k in range(index_of(geometry.image_start[site]), index_of(geometry.image_start[site + 1])):
        halo[index_of(geometry.images[k])] = species


@inner
def put(halo, geometry, position, species):
    """As `place`, for the site whose home this is."""
    image_start, images = geometry.image_start, geometry.images
    outside = not is_inside(geometry.imaged, position)
    site = geometry.site_at[index_of(position * outside)]
    halo[index_of(position)] = species
    for k in range(index_of(image_start[site]), index_of(image_start[site + outside])):
        halo[index_of(images[k])] = species


@part
def fill_halo(species, geometry):
    """Halo array (h,) of an occupation (n,)."""
    halo = np.zeros(geometry.halo_length, np.int8)
    for site in range(species.size):
        place(halo, geometry, site, species[site])
    return halo


@part
def read_species(halo, geometry, species):
    """Write the occupation that a halo array holds to `species` (n,)."""
    for site in range(species.size):
        species[site] = halo[geometry.home[site]]


@part
def lay_out(species, geometry):
    """The board of an occupation (n,), its fields not set."""
    return Board(fill_halo(species, geometry), np.empty(geometry.halo_length, np.int64))
