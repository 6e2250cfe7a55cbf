"""From clusters to the flat integer table that the kernel reads, for one supercell.

Each cluster energy is rounded once to whole neV; all that follows is integer arithmetic, so energies do not depend on the
order of summation and a running energy never drifts. In a small supercell a cluster can hold one site several times, and
several clusters can hold the same sites: the first are contracted, the second summed, so that what remains has distinct
sites and the change of one site never needs to know about its own images.
"""

import numpy as np
from numpy.typing import NDArray

from ...kernels.layout import Couplings, Geometry
from ..crystal.lattice import Supercell
from ..units import NEV_PER_EV
from .terms import Cluster, Hamiltonian

Partner = tuple[int, tuple[int, int, int]]  # (site of the cell, wrapped cell offset from the centre)
Entries = dict[tuple[Partner, ...], NDArray[np.int64]]
Interaction = tuple[list[int], int]  # (offsets of the partners in the halo array, where its table starts)


def round_to_neV(energies_eV: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole neV."""
    return np.array(np.rint(np.asarray(energies_eV) * NEV_PER_EV), dtype=np.int64)


def _wrapped(supercell: Supercell, cell: NDArray[np.int64]) -> tuple[int, int, int]:
    a, b, c = supercell.wrap(cell).tolist()
    return a, b, c


def _contract(sites: list[Partner], energies: NDArray[np.int64]) -> tuple[list[Partner], NDArray[np.int64]]:
    """Merge axes of repeated sites (take the diagonal), keeping the first appearance's place."""
    k = 0
    while k < len(sites):
        first = sites.index(sites[k])
        if first < k:
            energies = np.moveaxis(np.diagonal(energies, axis1=first, axis2=k), -1, first)
            del sites[k]
        else:
            k += 1
    return sites, energies


def _template_entries(supercell: Supercell, clusters: tuple[Cluster, ...]) -> list[Entries]:
    """Per site of the cell: partners of the clusters through it, with tables whose first axis is the centre."""
    entries: list[Entries] = [{} for _ in range(supercell.lattice.n_sites)]
    for cluster in clusters:
        table = round_to_neV(cluster.energies_eV)
        if not table.any():
            continue
        cells = np.array([c for _, c in cluster.sites], np.int64)
        seen = set()
        for role, (centre, _) in enumerate(cluster.sites):
            anchor = (centre, _wrapped(supercell, cells[role]))
            if anchor in seen:  # the same cluster of the supercell, met through another image of this site
                continue
            seen.add(anchor)
            order = [role, *(k for k in range(len(cells)) if k != role)]
            sites = [(cluster.sites[k][0], _wrapped(supercell, cells[k] - cells[role])) for k in order]
            sites, energies = _contract(sites, np.transpose(table, order))
            by_partner = sorted(range(1, len(sites)), key=lambda k: sites[k])
            key = tuple(sites[k] for k in by_partner)
            ordered = np.transpose(energies, [0, *by_partner])
            entries[centre][key] = entries[centre][key] + ordered if key in entries[centre] else ordered
    return entries


def _rim(supercell: Supercell, entries: list[Entries]) -> NDArray[np.int64]:
    offsets = [supercell.shortest(np.array(cell)) for e in entries for key in e for _, cell in key]
    return np.abs(np.array(offsets or [(0, 0, 0)])).max(axis=0)


def _geometry(supercell: Supercell, rim: NDArray[np.int64]) -> tuple[Geometry, NDArray[np.int64]]:
    """Halo array and its strides per cell step; the last stride is the number of sites of a cell."""
    per_cell = supercell.lattice.n_sites
    padded = np.array(supercell.shape) + 2 * rim
    strides = np.array([padded[1] * padded[2], padded[2], 1]) * per_cell
    cells = np.indices(tuple(int(p) for p in padded)).reshape(3, -1).T - rim
    site_at = (supercell.cell_index(cells)[:, None] * per_cell + np.arange(per_cell)).ravel()
    inside = np.indices(supercell.shape).reshape(3, -1).T
    home = (((inside + rim) @ strides)[:, None] + np.arange(per_cell)).ravel().astype(np.int32)
    positions = np.bincount(site_at, minlength=supercell.n_sites)
    imaged = np.zeros((len(site_at) // 64 + 1) * 64, np.bool_)
    imaged[home[positions > 1]] = True
    geometry = Geometry(
        halo_length=len(site_at),
        home=home,
        template=np.tile(np.arange(per_cell, dtype=np.int16), supercell.n_cells),
        sublattice=supercell.site_sublattice.astype(np.int16),
        image_start=np.concatenate([[0], np.cumsum(positions)]).astype(np.int32),
        images=np.argsort(site_at, kind="stable").astype(np.int32),
        site_at=site_at.astype(np.int32),
        home_of=home[site_at],
        imaged=np.packbits(imaged, bitorder="little").view(np.uint64),
        margin=rim.astype(np.int64),
    )
    return geometry, strides


class _DifferenceTables:
    """E(new) - E(old) of one site for every state of its partners, in neV; equal tables are stored once."""

    def __init__(self, n_species: int) -> None:
        self.n_species = n_species
        self.values: list[NDArray[np.int64]] = []
        self._starts: dict[bytes, int] = {}

    def start_of(self, energies: NDArray[np.int64]) -> int:
        """Where the table of these cluster energies starts in the concatenated values."""
        padded = np.zeros((self.n_species,) * energies.ndim, np.int64)
        padded[tuple(slice(n) for n in energies.shape)] = energies
        difference = padded[None, :] - padded[:, None]
        key = difference.tobytes()
        if key not in self._starts:
            self._starts[key] = sum(v.size for v in self.values)
            self.values.append(difference.ravel())
        return self._starts[key]


def _interactions(
    supercell: Supercell, entries: list[Entries], strides: NDArray[np.int64], tables: _DifferenceTables
) -> list[list[Interaction]]:
    """Per site of the cell, its interactions with one partner or more."""

    def halo_offset(centre: int, partner: Partner) -> int:
        return int(np.dot(supercell.shortest(np.array(partner[1])), strides)) + partner[0] - centre

    return [
        [
            ([halo_offset(centre, p) for p in key], tables.start_of(found[key]))
            for key in sorted(found)
            if key and found[key].any()
        ]
        for centre, found in enumerate(entries)
    ]


def _columns(
    interactions: list[list[Interaction]], fewest: int, most: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Those with fewest to most partners: first row of each site (sites+1,), partners (n,), offsets (n, widest), tables (n,)."""
    chosen = [[i for i in site if fewest <= len(i[0]) <= most] for site in interactions]
    rows = [i for site in chosen for i in site]
    widest = max((len(offsets) for offsets, _ in rows), default=fewest)
    return (
        np.concatenate([[0], np.cumsum([len(site) for site in chosen])]).astype(np.int64),
        np.array([len(offsets) for offsets, _ in rows], np.int64),
        np.array([offsets + [0] * (widest - len(offsets)) for offsets, _ in rows], np.int64).reshape(-1, widest),
        np.array([start for _, start in rows], np.int64),
    )


def build_table(hamiltonian: Hamiltonian, supercell: Supercell) -> tuple[Geometry, Couplings]:
    """The arrays that the kernel reads. Energies are neV for the whole supercell."""
    entries = _template_entries(supercell, hamiltonian.clusters)
    geometry, strides = _geometry(supercell, _rim(supercell, entries))
    tables = _DifferenceTables(supercell.lattice.n_species)
    interactions = _interactions(supercell, entries, strides, tables)
    point = np.zeros((len(entries), tables.n_species), np.int64)
    for centre, found in enumerate(entries):
        if () in found:
            point[centre, : found[()].size] = found[()]
    pair_start, _, pair_offset, pair_table = _columns(interactions, 1, 1)
    triplet_start, _, triplet_offset, triplet_table = _columns(interactions, 2, 2)
    many_start, many_size, many_offset, many_table = _columns(interactions, 3, np.inf)
    couplings = Couplings(
        n_species=tables.n_species,
        constant=_ground_constant(hamiltonian, supercell),
        point=point,
        pair_start=pair_start,
        pair_offset=pair_offset.ravel().astype(np.int32),
        pair_table=pair_table.astype(np.int32),
        triplet_start=triplet_start,
        triplet_offset=triplet_offset.astype(np.int32),
        triplet_table=triplet_table.astype(np.int32),
        many_start=many_start,
        many_size=many_size,
        many_offset=many_offset,
        many_table=many_table,
        values=np.concatenate(tables.values) if tables.values else np.zeros(1, np.int64),
    )
    return geometry, couplings


def _ground_constant(hamiltonian: Hamiltonian, supercell: Supercell) -> int:
    """Energy (neV) of the supercell with species 0 on every site."""
    ground = [hamiltonian.constant_eV, *(float(c.energies_eV.flat[0]) for c in hamiltonian.clusters)]
    per_cell = int(round_to_neV(np.array(ground)).sum())
    return per_cell * supercell.n_cells
