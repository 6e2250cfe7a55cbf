"""The group /canonical: thermodynamics at fixed temperature and composition, with its errors and a mask of what is trusted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.canonical import Canonical, Scans, TrustCriteria, VibrationalShare
from ...sampling.chains.log_z import integrate_steps
from ...sampling.diagnostics import Convergence
from ...units import BOLTZMANN_EV_PER_K, NEV_PER_EV
from ..vibrations import Vibrational, Vibrations
from .isotherms import Isotherms, above_ends, spread
from .transition_matrix import Isotherm, local_mean
from .trust import COMPARED, ROUNDING_EV, SIGNIFICANT, all_of, criteria

Float = NDArray[np.float64]
HEAT_CAPACITY = "heat_capacity_x_kB"
NOT_SPLIT = "joint entropy of all that moves; it is not split"


def canonical_group(isotherms: Isotherms, convergence: Convergence) -> tuple[Canonical, list[str]]:
    """The group without cross-checks and without the split of the entropy; and notes for the report."""
    values = _values(isotherms)
    trust = _trust(isotherms, convergence, values)
    vibrations, shares = isotherms.vibrations, isotherms.vibrational
    group = Canonical(
        **values,
        temperature_K=isotherms.temperature_K,
        x=isotherms.x_grid,
        asked=isotherms.asked,
        closure_eV=trust.closure_eV,
        closure_eV_error=trust.closure_eV_error,
        free_energy_up_eV=trust.up_eV,
        free_energy_down_eV=trust.down_eV,
        trusted=all_of(trust.criteria),
        criteria=trust.criteria,
        vibrational=_vibrational_share(isotherms, vibrations, shares) if vibrations and shares else None,
        vibrations=vibrations.description if vibrations else None,
        scan=_scans(isotherms) if isotherms.plan.scan_reference is not None else None,
        entropy_definition=NOT_SPLIT,
    )
    return group, [*(_vibration_notes(isotherms, vibrations) if vibrations else []), *_trust_notes(isotherms, trust)]


def _values(isotherms: Isotherms) -> dict[str, Any]:
    """Fields of the group and their errors from the bootstrap, (rungs, x)."""
    rows: dict[str, list[Float]] = {}
    for rung, c in zip(isotherms.rungs, isotherms.curves):
        resampled = [_point_values(isotherms, r, rung) for r in c.resampled]
        for name, value in _point_values(isotherms, c.all, rung).items():
            rows.setdefault(name, []).append(value)
            rows.setdefault(f"{name}_error", []).append(spread(np.array([r[name] for r in resampled])))
    values = {name: np.array(values) for name, values in rows.items()}
    return values | _heat_capacity(isotherms, values)


def _heat_capacity(isotherms: Isotherms, values: dict[str, Float]) -> dict[str, Float]:
    """C and its error, (rungs, x), from those of the resamples.

    To a variance about the mean of the same energies the variance of that mean is added. Energies that lack the rare excursions
    have too small a variance and too small an error at once. So the relative error is at least that of independent Gaussian
    energies, as many as the error of U tells, with half their autocorrelation time: their squares forget twice as fast. Where
    it is less than at both neighbours in x, it is taken for chance: the error by few units scatters.
    """
    error, kT = values[f"{HEAT_CAPACITY}_error"], BOLTZMANN_EV_PER_K * isotherms.temperature_K[:, None]
    of_mean = np.nan_to_num(values["energy_eV_error"] / kT) ** 2 * isotherms.n_fu
    value = values[HEAT_CAPACITY] + of_mean
    known = isotherms.vibrational
    sampled = value if known is None else value - known.heat_capacity_kB[:, isotherms.grid]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.nan_to_num(np.fmax(error / sampled, np.sqrt(of_mean / sampled)), posinf=0.0)
    relative = np.maximum(relative, _lesser_neighbour(relative))
    return {HEAT_CAPACITY: value, f"{HEAT_CAPACITY}_error": np.maximum(error, np.nan_to_num(relative * sampled))}


def _lesser_neighbour(values: Float) -> Float:
    """The lesser of the values beside each along the last axis; 0 at its ends."""
    found = np.zeros_like(values)
    found[..., 1:-1] = np.minimum(values[..., :-2], values[..., 2:])
    return found


def _point_values(isotherms: Isotherms, c: Isotherm, rung: int) -> dict[str, Float]:
    grid, half, n_fu = isotherms.grid, isotherms.half_step, isotherms.n_fu
    f = isotherms.free_energy(c, rung)
    known = np.isfinite(c.energy_neV[[0, -1]]).all()
    line = c.energy_neV[0] + (c.energy_neV[-1] - c.energy_neV[0]) * np.linspace(0, 1, len(c.n)) if known else np.zeros(len(c.n))
    mixing = local_mean(c.energy_neV - line, c.weight, grid, half) / NEV_PER_EV / n_fu
    energy = mixing + line[grid] / NEV_PER_EV / n_fu
    kT = BOLTZMANN_EV_PER_K * isotherms.plan.ladder.temperature_K[rung]
    variance = local_mean(c.energy_variance_neV2, c.weight, grid, half) / NEV_PER_EV**2
    reach = max(half, 1)
    low, high = np.maximum(grid - reach, 0), np.minimum(grid + reach, len(f) - 1)
    slope = (f[high] - f[low]) * n_fu / (c.n[high] - c.n[low])
    slope[(grid == 0) | (grid == len(f) - 1)] = np.nan
    heat_capacity = variance / kT**2 / n_fu
    if isotherms.vibrational is not None:
        row = isotherms.rungs.index(rung)
        added = isotherms.vibrational.energy_eV[row]
        energy, mixing = energy + added[grid], mixing + above_ends(added)[grid]
        heat_capacity = heat_capacity + isotherms.vibrational.heat_capacity_kB[row, grid]
    return {
        "free_energy_eV": f[grid],
        "mixing_free_energy_eV": isotherms.mixing_free_energy(c, rung)[grid],
        "energy_eV": energy,
        "mixing_energy_eV": mixing,
        "entropy_kB": (energy - f[grid]) / kT,
        "chemical_potential_eV": slope,
        "heat_capacity_x_kB": heat_capacity,
    }


def _vibrational_share(isotherms: Isotherms, vibrations: Vibrations, found: Vibrational) -> VibrationalShare:
    """What of F, U and S is the vibrations' share, and how well it is known."""
    grid, fit = isotherms.grid, vibrations.fit
    return VibrationalShare(
        free_energy_eV=found.free_energy_eV[:, grid],
        energy_eV=found.energy_eV[:, grid],
        entropy_kB=found.entropy_kB[:, grid],
        residual_eV=np.interp(isotherms.temperature_K, vibrations.temperature_K, fit.residual_eV) if fit else None,
    )


