"""Tables of the energies: fit, active learning, ground states, sampling with the potential."""

from typing import Any

import numpy as np

from ..runtime.results.corrected import Chain, Corrected
from ..runtime.results.ground_states import GroundStates
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
    tables = [Table("Cluster expansion", ["", ""], rows), *_data_set(fit)]
    if "composition" in fit:
        by_x = zip(fit["composition"], fit["composition_cells"], fit["composition_rmse_eV"])
        rows = [[f"{x:.3f}", str(n), f"{1e3 * e:.1f}"] for x, n, e in by_x]
        tables.append(Table("Validation error by composition", ["x", "cells", "error (meV/fu)"], rows))
    return tables


def _data_set(fit: dict[str, Any]) -> list[Table]:
    """The frames in short; dataset.csv has a row for each."""
    if not (found := fit.get("data_set")):  # of a fit by an older version
        return []
    (strain, strained), (shift_A, shifted) = found["largest_strain"], found["largest_shift_A"]
    rows = [["frames, used", f"{found['n_frames']}, {found['n_used']}"]]
    rows += [
        [f"left out: {n}", f"{reason} ({', '.join(names)}{', ...' if n > len(names) else ''})"]
        for n, reason, names in found["left_out"]
    ]
    if found["n_duplicates"]:
        spread = f"up to {1e3 * found['duplicate_spread_eV']:.2f} meV/fu above the lowest energy, which is kept"
        rows.append([f"duplicates merged: {found['n_duplicates']}", spread])
    rows += [["largest strain", f"{strain:.1%} ({strained})"], ["largest shift", f"{shift_A:.2f} Å ({shifted})"]]
    for name, error_eV, ratio in fit.get("outliers", []):
        rows.append(
            [f"outlier: {name}", f"leave-one-out error {1e3 * error_eV:+.1f} meV/fu, {ratio:.1f} times that of the others"]
        )
    return [Table("Data set", ["", ""], rows)]


def learning_tables(fit: dict[str, Any] | None) -> list[Table]:
    """Number, cost and effect of the labels of each round."""
    if not fit or "learning" not in fit:
        return []
    columns = [
        "labels",
        "kept",
        "core hours",
        "validation (meV/fu)",
        "largest error over T and x (meV/fu)",
        "fit uncertainty of F (meV/fu)",
        "change of F (meV/fu)",
        "fit uncertainty of boundaries (x)",
        "change of boundaries (x)",
        "chosen for the next round",
    ]
    rows = [
        [
            str(r["labels"]),
            str(r["kept"]),
            f"{r['hours']:.2f}",
            f"{1e3 * r['validation_rmse_eV']:.1f}",
            f"{1e3 * r['worst_error_eV']:.1f}",
            f"± {1e3 * r['band_eV']:.1f}",
            _known(r["moved_eV"], "{:.1f}", 1e3),
            _known(r["band_x"], "± {:.3f}"),
            _known(r["moved_x"], "{:.3f}"),
            ", ".join(f"{n} {why}" for why, n in r["why"].items()),
        ]
        for r in fit["learning"]["rounds"]
    ]
    return [Table(f"Active learning: {fit['learning']['finished']}", columns, rows)]


def _known(value: float | None, form: str, scale: float = 1.0) -> str:
    return "–" if value is None else form.format(scale * value)


def ground_state_tables(group: GroundStates | None) -> list[Table]:
    if group is None:
        return []
    columns = ["x", "formation energy (meV/fu)", "smallest supercell (cells)", "method"]
    rows = [
        [
            fraction(group.x[k]),
            f"{1e3 * group.formation_energy_eV[k]:.2f}",
            str(group.supercell[k].tolist()),
            "all states enumerated" if group.listed[k] else f"annealed; found by {group.searches_agreeing[k]} annealings",
        ]
        for k in np.flatnonzero(group.on_hull)
    ]
    return [Table("Ground states: corners of the hull", columns, rows)]


def correction_tables(group: Corrected | None) -> list[Table]:
    """Cost of sampling with the potential."""
    if group is None:
        return []
    columns = [
        "T (K)",
        "moves per proposal",
        "acceptance",
        "calls",
        "effective samples",
        "calls per effective sample",
        "closure (meV/fu)",
        "trusted",
    ]
    chains = {
        "Sampling with the potential, proposals by the cluster expansion": group.chain,
        "Sampling with the potential, single moves": group.direct,
    }
    return [
        Table(
            f"{title} ({group.n_formula_units} formula units)",
            columns,
            [_cost(chain, k, t) for k, t in enumerate(group.temperature_K)],
        )
        for title, chain in chains.items()
        if chain is not None
    ]


def _cost(chain: Chain, k: int, temperature_K: float) -> list[str]:
    calls, ess = chain.potential_calls[k], chain.ess[k]
    return [
        f"{temperature_K:g}",
        f"{chain.stretch[k]:g}",
        f"{chain.acceptance[k]:.2f}",
        f"{calls}",
        f"{ess:.0f}",
        f"{calls / ess:.1f}",
        f"{1e3 * chain.closure_eV[k]:+.2f}",
        "yes" if chain.trusted[k] else "no",
    ]
