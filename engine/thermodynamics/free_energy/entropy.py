"""The split of the joint entropy by the chain rule: S(ions, electrons) = S(ions) + S(electrons | ions), and the reverse."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ...runtime.results.canonical import Canonical, EntropySplit
from ...sampling.chains.ions_and_electrons import FreeSubsystem, Subsystem, free_subsystems
from ...sampling.conditional_entropies.conditional_entropy_sampling import ConditionalEntropies
from .isotherms import Isotherms

Float = NDArray[np.float64]
FEW = 10  # states drawn; with fewer, the scatter is averaged over all compositions
LARGEST_DEVIATION_KB = 0.01  # of the mean energy over kT (k_B/fu) from that of the states drawn, which equilibrium would meet
APART = 2.0  # times the error by all values, from which on that between walkers counts
SIGNIFICANCE = 3.0
ROUNDING_KB = 1e-6
DEFINITION = (
    "per formula unit; ions: which element is on which site; electrons: the charges of the elements. "
    "Chain rule: S(ions, electrons) = S(ions) + S(electrons | ions); "
    "conditional entropies are averages over states drawn at (T, x), marginal ones the difference"
)
WITHOUT_VIBRATIONS = "; the joint entropy in it is entropy_kB without vibrational_entropy_kB"


@dataclass(frozen=True)
class Conditional:
    """Entropy (k_B/fu) of the electrons given the ions, or the reverse, at compositions x; trusted: equilibrated."""

    x: Float
    entropy_kB: Float
    error_kB: Float
    ideal_kB: Float
    trusted: NDArray[np.bool_]


def conditional(split: ConditionalEntropies, part: int, n_fu: int, beta: float) -> Conditional:
    """Averages over the states drawn; part: 0, the electrons are free and the ions frozen; 1, the reverse.

    In equilibrium the mean energy is that of the states drawn. If the free part was cooled too fast, its energy is too high
    and so is its entropy, by about beta times as much.
    """
    values = split.entropy_kB[..., part] / n_fu
    missing = beta * (split.energy_neV[..., part] - split.drawn_neV) / n_fu
    error, missing_error = _standard_error(values), _standard_error(missing)
    equilibrated = np.abs(missing.mean(axis=(1, 2))) < np.maximum(SIGNIFICANCE * missing_error, LARGEST_DEVIATION_KB)
    return Conditional(split.n / n_fu, values.mean(axis=(1, 2)), error, split.log_states[:, part] / n_fu, equilibrated)


def _standard_error(values: Float) -> Float:
    """Standard error (points,) of the mean over walkers and states drawn, from the scatter of all values.

    From that between walkers where it is larger by more than chance: the states of one walker are alike.
    """
    points, walkers, snapshots = values.shape
    number = walkers * snapshots
    between = values.mean(axis=2).var(axis=1, ddof=1) / walkers
    over_all = values.reshape(points, -1).var(axis=1, ddof=1) / number
    if number < FEW:
        return np.full(points, np.sqrt(over_all.mean()))
    return np.sqrt(np.where(between > APART**2 * over_all, between, over_all))


def on_grid(found: Conditional, x: Float, ideal_kB: Float) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Value, error and trust at every x between the ends.

    The share of the ideal entropy, which is smooth up to both ends, is interpolated by shape-preserving cubics. Beyond the
    outermost compositions it is constant; the ends themselves have no entropy.
    """
    share, error = found.entropy_kB / found.ideal_kB, found.error_kB / found.ideal_kB
    at = np.clip(x, found.x[0], found.x[-1])
    inner = PchipInterpolator(found.x, share)(at) if len(found.x) > 1 else np.full(len(x), share[0])
    right = np.clip(np.searchsorted(found.x, x), 1, max(len(found.x) - 1, 1))
    trusted = found.trusted[np.minimum(right, len(found.x) - 1)] & found.trusted[right - 1]
    return inner * ideal_kB, np.interp(x, found.x, error) * ideal_kB, trusted


