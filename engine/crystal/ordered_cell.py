"""The small cell of a phase: the periods of its order, and the occupation of the sites folded on them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from .lattice import VACANCY, Lattice, Supercell, hermite_form
from .long_range_order import FALSE_ALARM, Recognised, recognise
from .primitive import on_primitive, primitive_lattice, sites_in_primitive
from .structure_factor import Field, Waves, deviations, electron_field, ion_field, site_orbits
from .supercells import reduced
from .symmetry import site_permutations, site_translations, space_group

Float = NDArray[np.float64]
States = NDArray[np.int8]
SAME_ORDER = 0.2  # of the strongest wave: weaker ones do not belong to the order
SAME_VARIANT = 0.5  # of the weight that the clearest state has in these waves
MAJORITY = 0.7  # share from which a site of an ordered cell takes one species


@dataclass(frozen=True, eq=False)
class OrderedCell:
    """supercell: of the cell of the structure file, or its primitive cell if nothing is ordered.

    fractions (n_sites, n_species): occupation of its sites by the species of their sublattices. ordered: whether it differs
    between equivalent sites.
    """

    supercell: Supercell
    fractions: Float
    ordered: bool

    @property
    def whole(self) -> bool:
        """Whether every site holds one species."""
        return bool((self.fractions.max(axis=1) > 1 - 1e-9).all())


def ordered_cell(supercell: Supercell, states: States) -> OrderedCell:
    """The cell of one phase from sampled states (k, n_sites): the smallest one that holds the waves beyond disorder.

    The occupation is the mean over the states of the variant of the clearest one, whose translations and rotations are undone.
    Sites take their majority species where all of them have one and the cell stays neutral.
    """
    found = _order(supercell, states)
    if found is None:
        return disordered_cell(supercell, states)
    waves, kept, same = found
    small = Supercell(supercell.lattice, reduced(Supercell(supercell.lattice, _periods(waves, kept))).matrix)
    return OrderedCell(small, _settled(small, _aligned(small, _folded(supercell, states[same], small))), True)


def cell_of_state(supercell: Supercell, state: States) -> OrderedCell:
    """The cell of one state (n_sites,) as it is, such as a ground state: the smallest one that it repeats."""
    moved = site_translations(supercell)
    repeats = supercell.cells[1:][(state[moved] == state).all(axis=1)] if len(moved) else np.zeros((0, 3), np.int64)
    small = reduced(Supercell(supercell.lattice, hermite_form(np.vstack([supercell.hermite, repeats]))))
    ordered = any(np.abs(deviations(f, supercell, state[None])).max(initial=0) > 1e-9 for f in order_fields(supercell.lattice))
    return OrderedCell(small, _folded(supercell, state[None], small)[0], ordered)


def disordered_cell(supercell: Supercell, states: States) -> OrderedCell:
    """The primitive cell, in which equivalent sites have their mean occupation."""
    lattice = supercell.lattice
    one = Supercell(lattice, np.eye(3, dtype=np.int64))
    fractions, orbit = _folded(supercell, states, one).mean(axis=0), site_orbits(lattice)
    mean = np.array([fractions[orbit == o].mean(axis=0) for o in orbit])
    primitive = primitive_lattice(lattice)
    first = np.unique(sites_in_primitive(primitive, lattice)[0], return_index=True)[1]
    return OrderedCell(Supercell(primitive, one.matrix), mean[first], False)


def arms(supercell: Supercell, states: States) -> int:
    """Arms of the star of the order in states (k, n_sites): pairs of opposite waves of the primitive lattice; 0: no order.

    It tells orders of one star apart: on the fcc lattice L1_0 has one arm and L1_2 three. Pairs count by their participation
    ratio, the square of the sum of their shares over the sum of squares, in the mean over the states.
    """
    primitive, place = on_primitive(supercell)
    moved = np.empty_like(states)
    moved[:, place] = states
    waves = Waves(primitive)
    for field in order_fields(primitive.lattice):
        share = np.nan_to_num(waves.weights(deviations(field, primitive, moved)))
        found = _recognised(share, waves, field)
        if found.ordered[0]:
            mine = waves.star == found.star[0]
            number = waves.period ** np.arange(3)
            key = np.minimum(waves.whole[mine] % waves.period @ number, -waves.whole[mine] % waves.period @ number)
            pair = np.unique(key, return_inverse=True)[1]
            shares = np.array([np.bincount(pair, s) for s in np.maximum(share[:, mine] - 1 / primitive.n_cells, 0)])
            ratio = shares.sum(axis=1) ** 2 / np.maximum((shares**2).sum(axis=1), 1e-12)
            return max(1, round(float(ratio.mean())))
    return 0


def has_arms(lattice: Lattice, q: Float) -> bool:
    """Whether equivalent waves of the primitive lattice, beside the opposite one, may belong to the star of q.

    A cell of the structure file that is not primitive holds waves of the primitive lattice at q = 0.
    """
    rotations, shifts = space_group(lattice.atoms)
    if (rotations == np.eye(3, dtype=np.int64)).all(axis=(1, 2)).sum() > 1:
        return True
    images = np.array([q @ rotation for rotation in rotations])
    return not all(any(np.allclose(v - np.rint(v), 0, atol=1e-6) for v in (image - q, image + q)) for image in images)


def order_fields(lattice: Lattice) -> list[Field]:
    """What can be ordered: each ion of the sublattices with several elements, but one of each; then the electrons."""
    mixed = [s for s in lattice.sublattices if len({sp.element for sp in s.species}) > 1]
    ions = [[sp.name for sp in s.species if sp.name != VACANCY] for s in mixed]
    kept = [names if len(names) < len(s.species) else names[:-1] for names, s in zip(ions, mixed)]
    electrons = electron_field(lattice)
    fields = [ion_field(lattice, name) for name in dict.fromkeys(name for names in kept for name in names)]
    return fields if electrons is None else [*fields, electrons]


def one_species_each(supercell: Supercell, species: States) -> Float:
    """Fractions (n_sites, n_species) of an occupation (n_sites,)."""
    return np.eye(supercell.lattice.n_species)[species]


def _order(supercell: Supercell, states: States) -> tuple[Waves, NDArray[np.int64], NDArray[np.bool_]] | None:
    """Waves of the order in the clearest state, and which states have the same ones; None if there is no order.

    Beside the strongest star only waves that the supercell repeats belong to it: others may be domain walls.
    """
    waves, shares, levels = Waves(supercell), [], []
    for field in order_fields(supercell.lattice):
        share = np.nan_to_num(waves.weights(deviations(field, supercell, states)))
        found = _recognised(share, waves, field)
        if found.ordered[0]:
            shares.append(np.where((waves.star == found.star[0]) | _repeated(waves), share, 0))
            levels.append(chdtri(len(field.sites), FALSE_ALARM / waves.supercell.n_cells) / supercell.n_cells / len(field.sites))
    if not shares:
        return None
    clearest = int(np.sum([s.max(axis=1) for s in shares], axis=0).argmax())
    masks = [s[clearest] >= max(SAME_ORDER * s[clearest].max(), level) for s, level in zip(shares, levels)]
    held = np.sum([s[:, mask].sum(axis=1) for s, mask in zip(shares, masks)], axis=0)
    return waves, np.flatnonzero(np.any(masks, axis=0)), held >= SAME_VARIANT * held[clearest]


def _repeated(waves: Waves) -> NDArray[np.bool_]:
    """(n_cells,) whether the wave has a shorter period than the supercell, or one of two cells."""
    period = waves.period // np.gcd.reduce(np.column_stack([waves.whole, np.full(len(waves.whole), waves.period)]), axis=1)
    return (period < waves.period) | (period <= 2)


def _recognised(share: Float, waves: Waves, field: Field) -> Recognised:
    """The strongest star in shares (k, waves) of states that may be of one chain."""
    stars = np.mean([np.bincount(waves.star, s) for s in share], axis=0)
    return recognise(stars[None], np.ones(1, np.int64), waves, field)


def _periods(waves: Waves, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows: a basis of all translations R with q.R whole for every kept wave."""
    reciprocal = hermite_form(np.vstack([waves.period * np.eye(3, dtype=np.int64), waves.whole[kept]])) / waves.period
    return np.rint(np.linalg.inv(reciprocal).T).astype(np.int64)


