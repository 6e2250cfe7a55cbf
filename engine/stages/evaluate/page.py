"""The evaluation as tables on the screen, figures, and a page."""

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table as Printed

from ...potentials.training.curve import read_curve
from ...report.figures.style import PALETTE, SERIES, legend_above, one_column, save_figures, side_by_side
from ...report.page import Content, Table, write_page

log = logging.getLogger("redoxmc")
ACCURACY = (
    "potential",
    "energy (meV/atom)",
    "force (meV/Å)",
    "stress (meV/Å³)",
    "formation energy (meV/fu)",
    "hull, mean / largest (meV/fu)",
)
KEPT = ("potential", "labels", "kept by bond lengths", "kept by moments", "single electrons and holes, by bond lengths")


def write_evaluation(record: dict[str, Any], folder: Path, title: str) -> None:
    """Print the table; figures and evaluation.html in the output folder."""
    tables = tables_of(record)
    for heading, columns, rows in tables:
        table = Printed(*columns, title=heading, title_justify="left", box=None, padding=(0, 1))
        for row in rows:
            table.add_row(*row)
        Console(width=150, highlight=False).print(table, "")
    captions = save_figures(_figures(record, folder), folder / "figures")
    content = Content(
        title=title or "Potentials",
        summary=_summary(record),
        limitations=_limitations(record),
        no_limitations="Every relaxation converged and every potential kept at least 99 % of the charge labels.",
        tables=[Table(*table) for table in tables],
        facts=[("prepared orders", str(record["orders"]))],
        input=json.dumps({n: p["model"] for n, p in record["potentials"].items()}),
        numbers="evaluation.json",
    )
    write_page(folder / "evaluation.html", captions, "evaluation", content)


def tables_of(record: dict[str, Any]) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """(heading, columns, rows) of everything that is printed."""
    found = record["potentials"].items()
    tables = [
        ("Mean absolute errors, held-out configurations; formation energies and hull against the reference", ACCURACY,
         [(name, *_errors(p), *_against_reference(p)) for name, p in found]),
        ("Charge order kept in relaxation, with 95 % Wilson intervals", KEPT, [(name, *_kept(p)) for name, p in found]),
    ]  # fmt: skip
    if with_hull := [(name, p["reference"]["hull"]) for name, p in found if "reference" in p]:
        corners = [("reference", _corners(with_hull[0][1], "reference")), *((n, _corners(h, "found")) for n, h in with_hull)]
        tables.append(("Compositions on the hull of lowest energies", ("potential", "x"), corners))
    ranks = [
        (name, f"{s['x']:.3f}", str(s["orders"]), f"{s['spearman']:.3f}")
        for name, p in found
        for s in p.get("reference", {}).get("ranks", [])
    ]
    if ranks:
        tables.append(
            (
                "Charge orders at one ion arrangement: rank correlation with the reference",
                ("potential", "x", "orders", "Spearman"),
                ranks,
            )
        )
    return tables


def _errors(p: dict[str, Any]) -> tuple[str, ...]:
    held_out = p["held_out"]
    if not held_out:
        return ("-", "-", "-")
    keys = ("energy_mae_eV_per_atom", "forces_mae_eV_per_A", "stress_mae_eV_per_A3")
    return tuple("-" if held_out[k] is None else f"{1e3 * held_out[k]:.1f}" for k in keys)


def _kept(p: dict[str, Any]) -> tuple[str, ...]:
    r = p["retention"]
    shares = [r["bond_lengths"], r["moments"], r["dilute"]["bond_lengths"]]
    texts = [f"{100 * s['share']:.2f} % [{100 * s['low']:.2f}, {100 * s['high']:.2f}]" if s["labels"] else "-" for s in shares]
    return str(shares[0]["labels"]), *texts[:2], f"{texts[2]} of {shares[2]['labels']}"


def _against_reference(p: dict[str, Any]) -> tuple[str, str]:
    r = p.get("reference")
    if not r:
        return "-", "-"
    hull = r["hull"]
    return (
        f"{1e3 * r['formation_energy_mae_eV']:.1f}",
        f"{1e3 * hull['mean_deviation_eV']:.1f} / {1e3 * hull['largest_deviation_eV']:.1f}",
    )


