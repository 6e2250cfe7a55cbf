"""Outputs of Quantum ESPRESSO and FHI-aims in the layout that ASE reads, as short as it allows."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.units import Bohr, Ry

BANDS = [
    "     End of self-consistent calculation",
    "",
    "     Number of k-points >= 100: set verbosity='high' to print the bands.",
    "",
]
BFGS_ENDS = "     bfgs converged in   {n} scf cycles and   {n} bfgs steps\n     End of BFGS Geometry Optimization\n"


def write_espresso(
    path: Path, frames: list[Atoms], relaxes: bool = False, end: str = "", failed: tuple[int, ...] = (), spin: bool = True
) -> None:
    """Steps of pw.x. failed: steps that did not converge, which have no energy. Two tables of moments are printed per step."""
    first, a = frames[0], float(frames[0].cell.lengths()[0])
    kinds = sorted(set(first.symbols))
    lines = [
        "     Program PWSCF v.7.2 starts on  1Jan2024 at  0: 0: 0 ",
        f"     number of atoms/cell      = {len(first):12d}",
        f"     number of atomic types    = {len(kinds):12d}",
        f"     celldm(1)= {a / Bohr:10.6f}  celldm(2)=   0.000000  celldm(3)=   0.000000",
        "     crystal axes: (cart. coord. in units of alat)",
        *(f"               a({k + 1}) = ( {v[0]:10.6f} {v[1]:10.6f} {v[2]:10.6f} )" for k, v in enumerate(first.cell.array / a)),
        "     site n.     atom                  positions (alat units)",
        *(
            f"{k + 1:10d}           {s:2s}  tau({k + 1:4d}) = ( {x[0]:11.7f} {x[1]:11.7f} {x[2]:11.7f}  )"
            for k, (s, x) in enumerate(zip(first.symbols, first.positions / a))
        ),
        "     BFGS Geometry Optimization" * relaxes,
    ]
    for k, frame in enumerate(frames):
        if k:
            lines += ["ATOMIC_POSITIONS (angstrom)"]
            lines += [f"{s:2s} {x[0]:.10f} {x[1]:.10f} {x[2]:.10f}" for s, x in zip(frame.symbols, frame.positions)] + [""]
        lines += _espresso_step(frame, k in failed)
    end += "     total magnetization       =     8.00 Bohr mag/cell\n" * spin
    path.write_text("\n".join(lines) + "\n" + end + "     JOB DONE.\n")


def _espresso_step(frame: Atoms, failed: bool) -> list[str]:
    moments, forces = frame.get_magnetic_moments(), frame.get_forces() / (Ry / Bohr)
    tables = [_espresso_moments(m) for m in (np.full(len(frame), 9.0), moments)]
    if failed:
        return [
            *tables[0],
            *BANDS,
            "     convergence NOT achieved after 100 iterations: stopping",
        ]
    return [
        *tables[0], *tables[1], *BANDS,
        f"!    total energy              = {frame.get_potential_energy() / Ry:16.8f} Ry",
        "     convergence has been achieved in  12 iterations", "",
        "     Forces acting on atoms (cartesian axes, Ry/au):", "",
        *(f"     atom {k + 1:4d} type  1   force = {f[0]:13.8f} {f[1]:13.8f} {f[2]:13.8f}" for k, f in enumerate(forces)), "",
    ]  # fmt: skip


def _espresso_moments(moments: np.ndarray) -> list[str]:
    rows = [f"     atom {k + 1:3d} (R=0.357)  charge=  7.1234  magn={m:9.4f}" for k, m in enumerate(moments)]
    return ["     Magnetic moment per site  (integrated on atomic sphere of radius R)", *rows, ""]


def write_aims(path: Path, frame: Atoms, converged: bool = True, complete: bool = True, spin: bool = True) -> None:
    """A single point of FHI-aims."""
    lines = [
        "          Invoking FHI-aims ...",
        f"  | Number of atoms                   : {len(frame):8d}",
        f"  | Number of spin channels           :        {1 + spin}",
        "  | Number of k-points             :         1",
        "  | Number of Kohn-Sham states (occupied + empty):       10",
        "  The structure contains       10 atoms,  and a total of        100.000 electrons.",
        "  Occupation type: Gaussian broadening, width =   0.100000E-01 eV.",
        "  | Unit cell:",
        *(f"  |  {v[0]:15.8f} {v[1]:15.8f} {v[2]:15.8f}" for v in frame.cell.array),
        "  | Atomic structure:",
        "  |       Atom                x [A]            y [A]            z [A]",
        *(
            f"  | {k + 1:4d}: Species {s:2s}    {x[0]:15.8f} {x[1]:15.8f} {x[2]:15.8f}"
            for k, (s, x) in enumerate(zip(frame.symbols, frame.positions))
        ),
        "          Begin self-consistency loop: Initialization.",
        "          Begin self-consistency iteration #    1",
        "  Self-consistency cycle converged." if converged else "  Self-consistency cycle not yet converged.",
        f"  | Electronic free energy        : {frame.get_potential_energy():24.15E} eV",
        "  Total atomic forces (unitary forces cleaned) [eV/Ang]:",
        *(f"  | {k + 1:4d} {f[0]:24.15E} {f[1]:24.15E} {f[2]:24.15E}" for k, f in enumerate(frame.get_forces())),
        "",
        *(["          Have a nice day.", "-" * 60] if complete else []),
    ]
    path.write_text("\n".join(lines) + "\n")