def _folded(supercell: Supercell, states: States, small: Supercell) -> Float:
    """Mean occupation (k, sites of the small cell, n_species) over its repetitions in states (k, n_sites)."""
    repeats = np.eye(small.n_cells)[small.cell_index(supercell.cells)] * (small.n_cells / supercell.n_cells)
    occupied = one_species_each(supercell, states).reshape(len(states), supercell.n_cells, -1)
    return np.einsum("cs,kcv->ksv", repeats, occupied, optimize=True).reshape(len(states), small.n_sites, -1)


def _aligned(small: Supercell, folded: Float) -> Float:
    """Mean over states (k, n_sites, n_species), each moved by the space group on the mean of those before it."""
    permutations, total = site_permutations(small), np.zeros_like(folded[0])
    for fractions in folded:
        overlap = np.einsum("psk,sk->p", fractions[permutations], total)
        total += fractions[permutations[int(overlap.argmax())]] if total.any() else fractions
    return total / len(folded)


def _settled(small: Supercell, fractions: Float) -> Float:
    """One species on each site, if all have a clear one and their charges add up to zero; else the fractions."""
    lattice, largest = small.lattice, fractions.argmax(axis=1)
    charge = sum(lattice.sublattices[g].species[k].charge for g, k in zip(small.site_sublattice, largest))
    clear = fractions.max(axis=1).min() >= MAJORITY and charge + small.n_cells * lattice.spectator_charge == 0
    return one_species_each(small, largest.astype(np.int8)) if clear else fractions
