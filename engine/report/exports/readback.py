"""The database as pycalphad reads it: its energies and its two-phase regions. Needs the extra `calphad`."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .calphad import CalphadModel
from .tdb import constituents, phase_name

Float = NDArray[np.float64]


def pycalphad_energy_J_per_mol(path: Path, model: CalphadModel, temperature_K: float, x: Float) -> Float:
    """Gibbs energy of a mole of formula units at x (n,). Raises ImportError without pycalphad."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pycalphad import Database, calculate

        database = Database(str(path))
        components = sorted({"VA", model.sublattices.ion.element.upper(), model.sublattices.reduced.element.upper()})
        found = calculate(
            database, components, [phase_name(model)], T=temperature_K, P=101325, N=1, points=_site_fractions(model, x)
        )
    atoms = x + model.sublattices.redox_sites
    return np.asarray(found.GM.values, float).reshape(-1) * atoms


def _site_fractions(model: CalphadModel, x: Float) -> Float:
    """(n, constituents) in pycalphad's order: by sublattice, then by name."""
    ion, reduced = model.sublattices.site_fractions(x)
    columns = []
    for names, fraction in zip(constituents(model), (ion, reduced, np.ones_like(x))):
        values = dict(zip(names, (fraction, 1 - fraction)))
        columns += [values[name] for name in sorted(values)]
    return np.column_stack(columns)
