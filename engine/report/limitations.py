"""What a reader should not believe, in plain words, the gravest first; and the run in two sentences."""

import json
from typing import Any

import numpy as np

from ..runtime.results import Group, Results

SOUND_SHARE = 0.95  # of the compositions at a temperature that must be trusted for it to be called so
LARGEST_HYSTERESIS_MEV = 1.0
LEAST_EXCHANGE = 0.05


def distrust(results: Results, fit: dict[str, Any] | None) -> list[str]:
    """Energies first, then free energies, the diagram, what the analysis noted on its way, and the chains."""
    groups = results.groups
    found = [str(fit["verdict"])] if fit and not fit.get("trusted", True) else []
    if "canonical" in groups:
        found += _free_energies(groups["canonical"])
    if "phase_diagram" in groups:
        found.append("Phase diagram: " + str(groups["phase_diagram"].attributes["not_resolved"]))
    found += [_sentence(note) for note in json.loads(str(results.attributes.get("notes", "[]")))]
    for name in ("vcsgc", "semigrand", "fixed_composition"):
        if name in groups and not (good := groups[name]["trusted"]).all():
            found.append(
                f"{np.sum(~good)} of {good.size} replicas of /{name} are too short or have not forgotten their start (R-hat, effective sample size)."
            )
    return found + _exchange(groups["exchange"])


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:] + ("" if note.endswith(".") else ".")


def _free_energies(canonical: Group) -> list[str]:
    found, trusted = [], canonical["trusted"].mean(axis=1)
    if (bad := trusted < SOUND_SHARE).any():
        rows = ", ".join(f"{t:.4g} K ({share:.0%})" for t, share in zip(canonical["temperature_K"][bad], trusted[bad]))
        found.append(
            f"Free energies, and all that follows from them, are trusted at only part of the compositions at {rows}. Do not rely on what the "
            "figures hatch, dot or draw open there: longer chains are needed."
        )
    gap = np.nanmax(np.abs(canonical["free_energy_up_eV"] - canonical["free_energy_down_eV"]), initial=0) * 1e3
    if gap > LARGEST_HYSTERESIS_MEV:
        found.append(f"Walkers started at low and at high x differ by up to {gap:.2f} meV/fu in F: hysteresis.")
    return found


def _exchange(exchange: Group) -> list[str]:
    along_t, along_x = (exchange["acceptance"][exchange["axis"] == axis] for axis in ("temperature", "composition"))
    if not len(along_t) or np.median(along_t) >= LEAST_EXCHANGE:
        return []
    text = f"Replicas hardly exchange along temperature (median acceptance {np.median(along_t):.1%}): the temperatures lie too far apart; give more rungs, or rungs: auto"
    return [f"{text}; along composition they do." if len(along_x) and np.median(along_x) > LEAST_EXCHANGE else f"{text}."]


def summary(results: Results) -> str:
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