def _corners(hull: dict[str, Any], whose: str) -> str:
    return ", ".join(f"{x:.3f}" for x, on in zip(hull["x"], hull[f"on_hull_{whose}"]) if on)


def _summary(record: dict[str, Any]) -> str:
    return (
        f"{len(record['potentials'])} potentials; {record['orders']} prepared charge orders relaxed with each. "
        "Kept: the share of redox ions whose relaxed surroundings show the prepared charge, by the order of their bond lengths "
        "and by CHGNet's moments on the same structure, with 95 % Wilson intervals."
    )


def _limitations(record: dict[str, Any]) -> list[str]:
    found = []
    for name, p in record["potentials"].items():
        r = p["retention"]
        if r["bond_lengths"]["labels"] and r["bond_lengths"]["share"] < 0.99:
            found.append(f"{name} loses {100 * (1 - r['bond_lengths']['share']):.1f} % of the charge labels in relaxation.")
        if r["failed_relaxations"]:
            found.append(f"{name}: {r['failed_relaxations']} of {r['orders']} relaxations did not converge or left the lattice.")
    return found


Drawing = tuple[Callable[[], Figure | None], str]


def _figures(record: dict[str, Any], folder: Path) -> dict[str, Drawing]:
    return {
        "retention": (
            partial(_retention, record),
            "Share of prepared charge labels that survive relaxation; bars: 95 % Wilson intervals.",
        ),
        "held_out": (partial(_held_out, record), "Mean absolute errors on configurations that no training saw."),
        "hull": (
            partial(_hull, record),
            "Lower hull of relaxed formation energies, points at its corners; "
            "black: the reference, same configurations; dashed: charge-blind.",
        ),
        "formation_energies": (
            partial(_formation, record),
            "Formation energies of the same configurations: potential against reference.",
        ),
        "charge_order_ranks": (
            partial(_ranks, record),
            "Energies of charge orders at one ion arrangement, from the mean of each series.",
        ),
        "learning_curves": (partial(_curves, record, folder), "Validation errors along training."),
    }


def _retention(record: dict[str, Any]) -> Figure:
    figure, axes = one_column()
    for k, p in enumerate(record["potentials"].values()):
        for offset, judge, colour in ((-0.2, "bond_lengths", PALETTE[0]), (0.2, "moments", PALETTE[1])):
            s = p["retention"][judge]
            if s["share"] is None:
                continue
            bar = [[100 * (s["share"] - s["low"])], [100 * (s["high"] - s["share"])]]
            axes.bar(
                k + offset,
                100 * s["share"],
                0.38,
                color=colour,
                yerr=bar,
                capsize=2,
                label=judge.replace("_", " ") if k == 0 else None,
            )
    lowest = min([p["retention"][j]["low"] or 0 for p in record["potentials"].values() for j in ("bond_lengths", "moments")])
    axes.set_ylim(max(0, 10 * np.floor(10 * lowest) - 10), 102)
    axes.set_xticks(range(len(record["potentials"])), list(record["potentials"]), rotation=20, ha="right")
    axes.set_ylabel("labels kept (%)")
    legend_above(figure)
    return figure


def _held_out(record: dict[str, Any]) -> Figure | None:
    found = {n: p["held_out"] for n, p in record["potentials"].items() if p["held_out"]}
    if not found:
        return None
    figure, panels = side_by_side(3)
    keys = {
        "energy_mae_eV_per_atom": "energy (meV/atom)",
        "forces_mae_eV_per_A": "force (meV/Å)",
        "stress_mae_eV_per_A3": "stress (meV/Å³)",
    }
    for axes, (key, label) in zip(panels[0], keys.items()):
        axes.bar(
            range(len(found)),
            [1e3 * (e[key] or np.nan) for e in found.values()],
            color=[SERIES[k % len(SERIES)] for k in range(len(found))],
        )
        axes.set_xticks(range(len(found)), list(found), rotation=60, ha="right")
        axes.set_ylabel(label)
    return figure


