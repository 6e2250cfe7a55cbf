"""Cluster expansions of smol: the JSON of a ClusterExpansion (its as_dict), alone or in a file of smol.io.save_work.

L. Barroso-Luque et al., J. Open Source Softw. 7, 4504 (2022). For each orbit the file holds the sites of one cluster, the
symmetry operations, the values of the point functions, and the sets of functions that share a coefficient.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from ...crystal.lattice import VACANCY, Lattice
from ...errors import RedoxError
from ..cell_mapping import CellMapping
from ..electrostatics import fixed_charges
from ..imported import ImportedExpansion
from ..terms import Cluster, Hamiltonian, merged
from .alignment import FileCrystal, FileSpecies, align, columns, symmetry_order

Float = NDArray[np.float64]


def from_smol(document: dict[str, Any], lattice: Lattice) -> ImportedExpansion:
    """An expansion of smol, whose property is the energy in eV per cell of the file, as energies of clusters.

    A correlation function of smol is the mean over all clusters of an orbit, and over the sets of point functions that are
    equivalent by symmetry. Raises RedoxError if the crystal differs or a term is unknown, and KeyError, IndexError or
    TypeError if the file has another layout.
    """
    expansion = _expansion(document)
    subspace = expansion["cluster_subspace"]
    if subspace["@class"] != "ClusterSubspace":
        raise RedoxError(f"found a {subspace['@class']}; allowed: an expansion over a ClusterSubspace")
    crystal = _crystal(subspace["structure"])
    mapping, cell = align(crystal, lattice)
    if len(subspace["symops"]) != symmetry_order(cell):
        raise RedoxError(f"found {len(subspace['symops'])} symmetry operations; allowed: all {symmetry_order(cell)} of its sites")
    orbits = [orbit for _, group in sorted(subspace["orbits"].items(), key=lambda item: int(item[0])) for orbit in group]
    n_functions = 1 + sum(len(orbit["_bit_combos"]) for orbit in orbits) + len(subspace["external_terms"])
    if len(expansion["coefs"]) != n_functions:
        raise RedoxError(f"found {len(expansion['coefs'])} coefficients for {n_functions} correlation functions")
    coefficients = iter(expansion["coefs"])
    constant = next(coefficients) * mapping.n_cells
    clusters: list[Cluster] = []
    for orbit in orbits:
        taken = [next(coefficients) for _ in orbit["_bit_combos"]]
        clusters += _orbit_clusters(orbit, taken, mapping)
    short_range = Hamiltonian(lattice, merged(clusters), constant)
    if not subspace["external_terms"]:
        return ImportedExpansion(short_range, n_functions)
    _check_ewald(subspace["external_terms"], crystal, lattice)
    dielectric = 1 / next(coefficients)
    charges = {sp.name: float(sp.charge) for sp in lattice.species}
    spectators = {element: float(charge) for element, charge in lattice.spectators.items()}
    return ImportedExpansion(
        short_range + fixed_charges(lattice, charges, spectators, dielectric), n_functions, charges, dielectric
    )


def _expansion(document: dict[str, Any]) -> dict[str, Any]:
    for candidate in (document, document.get("ClusterExpansion")):
        if isinstance(candidate, dict) and candidate.get("@class") == "ClusterExpansion":
            return candidate
    raise RedoxError("found JSON without a ClusterExpansion of smol; allowed: save_work(file, expansion)")


def _crystal(structure: dict[str, Any]) -> FileCrystal:
    sites = structure["sites"]
    return FileCrystal(
        np.array(structure["lattice"]["matrix"], np.float64),
        np.array([site["abc"] for site in sites], np.float64),
        tuple(tuple(_site_species(site["species"])) for site in sites),
    )


def _site_species(species: list[dict[str, Any]]) -> list[FileSpecies]:
    """Species of a site; if their occupations do not add up to 1, the rest is the vacancy."""
    found = [FileSpecies(sp["element"], sp.get("oxidation_state")) for sp in species]
    return found + [FileSpecies(VACANCY, 0)] * (sum(sp["occu"] for sp in species) < 0.99)


def _space_species(composition: dict[str, float]) -> list[FileSpecies]:
    """Species in the order of smol's point functions: by electronegativity, as pymatgen sorts them; the vacancy is last."""
    parsed = sorted(Composition(composition).items())
    found = [FileSpecies(sp.symbol, getattr(sp, "oxi_state", None)) for sp, _ in parsed]
    return found + [FileSpecies(VACANCY, 0)] * (sum(amount for _, amount in parsed) < 0.99)


def _orbit_clusters(orbit: dict[str, Any], coefficients: list[float], mapping: CellMapping) -> Iterator[Cluster]:
    """Clusters of an orbit, one for each symmetry operation: together these reach every cluster equally often."""
    functions = [np.array(basis["func_array"], np.float64)[1:] for basis in orbit["site_bases"]]
    theirs = [_space_species(basis["site_space"]["composition"]) for basis in orbit["site_bases"]]
    sites = np.array(orbit["sites"], np.float64)
    lattice = mapping.lattice
    ours = [lattice.sublattices[lattice.site_sublattice[mapping.site(x)[0]]].species for x in sites]
    values = [f[:, columns(a, b)] for f, a, b in zip(functions, ours, theirs)]
    energies = sum(
        coefficient * np.mean([reduce(np.multiply.outer, [v[k] for v, k in zip(values, combo)]) for combo in combos], axis=0)
        for coefficient, combos in zip(coefficients, orbit["_bit_combos"])
    )
    operations = [np.array(operation["matrix"], np.float64) for operation in orbit["structure_symops"]]
    for m in operations:
        for copy in mapping.copies(sites @ m[:3, :3].T + m[:3, 3]):
            yield Cluster(copy, np.asarray(energies) / len(operations))


def _check_ewald(terms: list[dict[str, Any]], crystal: FileCrystal, lattice: Lattice) -> None:
    """The only external term that is supported is the Ewald energy of all formal charges, times an inverse dielectric constant.

    Raises RedoxError for another one, or if an atom has no oxidation state.
    """
    if [(term["@class"], term.get("use_term")) for term in terms] != [("EwaldTerm", "total")]:
        found = ", ".join(f"{term['@class']} {term.get('use_term', '')}".strip() for term in terms)
        raise RedoxError(f"found the external terms {found}; allowed: one EwaldTerm, total")
    species = [sp for site in crystal.species for sp in site]
    if any(sp.charge is None for sp in species) or not set(lattice.spectators) <= {sp.symbol for sp in species}:
        raise RedoxError("found an EwaldTerm and atoms without oxidation state; allowed: each atom of the structure with its own")
