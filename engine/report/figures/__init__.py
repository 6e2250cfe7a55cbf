"""Figures from results.h5 and fit.json alone, one or two journal columns wide; PNG and SVG."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ...runtime.results import Results
from .convergence import convergence, fit_quality
from .correction import correction
from .curves import (
    differential_capacity,
    entropy,
    entropy_coefficient,
    entropy_split,
    ground_states,
    isotherms,
    mixing_enthalpy,
    mixing_free_energy,
    scans,
    voltage,
)
from .diagnostics import phase_diagram_diagnostics
from .diagram import phase_diagram, phase_diagrams
from .fit_uncertainty import fit_uncertainty
from .hysteresis import hysteresis
from .learning import learning_curve
from .order import dilute_limits, order_parameters, short_range_order, solubility
from .style import save_figures


def draw_all(results: Results, fit: dict[str, Any] | None, folder: Path) -> dict[str, str]:
    """Draw every figure for which there are data; return name -> caption in the order of the report."""
    return save_figures({n: (partial(draw, results, fit), caption) for n, (draw, caption) in FIGURES.items()}, folder)


Draw = Callable[[Results, dict[str, Any] | None], Figure | None]
FIGURES: dict[str, tuple[Draw, str]] = {
    "phase_diagram": (
        phase_diagram,
        "Incoherent phase diagram. Shaded with tie lines: two phases. Full lines: first-order boundaries; dashed: continuous "
        "transitions; circles: single transitions. Bands: one standard error. Between its last point and a critical point a "
        "boundary is a power law. A field that is open at its top or bottom is not resolved beyond. Names: single phases, as in "
        "the table. White parts without a name are not resolved. "
        "Experiments: filled symbols are boundaries, open ones single phases, half-filled ones two phases; a bar is an error or "
        "the stated range.",
    ),
    "phase_diagrams": (phase_diagrams, "Incoherent phase diagrams of this run and of the run that it is compared with."),
    "phase_diagram_diagnostics": (
        phase_diagram_diagnostics,
        "What the phase diagram rests on. Grey: not trusted. Points: boundaries with one standard error at the sampled "
        "temperatures (small ticks), and between them. Dotted curves: the second cell. Small dots: F of the cell loses its "
        "convexity. Squares: crossings of the cumulants of an order parameter. Black: invariant points that 90 % of the "
        "resamples show. Dotted vertical lines: a region is not resolved from their beginning on and ends somewhere along them.",
    ),
    "fit_uncertainty": (
        fit_uncertainty,
        "Fit uncertainty of the mixing free energy (left) and of the boundaries (right). Bands: one standard deviation "
        "over effective cluster interactions fitted to labels drawn with replacement, to first order. Bars: the same "
        "for invariant temperatures. Errors that the cluster expansion cannot express are not included.",
    ),
    "hysteresis": (
        hysteresis,
        "Energy of short chains at fixed composition on heating minus that on cooling, with one standard error. Points:"
        " the difference exceeds its error.",
    ),
    "mixing_free_energy": (
        mixing_free_energy,
        "Free energy above the line between the ends, with two standard errors, and its lower convex hull (dashed). "
        "Dotted: not trusted; likewise in the figures over x below.",
    ),
    "mixing_enthalpy": (
        mixing_enthalpy,
        "Enthalpy of mixing: at zero pressure, the energy above the line between the ends. Bands: two standard errors.",
    ),
    "ground_states": (
        ground_states,
        "Hull at T = 0: lowest energy above the line between the ends, for each composition of each supercell that was searched.",
    ),
    "scans": (
        scans,
        "One fast scan up (dotted) and one down (dashed) in x at each temperature, closure error included. Where they "
        "differ, phases form or vanish with hysteresis. The result (solid) comes from chains cooled from infinite "
        "temperature.",
    ),
    "isotherms": (
        isotherms,
        "Composition against chemical potential. Points: semigrand chains, with one standard error, open where not "
        "trusted. Lines: derivative of the free energy.",
    ),
    "voltage": (
        voltage,
        "Equilibrium voltage, with two standard errors. Plateaus are the two-phase regions of the phase diagram.",
    ),
    "differential_capacity": (
        differential_capacity,
        "Charge per volt, with two standard errors, broadened by 5 mV. Peaks are plateaus; the broadening determines "
        "their height. Dotted: not trusted.",
    ),
    "entropy_coefficient": (
        entropy_coefficient,
        "Temperature coefficient of the voltage between neighbouring temperatures, with two standard errors. The "
        "entropy of the metal is not included.",
    ),
    "entropy": (entropy, "Joint entropy of ions and electrons, with two standard errors."),
    "entropy_split": (
        entropy_split,
        "Entropy of the ions and of the electrons by the chain rule. Dashed: electrons with the ions frozen. Bands: two"
        " standard errors.",
    ),
    "correction": (
        correction,
        "Free energy of the potential in a small cell, above the line between its ends, with two standard errors, by "
        "each method: proposals by the cluster expansion that the potential accepts; single moves with the potential; "
        "reweighted samples of the expansion; all states, where they were enumerated.",
    ),
    "learning_curve": (
        learning_curve,
        "Left: errors after each round of labels, for states that the expansion of the round visits in the labelled "
        "supercells and in cross-validation, and the fit uncertainty of the free energy. Right: change and fit "
        "uncertainty of the two-phase regions, as mean width in x.",
    ),
    "fit_quality": (
        fit_quality,
        "Predicted against reference energies (left); hulls of data and fit over the data cells (right).",
    ),
    "convergence": (
        convergence,
        "Convergence of the chains and exchange of the replicas. Each cell of a map is one replica; crosses: not trusted.",
    ),
    "order": (
        order_parameters,
        "Order parameter of the strongest waves. Symbols: long-range order, by wave vector. Bars: one long wave across "
        "the cell, that is two phases or two domains of an order side by side.",
    ),
    "short_range_order": (
        short_range_order,
        "Warren-Cowley parameters of nearest neighbours at the lowest and the highest temperature, with two standard "
        "errors. Above zero the two species attract each other.",
    ),
    "dilute": (
        dilute_limits,
        "One ion with its electron in the empty host, and one vacancy with its hole in the full host: exact energies by"
        " distance (left), probability of nearest neighbours (right).",
    ),
    "solubility": (
        solubility,
        "Solubility limits at both ends on a logarithmic scale, with one standard error. Open: not trusted; triangle: "
        "below the error of the end itself.",
    ),
}
