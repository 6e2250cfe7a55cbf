"""/canonical of results.h5: everything at fixed temperature and composition, with its errors and what to trust."""

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.transition import LooseGroup
from ...sampling.diagnostics import Health
from ...sampling.log_z import integrate_steps
from ...sampling.slots import EnsembleKind
from ...units import BOLTZMANN_EV_PER_K, NEV_PER_EV
from .isotherms import Isotherms, above_ends, spread
from .transition_matrix import Isotherm, local_mean

Float = NDArray[np.float64]
LARGEST_CLOSURE_EV = 1e-3
T, TX = ("temperature_K",), ("temperature_K", "x")
WORDS = {
    "free_energy_eV": ("eV/fu", "free energy F(T, x)"),
    "mixing_free_energy_eV": ("eV/fu", "free energy above the line between the ends"),
    "energy_eV": ("eV/fu", "mean energy U(T, x)"),
    "mixing_energy_eV": ("eV/fu", "mean energy above the line between the ends: at no pressure, the enthalpy of mixing"),
    "entropy_kB": ("k_B/fu", "joint entropy of ions and electrons, (U - F)/T"),
    "chemical_potential_eV": ("eV", "chemical potential of the ion, dF/dn over one step of the grid"),
    "heat_capacity_x_kB": ("k_B/fu", "heat capacity at fixed composition"),
}


def canonical_group(isotherms: Isotherms, health: Health, notes: list[str]) -> LooseGroup:
    """Adds to `notes` what a reader should know."""
    group = LooseGroup()
    group.add("temperature_K", T, isotherms.temperature_K, "K", "temperature")
    group.add("x", ("x",), isotherms.x_grid, "1", f"{isotherms.system.ion} per formula unit")
    group.add("asked", T, isotherms.asked, "1", "temperature asked for; the others were inserted")
    rows: dict[str, list[tuple[Float, Float]]] = {}
    for rung, c in zip(isotherms.rungs, isotherms.curves):
        resampled = [_point_values(isotherms, r, rung) for r in c.resampled]
        for name, value in _point_values(isotherms, c.all, rung).items():
            rows.setdefault(name, []).append((value, spread(np.array([r[name] for r in resampled]))))
    for name, (unit, words) in WORDS.items():
        words = words.replace("ions and electrons", "ions, electrons and vibrations") if isotherms.vibrations else words
        group.add(name, TX, [v for v, _ in rows[name]], unit, words, [e for _, e in rows[name]])
    if isotherms.vibrational is not None:
        _add_vibrations(group, isotherms, notes)
    _add_trust(group, isotherms, health, notes)
    if isotherms.plan.scan_reference is not None:
        _add_scans(group, isotherms)
    return group


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


def _add_vibrations(group: LooseGroup, isotherms: Isotherms, notes: list[str]) -> None:
    """What of F, U and S is the vibrations' share, and how well it is known."""
    found, vibrations = isotherms.vibrational, isotherms.vibrations
    assert found is not None and vibrations is not None
    for name, values, unit, words in (
        ("free_energy_eV", found.free_energy_eV, "eV/fu", "free energy F_vib(T, x) of the vibrations, in free_energy_eV"),
        ("energy_eV", found.energy_eV, "eV/fu", "energy of the vibrations, F_vib - T dF_vib/dT, in energy_eV"),
        ("entropy_kB", found.entropy_kB, "k_B/fu", "entropy of the vibrations, -dF_vib/dT, in entropy_kB"),
    ):
        group.add(f"vibrational_{name}", TX, values[:, isotherms.grid], unit, words)
    group.attributes["vibrations"] = vibrations.description
    if vibrations.fit is not None:
        residual = np.interp(isotherms.temperature_K, vibrations.temperature_K, vibrations.fit.residual_eV)
        words = "standard error of the fit of F_vib over x: what depends on the arrangement and is left out"
        group.add("vibrational_residual_eV", T, residual, "eV/fu", words)
        notes.append(vibrations.fit.note(isotherms.temperature_K[isotherms.asked]))
    hotter = isotherms.plan.ladder.temperature_K[len(isotherms.rungs) :]
    if (hotter := hotter[np.isfinite(hotter)]).size:
        notes.append(
            f"vibrations are not known above {vibrations.temperature_K[-1]:g} K: nothing is given for the rungs from {hotter[0]:g} K on"
        )


