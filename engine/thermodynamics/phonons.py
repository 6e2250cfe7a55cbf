"""Vibrational free energies of structures from phonopy, and their fit over composition."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ..crystal.lattice import VACANCY, Lattice
from ..errors import RedoxError

Float = NDArray[np.float64]
KJ_PER_MOL_OF_EV = 96.48533212  # e N_A of the SI of 2019
MOST_ORDER = 3
FEWEST_TEMPERATURES = 4
GAMMA_ACOUSTIC = 3  # modes of zero frequency, which phonopy omits


@dataclass(frozen=True)
class Phonons:
    """F_vib of one structure: temperature_K (t,), free_energy_eV (t,) per formula unit; imaginary: it has imaginary modes."""

    name: str
    x: float
    temperature_K: Float
    free_energy_eV: Float
    imaginary: bool


@dataclass(frozen=True)
class Fit:
    """A polynomial in x at every temperature, as its values free_energy_eV (t, order + 1) at order + 1 compositions.

    residual_eV (t,): standard error of the fit, from the dependence on the arrangement; nan: as many coefficients as
    structures. left_out_eV (t,): root mean square error for structures left out one by one; nan: none can be left out.
    imaginary: names of the structures with imaginary modes.
    """

    temperature_K: Float
    x: Float
    free_energy_eV: Float
    n_structures: int
    residual_eV: Float
    left_out_eV: Float
    imaginary: tuple[str, ...]

    @property
    def order(self) -> int:
        return len(self.x) - 1

    def note(self, temperatures_K: Float) -> str:
        """A note for the report, with the errors at some temperatures."""

        def sizes(values: Float) -> str:
            return ", ".join(f"{1e3 * np.interp(t, self.temperature_K, values):.2f} at {t:g} K" for t in temperatures_K)

        text = f"vibrations are a polynomial of order {self.order} in x through the phonons of {self.n_structures} structures; "
        text += "the dependence on the arrangement is neglected"
        text += f", rms meV/fu: {sizes(self.residual_eV)}" if np.isfinite(self.residual_eV).all() else "; its size is not known"
        if np.isfinite(self.left_out_eV).all():
            text += f"; error for structures left out: {sizes(self.left_out_eV)}"
        if self.imaginary:
            text += f"; imaginary modes are missing in {', '.join(self.imaginary)}"
        return text


def read_phonons(path: Path, x: float, lattice: Lattice, ion: str) -> Phonons:
    """Read thermal_properties.yaml of phonopy, for a primitive cell of `natom` atoms. Raises RedoxError with what is wrong."""
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        units, n_atoms = [data["unit"][key] for key in ("temperature", "free_energy")], int(data["natom"])
        modes, counted = (int(data.get(key, 0)) for key in ("num_modes", "num_integrated_modes"))
        rows = np.array([[row["temperature"], row["free_energy"]] for row in data["thermal_properties"]], float).reshape(-1, 2)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise RedoxError(f"cannot read {path}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise RedoxError(f"{path}: no thermal_properties.yaml of phonopy: {error}") from None
    if units != ["K", "kJ/mol"]:
        raise RedoxError(f"{path}: found the units {units[0]} and {units[1]}; allowed: K and kJ/mol")
    if len(rows) < FEWEST_TEMPERATURES or not np.isfinite(rows).all() or (np.diff(rows[:, 0]) <= 0).any():
        raise RedoxError(f"{path}: free energies at {FEWEST_TEMPERATURES} or more ascending temperatures are needed")
    n_fu = n_atoms / atoms_per_formula_unit(x, lattice, ion)
    if round(n_fu) < 1 or abs(n_fu - round(n_fu)) > 1e-6:
        raise RedoxError(f"{path}: {n_atoms} atoms (natom) are no whole number of formula units at x = {x:g}")
    imaginary = modes - counted > GAMMA_ACOUSTIC
    return Phonons(f"{path.parent.name}/{path.name}", x, rows[:, 0], rows[:, 1] / KJ_PER_MOL_OF_EV / round(n_fu), imaginary)


def atoms_per_formula_unit(x: float, lattice: Lattice, ion: str) -> float:
    """Atoms per formula unit at x. Raises RedoxError where x does not determine how many sites are vacant."""
    vacant = [VACANCY in (sp.name for sp in s.species) for s in lattice.sublattices]
    if any(v and {sp.name for sp in s.species} != {ion, VACANCY} for v, s in zip(vacant, lattice.sublattices)):
        raise RedoxError(
            f"x does not determine how many atoms a formula unit has, as not only {ion} leaves vacancies; give a table"
        )
    sites = lattice.sites_per_sublattice[vacant].sum()
    return float((len(lattice.atoms) - sites) / lattice.n_formula_units + (x if sites else 0.0))


def fit_phonons(structures: list[Phonons]) -> Fit:
    """Fit a polynomial of the order, at most MOST_ORDER, that best predicts structures left out, over all temperatures.

    Raises RedoxError if the temperatures differ or there is only one composition.
    """
    x = np.array([s.x for s in structures])
    if len(np.unique(x)) < 2:
        raise RedoxError(f"found structures at {len(np.unique(x))} compositions; allowed: at least 2")
    temperature = structures[0].temperature_K
    for s in structures:
        if not np.array_equal(s.temperature_K, temperature):
            raise RedoxError(f"the temperatures of {s.name} are not those of {structures[0].name}")
    values = np.array([s.free_energy_eV for s in structures]).T
    orders = range(1, max(min(MOST_ORDER, len(np.unique(x)) - 2), 1) + 1)
    left_out = {order: _left_out(x, values, order) for order in orders}
    best = min(orders, key=lambda order: float((left_out[order] ** 2).sum()) if np.isfinite(left_out[order]).all() else np.inf)
    nodes = np.linspace(x.min(), x.max(), best + 1)
    hat = np.linalg.pinv(np.vander(x, best + 1))
    residual = values - values @ (np.vander(x, best + 1) @ hat).T
    free = len(x) - best - 1
    error = np.sqrt((residual**2).sum(axis=1) / free) if free else np.full(len(temperature), np.nan)
    imaginary = tuple(s.name for s in structures if s.imaginary)
    fitted = values @ (np.vander(nodes, best + 1) @ hat).T
    return Fit(temperature, nodes, fitted, len(x), error, left_out[best], imaginary)


def _left_out(x: Float, values: Float, order: int) -> Float:
    """Root mean square error (t,) of predicting each structure from the others; nan if one cannot be predicted."""
    design = np.vander(x, order + 1)
    hat = design @ np.linalg.pinv(design)
    leverage = np.diag(hat)
    if (leverage > 1 - 1e-9).any():
        return np.full(len(values), np.nan)
    return np.sqrt((((values - values @ hat.T) / (1 - leverage)) ** 2).mean(axis=1))
