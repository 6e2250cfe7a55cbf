"""The named tuples of numpy arrays that the compiled functions read and change.

Sites are numbered cell by cell. Species are small integers, counted from 0 within each sublattice. A (sublattice, species)
pair is a *row*: row = sublattice * n_species + species.

The species of all sites are kept in a *halo array*: the supercell's box of cells, surrounded by periodic images. Every
neighbour of a site is therefore at a fixed offset in this array, and no neighbour list is stored. The place of a site itself
in the halo array is its *home*; its images are at other positions. Positions in the halo array modulo the number of sites of
a primitive cell give the *template*: the number of the site within its cell.

All energies are int64, in neV, and those of a supercell are for the whole supercell. Shapes: n sites, h positions of the halo
array.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int16 = NDArray[np.int16]
Int8 = NDArray[np.int8]

MOST_FLIPS = 16  # of one move


class Geometry(NamedTuple):
    """Positions of the sites in the halo array, which are the same for all occupations."""

    halo_length: int  # h
    home: Int32  # (n,) position of a site in the halo array
    template: Int16  # (n,) number of the site within its primitive cell
    sublattice: Int16  # (n,)
    image_start: Int32  # (n+1,) the positions of site i, home and images, are images[image_start[i]:image_start[i+1]]
    images: Int32  # (h,)
    site_at: Int32  # (h,) site of a position
    home_of: Int32  # (h,) home of the site of a position
    imaged: Bits  # (h // 64 + 1,) one bit per position: 1 at the home of a site that has images
    margin: Int  # (3,) cells of images on either side of the box, as many as a cluster reaches


class Couplings(NamedTuple):
    """Energies of the clusters, neV, for any number of species per sublattice.

    `values` holds one table after the other: the change of a cluster's energy when its centre changes species, indexed
    [old, new, species of the partners...]. Every axis is n_species long.
    """

    n_species: int  # largest number of species on a sublattice
    constant: int  # energy of the supercell with species 0 on every site, neV
    point: Int  # (templates, n_species)
    pair_start: Int  # (templates+1,) the pairs of template t are pair_start[t]:pair_start[t+1]
    pair_offset: Int32  # (pairs,) halo offset of the partner
    pair_table: Int32  # (pairs,) start in `values`
    triplet_start: Int  # (templates+1,)
    triplet_offset: Int32  # (triplets, 2)
    triplet_table: Int32  # (triplets,)
    many_start: Int  # (templates+1,) clusters of four sites and more
    many_size: Int  # (many,) number of partners
    many_offset: Int  # (many, most partners)
    many_table: Int  # (many,)
    values: Int


class Polynomial(NamedTuple):
    """The same energies for at most two species per sublattice: E(1) - E(0) of a site as a polynomial in its partners'
    species.

    E(1) - E(0) = middle + rest + sum over terms of value * product of the partners' species. It is exact in integers, and
    shorter than the table, because the pairs within triplets are merged with the pairs. rest and the values are int32 where
    no sum of theirs can exceed 32 bits, else int64; `middle`, the middle of the range of the sum, makes the former more
    frequent.
    """

    middle: Int  # (templates,)
    rest: Int | Int32  # (templates,)
    start: Int  # (templates+1,) terms of one partner
    offset: Int32  # (linear,) halo offset of the partner
    value: Int | Int32  # (linear,)
    product_start: Int  # (templates+1,) terms of two partners
    product_offset: Int32  # (products, 2)
    product_value: Int | Int32  # (products,)
    many_start: Int  # (templates+1,) terms of three partners and more
    many_size: Int  # (many,) number of partners
    many_offset: Int32  # (many, most partners)
    many_value: Int | Int32  # (many,)


class Mutual(NamedTuple):
    """The same polynomial by pairs of sites: the change of the field E(1) - E(0) of one site when the other goes from 0 to 1.

    It is term + sum of value * species of a third site. Terms of three partners and more are read from the Polynomial.
    """

    entry: Int32  # (templates, 2*reach+1) entry of the partner at halo offset -reach .. reach; entry 0 is no interaction
    reach: int
    term: Int  # (entries,) neV
    start: Int  # (entries+1,)
    other: Int32  # (thirds,) halo offset of the third site from the first
    value: Int  # (thirds,) neV
    span: int  # largest distance of two homes
    near: (
        Bits  # bits template * (2*span+1) + distance + span: may sites whose homes are that far apart interact? Empty: not known
    )


class Model(NamedTuple):
    """The energy of every occupation of a supercell: positions, and the energies in the three forms above.

    A Polynomial without templates and an empty Mutual stand for more than two species on a sublattice.
    """

    geometry: Geometry
    couplings: Couplings
    polynomial: Polynomial  # int64, middle = 0
    mutual: Mutual


class Moves(NamedTuple):
    """The kinds of moves. A move changes one site per flip; a kind and its reverse are tried equally often."""

    cumulative: Float  # (kinds,) cumulative probability of a kind
    flip_start: Int  # (kinds+1,) the flips of kind k are flip_start[k]:flip_start[k+1]
    flip_from: Int  # (flips,) row that the site leaves
    flip_to: Int  # (flips,) row that the site joins
    flip_species: Int  # (flips,) new species
    flip_species_from: Int  # (flips,) old species
    reverse: Int  # (kinds,) the kind that undoes it
    flip_anchor: Int  # (flips,) -1: any site of the row; else the flip of the move near whose site this one is
    near_start: Int  # (flips,) where the table of near sites of an anchored flip starts in `near`
    near_width: Int  # (flips,) near sites per site in that table
    near: Int32  # tables (n, width) one after the other, -1 where a site has fewer near sites
    conserves: NDArray[np.bool_]  # (kinds,) the move keeps all counts and is its own reverse: no Hastings factor
    ion_change: Int  # (kinds, ions) change of the ion counts


class Ensemble(NamedTuple):
    """Log weight of a state: -beta E + sum_k beta_mu[k] n_k + log_weight[n_0].

    `reference` is an estimate of log Z_n - log Z_(n+step). It enters the tallied acceptance only, never the chain.
    """

    beta: float  # 1/neV
    beta_mu: Float  # (ions,) chemical potentials / kT
    log_weight: Float  # (n_max+1,)
    reference: Float  # (n_max+1,)
    step: int  # smallest change of n_0 by a move; 0 if no move changes it or nothing is tallied


class Ensembles(NamedTuple):
    """The ensembles of chains that run together: one row per chain."""

    beta: Float  # (chains,) 1/neV
    beta_mu: Float  # (chains, ions)
    log_weight: Float  # (chains, n_max+1)
    reference: Float  # (chains, n_max+1)
    step: int


class Tally(NamedTuple):
    """Sums over all attempted exchanges, by the count n_0 at which they were attempted.

    All are integers, so that the sums of several chains do not depend on the order in which they are added.
    """

    sums: Int  # (n_max+1, 6): attempts up, acceptance up, attempts down, acceptance down, excess energy, its square
    origin: float  # excess energy = E - origin - slope * n_0, neV
    slope: float
    unit: float  # of the excess energy, neV; its square is in units of (SQUARE_UNIT * unit)**2


ACCEPTANCE_UNIT = 2.0**-31
SQUARE_UNIT = 1000.0


class Scheme(NamedTuple):
    """How a chain is sampled: what it attempts, with which weights, and what it tallies."""

    moves: Moves
    ensemble: Ensemble
    tally: Tally


class State(NamedTuple):
    """A chain. The arrays are changed in place; functions return the new energy."""

    species: Int8  # (n,)
    energy: int  # neV
    ions: Int  # (ions,) counts
    stream: Bits  # (2,) random stream


class States(NamedTuple):
    """Chains that advance in lanes. All arrays are changed in place."""

    species: Int8  # (chains, n)
    energies: Int  # (chains,) neV
    ions: Int  # (chains, ions) counts
    streams: Bits  # (chains, 2) a random stream per chain
    proposals: Bits  # (2,) the random stream of the proposals that all chains share


class Record(NamedTuple):
    """Series and counts of a run. Of chains in lanes: all arrays with the chains as first axis."""

    energy: Int  # (sweeps,) neV, after each sweep
    ions: Int  # (sweeps, ions)
    tried: Int  # (kinds,) attempted moves
    accepted: Int  # (kinds,)


class Board(NamedTuple):
    """An occupation while a chain changes it."""

    halo: Int8  # (h,) species
    fields: Int  # (h,) E(1) - E(0) of a site at its home, neV, where the fields are kept


class Rows(NamedTuple):
    """The sites that a chain may change, by row. Sites are given by their homes."""

    members: Int32  # (rows, sites) homes of the sites of a row
    number: Int  # (rows,) number of sites in a row
    place: Int32  # (h,) index of a site within its row; -1 where the site is frozen


class Domains(NamedTuple):
    """Boxes of whole cells that fill the supercell, by colour. Boxes of one colour do not interact with one another."""

    shape: Int  # (3,) cells of the supercell along each axis
    margin: Int  # (3,) cells around a box that are copied with it; 0 where one box fills the axis
    board: Int  # (3,) cells of the board, which holds two boxes with their margins
    second: Int  # (3,) cell of the board where the second box begins
    boxes: Int  # (colours, boxes, 3, 2) first cell and the one after the last, from the origin of the cut


class Sweep(NamedTuple):
    """What the pairs of boxes of a colour have in common."""

    origin: Int  # (3,) cell where the cut begins
    seed: int  # of the streams of the pairs, uint64
    first: int  # number of the stream of the first pair
    boxes: Int  # (boxes, 3, 2) of the colour
    order: Int  # (boxes,) the pairs are boxes order[0] and order[1], ...; a last single box is advanced alone
    attempts: int  # of a sweep of the whole cell
    keep: int  # the fields: NEVER or ALWAYS


class Lanes(NamedTuple):
    """Working arrays of chains in lanes. L = LANES; chain r is lane r, and lanes without a chain are idle."""

    words: Bits  # (h,) bit r: species of chain r
    first: Bits  # (L,) first half of the state of each chain's random stream
    second: Bits  # (L,) second half
    numbers: Float  # (L,) random numbers in [0, 1)
    energy: Int  # (L,) neV
    change: Int  # (L,) of the energy by the proposal, neV
    beta: Float  # (L,) 1/neV
    weight: Float  # (L,) ratio of the weights after and before the proposal
    shift: Float  # (L,) what the ensembles add to the log of this ratio
    nothing: Float  # (L,) zeros
    weight_step: Float  # (2 L,) change of log_weight from each chain's count on a step up, then on a step down
    chemical: Float  # (kinds, L) what the chemical potentials add to the log of the ratio, forward
    tried: Int32  # (kinds, L) in this sweep
    accepted: Int32  # (kinds, L)
    sites: Int  # (n,) sorted by sublattice
    site_start: Int  # (sublattices+1,)
