"""The loss of training and its reference: energies, forces, stresses, magnetic moments and Bader charges."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from ...input.schema import LossWeightsInput
from ..moments import sizes_muB


@dataclass(frozen=True)
class Target:
    """Reference results of a frame; unknown values are NaN.

    energy_eV: of the cell. forces (atoms, 3), eV/A. stress (3, 3), eV/A^3. moments (atoms,): sizes, Bohr magnetons.
    bader (atoms,): Bader charges, e.
    """

    energy_eV: float
    forces: NDArray[np.float32]
    stress: NDArray[np.float32]
    moments: NDArray[np.float32]
    bader: NDArray[np.float32]


def target(frame: Atoms) -> Target:
    """Reference results attached to a frame, which must have energy and forces."""
    results = frame.calc.results if frame.calc is not None else {}
    unknown = np.full(len(frame), np.nan, np.float32)
    moments = results.get("magmoms")
    stress = frame.get_stress(voigt=False) if "stress" in results else np.full((3, 3), np.nan)
    return Target(
        frame.get_potential_energy(),
        frame.get_forces().astype(np.float32),
        stress.astype(np.float32),
        sizes_muB(moments).astype(np.float32) if moments is not None else unknown,
        np.asarray(frame.arrays.get("bader", unknown), np.float32),
    )


def reference_energies(frames: list[Atoms], residual_eV: NDArray[np.float64]) -> dict[str, float]:
    """Energy per symbol whose sum over the atoms is closest to `residual_eV` (frames,): least squares of least norm."""
    symbols = sorted({s for f in frames for s in f.get_chemical_symbols()})
    counts = np.array([[f.get_chemical_symbols().count(s) for s in symbols] for f in frames], float)
    energies: list[float] = np.linalg.lstsq(counts, residual_eV, rcond=1e-8)[0].tolist()
    return dict(zip(symbols, energies))


def loss_and_errors(
    found: dict[str, torch.Tensor], targets: list[Target], weights: LossWeightsInput
) -> tuple[torch.Tensor, NDArray[np.float64]]:
    """The loss of a batch, and sums (6,): |dE| per atom and number of frames, |dF| and components, |dS| and components."""
    dtype, device = found["energy"].dtype, found["energy"].device

    def tensor(values: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values), dtype=dtype, device=device)

    sizes = tensor([len(t.forces) for t in targets])
    energy = (found["energy"] - tensor([t.energy_eV for t in targets])) / sizes
    forces = found["forces"] - tensor(np.concatenate([t.forces for t in targets]))
    stress = _known(found["stress"], tensor(np.stack([t.stress for t in targets])))
    loss = (
        weights.energy * energy.square().mean() + weights.forces * forces.square().mean() + weights.stress * _mean_square(stress)
    )
    for key, values in (("moments", [t.moments for t in targets]), ("bader", [t.bader for t in targets])):
        if key in found:
            known = _known(found[key].abs() if key == "moments" else found[key], tensor(np.concatenate(values)))
            loss = loss + weights.moments * _mean_square(known)
    sums = [part for v in (energy, forces, stress) for part in (float(v.detach().abs().sum()), v.numel())]
    return loss, np.array(sums, float)


def _known(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Differences where the reference is known."""
    known = ~torch.isnan(wanted)
    return found[known] - wanted[known]


def _mean_square(differences: torch.Tensor) -> torch.Tensor:
    """0 if nothing is known."""
    return differences.square().sum() / max(differences.numel(), 1)
