"""Keep the relaxed cells whose charges are certain and write them with Fe3+ as Ga.

    python label_cells.py relaxed.extxyz cells_1.extxyz ... --out labelled.extxyz

With n sodium atoms in a cell, its n Fe of smallest moment are Fe2+. The split is certain if the gap between the n-th moment
and the next is above 0.15 Bohr magnetons and the n longest mean Fe-O distances (six nearest O) name the same sites.
"""

import argparse
from collections import Counter

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

LEAST_GAP_MU_B = 0.15


def fe3_sites(cell: Atoms) -> np.ndarray | None:
    """Indices of the Fe3+ atoms, None if uncertain."""
    fe, oxygen = (np.flatnonzero(cell.symbols == s) for s in ("Fe", "O"))
    n = int(np.sum(cell.symbols == "Na"))
    if n == len(fe):
        return fe[:0]
    moments = np.abs(cell.get_magnetic_moments()[fe])
    by_moment = np.argsort(moments)
    if n == 0:
        return fe
    if moments[by_moment[n]] - moments[by_moment[n - 1]] <= LEAST_GAP_MU_B:
        return None
    bonds = [np.sort(cell.get_distances(f, oxygen, mic=True))[:6].mean() for f in fe]
    if set(np.argsort(bonds)[len(fe) - n :]) != set(by_moment[:n]):
        return None
    return fe[by_moment[n:]]


def labelled(cell: Atoms) -> Atoms | None:
    sites = fe3_sites(cell)
    if sites is None:
        return None
    symbols = np.array(cell.get_chemical_symbols())
    symbols[sites] = "Ga"
    result = Atoms(symbols, positions=cell.positions, cell=cell.cell, pbc=True)
    result.calc = SinglePointCalculator(result, energy=cell.get_potential_energy())
    result.info["config"] = cell.info["config"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    cells = [cell for path in args.files for cell in read(path, ":")]
    kept = [c for c in map(labelled, cells) if c is not None]
    write(args.out, kept, format="extxyz", columns=["symbols", "positions"])
    counts = Counter((int(np.sum(c.symbols == "Na")), int(np.sum(np.isin(c.symbols, ("Fe", "Ga"))))) for c in kept)
    print(f"{len(kept)} of {len(cells)} cells are certain")
    for (n, fe), number in sorted(counts.items(), key=lambda item: (item[0][0] / item[0][1], item[0][1])):
        print(f"  x = {n}/{fe}: {number}")


if __name__ == "__main__":
    main()
