"""report.html: one self-contained page, made from results.h5 and fit.json alone."""

import base64
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, select_autoescape

from .exports.write import write_exports
from .figures import draw_all
from .figures.order import draw_order
from .results import Group, Results, read_results
from .storage import write_text
from .thermodynamics.compare import transitions
from .thermodynamics.ground_states import fraction

log = logging.getLogger("redoxmc")

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="redoxmc-fingerprint" content="{{ mark }}">
<title>{{ title }} – RedoxMC</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; color: #1b1b1b; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; font-size: 1.25rem; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #444; font-size: .9rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; } td, th { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #eee; }
td:first-child, th:first-child { text-align: left; } pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: .8rem; }
.distrust { background: #fff4e5; border-left: 4px solid #d55e00; padding: .5rem 1rem; } .fine { background: #eef7f2; border-left: 4px solid #009e73; padding: .5rem 1rem; }
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ summary }}</p>
<h2>What to distrust</h2>
<div class="{{ 'distrust' if warnings else 'fine' }}">{% if warnings %}<ul>{% for w in warnings %}<li>{{ w }}</li>{% endfor %}</ul>
{% else %}<p>{{ all_fine }}</p>{% endif %}</div>
{% for name, caption, image in figures %}{% if loop.first %}<h2>Results</h2>{% endif %}
<figure><img alt="{{ caption }}" src="data:image/png;base64,{{ image }}"><figcaption>{{ caption }}</figcaption></figure>{% endfor %}
{% for heading, columns, rows in tables %}<h2>{{ heading }}</h2><div class="scroll"><table><tr>{% for c in columns %}<th>{{ c }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table></div>{% endfor %}
<h2>What was run</h2><div class="scroll"><table>{% for key, value in facts %}<tr><td>{{ key }}</td><td style="text-align:left">{{ value }}</td></tr>{% endfor %}</table></div>
<h2>Input</h2><pre>{{ input }}</pre>
<p>Numbers with their errors are in <code>{{ numbers }}</code>. To cite: see CITATION.cff of RedoxMC.</p>
</body></html>
"""


def write_report(results_path: Path, fit_path: Path, folder: Path) -> None:
    """Figures, exports and report.html; nothing to do if they were made from these results."""
    results = read_results(results_path)
    page = folder / "report.html"
    mark = str(results.attributes["fingerprint"])
    if page.exists() and f'content="{mark}"' in page.read_text(encoding="utf-8"):
        log.info("report: nothing has changed")
        return
    fit = json.loads(fit_path.read_text()) if fit_path.exists() else None
    captions = draw_all(results, fit, folder / "figures") | draw_order(results, folder / "figures")
    exports = write_exports(results, folder / "exports")
    write_page(
        page, captions, mark=mark, title=results.attributes.get("title") or "RedoxMC run", summary=_summary(results),
        warnings=distrust(results, fit), tables=_tables(results, fit), facts=[*_facts(results), ("exports/", exports)], input=results.attributes["input"],
        numbers="results.h5", all_fine="Nothing stood out: closure, R-hat, sample sizes and exchange are all in order.",
    )  # fmt: skip


def write_page(page: Path, captions: dict[str, str], **content: Any) -> None:
    """One self-contained page; captions: figures of the folder `figures` beside it, by name."""
    images = {n: base64.b64encode((page.parent / "figures" / f"{n}.png").read_bytes()).decode() for n in captions}
    template = Environment(autoescape=select_autoescape(default_for_string=True)).from_string(TEMPLATE)
    write_text(page, template.render(figures=[(n, c, images[n]) for n, c in captions.items()], **content))
    log.info("report: %s", page)


def distrust(results: Results, fit: dict[str, Any] | None) -> list[str]:
    """In plain words, what a reader should not believe."""
    groups, found = results.groups, []
    if fit and not fit.get("trusted", True):
        found.append(str(fit["verdict"]))
    for name in ("vcsgc", "semigrand", "fixed_composition"):
        if name in groups and not (good := groups[name]["trusted"]).all():
            found.append(
                f"{np.sum(~good)} of {good.size} replicas of /{name} are too short or have not forgotten their start (R-hat, effective sample size)."
            )
    if "canonical" in groups:
        canonical = groups["canonical"]
        if not (good := canonical["trusted"]).all():
            rows = [f"{t:g} K ({np.mean(~row):.0%})" for t, row in zip(canonical["temperature_K"], good) if not row.all()]
            found.append(
                "Free energies that are not trusted, by temperature and share of the compositions: " + ", ".join(rows) + "."
            )
        gap = np.nanmax(np.abs(canonical["free_energy_up_eV"] - canonical["free_energy_down_eV"]), initial=0) * 1e3
        if gap > 1:
            found.append(f"Walkers started at low and at high x differ by up to {gap:.2f} meV/fu in F: hysteresis.")
    exchange = groups["exchange"]
    along_t = exchange["acceptance"][exchange["axis"] == "temperature"]
    if len(along_t) and np.median(along_t) < 0.05:
        found.append(
            f"Replicas hardly exchange along temperature (median acceptance {np.median(along_t):.1%}): give more rungs, or rungs: auto; along composition they do."
            if _median(exchange, "composition") > 0.05
            else f"Replicas hardly exchange (median acceptance along temperature {np.median(along_t):.1%}): the temperatures lie too far apart; give more rungs, or rungs: auto."
        )
    found += json.loads(str(results.attributes.get("notes", "[]")))
    if "phase_diagram" in groups:
        found.append("Phase diagram: " + str(groups["phase_diagram"].attributes["not_resolved"]))
    return found


def _median(exchange: Any, axis: str) -> float:
    rates = exchange["acceptance"][exchange["axis"] == axis]
    return float(np.median(rates)) if len(rates) else 0.0


def _summary(results: Results) -> str:
    a = results.attributes
    text = f"{a['n_formula_units']} formula units; {a['attempted_moves']:.3g} attempted moves measured in {a['sweeps_measured']} sweeps with {a['walkers']} walkers per replica."
    if "phase_diagram" in results.groups:
        group = results.groups["phase_diagram"]
        counts = group["n_two_phase_regions"]
        if counts.any():
            names = ", ".join(str(n) for n in group["region_name"])
            text += f" Two-phase regions were found at {np.sum(counts > 0)} of {len(counts)} temperatures: {names}."
        else:
            text += " One phase at every composition and temperature looked at."
    return text


def _tables(results: Results, fit: dict[str, Any] | None) -> list[tuple[str, list[str], list[list[str]]]]:
    tables = []
    groups = results.groups
    if fit:
        rows = [
            ["cells, parameters (nonzero)", f"{fit['n_cells']}, {fit['n_parameters']} ({fit['n_nonzero']})"],
            ["error of the fit", f"{1e3 * fit['rmse_eV']:.2f} meV/fu"],
            [
                f"validation error, {len(fit['fold_rmse_eV'])}-fold",
                f"{1e3 * fit['validation_rmse_eV']:.2f} ± {1e3 * fit['validation_spread_eV']:.2f} meV/fu (spread over folds)",
            ],
        ]
        rows += (
            [["depth of the hull", f"{1e3 * fit['hull_depth_eV']:.1f} meV/fu"], ["verdict", fit["verdict"]]]
            if "verdict" in fit
            else []
        )
        tables.append(("Cluster expansion", ["", ""], rows))
        if "composition" in fit:
            rows = [
                [f"{x:.3f}", str(n), f"{1e3 * e:.1f}"]
                for x, n, e in zip(fit["composition"], fit["composition_cells"], fit["composition_rmse_eV"])
            ]
            tables.append(("Validation error by composition", ["x", "cells", "error (meV/fu)"], rows))
    if "canonical" in groups:
        c = groups["canonical"]
        rows = [
            [f"{t:g}", "yes" if asked else "", f"{1e3 * v:+.3f} ± {1e3 * e:.3f}", f"{good.mean():.0%}"]
            for t, asked, v, e, good in zip(c["temperature_K"], c["asked"], c["closure_eV"], c["closure_eV_error"], c["trusted"])
        ]
        tables.append(
            ("Closure of the free energy between the exact ends", ["T (K)", "asked for", "closure (meV/fu)", "trusted"], rows)
        )
    if "phase_diagram" in groups:
        g = groups["phase_diagram"]
        rows = []
        for k in np.flatnonzero(g["boundary_side"] == 0):
            rows.append(
                [
                    f"{g['boundary_temperature_K'][k]:g}",
                    *(f"{g['boundary_x'][i]:.4f} ± {g['boundary_x_error'][i]:.4f}" for i in (k, k + 1)),
                    f"{1e3 * g['boundary_height_eV'][k]:.3f}",
                ]
            )
        tables.append(("Two-phase boundaries", ["T (K)", "low x", "high x", "height of F (meV/fu)"], rows))
    if "ground_states" in groups:
        tables.append(_ground_states(groups["ground_states"]))
    tables += _transitions(groups)
    tables += _correction(groups)
    tables += _learning(fit)
    exchange = groups["exchange"]
    rows = []
    for axis in ("temperature", "composition"):
        rates = exchange["acceptance"][exchange["axis"] == axis]
        if len(rates):
            rows.append([axis, str(len(rates)), *(f"{v:.2f}" for v in (rates.min(), np.median(rates), rates.max()))])
    tables.append(("Acceptance of replica exchange", ["along", "pairs", "lowest", "median", "highest"], rows))
    return tables


def _learning(fit: dict[str, Any] | None) -> list[tuple[str, list[str], list[list[str]]]]:
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
    return [(f"Active learning: {fit['learning']['finished']}", columns, rows)]


def _known(value: float | None, form: str, scale: float = 1.0) -> str:
    return "–" if value is None else form.format(scale * value)


def _transitions(groups: dict[str, Group]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Invariant points, and how they differ in the smaller cell and in the run beside this one."""
    if "phase_diagram" not in groups:
        return []
    own, by_couplings = groups["phase_diagram"], "invariant_temperature_K_couplings"
    tables = [("Single-phase fields", ["", "name", "T (K)", "x"], _phases(own))]
    rows = [
        [
            str(own["invariant_kind"][k]),
            _with_error(own["invariant_temperature_K"][k], own["invariant_temperature_K_error"][k], 1),
            ", ".join(_with_error(x, e, 3) for x, e in zip(own["invariant_x"][k], own["invariant_x_error"][k]) if np.isfinite(x)),
            f"{own['invariant_found'][k]:.0%}",
            "yes" if own["invariant_trusted"][k] else "no",
            *([f"± {e:.0f}" if np.isfinite(e := own[by_couplings][k]) else "–"] if by_couplings in own else []),
        ]
        for k in np.argsort(own["invariant_temperature_K"])
    ]
    if rows:
        columns = ["kind", "T (K)", "x of the phases", "in resamples", "trusted"]
        tables.append(("Invariant points", columns + (["by the couplings (K)"] if by_couplings in own else []), rows))
    for name, title in (
        ("phase_diagram_second", "Transitions in the smaller cell"),
        ("phase_diagram_beside", "Transitions in the run beside"),
    ):
        if name in groups and (pairs := transitions(own, groups[name])):
            rows = [
                [
                    p.kind,
                    f"{p.x:.3f}",
                    *(_with_error(t, e, 1) for t, e in zip(p.temperature_K, p.error_K)),
                    _with_error(p.difference_K, p.difference_error_K, 1),
                ]
                for p in pairs
            ]
            tables.append(
                (
                    f"{title} ({groups[name].attributes['title']})",
                    ["kind", "x", "T here (K)", "T there (K)", "difference (K)"],
                    rows,
                )
            )
    return tables


def _correction(groups: dict[str, Group]) -> list[tuple[str, list[str], list[list[str]]]]:
    """What sampling with the potential cost."""
    if "corrected" not in groups:
        return []
    g, tables = groups["corrected"], []
    for prefix, title in (
        ("", "Sampling with the potential, the expansion proposing"),
        ("direct_", "Sampling with the potential, move by move"),
    ):
        if f"{prefix}ess" not in g:
            continue
        calls, ess = g[f"{prefix}potential_calls"], g[f"{prefix}ess"]
        rows = [
            [
                f"{t:g}",
                f"{g[f'{prefix}stretch'][k]:g}",
                f"{g[f'{prefix}acceptance'][k]:.2f}",
                f"{calls[k]}",
                f"{ess[k]:.0f}",
                f"{calls[k] / ess[k]:.1f}",
                f"{1e3 * g[f'{prefix}closure_eV'][k]:+.2f}",
                "yes" if g[f"{prefix}trusted"][k] else "no",
            ]
            for k, t in enumerate(g["temperature_K"])
        ]
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
        tables.append((f"{title} ({g.attributes['n_formula_units']} formula units)", columns, rows))
    return tables


def _phases(diagram: Group) -> list[list[str]]:
    rows = []
    for k, name in enumerate(diagram["phase_name"]):
        t, x = np.nonzero(diagram["phase_number"] == k)
        spans = [(diagram[axis][at].min(), diagram[axis][at].max()) for axis, at in (("sampled_temperature_K", t), ("x", x))]
        rows.append([str(k), str(name), f"{spans[0][0]:g} to {spans[0][1]:g}", f"{spans[1][0]:.3f} to {spans[1][1]:.3f}"])
    return rows


def _with_error(value: float, error: float, digits: int) -> str:
    return f"{value:.{digits}f} ± {error:.{digits}f}" if np.isfinite(value) else "–"


def _ground_states(group: Group) -> tuple[str, list[str], list[list[str]]]:
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
    return "Ground states: the corners of the hull", columns, rows


def _facts(results: Results) -> list[tuple[str, str]]:
    a = results.attributes
    keys = ("redoxmc_version", "git_commit", "seed", "moves", "fingerprint", "hamiltonian", "file_hashes", "packages")
    return [(k.replace("_", " "), str(a[k])) for k in keys if k in a]
