"""More reference frames: prepared charge orders relaxed with a charge-aware potential, then calculated by the reference.

Two steps, in two environments. The first needs RedoxMC; labels cannot slide away, because the potential is charge-aware:

    python make_frames.py draw cpainn cpainn.model --seed 21 --configurations 130 --out drawn.extxyz

The second needs the reference (a stand-in for DFT): SevenNet-l3i5 for energies, CHGNet 0.3.0 for moments:

    python -m venv ref && ref/bin/pip install "torch<2.14" sevenn chgnet spglib
    ref/bin/python make_frames.py calculate drawn.extxyz --out frames.extxyz

Energies in eV per cell, forces eV/A, stress eV/A^3 (ASE's sign and order), moments in Bohr magnetons. All Fe are written as
Fe; `charge_prepared` is the order that was prepared. The charge states that count are those that the moments show.
"""

import argparse
import warnings
from pathlib import Path

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


def draw(model: str, weights: Path, seed: int, n: int, out: Path) -> None:
    """Per configuration an early and the relaxed frame of a relaxation; for every third one, a strained and rattled one too."""
    from redoxmc.engine.inputfile import read_input
    from redoxmc.engine.labelling.configurations import choose_configurations
    from redoxmc.engine.potentials.labels import labels_of
    from redoxmc.engine.potentials.potential import load_potential
    from redoxmc.engine.potentials.relax import start
    from redoxmc.engine.prepare import prepare

    prepared = prepare(read_input(HERE.parent / "nafepo4_potentials.yaml"))
    lattice, labels = prepared.lattice, labels_of(prepared.lattice)
    calculator = load_potential(model, weights, labels)
    rng = np.random.default_rng(seed)
    chosen = choose_configurations(lattice, SHAPES, n, seed, low_energy_share=LOW_ENERGY_SHARE)
    for k, configuration in enumerate(chosen):
        atoms = start(configuration.supercell(lattice), configuration.occupation(), labels, prepared.config.relaxation)
        atoms.calc = calculator
        frames: list[tuple[str, Atoms]] = []
        optimiser = LBFGS(FrechetCellFilter(atoms), logfile=None, maxstep=0.1)
        for _ in optimiser.irun(fmax=0.03, steps=200):
            if optimiser.nsteps == EARLY_STEP:
                frames.append(("relax", atoms.copy()))
        frames.append(("relaxed", atoms.copy()))
        if k % 3 == 0:
            frames.append(("rattled", _shaken(atoms, rng)))
        for kind, frame in frames:
            plain = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=True)
            plain.info = {"config": f"b{seed}-{k:04d}", "kind": kind}
            write(out, plain, format="extxyz", append=True)
        print(k + 1, "of", len(chosen), atoms.get_chemical_formula(), flush=True)


def _shaken(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    shaken = atoms.copy()
    strain = np.eye(3) + rng.normal(0, 0.004, (3, 3))
    shaken.set_cell(shaken.cell[:] @ ((strain + strain.T) / 2), scale_atoms=True)
    shaken.rattle(0.015, seed=int(rng.integers(1 << 30)))
    return shaken


def calculate(drawn: Path, out: Path) -> None:
    """The reference on every frame; goes on after those that `out` holds already."""
    from chgnet.model import CHGNet
    from pymatgen.io.ase import AseAtomsAdaptor
    from sevenn.calculator import SevenNetCalculator

    energy_model, moment_model = SevenNetCalculator("7net-l3i5", device="cpu"), CHGNet.load(verbose=False, use_device="cpu")
    done = len(read(out, ":")) if out.exists() else 0
    for labelled in read(drawn, ":")[done:]:
        symbols = np.array(labelled.get_chemical_symbols())
        frame = Atoms(np.where(symbols == "Ga", "Fe", symbols), positions=labelled.positions, cell=labelled.cell, pbc=True)
        frame.info = dict(labelled.info)
        frame.arrays["charge_prepared"] = np.select([symbols == "Ga", symbols == "Fe"], [3, 2], 0)
        frame.calc = energy_model
        results = {
            "energy": round(float(frame.get_potential_energy()), 6),
            "forces": np.round(frame.get_forces(), 5),
            "stress": np.round(frame.get_stress(), 7),
        }
        moments = moment_model.predict_structure(AseAtomsAdaptor.get_structure(frame), task="em")["m"]
        frame.calc = SinglePointCalculator(frame, **results, magmoms=np.round(np.ravel(moments), 3))
        write(out, frame, format="extxyz", append=True)
        print(frame.info["config"], frame.info["kind"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    first, second = steps.add_parser("draw"), steps.add_parser("calculate")
    first.add_argument("model", choices=("mace", "chgnet", "cpainn"))
    first.add_argument("weights", type=Path)
    first.add_argument("--seed", type=int, required=True)
    first.add_argument("--configurations", type=int, default=130)
    second.add_argument("drawn", type=Path)
    for step in (first, second):
        step.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if args.step == "draw":
        draw(args.model, args.weights, args.seed, args.configurations, args.out)
    else:
        calculate(args.drawn, args.out)


if __name__ == "__main__":
    main()
