"""/voltage of results.h5: V = -(mu - E_ref)/e along the hull of F."""

import numpy as np
from numpy.typing import NDArray

from ..results import Group
from .hull import hull_values, lower_hull
from .isotherms import Isotherms, spread

Float = NDArray[np.float64]


def voltage_group(isotherms: Isotherms, reference_energy_eV: dict[str, float]) -> Group | None:
    """reference_energy_eV: per atom, by element; None if the ion's is not among them."""
    element = _ion_element(isotherms)
    reference = reference_energy_eV.get(element)
    if reference is None:
        return None
    group = Group()
    values, errors = [], []
    for rung, c in zip(isotherms.rungs, isotherms.curves):
        found = [_hull_slope(isotherms, isotherms.free_energy(i, rung)) for i in (c.all, *c.resampled)]
        values.append(reference - found[0])
        errors.append(spread(np.array(found[1:])))
    group.add("temperature_K", ("temperature_K",), isotherms.temperature_K, "K", "temperature")
    group.add("x", ("x",), isotherms.x_grid, "1", f"{isotherms.system.ion} per formula unit")
    words = f"equilibrium voltage against {element}, -(mu - E_ref)/e, from the hull of F"
    group.add("voltage_V", ("temperature_K", "x"), values, "V", words, errors)
    group.attributes["reference_energy_eV"] = reference
    group.attributes["reference"] = f"energy per atom of metallic {element}; its own entropy is not included"
    return group


def _ion_element(isotherms: Isotherms) -> str:
    system = isotherms.system
    return next(sp.element for s in system.lattice.sublattices for sp in s.species if sp.name == system.ion)


def _hull_slope(isotherms: Isotherms, f: Float) -> Float:
    x, grid = isotherms.x, isotherms.grid
    if not np.isfinite(f).all():
        return np.full(len(grid), np.nan)
    h = hull_values(x, f, lower_hull(x, f))
    half = max(isotherms.half_step, 1)
    low, high = np.maximum(grid - half, 0), np.minimum(grid + half, len(x) - 1)
    slope = (h[high] - h[low]) / (x[high] - x[low])
    slope[(grid == 0) | (grid == len(x) - 1)] = np.nan
    return slope
