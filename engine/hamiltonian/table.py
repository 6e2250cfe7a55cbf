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


def build_table(hamiltonian: Hamiltonian, supercell: Supercell) -> tuple[Geometry, Couplings]:
    """The arrays that the kernel reads. Energies are neV for the whole supercell."""
    entries = _template_entries(supercell, hamiltonian.clusters)
    geometry, strides = _geometry(supercell, _rim(supercell, entries))
    q = supercell.lattice.n_species
    values: list[NDArray[np.int64]] = []
    starts: dict[bytes, int] = {}

    def store(table: NDArray[np.int64]) -> int:
        padded = np.zeros((q,) * table.ndim, np.int64)
        padded[tuple(slice(n) for n in table.shape)] = table
        padded = padded[None, :] - padded[:, None]
        key = padded.tobytes()
        if key not in starts:
            starts[key] = sum(v.size for v in values)
            values.append(padded.ravel())
        return starts[key]

    def halo_offset(centre: int, partner: Partner) -> int:
        return int(np.dot(supercell.shortest(np.array(partner[1])), strides)) + partner[0] - centre

    point = np.zeros((len(entries), q), np.int64)
    pairs: list[list[tuple[int, int]]] = []
    triplets: list[list[tuple[int, int, int]]] = []
    many: list[list[tuple[list[int], int]]] = []
    for centre, found in enumerate(entries):
        pairs.append([])
        triplets.append([])
        many.append([])
        for key in sorted(found):
            table = found[key]
            if not table.any():
                continue
            offsets = [halo_offset(centre, p) for p in key]
            if not key:
                point[centre, : table.size] = table
            elif len(key) == 1:
                pairs[-1].append((offsets[0], store(table)))
            elif len(key) == 2:
                triplets[-1].append((offsets[0], offsets[1], store(table)))
            else:
                many[-1].append((offsets, store(table)))
    widest = max((len(o) for m in many for o, _ in m), default=1)

    def starts_of(groups: list) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum([len(g) for g in groups])]).astype(np.int64)

    def column(groups: list, k: int, width: int | None = None) -> NDArray[np.int64]:
        data = np.array([entry[k] for g in groups for entry in g], np.int64)
        return data.reshape(-1) if width is None else data.reshape(-1, width)

    padded_many = [[(o + [0] * (widest - len(o)), t, len(o)) for o, t in m] for m in many]
    couplings = Couplings(
        n_species=q,
        constant=_ground_constant(hamiltonian, supercell),
        point=point,
        pair_start=starts_of(pairs),
        pair_offset=column(pairs, 0).astype(np.int32),
        pair_table=column(pairs, 1).astype(np.int32),
        triplet_start=starts_of(triplets),
        triplet_offset=np.array([t[:2] for g in triplets for t in g], np.int32).reshape(-1, 2),
        triplet_table=column(triplets, 2).astype(np.int32),
        many_start=starts_of(padded_many),
        many_size=column(padded_many, 2),
        many_offset=column(padded_many, 0, widest),
        many_table=column(padded_many, 1),
        values=np.concatenate(values) if values else np.zeros(1, np.int64),
    )
    return geometry, couplings


def _ground_constant(hamiltonian: Hamiltonian, supercell: Supercell) -> int:
    """Energy (neV) of the supercell with species 0 on every site."""
    ground = [hamiltonian.constant_eV, *(float(c.energies_eV.flat[0]) for c in hamiltonian.clusters)]
    per_cell = int(round_to_neV(np.array(ground)).sum())
    return per_cell * supercell.n_cells
