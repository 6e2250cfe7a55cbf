"""One interface to all potentials: energy, forces, stress and, if available, moments of a charge-labelled structure."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from ..crystal.lattice import bare_copy
from ..errors import RedoxError
from .architecture import architecture
from .labels import Labels
from .weights import Weights, read_weights


@dataclass(frozen=True)
class Prediction:
    """Results for one structure.

    energy_eV: of the cell. forces_eV_per_A (atoms, 3). stress_eV_per_A3 (3, 3), sign as in ASE. moments_muB (atoms,) or None.
    """

    energy_eV: float
    forces_eV_per_A: NDArray[np.float64]
    stress_eV_per_A3: NDArray[np.float64]
    moments_muB: NDArray[np.float64] | None


class LabelledCalculator(Calculator):
    """An ASE calculator for labelled structures that calls another one, which knows proxies or only real elements.

    A calculator that knows only elements gets the labels as initial magnetic moments. A self-consistent calculation starts
    from these; a potential ignores them.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress", "magmoms"]

    def __init__(self, inner: Calculator, labels: Labels, knows_proxies: bool) -> None:
        super().__init__()
        self.inner, self.labels, self.knows_proxies = inner, labels, knows_proxies

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        seen = bare_copy(atoms) if self.knows_proxies else self._plain(atoms)
        wanted = [p for p in ("energy", "forces", "stress") if p in self.inner.implemented_properties]
        self.inner.calculate(seen, wanted, all_changes)
        found = self.inner.results
        self.results = {
            "energy": float(found["energy"]),
            "free_energy": float(found["energy"]),
            "forces": np.asarray(found["forces"], float),
        }
        if "stress" in found:
            stress = np.asarray(found["stress"], float)
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress) if stress.shape == (3, 3) else stress
        if found.get("magmoms") is not None:
            self.results["magmoms"] = np.ravel(np.asarray(found["magmoms"], float))

    def _plain(self, atoms: Atoms) -> Atoms:
        plain = self.labels.unlabelled(atoms)
        moments = self.labels.moments(atoms)
        if moments.any():
            plain.set_initial_magnetic_moments(moments)
        return plain


def predict(calculator: LabelledCalculator, labelled: Atoms) -> Prediction:
    """Results of a potential for a labelled structure. Raises RedoxError if the potential has no stress."""
    calculator.calculate(labelled)
    found = calculator.results
    if "stress" not in found:
        raise RedoxError("this calculator has no stress, so it cannot relax cells")
    return Prediction(found["energy"], found["forces"], voigt_6_to_full_3x3_stress(found["stress"]), found.get("magmoms"))


def load_potential(
    model: str, file: Path | None, labels: Labels, charge_aware: bool = True, options: dict[str, Any] | None = None
) -> LabelledCalculator:
    """The calculator of a potential.

    model: mace, chgnet, cpainn, or the import path of an ASE calculator class or factory, which is called with `options`.
    Raises RedoxError if it cannot be imported or read, or if its weights lack a symbol of the labels.
    """
    if "." in model:
        return LabelledCalculator(_imported(model, options or {}), labels, knows_proxies=False)
    if model == "chgnet" and file is None and charge_aware:
        raise RedoxError("potential: the published chgnet does not know charges; allowed: charge_aware: false, or a file")
    weights = read_weights(file, model) if file is not None else None
    if weights is not None and weights.charge_aware != charge_aware:
        kind = {True: "charge-aware", False: "charge-blind"}
        raise RedoxError(f"{file}: found {kind[weights.charge_aware]} weights, but the input says {kind[charge_aware]}")
    if weights is not None:
        needed = {s if charge_aware else labels.element(s) for s in labels.ions}
        if missing := sorted(needed - set(weights.symbols)):
            raise RedoxError(f"{file}: needs {', '.join(missing)}, but was trained only on {', '.join(weights.symbols)}")
    try:
        return LabelledCalculator(calculator_of(model, weights, file), labels, charge_aware)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RedoxError(f"{file}: damaged weights: {type(error).__name__}: {str(error).splitlines()[0]}") from None


def calculator_of(model: str, weights: Weights | None, file: Path | None = None) -> Calculator:
    """ASE calculator of one of our architectures; without `weights`, `file` is a checkpoint of the original package."""
    return architecture(model).calculator(weights, file)


def _imported(path: str, options: dict[str, Any]) -> Calculator:
    module, _, name = path.rpartition(".")
    try:
        factory = getattr(import_module(module), name)
    except Exception as error:  # importing a module can raise anything
        raise RedoxError(f"potential: cannot import {path}: {error}; install it, or correct the path") from None
    try:
        made = factory(**options)
    except Exception as error:  # and so can a constructor
        raise RedoxError(f"potential: {path} with {options}: {type(error).__name__}: {error}") from None
    if not hasattr(made, "calculate"):
        raise RedoxError(f"potential: {path} makes a {type(made).__name__}; allowed: an ASE calculator")
    return made