def _vibration_notes(isotherms: Isotherms, vibrations: Vibrations) -> list[str]:
    notes = [vibrations.fit.note(isotherms.temperature_K[isotherms.asked])] if vibrations.fit else []
    hotter = isotherms.plan.ladder.temperature_K[len(isotherms.rungs) :]
    if (hotter := hotter[np.isfinite(hotter)]).size:
        notes.append(
            f"vibrations are not known above {vibrations.temperature_K[-1]:g} K: "
            f"nothing is given for the rungs from {hotter[0]:g} K on"
        )
    return notes


@dataclass(frozen=True)
class _Trust:
    """Closure (rungs,), F from the walkers that started at either end (rungs, x), and the criteria that use it."""

    closure_eV: Float
    closure_eV_error: Float
    up_eV: Float
    down_eV: Float
    criteria: TrustCriteria


def _trust(isotherms: Isotherms, convergence: Convergence, values: dict[str, Any]) -> _Trust:
    curves, rungs = isotherms.curves, isotherms.rungs
    scale = np.array([isotherms.per_fu_eV(r) for r in rungs])
    closure = np.array([c.all.closure for c in curves]) * scale
    closure_error = np.array([spread(np.array([r.closure for r in c.resampled])) for c in curves]) * scale
    halves = [
        [_point_values(isotherms, half, r) for r, half in zip(rungs, side)] for side in zip(*((c.up, c.down) for c in curves))
    ]
    up, down = ({name: np.array([row[name] for row in rows]) for name in COMPARED} for rows in halves)
    found = criteria(isotherms, convergence, values, {name: (up[name], down[name]) for name in COMPARED})
    return _Trust(closure, closure_error, up["free_energy_eV"], down["free_energy_eV"], found)


def _trust_notes(isotherms: Isotherms, trust: _Trust) -> list[str]:
    notes, taken = [], [(t, c.all.from_annealing) for t, c in zip(isotherms.temperature_K, isotherms.curves)]
    if not trust.criteria.steps_sampled.all():
        rows = [f"{t:g} K ({int(steps.sum())})" for t, steps in taken if steps.any()]
        notes.append(
            "ΔF between n and n+1 is taken from annealing (not sampled), and not trusted, where chains did not go both ways: "
            + ", ".join(rows)
        )
    if not trust.criteria.stable.all():
        rows = [f"{t:g} K ({int(n)})" for t, n in zip(isotherms.temperature_K, (~trust.criteria.stable).sum(axis=1)) if n]
        notes.append(
            "F rises or U falls on heating by more than the errors allow (S < 0 or C < 0): "
            f"points that are not trusted at {', '.join(rows)}"
        )
    with np.errstate(invalid="ignore"):
        open_ = np.abs(trust.closure_eV) > SIGNIFICANT * trust.closure_eV_error + ROUNDING_EV
    if open_.any():
        notes.append(
            f"the closure error of the transition-matrix estimate alone exceeds {SIGNIFICANT:g} of its standard errors at "
            f"{', '.join(f'{t:g} K' for t in isotherms.temperature_K[open_])}: sample longer there"
        )
    return notes


def _scans(isotherms: Isotherms) -> Scans:
    """Mixing free energies from the scans in x at the requested temperatures; nan at the others."""
    plan, n, grid, ends = isotherms.plan, isotherms.n, isotherms.grid, isotherms.ends
    assert plan.scan_reference is not None
    asked = plan.ladder.rungs_asked
    values = np.full((2, len(isotherms.rungs), len(grid)), np.nan)
    for side in (0, 1):
        for row, rung in enumerate(isotherms.rungs):
            if rung in asked:
                beta_f = integrate_steps(plan.scan_reference[asked.index(rung), side], isotherms.system.step)[n]
                line = plan.ladder.beta_per_neV[rung] * np.array(ends.energy_neV, float)
                beta_f = beta_f - beta_f[0 if side == 0 else -1] + line[side]
                mixing = beta_f - np.interp(n, [n[0], n[-1]], line)
                values[side, row] = mixing[grid] * isotherms.per_fu_eV(rung)
                if isotherms.vibrational is not None:
                    values[side, row] += above_ends(isotherms.vibrational.free_energy_eV[row])[grid]
    return Scans(up_mixing_free_energy_eV=values[0], down_mixing_free_energy_eV=values[1])
