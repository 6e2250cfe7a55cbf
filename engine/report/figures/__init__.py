"""Figures from results.h5 and fit.json alone, sized for the columns of a journal; PNG and SVG."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ...runtime.results import Group, Results
from .correction import correction
from .couplings import couplings
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
from .diagram import phase_diagram, phase_diagrams
from .health import fit_quality, sampling_health
from .hysteresis import hysteresis
from .learning import learning_curve
from .order import dilute_limits, order_parameters, short_range_order, solubility
from .style import save_figures


def draw_all(results: Results, fit: dict[str, Any] | None, folder: Path) -> dict[str, str]:
    """Draw every figure that there is data for; returns name -> caption in the order of the report."""
    return save_figures({n: (partial(draw, results.groups, fit), caption) for n, (draw, caption) in FIGURES.items()}, folder)


Draw = Callable[[dict[str, Group], dict[str, Any] | None], Figure | None]
FIGURES: dict[str, tuple[Draw, str]] = {
    "phase_diagram": (
        phase_diagram,
        "Incoherent phase diagram. Two-phase regions are shaded, with the errors of their boundaries as bands; small ticks: temperatures that were sampled, where boundaries have points; open or hatched: not trusted. Numbers: single phases, as in the table. Invariant points that 90 % of the resamples show are black, open where not trusted. Dotted lines: a region is lost to sight where they begin, too low for a cell of this size, and ends somewhere along them. Small dots: where F of the cell loses its convexity. Dashed: a smaller cell. Experiments: full symbols are boundaries, open ones single phases, half-filled ones two phases; a bar is an error or the range that is stated.",
    ),
    "phase_diagrams": (
        phase_diagrams,
        "Incoherent phase diagrams of this run and of the one that it is compared with, drawn alike.",
    ),
    "couplings": (
        couplings,
        "What the labels leave open: mixing free energy (left) and boundaries (right) with bands of one standard deviation over couplings fitted to labels drawn with replacement, to first order; bars: of the temperatures at which regions close or meet. What the expansion cannot express is not in them.",
    ),
    "hysteresis": (
        hysteresis,
        "Energy of short chains at fixed composition, heated, less that of the same chains cooled, with one standard error; points: more than the errors.",
    ),
    "mixing_free_energy": (
        mixing_free_energy,
        "Free energy above the line between the ends, with two standard errors, and its lower convex hull (dashed). Dotted: not trusted, here and in the figures over x below.",
    ),
    "mixing_enthalpy": (
        mixing_enthalpy,
        "Enthalpy of mixing, at no pressure the energy above the line between the ends, with two standard errors.",
    ),
    "ground_states": (
        ground_states,
        "The hull at T = 0: lowest energy above the line between the ends, for each composition of each supercell that was searched.",
    ),
    "scans": (
        scans,
        "One fast scan up (dotted) and one down (dashed) in x at each temperature, not closed: where they part, phases form or vanish with hysteresis. The result (solid) comes from chains cooled from infinite temperature.",
    ),
    "isotherms": (
        isotherms,
        "Composition against chemical potential: points from semigrand chains, with one standard error, open where not trusted; lines are the derivative of the free energy.",
    ),
    "voltage": (
        voltage,
        "Equilibrium voltage from the hull of the free energy, with two standard errors; plateaus are two-phase regions.",
    ),
    "differential_capacity": (
        differential_capacity,
        "Charge that goes in per volt, with two standard errors, broadened by 5 mV: peaks are plateaus, of a height that the broadening sets. Dotted: not trusted.",
    ),
    "entropy_coefficient": (
        entropy_coefficient,
        "Temperature coefficient of the voltage between neighbouring temperatures, with two standard errors; the entropy of the metal is not in it.",
    ),
    "entropy": (entropy, "Joint entropy of ions and electrons, with two standard errors."),
    "entropy_split": (
        entropy_split,
        "The entropy split by the chain rule into that of the ions and that of the electrons; dashed: of the electrons with the ions frozen. Bands: two standard errors.",
    ),
    "correction": (
        correction,
        "Free energy of the potential itself in a small cell, above the line between its ends, with two standard errors: the expansion proposing and the potential deciding, the potential deciding about every single move, samples of the expansion reweighted, and all states where they were relaxed one by one.",
    ),
    "learning_curve": (
        learning_curve,
        "What every round of labels was worth: errors of the arrangements that the expansion of the round visits in the supercells that are labelled, the validation error, the couplings' share in the free energy; and how much of the two-phase regions, in the plane of T and x, either round has alone.",
    ),
    "fit_quality": (
        fit_quality,
        "Predicted against reference energies (left), and the hulls of data and fit over the data cells (right).",
    ),
    "sampling_health": (
        sampling_health,
        "Are the chains long enough, and do replicas exchange? A cell of a map is one replica; crosses: not trusted.",
    ),
    "order": (
        order_parameters,
        "Order parameter of the strongest waves; marked where long-range order is recognised, by its wave vector. A bar: one long wave across the cell, that is two phases, or two domains of an order, side by side.",
    ),
    "short_range_order": (
        short_range_order,
        "Warren-Cowley parameters of nearest neighbours at the lowest and the highest temperature, with two standard errors; above zero the two species seek each other.",
    ),
    "dilute": (
        dilute_limits,
        "One ion with its electron in the empty host, one vacancy with its hole in the full one: energies by distance, exact (left), and how often they are nearest neighbours (right).",
    ),
    "solubility": (
        solubility,
        "Limits of solubility at both ends, logarithmic, with one standard error; open: not trusted, triangle: less than the error of the end itself.",
    ),
}
