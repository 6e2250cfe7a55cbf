"""Ground states: the hull at T = 0 from the lowest energies of many supercells, and its corners as structures."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..crystal.cif import charged_cif
from ..crystal.lattice import Supercell
from ..runtime.results.ground_states import GroundStates
from ..runtime.storage import write_text
from ..sampling.ground_states.ground_state_search import Lowest
from ..sampling.samples import Samples
from ..units import NEV_PER_EV, fraction
from .free_energy.hull import hull_values, lower_hull

Float = NDArray[np.float64]
SAME_EV = (
    1e-6  # energies per fu that differ by less are equal; a corner lies more than this below the line between its neighbours
)


def ground_state_group(found: list[tuple[Supercell, Lowest]]) -> GroundStates:
    """The group /ground_states: entries sorted by x, then by energy, so that the first of an x is the lowest."""
    cells = [s for s, lowest in found for _ in lowest.n]
    n_fu = np.array([s.n_formula_units for s in cells])
    size = np.array([s.n_cells for s in cells])
    n, energy_neV, listed, agree = (
        np.concatenate([getattr(lowest, name) for _, lowest in found]) for name in ("n", "energy_neV", "listed", "agree")
    )
    x, energy = n / n_fu, energy_neV / NEV_PER_EV / n_fu
    order = np.lexsort((~listed, size, np.rint(energy / SAME_EV), x))
    x, energy = x[order], energy[order]
    values, first = np.unique(x, return_index=True)
    formation = energy - np.interp(x, values[[0, -1]], energy[first[[0, -1]]])
    corner = corners(values, formation[first])
    on_hull = np.zeros(len(x), bool)
    on_hull[first[corner]] = True
    above = formation - hull_values(x, formation, np.flatnonzero(on_hull))
    return GroundStates(
        x=x,
        energy_eV=energy,
        formation_energy_eV=formation,
        energy_above_hull_eV=above,
        on_hull=on_hull,
        supercell=np.array([s.matrix for s in cells])[order],
        listed=listed[order],
        searches_agreeing=agree[order],
    )


def corners(x: Float, f: Float) -> NDArray[np.int64]:
    """Indices of the vertices of the lower hull (x ascending) that lie below the line between their neighbours."""
    kept = lower_hull(x, f).tolist()
    while True:
        depth = [np.interp(x[b], x[[a, c]], f[[a, c]]) - f[b] for a, b, c in zip(kept, kept[1:], kept[2:])]
        if not depth or min(depth) > SAME_EV:
            return np.array(kept)
        del kept[1 + int(np.argmin(depth))]


def write_corners(found: list[tuple[Supercell, Lowest]], group: GroundStates, folder: Path) -> None:
    """Write one CIF with charges per corner of the hull; files of an earlier hull are removed."""
    files = {}
    for k in np.flatnonzero(group.on_hull):
        supercell, lowest = next((s, l) for s, l in found if (s.matrix == group.supercell[k]).all())
        at = int(np.flatnonzero(lowest.n == round(group.x[k] * supercell.n_formula_units))[0])
        files[f"x_{fraction(group.x[k]).replace('/', '_')}.cif"] = charged_cif(supercell, lowest.states[at])
    for path in set(folder.glob("*.cif")) - {folder / name for name in files}:
        path.unlink()
    for name, text in files.items():
        write_text(folder / name, text)


def ground_state_notes(group: GroundStates, samples: Samples | None, n_fu: int) -> list[str]:
    """Warnings for the report. samples: of the same Hamiltonian, in n_fu formula units; none may lie below the hull."""
    notes = []
    corner = group.on_hull
    found_once = corner & ~group.listed & (group.searches_agreeing == 1)
    if found_once.any():
        where = ", ".join(fraction(x) for x in group.x[found_once])
        notes.append(
            f"ground states: the corners of the hull at x = {where} were found by one annealing only: give more searches"
        )
    if samples is not None:
        x = samples.ions[..., 0] / n_fu
        depth = np.interp(x, group.x[corner], group.energy_eV[corner]) - samples.energy_neV / NEV_PER_EV / n_fu
        if depth.max() > SAME_EV:
            at = np.unravel_index(int(depth.argmax()), depth.shape)
            t = samples.plan.ladder.temperature_K[samples.plan.slots[at[0]].rung]
            notes.append(
                f"ground states: the sampler found a state {1e3 * depth[at]:.2f} meV/fu below the hull, "
                f"at {t:g} K and x = {x[at]:.4f}: the search missed a state; give larger supercells or more searches"
            )
    return notes