def _add_trust(group: LooseGroup, isotherms: Isotherms, health: Health, notes: list[str]) -> None:
    """Closure, walkers from either end, and the mask made of them."""
    curves, rungs, grid = isotherms.curves, isotherms.rungs, isotherms.grid
    scale = [isotherms.per_fu_eV(r) for r in rungs]
    closure = np.array([c.all.closure for c in curves]) * scale
    closure_error = np.array([spread(np.array([r.closure for r in c.resampled])) for c in curves]) * scale
    words = "F missing at the far end by the steps between counts of this temperature alone"
    group.add("closure_eV", T, closure, "eV/fu", words, closure_error)
    up = np.array([isotherms.free_energy(c.up, r)[grid] for r, c in zip(rungs, curves)])
    down = np.array([isotherms.free_energy(c.down, r)[grid] for r, c in zip(rungs, curves)])
    group.add("free_energy_up_eV", TX, up, "eV/fu", "free energy from the walkers that started at the lowest x")
    group.add("free_energy_down_eV", TX, down, "eV/fu", "free energy from the walkers that started at the highest x")
    same = np.abs(up - down) <= np.maximum(4 * group["free_energy_eV_error"], LARGEST_CLOSURE_EV)
    alone = np.array([c.all.beta_f - c.all.by_ratios for c in curves])[:, grid] * np.array(scale)[:, None]
    closed = np.isfinite(group["free_energy_eV"]) & (np.abs(alone) <= LARGEST_CLOSURE_EV)
    seen = np.array([_steps_seen(c.all.borrowed, isotherms) for c in curves])
    if not seen.all():
        rows = [f"{t:g} K ({int(c.all.borrowed.sum())})" for t, c in zip(isotherms.temperature_K, curves) if c.all.borrowed.any()]
        notes.append(
            "steps between neighbouring counts that the measured chains did not see both ways are taken from the annealing and not trusted: "
            + ", ".join(rows)
        )
    if np.nanmax(np.abs(closure), initial=0.0) > LARGEST_CLOSURE_EV:
        notes.append(
            "by the steps between counts alone the closure error exceeds 1 meV/fu at some temperatures: sample longer there; F is not "
            "trusted where these steps differ from it by as much"
        )
    good = same & closed & seen & _nearest_trusted(isotherms, health)
    group.add("trusted", TX, good, "1", "ratios and energies, walkers from either end and the chains nearby are all sound")


def _steps_seen(borrowed: NDArray[np.bool_], isotherms: Isotherms) -> NDArray[np.bool_]:
    """Per composition of the grid: no step nearby is borrowed."""
    half = max(isotherms.half_step, 1)
    return np.array([not borrowed[max(g - half, 0) : g + half + 1].any() for g in isotherms.grid])


def _nearest_trusted(isotherms: Isotherms, health: Health) -> NDArray[np.bool_]:
    """(rungs, x): the replica nearest in composition is sound."""
    plan, x, rows = isotherms.plan, isotherms.x_grid, []
    for r in isotherms.rungs:
        own = [k for k, s in enumerate(plan.slots) if s.rung == r and s.kind is not EnsembleKind.FIXED_COMPOSITION]
        place = np.array([plan.slots[k].n_expected for k in own]) / isotherms.n_fu
        rows.append(health.trusted[own][np.abs(x[:, None] - place).argmin(axis=1)])
    return np.array(rows)


def _add_scans(group: LooseGroup, isotherms: Isotherms) -> None:
    """Mixing free energies from the scans in x at the temperatures asked for; nan at the others."""
    plan, n, grid, ends = isotherms.plan, isotherms.n, isotherms.grid, isotherms.ends
    assert plan.scan_reference is not None
    asked = plan.ladder.rungs_asked
    for side, name in enumerate(("up", "down")):
        values = np.full((len(isotherms.rungs), len(grid)), np.nan)
        for row, rung in enumerate(isotherms.rungs):
            if rung in asked:
                beta_f = integrate_steps(plan.scan_reference[asked.index(rung), side], isotherms.system.step)[n]
                line = plan.ladder.beta_per_neV[rung] * np.array(ends.energy_neV, float)
                beta_f = beta_f - beta_f[0 if side == 0 else -1] + line[side]
                mixing = beta_f - np.interp(n, [n[0], n[-1]], line)
                values[row] = mixing[grid] * isotherms.per_fu_eV(rung)
                if isotherms.vibrational is not None:
                    values[row] += above_ends(isotherms.vibrational.free_energy_eV[row])[grid]
        words = f"mixing free energy by one fast scan {name} in x, its closure not taken out: it shows hysteresis in x, it is no result"
        group.add(f"scan_{name}_mixing_free_energy_eV", TX, values, "eV/fu", words)
