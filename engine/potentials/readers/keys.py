"""Energies, forces and stresses under other names than ASE's, as in extxyz files and databases: REF_energy, virials, ..."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

PREFIXES = ("REF_", "ref_", "DFT_", "dft_")
OTHER_ENERGIES = ("Energy", "total_energy", "potential_energy")
SAME_EV = 1e-5  # of the cell: energies that differ by less are one
VIRIALS = ("virials", "virial")
MOMENTS = ("magmom", "magmoms", "magnetic_moments", "magnetic_moment")  # of the atoms, beside those that ASE knows


@dataclass(frozen=True)
class Found:
    """Results of a frame by ASE's names. energy_key: where the energy stands. problem: why they cannot be used, or None."""

    results: dict[str, Any]
    energy_key: str
    problem: str | None


def find_results(atoms: Atoms, results: dict[str, Any]) -> Found:
    """Energy, forces, stress and moments of a frame, of `results` or of the keys of its info and arrays.

    - An energy under another known name is taken if there is no `energy`. If both are there and differ, neither is.
    - A free energy is taken if there is no other.
    - Without a stress, it is -virial/volume; a virial is in eV.
    """
    stores = {**{k: np.asarray(v) for k, v in atoms.arrays.items()}, **atoms.info, **results}
    named = {k: float(stores[k]) for k in _energy_names() if _is_number(stores.get(k))}
    problem, key = None, "energy" if "energy" in named else next(iter(named), "")
    if len(named) > 1 and max(named.values()) - min(named.values()) > SAME_EV:
        problem = (
            "different energies: " + ", ".join(f"{k} = {v:.6f} eV" for k, v in named.items()) + "; keep the one that is meant"
        )
    if not key and _is_number(stores.get("free_energy")):
        named, key = {"free_energy": float(stores["free_energy"])}, "free_energy"
    if not key:
        return Found(_kept(results), "", _no_energy(stores))
    prefix = next((p for p in PREFIXES if key == f"{p}energy"), "")
    found = _kept(results) | {"energy": named[key]}
    if prefix and f"{prefix}forces" in stores:
        found["forces"] = np.asarray(stores[f"{prefix}forces"], float)
    moments = [stores[n] for p in dict.fromkeys((prefix, "")) for k in MOMENTS if np.ndim(stores.get(n := f"{p}{k}", 0.0)) > 0]
    if "magmoms" not in found and moments and len(moments[0]) == len(atoms):
        found["magmoms"] = np.asarray(moments[0], float)
    stress, wrong = _stress(stores, prefix, atoms)
    return Found(found | ({} if stress is None else {"stress": stress}), key, problem or wrong)


def known_keys() -> set[str]:
    """Keys of info that `find_results` reads; a copy of the frame does not need them."""
    return {*_energy_names(), "free_energy", *(f"{p}{k}" for p in ("", *PREFIXES) for k in (*VIRIALS, "stress"))} - {"energy"}


def _energy_names() -> tuple[str, ...]:
    return ("energy", *(f"{p}energy" for p in PREFIXES), *OTHER_ENERGIES)


def _is_number(value: Any) -> bool:
    return (
        np.ndim(value) == 0
        and isinstance(value, (int, float, np.number))
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


def _kept(results: dict[str, Any]) -> dict[str, Any]:
    return {k: results[k] for k in ("energy", "forces", "stress", "magmoms") if results.get(k) is not None}


def _no_energy(stores: dict[str, Any]) -> str:
    like = [k for k, v in stores.items() if _is_number(v) and ("energ" in k.lower() or k in ("E", "E0", "e0"))]
    found = (
        f"; found {', '.join(f'{k} = {stores[k]}' for k in like)}: name it energy if it is that of the cell in eV" if like else ""
    )
    return f"no energy{found}"


def _stress(stores: dict[str, Any], prefix: str, atoms: Atoms) -> tuple[NDArray[np.float64] | None, str | None]:
    """Stress in the order xx, yy, zz, yz, xz, xy (eV/A^3) and a problem."""
    stress = _voigt(stores.get(f"{prefix}stress", stores.get("stress")))
    given = next((f"{p}{k}" for p in dict.fromkeys((prefix, "")) for k in VIRIALS if f"{p}{k}" in stores), None)
    if given is None or atoms.cell.rank < 3:
        return stress, None
    if np.size(stores[given]) != 9:
        return stress, f"{given} has {np.size(stores[given])} numbers; allowed: 9"
    virial = _voigt(-np.asarray(stores[given], float) / atoms.get_volume())
    if stress is not None and virial is not None and not np.allclose(stress, virial, rtol=1e-3, atol=1e-5):
        return stress, f"stress and {given} do not agree: a stress in eV/A^3 is -virial/volume"
    return virial if stress is None else stress, None


def _voigt(values: Any) -> NDArray[np.float64] | None:
    if values is None or np.size(values) not in (6, 9):
        return None
    array = np.asarray(values, float)
    return array if array.size == 6 else full_3x3_to_voigt_6_stress(array.reshape(3, 3))
