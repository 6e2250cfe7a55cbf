"""Cluster expansions of CLEASE: the JSON files of its settings (settings.save) and of its ECIs (evaluate.save_eci).

J. H. Chang et al., J. Phys.: Condens. Matter 31, 325901 (2019). The settings hold cell, species, cutoffs and point functions, but
no clusters. The clusters are found again with the algorithm of CLEASE 1 (clease_figures), which defines the names of the ECIs.
"""

import re
from functools import reduce
from itertools import permutations, product
from typing import Any

import numpy as np
from ase.io.jsonio import decode
from numpy.typing import NDArray

from ...crystal.lattice import Lattice
from ...errors import RedoxError
from ..cell_mapping import CellMapping
from ..imported import ImportedExpansion
from ..terms import Cluster, Hamiltonian, merged
from .alignment import FileCrystal, FileSpecies, align
from .clease_figures import named_figures

Float = NDArray[np.float64]
NAME = re.compile(r"c0|(c1|c\d+_d\d{4,}_\d+)_(\d+)")


def from_clease(settings_text: str, ecis: dict[str, Any], lattice: Lattice) -> ImportedExpansion:
    """An expansion of CLEASE as energies of clusters.

    Its property is the energy in eV per atom of its cell; vacancies and background atoms count. A correlation function of
    CLEASE is the mean over all atoms, over all figures through each atom, and over the decorations that are equivalent by
    permutation of equivalent sites. Raises RedoxError if the crystal differs or an ECI has no cluster.
    """
    settings = decode(settings_text, always_array=False)
    if not isinstance(settings, dict) or settings.get("__clease_objtype__") != "ce_settings":
        raise RedoxError(
            "found no settings of CLEASE; allowed: settings: the file of settings.save, eci: that of evaluate.save_eci"
        )
    cell, bases = settings["prim_cell"], {basis[0]: basis for basis in settings["concentration"]["basis_elements"]}
    allowed = [bases[symbol] for symbol in cell.get_chemical_symbols()]
    fractional = cell.get_scaled_positions(wrap=False)
    species = tuple(tuple(FileSpecies(symbol) for symbol in basis) for basis in allowed)
    mapping, _ = align(FileCrystal(np.asarray(cell.cell), fractional, species), lattice)
    functions = _point_functions(settings["basis_func_type"])
    decorated = _by_cluster(ecis, len(next(iter(functions.values()))))
    taking_part = [k for k, basis in enumerate(allowed) if len(basis) > 1 or settings["include_background_atoms"]]
    figures = named_figures(np.asarray(cell.cell), cell.positions[taking_part], list(settings["max_cluster_dia"]))
    if unknown := sorted(set(decorated) - set(figures) - {"c0"}):
        raise RedoxError(f"found ECIs of {', '.join(unknown[:6])}; allowed, by the settings: {', '.join(figures)}")
    values = [_site_values(functions, basis, x, mapping) for basis, x in zip(allowed, fractional)]
    constant = len(allowed) * decorated.pop("c0", {}).get((), 0.0)
    clusters = []
    for name, decorations in decorated.items():
        for figure in figures[name]:
            members = [(taking_part[s], cell_) for s, cell_ in figure.members]
            on_sites = [values[s] for s, _ in members]
            products = [eci * _mean_product(on_sites, d, figure.site_class) for d, eci in decorations.items()]
            energies = np.sum(products, axis=0) * len(allowed) / len(figures[name])
            places = np.array([fractional[s] + c for s, c in members if values[s].ndim == 2])
            if len(places):
                clusters += [Cluster(sites, energies) for sites in mapping.copies(places)]
            else:
                constant += float(energies)
    return ImportedExpansion(Hamiltonian(lattice, merged(clusters), constant * mapping.n_cells), len(ecis))


def _by_cluster(ecis: dict[str, Any], n_functions: int) -> dict[str, dict[tuple[int, ...], float]]:
    """ECIs by cluster and decoration; a decoration is the index of the point function on each site of the cluster."""
    found: dict[str, dict[tuple[int, ...], float]] = {}
    for full_name, eci in ecis.items():
        match = NAME.fullmatch(full_name)
        decoration = tuple(int(digit) for digit in (match[2] or "")) if match else ()
        size = int(full_name.split("_")[0][1:]) if match else -1
        if len(decoration) != size or not isinstance(eci, int | float) or any(d >= n_functions for d in decoration):
            raise RedoxError(
                f"found the ECI {full_name}: {eci}; allowed: numbers under names such as c0, c1_0, c2_d0001_0_00, "
                f"with point functions 0 to {n_functions - 1}"
            )
        found.setdefault(full_name.removesuffix("_" + "".join(map(str, decoration))), {})[decoration] = float(eci)
    return found


def _point_functions(basis: dict[str, Any]) -> dict[str, Float]:
    """Values (functions,) of the point functions for each symbol. Raises RedoxError for an unknown basis."""
    symbols = sorted(basis["unique_elements"])
    n = len(symbols)
    if basis["name"] == "polynomial":
        values = _orthonormal_polynomials(n)
    elif basis["name"] == "trigonometric":
        angles = [2 * np.pi * ((k + 1) // 2) * np.arange(n) / n for k in range(1, n)]
        waves = np.array([-np.cos(a) if k % 2 else -np.sin(a) for k, a in enumerate(angles, start=1)])
        values = waves * np.sqrt(n / (waves**2).sum(axis=1, keepdims=True))
    elif basis["name"] == "binary_linear":
        values = np.eye(n)[[s != basis["redundant_element"] for s in symbols]]
    else:
        raise RedoxError(f"found the basis {basis['name']}; allowed: polynomial, trigonometric, binary_linear")
    return {symbol: values[:, k] for k, symbol in enumerate(symbols)}


def _orthonormal_polynomials(n: int) -> Float:
    """Values (n - 1, n): Gram-Schmidt on powers of the pseudospins ..., 2, -2, 1, -1 (largest first, and 0 if n is odd)."""
    spins = [float(sign * m) for m in range(n // 2, 0, -1) for sign in (1, -1)] + [0.0] * (n % 2)
    q, r = np.linalg.qr(np.vander(spins, n, increasing=True))
    return np.asarray((q * np.sign(np.diag(r)) * np.sqrt(n)).T[1:], np.float64)


def _site_values(functions: dict[str, Float], allowed: list[str], fractional: Float, mapping: CellMapping) -> Float:
    """Point functions of a site (functions, species), species ordered as in the lattice; (functions,) for a background atom."""
    if len(allowed) == 1:
        return functions.get(allowed[0], np.zeros(0))
    site, _ = mapping.site(fractional)
    species = mapping.lattice.sublattices[mapping.lattice.site_sublattice[site]].species
    return np.array([functions[sp.symbol] for sp in species]).T


def _mean_product(values: list[Float], decoration: tuple[int, ...], site_class: tuple[int, ...]) -> Float:
    alternatives = _equivalent(decoration, site_class)
    products = [reduce(np.multiply.outer, [v[f] for v, f in zip(values, d)]) for d in alternatives]
    return np.asarray(np.mean(products, axis=0))


def _equivalent(decoration: tuple[int, ...], site_class: tuple[int, ...]) -> set[tuple[int, ...]]:
    """All decorations that differ only by a permutation of equivalent sites."""
    groups = [[k for k, a in enumerate(site_class) if a == first] for first in sorted(set(site_class))]
    found = set()
    for shuffled in product(*(permutations(group) for group in groups)):
        order = dict(zip([k for group in groups for k in group], [k for group in shuffled for k in group]))
        found.add(tuple(decoration[order[k]] for k in range(len(decoration))))
    return found
