"""Tables of the energies: the fit, its rounds of learning, the ground states, sampling with the potential itself."""

from typing import Any

import numpy as np

from ..runtime.results import Group
from ..units import fraction
from .page import Table


def fit_tables(fit: dict[str, Any] | None) -> list[Table]:
    if not fit:
        return []
    rows = [
        ["cells, parameters (nonzero)", f"{fit['n_cells']}, {fit['n_parameters']} ({fit['n_nonzero']})"],
        ["error of the fit", f"{1e3 * fit['rmse_eV']:.2f} meV/fu"],
        [
            f"validation error, {len(fit['fold_rmse_eV'])}-fold",
            f"{1e3 * fit['validation_rmse_eV']:.2f} ± {1e3 * fit['validation_spread_eV']:.2f} meV/fu (spread over folds)",
        ],
    ]
    if "verdict" in fit:
        rows += [["depth of the hull", f"{1e3 * fit['hull_depth_eV']:.1f} meV/fu"], ["verdict", str(fit["verdict"])]]
    tables = [Table("Cluster expansion", ["", ""], rows)]
    if "composition" in fit:
        by_x = zip(fit["composition"], fit["composition_cells"], fit["composition_rmse_eV"])
        rows = [[f"{x:.3f}", str(n), f"{1e3 * e:.1f}"] for x, n, e in by_x]
        tables.append(Table("Validation error by composition", ["x", "cells", "error (meV/fu)"], rows))
    return tables


def learning_tables(fit: dict[str, Any] | None) -> list[Table]:
    """The rounds: how many labels, what they cost, what they were worth."""
    if not fit or "learning" not in fit:
        return []
    columns = ["labels", "kept", "hours of one core", "validation (meV/fu)", "worst T and x (meV/fu)", "F by the couplings (meV/fu)",
               "F moved (meV/fu)", "boundaries by the couplings (x)", "boundaries moved (x)", "chosen for the next"]  # fmt: skip
    rows = [
        [
            str(r["labels"]), str(r["kept"]), f"{r['hours']:.2f}", f"{1e3 * r['validation_rmse_eV']:.1f}",
            f"{1e3 * r['worst_error_eV']:.1f}", f"± {1e3 * r['band_eV']:.1f}", _known(r["moved_eV"], "{:.1f}", 1e3),
            _known(r["band_x"], "± {:.3f}"), _known(r["moved_x"], "{:.3f}"), ", ".join(f"{n} {why}" for why, n in r["why"].items()),
        ]
        for r in fit["learning"]["rounds"]
    ]  # fmt: skip
    return [Table(f"Active learning: {fit['learning']['finished']}", columns, rows)]


def _known(value: float | None, form: str, scale: float = 1.0) -> str:
    return "–" if value is None else form.format(scale * value)


def ground_state_tables(groups: dict[str, Group]) -> list[Table]:
    if "ground_states" not in groups:
        return []
    group = groups["ground_states"]
    columns = ["x", "formation energy (meV/fu)", "smallest supercell (cells)", "how found"]
    rows = [
        [
            fraction(group["x"][k]),
            f"{1e3 * group['formation_energy_eV'][k]:.2f}",
            str(group["supercell"][k].tolist()),
            "all states listed" if group["listed"][k] else f"annealed; {group['searches_agreeing'][k]} annealings met it",
        ]
        for k in np.flatnonzero(group["on_hull"])
    ]
    return [Table("Ground states: the corners of the hull", columns, rows)]


def correction_tables(groups: dict[str, Group]) -> list[Table]:
    """What sampling with the potential cost."""
    if "corrected" not in groups:
        return []
    group, tables = groups["corrected"], []
    columns = [
        "T (K)",
        "moves in a proposal",
        "acceptance",
        "calls",
        "effective samples",
        "calls each",
        "closure (meV/fu)",
        "trusted",
    ]
    ways = {"": "Sampling with the potential, the expansion proposing", "direct_": "Sampling with the potential, move by move"}
    for prefix, title in ways.items():
        if f"{prefix}ess" in group:
            rows = [_cost(group, prefix, k) for k in range(len(group["temperature_K"]))]
            tables.append(Table(f"{title} ({group.attributes['n_formula_units']} formula units)", columns, rows))
    return tables


def _cost(group: Group, prefix: str, k: int) -> list[str]:
    stretch, acceptance, calls, ess, closure, trusted = (
        group[f"{prefix}{name}"][k] for name in ("stretch", "acceptance", "potential_calls", "ess", "closure_eV", "trusted")
    )
    return [
        f"{group['temperature_K'][k]:g}", f"{stretch:g}", f"{acceptance:.2f}", f"{calls}", f"{ess:.0f}", f"{calls / ess:.1f}",
        f"{1e3 * closure:+.2f}", "yes" if trusted else "no",
    ]  # fmt: skip