def with_entropy_split(
    canonical: Canonical, isotherms: Isotherms, splits: dict[int, ConditionalEntropies]
) -> tuple[Canonical, list[str]]:
    """The group with the split at the temperatures where it was sampled, and a note for each bound that is violated."""
    parts = free_subsystems(isotherms.system.lattice)
    if not splits or not parts:
        return canonical, []
    found = _conditionals(isotherms, splits, [_ideal(isotherms, part) for part in parts])
    terms = _terms(canonical, isotherms, found)
    bounds = {
        "entropy_electron_given_ion_kB": found.ideal_kB[0],
        "entropy_ion_given_electron_kB": found.ideal_kB[-1],
        "mutual_information_kB": np.full(len(isotherms.grid), np.inf),
    }
    sound, notes = found.trusted, []
    for name, bound in bounds.items():
        value, error = terms[name]
        if np.isnan(value).all():
            continue
        with np.errstate(invalid="ignore"):
            out = (value < -SIGNIFICANCE * error - ROUNDING_KB) | (value > bound + SIGNIFICANCE * error + ROUNDING_KB)
        sound = sound & ~out
        if number := int((out & canonical.trusted).sum()):
            notes.append(f"{name} is out of its bounds at {number} trusted points: sample longer")
    known = {name: pair for name, pair in terms.items() if not np.isnan(pair[0]).all()}
    split = EntropySplit(
        **{name: value for name, (value, _) in known.items()},
        **{f"{name}_error": error for name, (_, error) in known.items()},
        entropy_split_trusted=sound & canonical.trusted,
        entropy_split_x=next(iter(splits.values())).n / isotherms.n_fu,
    )
    words = DEFINITION + (WITHOUT_VIBRATIONS if isotherms.vibrations else "")
    return replace(canonical, split=split, entropy_definition=words), notes


@dataclass(frozen=True)
class _Conditionals:
    """S(e|ions) and S(ions|e): value_kB, error_kB (2, rungs, x), nan where not sampled; ideal_kB: one (x,) for each."""

    value_kB: Float
    error_kB: Float
    ideal_kB: list[Float]
    trusted: NDArray[np.bool_]


def _conditionals(isotherms: Isotherms, splits: dict[int, ConditionalEntropies], ideal_kB: list[Float]) -> _Conditionals:
    shape = len(isotherms.rungs), len(isotherms.grid)
    values, errors = np.full((2, *shape), np.nan), np.full((2, *shape), np.nan)
    trusted = np.zeros(shape, bool)
    for row, rung in enumerate(isotherms.rungs):
        if rung not in splits:
            continue
        trusted[row] = True
        for part, ideal in enumerate(ideal_kB):
            found = conditional(splits[rung], part, isotherms.n_fu, float(isotherms.plan.ladder.beta_per_neV[rung]))
            values[part, row], errors[part, row], good = on_grid(found, isotherms.x_grid, ideal)
            trusted[row] &= good
    return _Conditionals(values, errors, ideal_kB, trusted)


def _terms(canonical: Canonical, isotherms: Isotherms, found: _Conditionals) -> dict[str, tuple[Float, Float]]:
    """Value and error of every term of the chain rule, (rungs, x)."""
    joint, joint_error = canonical.entropy_kB, canonical.entropy_kB_error
    if isotherms.vibrational is not None:
        joint = joint - isotherms.vibrational.entropy_kB[:, isotherms.grid]
    (electrons, ions), errors = found.value_kB, found.error_kB
    return {
        "entropy_electron_given_ion_kB": (electrons, errors[0]),
        "entropy_ion_kB": (joint - electrons, np.hypot(joint_error, errors[0])),
        "entropy_ion_given_electron_kB": (ions, errors[1]),
        "entropy_electron_kB": (joint - ions, np.hypot(joint_error, errors[1])),
        "mutual_information_kB": (joint - electrons - ions, np.sqrt(joint_error**2 + errors[0] ** 2 + errors[1] ** 2)),
    }


def _ideal(isotherms: Isotherms, part: Subsystem) -> Float:
    """ln of the number of arrangements of the ions, or of the electrons, k_B/fu, at every composition of the grid."""
    system = isotherms.system
    states = (system.any_state(int(n)) for n in isotherms.n[isotherms.grid])
    return np.array([FreeSubsystem(system, s, part).log_states for s in states]) / isotherms.n_fu
