"""More reference data: prepared charge orders relaxed with a charge-aware potential, then given to the reference.

Two steps, in two environments. The first needs RedoxMC; labels cannot slide away, because the potential is charge-aware:

    python make_reference.py draw cpainn cpainn.model --seed 21 --configurations 130 --out drawn.extxyz
    python make_reference.py strain cpainn cpainn.model --seed 31 --configurations 14 --out drawn.extxyz
    python make_reference.py orders cpainn cpainn.model --seed 3 --configurations 40 --composition 0.5 --out drawn.extxyz

`draw` makes frames for training, over all compositions. `strain` makes strained cells, most at the two ends, which have one
arrangement each and to which formation energies refer. `orders` makes charge orders on one ion arrangement, for ranking.
The second step needs the reference (a stand-in for DFT): SevenNet-l3i5 for energies, CHGNet 0.3.0 for moments:

    python -m venv ref && ref/bin/pip install "torch<2.14" sevenn chgnet spglib
    ref/bin/python make_reference.py calculate drawn.extxyz --out frames.extxyz
    ref/bin/python make_reference.py calculate drawn.extxyz --relax --out reference.extxyz

Energies in eV per cell, forces eV/A, stress eV/A^3 (ASE's sign and order), moments in Bohr magnetons. All Fe are written as
Fe; `charge_prepared` is the order that was prepared. The charge states that count are those that the moments show.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import LBFGS

HERE = Path(__file__).resolve().parent
SHAPES = [np.diag(d) for d in ((1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1), (1, 3, 1))] + [
    np.array(((1, 0, 0), (0, 1, 1), (0, 0, 3)))
]
EARLY_STEP = 8
LOW_ENERGY_SHARE = 0.6
LARGEST_STRAIN, LARGEST_SHEAR = 0.045, 0.01
STRAINED, STRAINED_ENDS = 3, 14  # frames per configuration
RELAXED_EV_PER_A = 0.05
STEPS = 80


def configurations(given: argparse.Namespace, lattice: Any) -> list[Any]:
    """Over all compositions, or with one composition: charge orders on its lowest ion arrangement by point charges."""
    from redoxmc.engine.potentials.labelling.configurations import charge_orders, choose_configurations

    if given.step != "orders":
        shapes = SHAPES if given.step == "draw" else SHAPES[:2]
        return choose_configurations(lattice, shapes, given.configurations, given.seed, low_energy_share=LOW_ENERGY_SHARE)
    for shape in (np.diag((1, 2, 1)), np.diag((1, 3, 1))):
        for one in choose_configurations(lattice, [shape], 200, given.seed, low_energy_share=1.0):
            if abs(one.composition(lattice) - given.composition) < 1e-4:
                return charge_orders(lattice, shape, one.occupation(), given.configurations, given.seed)
    raise SystemExit(f"no cell of 8 or 12 formula units has the composition {given.composition}")


def draw(given: argparse.Namespace) -> None:
    """Relaxes what is drawn; for training also an early frame of each, and a strained and rattled one of every third."""
    from redoxmc.engine.input.reader import read_input
    from redoxmc.engine.potentials.labels import labels_of
    from redoxmc.engine.potentials.potential import load_potential
    from redoxmc.engine.potentials.relax import start
    from redoxmc.engine.stages.prepare import prepare

    prepared = prepare(read_input(HERE.parent / "nafepo4_potentials.yaml"))
    labels = labels_of(prepared.lattice)
    calculator = load_potential(given.model, given.weights, labels)
    rng = np.random.default_rng(given.seed)
    chosen = configurations(given, prepared.lattice)
    for k, one in enumerate(chosen):
        atoms = start(one.supercell(prepared.lattice), one.occupation(), labels, prepared.config.relaxation)
        atoms.calc = calculator
        frames = list(relaxation(atoms))
        if given.step == "orders":
            frames = frames[-1:]
        elif given.step == "strain":
            n = STRAINED_ENDS if labels.single_valence(atoms) else STRAINED
            frames = [(f"strained{j}", _strained(atoms, rng)) for j in range(n)]
        elif k % 3 == 0:
            frames.append(("rattled", _shaken(atoms, rng)))
        for kind, frame in frames:
            plain = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=True)
            plain.info = {"config": f"{given.step}{given.seed}-{k:04d}", "kind": kind}
            write(given.out, plain, format="extxyz", append=True)
        print(k + 1, "of", len(chosen), atoms.get_chemical_formula(), flush=True)


def relaxation(atoms: Atoms) -> Iterator[tuple[str, Atoms]]:
    """An early frame and the last one."""
    optimiser = LBFGS(FrechetCellFilter(atoms), logfile=None, maxstep=0.1)
    for _ in optimiser.irun(fmax=0.03, steps=200):
        if optimiser.nsteps == EARLY_STEP:
            yield "relax", atoms.copy()
    yield "relaxed", atoms.copy()


def _strained(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Another cell, in which the positions have gone some steps towards their minimum."""
    strained = atoms.copy()
    strain = rng.uniform(-LARGEST_SHEAR, LARGEST_SHEAR, (3, 3))
    np.fill_diagonal(strain, rng.uniform(-LARGEST_STRAIN, LARGEST_STRAIN, 3))
    strained.set_cell(strained.cell[:] @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    strained.calc = atoms.calc
    LBFGS(strained, logfile=None, maxstep=0.1).run(fmax=0.03, steps=EARLY_STEP)
    return strained.copy()


def _shaken(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    shaken = atoms.copy()
    strain = np.eye(3) + rng.normal(0, 0.004, (3, 3))
    shaken.set_cell(shaken.cell[:] @ ((strain + strain.T) / 2), scale_atoms=True)
    shaken.rattle(0.015, seed=int(rng.integers(1 << 30)))
    return shaken


def calculate(drawn: Path, relax: bool, out: Path) -> None:
    """The reference on every frame that `out` does not hold yet; with `relax` at its own minimum, if it finds one."""
    from chgnet.model import CHGNet
    from pymatgen.io.ase import AseAtomsAdaptor
    from sevenn.calculator import SevenNetCalculator

    energy_model, moment_model = SevenNetCalculator("7net-l3i5", device="cpu"), CHGNet.load(verbose=False, use_device="cpu")
    done = {(f.info["config"], f.info["kind"]) for f in (read(out, ":") if out.exists() else ())}
    for labelled in read(drawn, ":"):
        if (labelled.info["config"], labelled.info["kind"]) in done:
            continue
        symbols = np.array(labelled.get_chemical_symbols())
        moved = Atoms(np.where(symbols == "Ga", "Fe", symbols), positions=labelled.positions, cell=labelled.cell, pbc=True)
        moved.calc = energy_model
        if relax and not LBFGS(FrechetCellFilter(moved), logfile=None, maxstep=0.1).run(fmax=RELAXED_EV_PER_A, steps=STEPS):
            print(labelled.info["config"], "not converged", flush=True)
            continue
        frame = Atoms(moved.symbols, positions=moved.positions, cell=moved.cell, pbc=True)
        frame.info = dict(labelled.info)
        frame.arrays["charge_prepared"] = np.select([symbols == "Ga", symbols == "Fe"], [3, 2], 0)
        moments = moment_model.predict_structure(AseAtomsAdaptor.get_structure(frame), task="em")["m"]
        frame.calc = SinglePointCalculator(
            frame,
            energy=round(float(moved.get_potential_energy()), 6),
            forces=np.round(moved.get_forces(), 5),
            stress=np.round(moved.get_stress(), 7),
            magmoms=np.round(np.ravel(moments), 3),
        )
        write(out, frame, format="extxyz", append=True)
        print(frame.info["config"], frame.info["kind"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    drawing = [steps.add_parser("draw"), steps.add_parser("strain"), steps.add_parser("orders")]
    for step in drawing:
        step.add_argument("model", choices=("mace", "chgnet", "cpainn"))
        step.add_argument("weights", type=Path)
        step.add_argument("--seed", type=int, required=True)
        step.add_argument("--configurations", type=int, default=130)
    drawing[-1].add_argument("--composition", type=float, required=True, help="of the ion, 0 to 1")
    second = steps.add_parser("calculate")
    second.add_argument("drawn", type=Path)
    second.add_argument("--relax", action="store_true")
    for step in (*drawing, second):
        step.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if given.step == "calculate":
        calculate(given.drawn, given.relax, given.out)
    else:
        draw(given)


if __name__ == "__main__":
    main()