def _with_reference(record: dict[str, Any]) -> dict[str, Any]:
    return {n: p["reference"] for n, p in record["potentials"].items() if "reference" in p}


def _hull(record: dict[str, Any]) -> Figure | None:
    if not (found := _with_reference(record)):
        return None
    figure, axes = one_column(2.8)
    first = next(iter(found.values()))["hull"]
    axes.plot(
        first["x"], 1e3 * np.array(first["reference_eV"]), "k-o", lw=1.8, label="reference", markevery=_on(first, "reference")
    )
    for k, (name, p) in enumerate(found.items()):
        h, style = p["hull"], "-" if record["potentials"][name]["charge_aware"] else "--"
        axes.plot(
            h["x"],
            1e3 * np.array(h["found_eV"]),
            style,
            marker="o",
            color=SERIES[k % len(SERIES)],
            label=name,
            markevery=_on(h, "found"),
        )
    axes.set(xlabel="x (ions per formula unit)", ylabel="formation energy (meV/fu)")
    legend_above(figure)
    return figure


def _on(hull: dict[str, Any], whose: str) -> list[int]:
    return np.flatnonzero(hull[f"on_hull_{whose}"]).tolist()


def _formation(record: dict[str, Any]) -> Figure | None:
    if not (found := _with_reference(record)):
        return None
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure, grid = side_by_side(columns, 2.5 * rows, rows=rows)
    wanted = 1e3 * np.array(record["reference"]["formation_energy_eV"])
    for axes, (name, p) in zip(grid.flat, found.items()):
        values = np.array([np.nan if v is None else 1e3 * v for v in p["formation_energy_eV"]])
        points = axes.scatter(wanted, values, c=record["reference"]["x"], cmap="viridis", s=6)
        low, high = np.nanmin([wanted, values]), np.nanmax([wanted, values])
        axes.plot([low, high], [low, high], "k-", lw=0.8)
        axes.set_title(f"{name}: MAE {1e3 * p['formation_energy_mae_eV']:.1f} meV/fu")
        axes.set(xlabel="reference (meV/fu)", ylabel="potential (meV/fu)")
    for axes in list(grid.flat)[len(found) :]:
        axes.axis("off")
    figure.colorbar(points, ax=grid, label="x")
    return figure


def _ranks(record: dict[str, Any]) -> Figure | None:
    found = {n: p for n, p in _with_reference(record).items() if p["ranks"]}
    if not found:
        return None
    compositions = sorted({s["x"] for p in found.values() for s in p["ranks"]})
    figure, panels = side_by_side(len(compositions), 3.2)
    wanted = 1e3 * np.array(record["reference"]["formation_energy_eV"])
    for k, (name, p) in enumerate(found.items()):
        values = np.array([np.nan if v is None else 1e3 * v for v in p["formation_energy_eV"]])
        for s in p["ranks"]:
            axes, rows = panels[0][compositions.index(s["x"])], s["rows"]
            axes.plot(
                wanted[rows] - wanted[rows].mean(),
                values[rows] - values[rows].mean(),
                ".",
                color=SERIES[k % len(SERIES)],
                label=f"{name}: {s['spearman']:.2f} ({s['orders']})",
            )
            axes.set(xlabel=f"reference at x = {s['x']:.3f} (meV/fu)", ylabel="potential (meV/fu)")
    for axes in panels[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.3)
    return figure


def _curves(record: dict[str, Any], folder: Path) -> Figure | None:
    curves = {n: read_curve(p) for n in record["potentials"] if (p := folder / "potentials" / n / "curve.csv").exists()}
    if not curves:
        return None
    figure, panels = side_by_side(2)
    for axes, key, label in zip(
        panels[0], ("energy_mae_eV_per_atom", "forces_mae_eV_per_A"), ("energy MAE (meV/atom)", "force MAE (meV/Å)")
    ):
        for k, (name, curve) in enumerate(curves.items()):
            axes.semilogy(curve["epoch"], 1e3 * curve[key], color=SERIES[k % len(SERIES)], label=name)
        axes.set(xlabel="epoch", ylabel=label)
    legend_above(figure)
    return figure
