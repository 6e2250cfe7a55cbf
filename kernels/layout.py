"""Arrays that the compiled loop reads.

A site is numbered cell by cell; its species is kept in a halo array: the supercell's box of cells with a rim of periodic
images, so that every neighbour sits at a fixed linear offset and no neighbour list is stored. Species are small integers,
counted from 0 within each sublattice; a (sublattice, species) pair is a *row*, `row = sublattice * n_species + species`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int16 = NDArray[np.int16]


class Geometry(NamedTuple):
    """Where the sites are. n = number of sites, h = length of the halo array."""

    halo_length: int
    home: Int32  # (n,) position of a site in the halo array; modulo the number of templates, its template
    template: Int16  # (n,) basis site of the cell
    sublattice: Int16  # (n,)
    image_start: Int32  # (n+1,) a site's positions, home and images, are images[image_start[i]:image_start[i+1]]
    images: Int32  # (h,)
    margin: Int  # (3,) cells of images on either side, as many as a cluster reaches


class Couplings(NamedTuple):
    """What the sites cost, in integer neV.

    `values` holds, table after table, the change of a cluster's energy when its centre goes from one species to another,
    indexed [old, new, partners' species...], every axis n_species long.
    """

    n_species: int  # largest number of species on a sublattice
    constant: int  # energy of the cell that does not depend on the occupation
    point: Int  # (templates, n_species)
    pair_start: Int  # (templates+1,)
    pair_offset: Int32  # (pairs,) halo offset of the partner
    pair_table: Int32  # (pairs,) start in `values`
    triplet_start: Int  # (templates+1,)
    triplet_offset: Int32  # (triplets, 2)
    triplet_table: Int32  # (triplets,)
    many_start: Int  # (templates+1,) clusters of four and more
    many_size: Int  # (many,) number of partners
    many_offset: Int  # (many, most partners)
    many_table: Int  # (many,)
    values: Int


class Polynomial(NamedTuple):
    """The same for two species a sublattice: E(1) - E(0) of a site is middle + rest + sum of value * product of partners' species.

    Exact in integers, and shorter: pairs inside triplets join the pairs. rest and all values are int32 where no sum of theirs
    can leave 32 bits, which `middle`, in the middle of the range, helps; else int64.
    """

    middle: Int  # (templates,)
    rest: Int | Int32  # (templates,)
    start: Int  # (templates+1,) terms of one partner
    offset: Int32  # (linear,) its halo offset
    value: Int | Int32  # (linear,)
    product_start: Int  # (templates+1,) of two
    product_offset: Int32  # (products, 2)
    product_value: Int | Int32  # (products,)
    many_start: Int  # (templates+1,) of three and more
    many_size: Int  # (many,)
    many_offset: Int32  # (many, most partners)
    many_value: Int | Int32  # (many,)


class Mutual(NamedTuple):
    """The same by pairs of sites: change of the field of one by the other's going from 0 to 1 is term + sum of value * third's species.

    Terms of three partners and more are left to the Polynomial.
    """

    entry: Int32  # (templates, 2*reach+1) entry of the partner at a halo offset of -reach .. reach; entry 0 is nothing
    reach: int
    term: Int  # (entries,)
    start: Int  # (entries+1,)
    other: Int32  # (thirds,) halo offset of the third site, from the first
    value: Int  # (thirds,)
    span: int  # largest distance of two homes
    near: NDArray[
        np.uint64
    ]  # bits template * (2*span+1) + distance + span: may homes so far apart meet, by any image? Empty: not known


class Moves(NamedTuple):
    """What may be tried. A move changes one site per flip; it and its reverse are equally likely kinds."""

    cumulative: NDArray[np.float64]  # (kinds,) cumulative probability of a kind
    flip_start: Int  # (kinds+1,)
    flip_from: Int  # (flips,) row that the site leaves
    flip_to: Int  # (flips,) row that it joins
    flip_species: Int  # (flips,) its new species
    flip_species_from: Int  # (flips,) its old species
    reverse: Int  # (kinds,) the kind that undoes it
    flip_anchor: Int  # (flips,) -1: any site of the row; else the flip of the move near whose site it is
    near_start: Int  # (flips,) where the anchored flip's table of near sites starts in `near`
    near_width: Int  # (flips,) near sites per site in that table
    near: Int32  # tables (sites, width) one after the other, -1 where a site has fewer
    conserves: NDArray[np.bool_]  # (kinds,) all counts stay and the move is its own reverse: no Hastings factor
    ion_change: Int  # (kinds, ions) change of the ion counts


class Ensemble(NamedTuple):
    """log weight of a state: -beta E + sum_k beta_mu[k] n_k + log_weight[n_0].

    `reference` (log Z_n - log Z_(n+step), any estimate) only enters the accumulated acceptance, never the chain.
    """

    beta: float  # 1/neV
    beta_mu: NDArray[np.float64]  # (ions,)
    log_weight: NDArray[np.float64]  # (n_max+1,)
    reference: NDArray[np.float64]  # (n_max+1,)
    step: int  # smallest change of n_0 by a move, 0 if none changes it or nothing is to be tallied


class Ensembles(NamedTuple):
    """Those of chains that run together: one row each."""

    beta: NDArray[np.float64]  # (chains,)
    beta_mu: NDArray[np.float64]  # (chains, ions)
    log_weight: NDArray[np.float64]  # (chains, n_max+1)
    reference: NDArray[np.float64]  # (chains, n_max+1)
    step: int


class Board(NamedTuple):
    """A state while chains change it. h = length of the halo array; a site is kept at its home."""

    halo: NDArray[np.int8]  # (h,) species
    site_at: Int32  # (h,) site of every position
    home_of: Int32  # (h,) its home
    rim: NDArray[np.uint64]  # bits of `is_inside`
    where: Int32  # (h,) place of a site among the members of its row, -1 where it is frozen
    fields: Int  # (h,) E(1) - E(0), neV, where they are kept


class Domains(NamedTuple):
    """Boxes of whole cells that fill the cell, by colour: those of one colour are too far apart to know of one another."""

    shape: Int  # (3,) cells of the cell along each axis
    margin: Int  # (3,) cells around a box that are copied with it; 0 where one box fills the axis
    board: Int  # (3,) cells of the board, which holds two boxes with their margins
    second: Int  # (3,) where on the board the second one begins
    boxes: Int  # (colours, boxes, 3, 2) first cell and the one after the last, from the origin of the cut


class Tally(NamedTuple):
    """What chains add up at every attempted exchange, by the count n_0 at which it was tried.

    All integers, so that the sums of several chains do not depend on the order in which they are added.
    """

    sums: Int  # (n_max+1, 6): tries up, acceptance up, tries down, acceptance down, excess energy, its square
    origin: float  # excess energy = E - origin - slope * n_0, neV
    slope: float
    unit: float  # of the excess energy, neV; of its square: (SQUARE_UNIT * unit)**2


ACCEPTANCE_UNIT = 2.0**-31
SQUARE_UNIT = 1000.0


class Record(NamedTuple):
    """Per sweep and per kind of move."""

    energy: Int  # (sweeps,)
    ions: Int  # (sweeps, ions)
    tried: Int  # (kinds,)
    accepted: Int  # (kinds,)
