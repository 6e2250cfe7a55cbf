"""The split of the joint entropy by the chain rule, S(ions, electrons) = S(ions) + S(electrons | ions), and likewise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ...runtime.results import Group
from ...sampling.conditional_entropy_sampling import ConditionalEntropies
from ...sampling.ions_and_electrons import FreeSubsystem, Subsystem, free_subsystems
from .isotherms import Isotherms

Float = NDArray[np.float64]
FEW = 10  # states drawn, below which the scatter is taken together over all compositions
UNSETTLED_KB = 0.01  # entropy (k_B/fu) up to which the free half may miss the energy of the states drawn
SIGNIFICANCE = 3.0
ROUNDING_KB = 1e-6


@dataclass(frozen=True)
class Conditional:
    """Entropy (k_B/fu) of one half given the other at compositions x, with errors and whether the free half settled."""

    x: Float
    entropy_kB: Float
    error_kB: Float
    ideal_kB: Float
    trusted: NDArray[np.bool_]


def conditional(split: ConditionalEntropies, half: int, n_fu: int, beta: float) -> Conditional:
    """Averages over the states drawn.

    If the free half is in equilibrium its mean energy is that of the states drawn; if it was cooled too fast, its energy is
    too high and so is the entropy, by about beta times that.
    """
    values = split.entropy_kB[..., half] / n_fu
    missing = beta * (split.energy_neV[..., half] - split.drawn_neV) / n_fu
    error, missing_error = _standard_error(values), _standard_error(missing)
    settled = np.abs(missing.mean(axis=(1, 2))) < np.maximum(SIGNIFICANCE * missing_error, UNSETTLED_KB)
    return Conditional(split.n / n_fu, values.mean(axis=(1, 2)), error, split.log_states[:, half] / n_fu, settled)


def _standard_error(values: Float) -> Float:
    """Of the mean over walkers and states drawn, (points,); between walkers or between all of them, whichever is larger."""
    points, walkers, snapshots = values.shape
    number = walkers * snapshots
    between = values.mean(axis=2).var(axis=1, ddof=1) / walkers
    over_all = values.reshape(points, -1).var(axis=1, ddof=1) / number
    if number < FEW:
        return np.full(points, np.sqrt(over_all.mean()))
    return np.sqrt(np.maximum(over_all, between))


def on_grid(found: Conditional, x: Float, ideal_kB: Float) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Value, error and trust at every x between the ends.

    What is interpolated (shape-preserving cubics) is the share of the ideal entropy, which is smooth to both ends; it is carried on
    unchanged beyond the outermost compositions, and the ends themselves have no entropy.
    """
    share, error = found.entropy_kB / found.ideal_kB, found.error_kB / found.ideal_kB
    at = np.clip(x, found.x[0], found.x[-1])
    inner = PchipInterpolator(found.x, share)(at) if len(found.x) > 1 else np.full(len(x), share[0])
    right = np.clip(np.searchsorted(found.x, x), 1, max(len(found.x) - 1, 1))
    trusted = found.trusted[np.minimum(right, len(found.x) - 1)] & found.trusted[right - 1]
    return inner * ideal_kB, np.interp(x, found.x, error) * ideal_kB, trusted


def add_split(canonical: Group, isotherms: Isotherms, splits: dict[int, ConditionalEntropies], notes: list[str]) -> None:
    """Add the split to /canonical at the temperatures where there is one (nan at the others), and to `notes` what breaks a bound."""
    halves = free_subsystems(isotherms.system.lattice)
    if not splits or not halves:
        canonical.attributes["entropy_definition"] = "joint entropy of all that moves; it is not split"
        return
    shape = canonical["entropy_kB"].shape
    ideal = [_ideal(isotherms, half) for half in halves]
    values, errors = np.full((2, *shape), np.nan), np.full((2, *shape), np.nan)
    settled = np.zeros(shape, bool)
    for row, rung in enumerate(isotherms.rungs):
        if rung not in splits:
            continue
        settled[row] = True
        for h in range(len(halves)):
            found = conditional(splits[rung], h, isotherms.n_fu, float(isotherms.plan.ladder.beta_per_neV[rung]))
            values[h, row], errors[h, row], good = on_grid(found, isotherms.x_grid, ideal[h])
            settled[row] &= good
    joint, joint_error = canonical["entropy_kB"], canonical["entropy_kB_error"]
    if isotherms.vibrational is not None:
        joint = joint - isotherms.vibrational.entropy_kB[:, isotherms.grid]
    electrons, ions = values
    terms = {
        "entropy_electron_given_ion_kB": (electrons, errors[0], "entropy of the electrons with the ions frozen, S(e|ions)"),
        "entropy_ion_kB": (joint - electrons, np.hypot(joint_error, errors[0]), "entropy of the ions, S - S(e|ions)"),
        "entropy_ion_given_electron_kB": (ions, errors[1], "entropy of the ions with the electrons frozen, S(ions|e)"),
        "entropy_electron_kB": (joint - ions, np.hypot(joint_error, errors[1]), "entropy of the electrons, S - S(ions|e)"),
        "mutual_information_kB": (
            joint - electrons - ions,
            np.sqrt(joint_error**2 + errors[0] ** 2 + errors[1] ** 2),
            "mutual information of ions and electrons, S - S(e|ions) - S(ions|e)",
        ),
    }
    bounds = {"entropy_electron_given_ion_kB": ideal[0], "mutual_information_kB": np.full(shape[1], np.inf)}
    bounds["entropy_ion_given_electron_kB"] = ideal[-1]
    for name, (value, error, words) in terms.items():
        if np.isnan(value).all():
            continue
        canonical.add(name, ("temperature_K", "x"), value, "k_B/fu", words, error)
        if name in bounds:
            with np.errstate(invalid="ignore"):
                out = (value < -SIGNIFICANCE * error - ROUNDING_KB) | (value > bounds[name] + SIGNIFICANCE * error + ROUNDING_KB)
            settled &= ~out
            if (out & canonical["trusted"]).any():
                notes.append(
                    f"{name} leaves its bounds at {int((out & canonical['trusted']).sum())} trusted points: sample longer"
                )
    words = "the free energy is trusted, the free half had settled, and every bound is kept"
    canonical.add("entropy_split_trusted", ("temperature_K", "x"), settled & canonical["trusted"], "1", words)
    canonical.attributes["entropy_definition"] = (
        "per formula unit; ions: which element sits where; electrons: the charges of the elements. Chain rule: S(ions, electrons) = "
        "S(ions) + S(electrons | ions); conditional entropies are averages over states drawn at (T, x), marginal ones the difference"
        + ("; the joint one here is entropy_kB without vibrational_entropy_kB" if isotherms.vibrations else "")
    )
    first = next(iter(splits.values()))
    canonical.attributes["entropy_split_x"] = first.n / isotherms.n_fu


def _ideal(isotherms: Isotherms, half: Subsystem) -> Float:
    """ln of the number of arrangements of one half, k_B/fu, at every composition of the grid."""
    system = isotherms.system
    states = (system.any_state(int(n)) for n in isotherms.n[isotherms.grid])
    return np.array([FreeSubsystem(system, s, half).log_states for s in states]) / isotherms.n_fu
