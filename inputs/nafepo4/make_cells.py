"""Relaxed NaxFePO4 cells for the cluster expansion's data set.

Stand-in for a user's DFT: energies from SevenNet-l3i5 (a universal potential at PBE+U level), moments from CHGNet on the
same geometry. Needs an environment of its own:

    python -m venv ref && ref/bin/pip install "torch<2.14" sevenn chgnet spglib
    ref/bin/python make_cells.py --seed 1 --minutes 60 --out cells_1.extxyz

Cells are appended as they finish. `label_cells.py` then keeps those whose charges are certain.
"""

import argparse
import time
import warnings

import numpy as np
import torch
from ase import Atoms
from ase.build import make_supercell
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.io import write
from ase.optimize import LBFGS
from ase.spacegroup import crystal
from chgnet.model import CHGNet
from pymatgen.io.ase import AseAtomsAdaptor
from sevenn.calculator import SevenNetCalculator

# (supercell of the 28-atom cell, numbers of Na to draw from, weight); the skewed cell tells apart pairs of sites that the
# others cannot, because they lie 2c or b+c from one another
PLAN = [
    (np.diag((1, 1, 1)), (1, 2, 2, 3), 0.04),
    (np.diag((1, 2, 1)), (1, 1, 2, 2, 3, 4, 4, 5, 6, 6), 0.27),
    (np.diag((1, 1, 2)), (1, 1, 2, 2, 3, 4, 4, 5, 6, 6), 0.22),
    (np.diag((2, 1, 1)), (1, 2, 3, 4, 5, 6, 6), 0.11),
    (np.diag((1, 3, 1)), (1, 2, 3, 4, 6, 8, 8, 9, 10, 10), 0.10),
    (np.array(((1, 0, 0), (0, 1, 1), (0, 0, 3))), (1, 2, 3, 4, 6, 8, 8, 9, 10, 10), 0.26),
]
# lattice parameters (A) and fractional coordinates of FePO4 and NaFePO4, Pnma
CELL_FEPO4, CELL_NAFEPO4 = np.array([9.96, 5.95, 4.86]), np.array([10.51, 6.31, 5.02])
BASIS = {
    "Na": [(0, 0, 0)],
    "Fe": [(0.2801, 0.25, 0.9826)],
    "P": [(0.1045, 0.25, 0.4390)],
    "O": [(0.1197, 0.25, 0.7458), (0.4514, 0.25, 0.1655), (0.1735, 0.0497, 0.3104)],
}
DISTORTION_A = 0.08


def host(x: float, supercell: np.ndarray) -> Atoms:
    """Fully sodiated cell with Vegard's lattice parameters for composition x."""
    lengths = x * CELL_NAFEPO4 + (1 - x) * CELL_FEPO4
    symbols = [s for s, sites in BASIS.items() for _ in sites]
    sites = [p for positions in BASIS.values() for p in positions]
    return make_supercell(crystal(symbols, sites, spacegroup="Pnma", cellpar=[*lengths, 90, 90, 90]), supercell)


def draw(rng: np.random.Generator, most_fu: int) -> Atoms:
    """A random arrangement with `charge_prepared`; two thirds put the electrons where sodium is near."""
    plan = [row for row in PLAN if 4 * np.linalg.det(row[0]) < most_fu + 0.5]
    weights = np.array([w for *_, w in plan])
    supercell, counts, _ = plan[rng.choice(len(plan), p=weights / weights.sum())]
    n_na = int(rng.choice(counts))
    n_fu = 4 * round(abs(np.linalg.det(supercell)))
    atoms = host(n_na / n_fu, supercell)
    na, fe, oxygen = (np.flatnonzero(atoms.symbols == s) for s in ("Na", "Fe", "O"))
    kept = rng.choice(na, n_na, replace=False)
    closeness = (1 / atoms.get_all_distances(mic=True)[np.ix_(fe, kept)] ** 2).sum(axis=1)
    noise = 0.05 if rng.random() < 2 / 3 else 100.0
    fe2 = fe[np.argsort(-closeness + noise * rng.normal(size=len(fe)))[:n_na]]
    charge = np.zeros(len(atoms), int)
    charge[fe] = 3
    charge[fe2] = 2
    moved = atoms.copy()
    for site in fe:
        vectors = atoms.get_distances(site, oxygen, mic=True, vector=True)
        lengths = np.linalg.norm(vectors, axis=1)
        for k in np.argsort(lengths)[:6]:
            moved.positions[oxygen[k]] += (DISTORTION_A if charge[site] == 2 else -DISTORTION_A) * vectors[k] / lengths[k]
    moved.set_array("charge_prepared", charge)
    del moved[np.setdiff1d(na, kept)]
    moved.rattle(0.01, seed=int(rng.integers(1 << 30)))
    return moved


def relax(atoms: Atoms, energy_model, moment_model) -> Atoms | None:
    """The relaxed cell with energy (eV per cell) and moments (Bohr magnetons); None if it did not converge."""
    atoms.calc = energy_model
    if not LBFGS(FrechetCellFilter(atoms), logfile=None, maxstep=0.1).run(fmax=0.03, steps=120):
        return None
    done = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    done.set_array("charge_prepared", atoms.get_array("charge_prepared"))
    moments = moment_model.predict_structure(AseAtomsAdaptor.get_structure(done), task="em")["m"]
    done.calc = SinglePointCalculator(
        done, energy=round(float(atoms.get_potential_energy()), 6), magmoms=np.round(np.ravel(moments), 3)
    )
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--most-fu", type=int, default=12, help="largest cell to draw, in formula units")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    rng = np.random.default_rng(args.seed)
    energy_model, moment_model = (
        SevenNetCalculator("7net-l3i5", device="cpu"),
        CHGNet.load(model_name="0.3.0", use_device="cpu", verbose=False),
    )
    start, n = time.time(), 0
    while time.time() - start < 60 * args.minutes:
        done = relax(draw(rng, args.most_fu), energy_model, moment_model)
        n += 1
        if done is not None:
            done.info["config"] = f"c{args.seed}-{n:04d}"
            write(args.out, done, format="extxyz", append=True)
            print(done.info["config"], done.get_chemical_formula(), f"{time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
