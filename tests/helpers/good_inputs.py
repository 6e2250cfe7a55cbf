"""Input files that are good, and the files they name."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import read, write
from ruamel.yaml import YAML

from .paths import ROOT

SODIUM = {"element": "Na", "species": {"Na+": 1, "Va": 0}}
IRON = {"element": "Fe", "species": {"Fe2+": 2, "Fe3+": {"charge": 3, "proxy": "Ga"}}}
LATTICE = {
    "structure": "good.cif",
    "sublattices": [SODIUM, IRON],
    "spectators": {"P": 5, "O": -2},
    "supercell": [1, 2, 1],
}
SECTION = """\
output: out
lattice:
  structure: structure.cif
  sublattices:
    - {element: Na, species: {Na+: 1, Va: 0}}
    - {element: Fe, species: {Fe2+: 2, Fe3+: {charge: 3, proxy: Ga}}}
  spectators: {P: 5, O: -2}
"""
TYPED: dict[str, Any] = {
    "title": "typed in",
    "seed": 7,
    "output": "out",
    "lattice": LATTICE,
    "energy": {
        "electrostatics": {"charges": {"Na+": 0.3, "Fe2+": -0.3}, "dielectric": 1.5},
        "points": [{"species": "Na+", "energy_eV": -4.0}],
        "pairs": [
            {"species": ["Na+", "Fe2+"], "r_A": [0, 3.9], "energy_eV": -0.03},
            {"species": ["Na+", "Na+"], "r_A": [0, 4.0], "energy_eV": 0.015},
        ],
    },
    "sampling": {
        "ensemble": "auto",
        "temperature_K": [300, 600],
        "rungs": 8,
        "chemical_potential_eV": {"Na+": {"min": -4.4, "max": -3.6, "points": 5}},
        "vcsgc": {"kappa": "auto", "points": "auto"},
        "walkers": 2,
        "sweeps": {"equilibrate": "auto", "measure": 200},
        "exchange_every": 5,
        "moves": {"swap": 0.5, "neutral_exchange": 0.5, "near_exchange": 0.1},
        "refine": {"temperatures": 2, "tolerance_K": 2.0},
        "second_supercell": [1, 1, 1],
        "walltime_s": 100.0,
    },
    "ground_states": {"enumerate_up_to": 1, "anneal_up_to": 2, "supercells": 2, "searches": 1},
    "analysis": {"reference_energy_eV": {"Na": -1.3}, "compositions": 9, "entropy_compositions": 3, "beside": "other"},
}
FITTED: dict[str, Any] = {
    "output": "out",
    "lattice": LATTICE,
    "energy": {
        "cluster_expansion": {
            "dataset": "good.extxyz",
            "cutoffs_A": [3.5],
            "fit": {"method": "ridge", "validation": "3-fold"},
        }
    },
    "sampling": {"temperature_K": [300, 600]},
}
TRAINED: dict[str, Any] = {
    "output": "out",
    "lattice": {**LATTICE, "supercell": [1, 1, 1]},
    "training": {
        "dataset": ["good.extxyz"],
        "split": {"validation": 0.1, "test": 0.2},
        "potentials": [
            {"name": "a", "model": "cpainn", "epochs": 3, "settings": {"width": 8}, "weights": {"energy": 1.0, "forces": 2.0}},
            {"name": "b", "model": "chgnet", "charge_aware": False, "learning_rate": 0.01, "minutes": 2.0},
        ],
    },
    "evaluation": {"reference": "good.extxyz", "orders": 5, "supercells": [[1, 1, 1], [[1, 0, 0], [0, 1, 1], [0, 0, 2]]]},
}
LEARNED: dict[str, Any] = {
    "output": "out",
    "lattice": {**LATTICE, "supercell": [1, 1, 1]},
    "energy": {"cluster_expansion": {"cutoffs_A": [3.5]}},
    "potential": {"model": "ase.calculators.emt.EMT", "options": {}},
    "relaxation": {
        "largest_force_eV_per_A": 0.05,
        "steps": 10,
        "cell_lengths_A": {0: [9.96, 5.95, 4.86], 1: [10.51, 6.31, 5.02]},
    },
    "label": {
        "configurations": 5,
        "supercells": [[1, 1, 1], [1, 2, 1]],
        "learning": {"rounds": 2, "labels": 2, "supercell": [1, 1, 1], "sweeps": 10, "tolerance_eV": 0.01},
    },
    "sampling": {"temperature_K": [300, 600]},
    "correction": {"supercell": [1, 1, 1], "methods": ["corrected", "enumerated"], "walkers": 2, "proposals": 5},
}
SMOL: dict[str, Any] = {
    "output": "out",
    "lattice": {
        "structure": "layered.cif",
        "sublattices": [
            {"element": "Co", "species": {"Co3+": 3, "Co4+": 4}},
            {"element": "Na", "species": {"Na+": 1, "Va": 0}},
        ],
        "spectators": {"O": -2},
        "supercell": [2, 2, 1],
    },
    "energy": {"cluster_expansion": {"model": "smol.json"}},
    "sampling": {"temperature_K": [300]},
}
DOCUMENTS = {"typed": TYPED, "fitted": FITTED, "trained": TRAINED, "learned": LEARNED, "smol": SMOL}


def write_good_files(folder: Path) -> None:
    """What the documents name: structures, a small data set, an expansion of smol."""
    shutil.copy(ROOT / "inputs/structures/NaFePO4.cif", folder / "good.cif")
    cells = [c for c in read(ROOT / "inputs/nafepo4/labelled.extxyz", ":") if len(c) <= 28]
    write(folder / "good.extxyz", cells[:14], format="extxyz")
    smol = ROOT / "tests/data/importers/smol_layered"
    shutil.copy(smol.with_suffix(".json"), folder / "smol.json")
    known = json.loads(smol.with_suffix(".energies.json").read_text())
    write(folder / "layered.cif", Atoms(known["symbols"], positions=known["positions"], cell=known["cell"], pbc=True))


def as_yaml(document: Any) -> bytes:
    """Of anything, also of what YAML can hold and no input may."""
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, stream)
    return stream.getvalue().encode("utf-8", "surrogatepass")
