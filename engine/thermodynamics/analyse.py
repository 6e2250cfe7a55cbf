"""From samples to everything in results.h5: observables, free energies, hull, phase diagram, voltage, with errors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...kernels.layout import Tally
from ..config import AnalysisInput
from ..diagnostics import assess
from ..hamiltonian.table import NEV_PER_EV
from ..results import Group
from ..sampling.plan import empty_tally, end_energies, integrate_steps
from ..system import BOLTZMANN_EV_PER_K, System
from .free_energy import Ends, Isotherm, isotherm, local_mean
from .hull import hull_values, lower_hull
from .observables import Observables
from .phase_diagram import DISTINCT_KT, Gap, find_gaps, join_regions
from .samples import Samples

Float = NDArray[np.float64]
BOOTSTRAP = 100
BOOTSTRAP_STREAM = 99
MOST_BLOCKS = 20
LARGEST_CLOSURE_EV = 1e-3


@dataclass(frozen=True)
class Curves:
    """Isotherms of one rung: from all samples, from each bootstrap resample, from walkers started low and started high."""

    all: Isotherm
    resampled: list[Isotherm]
    up: Isotherm
    down: Isotherm


class Analysis:
    """One pass over the samples; `groups()` gives the groups of results.h5."""

    def __init__(self, samples: Samples, system: System, settings: AnalysisInput, seed: int) -> None:
        self.samples, self.system, self.settings = samples, system, settings
        self.plan = samples.plan
        self.n_fu = system.n_formula_units
        self.seed = seed
        self.temperature = self.plan.temperatures_K
        self.finite = np.flatnonzero(np.isfinite(self.temperature))
        self.health = assess(samples.energy_neV.astype(float), samples.ions[..., 0].astype(float))
        self.notes: list[str] = list(self.plan.notes)

    def groups(self) -> dict[str, Group]:
        observables = Observables(self.samples, self.system, self.health)
        groups = {}
        for kind in ("semigrand", "vcsgc", "canonical"):
            if any(s.kind == kind for s in self.plan.slots):
                groups[kind if kind != "canonical" else "fixed_composition"] = observables.group(kind)
        if len(self.system.ions) == 1 and any(s.kind != "canonical" for s in self.plan.slots):
            groups |= self._thermodynamics(groups)
        groups["exchange"] = observables.exchange_group()
        return groups

    def _thermodynamics(self, groups: dict[str, Group]) -> dict[str, Group]:
        counts, log_states = self.system.neutral_counts
        low, high, e_low, e_high = end_energies(self.system)
        ends = Ends(low, high, (float(log_states[0]), float(log_states[-1])), (e_low, e_high))
        if not any(ends.exact):
            self.notes.append("both ends of composition hold many states, so free energies are not anchored and not given")
            return {}
        tally = empty_tally(self.system)
        curves = [self._curves(int(r), tally, ends) for r in self.finite]
        grid = self._grid(ends)
        canonical = self._canonical_group(curves, grid, ends)
        gaps = self._gaps(curves, grid, ends)
        self._add_reweighted(groups, curves)
        result = {
            "canonical": canonical,
            "hull": self._hull_group(curves, grid, ends),
            "phase_diagram": self._diagram_group(gaps, grid, ends, canonical),
        }
        if voltage := self._voltage_group(curves, grid, ends):
            result["voltage"] = voltage
        return result

    def _curves(self, rung: int, tally: Tally, ends: Ends) -> Curves:
        """Bins that overlap the equilibration of the rungs are dropped for all of them alike: they exchange."""
        sums = self.samples.tallies
        drop = min(int(np.ceil(np.percentile(self.health.equilibrated_after, 90) / self.samples.bin_sweeps)), len(sums) // 2)
        sums = sums[drop:, rung]
        blocks = np.array([b.sum(axis=0) for b in np.array_split(sums, min(len(sums), MOST_BLOCKS))])
        units = blocks.reshape(-1, *blocks.shape[2:])
        beta, step, reference = float(self.plan.betas[rung]), self.system.step, self.plan.reference[rung]

        def curve(total: NDArray[np.int64] | Float) -> Isotherm:
            return isotherm(total, tally, reference, beta, step, ends)

        rng = np.random.default_rng([self.seed, BOOTSTRAP_STREAM])  # the same resamples at every rung
        resampled = []
        flat = units.reshape(len(units), -1).astype(float)
        for _ in range(BOOTSTRAP):
            weights = np.bincount(rng.integers(len(units), size=len(units)), minlength=len(units))
            resampled.append(curve((weights @ flat).reshape(units.shape[1:])))
        return Curves(
            curve(units.sum(axis=0)), resampled, curve(blocks[:, 0::2].sum(axis=(0, 1))), curve(blocks[:, 1::2].sum(axis=(0, 1)))
        )

    def _grid(self, ends: Ends) -> NDArray[np.int64]:
        """Indices into an isotherm of the compositions asked for, snapped to whole numbers of ions."""
        number = (ends.high - ends.low) // self.system.step + 1
        return np.unique(np.rint(np.linspace(0, number - 1, min(self.settings.compositions, number))).astype(int))

    def _x(self, ends: Ends) -> Float:
        return np.arange(ends.low, ends.high + 1, self.system.step) / self.n_fu

    def _free_energy(self, curve: Isotherm, rung: int) -> Float:
        return curve.beta_f / self.plan.betas[rung] / NEV_PER_EV / self.n_fu

    def _mixing(self, f: Float) -> Float:
        t = np.linspace(0, 1, f.shape[-1])
        return f - (1 - t) * f[..., :1] - t * f[..., -1:]

    def _canonical_group(self, curves: list[Curves], grid: NDArray[np.int64], ends: Ends) -> Group:
        group = Group()
        t, dims = ("temperature_K",), ("temperature_K", "x")
        x = self._x(ends)
        group.add("temperature_K", t, self.temperature[self.finite], "K", "temperature")
        group.add("x", ("x",), x[grid], "1", f"{self.system.ion} per formula unit")
        group.add("asked", t, self.plan.asked[self.finite], "1", "temperature asked for; the others were inserted")
        rows: dict[str, list[tuple[Float, Float]]] = {}
        for rung, c in zip(self.finite.tolist(), curves):
            for name, value in self._point_values(c.all, rung, grid).items():
                spread = np.array([self._point_values(r, rung, grid)[name] for r in c.resampled])
                rows.setdefault(name, []).append((value, _spread(spread)))
        words = {
            "free_energy_eV": ("eV/fu", "free energy F(T, x)"),
            "mixing_free_energy_eV": ("eV/fu", "free energy above the line between the ends"),
            "energy_eV": ("eV/fu", "mean energy U(T, x)"),
            "mixing_energy_eV": ("eV/fu", "mean energy above the line between the ends"),
            "entropy_kB": ("k_B/fu", "joint entropy of ions and electrons, (U - F)/T"),
            "chemical_potential_eV": ("eV", f"chemical potential of {self.system.ion}, dF/dn over one step of the grid"),
            "heat_capacity_x_kB": ("k_B/fu", "heat capacity at fixed composition"),
        }
        for name, (unit, words_) in words.items():
            group.add(name, dims, [v for v, _ in rows[name]], unit, words_, [e for _, e in rows[name]])
        scale = [1 / self.plan.betas[r] / NEV_PER_EV / self.n_fu for r in self.finite]
        closure = np.array([c.all.closure for c in curves]) * scale
        closure_error = np.array([np.nanstd([r.closure for r in c.resampled], ddof=1) for c in curves]) * scale
        group.add("closure_eV", t, closure, "eV/fu", "F missing at the far end, before it was spread evenly", closure_error)
        up = np.array([self._free_energy(c.up, r)[grid] for r, c in zip(self.finite.tolist(), curves)])
        down = np.array([self._free_energy(c.down, r)[grid] for r, c in zip(self.finite.tolist(), curves)])
        group.add("free_energy_up_eV", dims, up, "eV/fu", "free energy from the walkers that started at the lowest x")
        group.add("free_energy_down_eV", dims, down, "eV/fu", "free energy from the walkers that started at the highest x")
        error = group["free_energy_eV_error"]
        same = np.abs(up - down) <= np.maximum(4 * error, LARGEST_CLOSURE_EV)
        closed = np.isfinite(group["free_energy_eV"]) & ~(np.abs(closure)[:, None] > LARGEST_CLOSURE_EV)
        seen = np.array([self._steps_seen(c.all.borrowed, grid) for c in curves])
        if not seen.all():
            rows_ = [
                f"{t:g} K ({int(c.all.borrowed.sum())})"
                for t, c in zip(self.temperature[self.finite], curves)
                if c.all.borrowed.any()
            ]
            self.notes.append(
                "steps between neighbouring counts that the measured chains did not see both ways are taken from the annealing and not trusted: "
                + ", ".join(rows_)
            )
        group.add(
            "trusted",
            dims,
            same & closed & seen & self._nearest_trusted(x[grid]),
            "1",
            "closure, scans up and down and the chains nearby are all sound",
        )
        if self.plan.scan_reference is not None:
            self._add_scans(group, grid, ends)
        group.attributes["entropy_definition"] = "joint entropy per formula unit of ions and electrons; the split is not computed"
        if np.nanmax(np.abs(closure), initial=0.0) > LARGEST_CLOSURE_EV:
            self.notes.append("the closure error exceeds 1 meV/fu at some temperatures: sample longer there")
        return group

    def _add_scans(self, group: Group, grid: NDArray[np.int64], ends: Ends) -> None:
        """Mixing free energies from the scans in x at the temperatures asked for; nan at the others."""
        assert self.plan.scan_reference is not None
        n = np.arange(ends.low, ends.high + 1, self.system.step)
        asked = np.flatnonzero(self.plan.asked).tolist()
        for side, name in enumerate(("up", "down")):
            values = np.full((len(self.finite), len(grid)), np.nan)
            for row, rung in enumerate(self.finite.tolist()):
                if rung in asked:
                    beta_f = integrate_steps(self.plan.scan_reference[asked.index(rung), side], self.system.step)[n]
                    line = self.plan.betas[rung] * np.array(ends.energy_neV, float)
                    beta_f = beta_f - beta_f[0 if side == 0 else -1] + line[side]
                    mixing = beta_f - np.interp(n, [n[0], n[-1]], line)
                    values[row] = mixing[grid] / self.plan.betas[rung] / NEV_PER_EV / self.n_fu
            words = f"mixing free energy by one fast scan {name} in x, its closure not taken out: it shows hysteresis in x, it is no result"
            group.add(f"scan_{name}_mixing_free_energy_eV", ("temperature_K", "x"), values, "eV/fu", words)

    def _point_values(self, c: Isotherm, rung: int, grid: NDArray[np.int64]) -> dict[str, Float]:
        f = self._free_energy(c, rung)
        half = int((grid[1] - grid[0]) // 2) if len(grid) > 1 else 0
        line = (
            c.energy_neV[0] + (c.energy_neV[-1] - c.energy_neV[0]) * np.linspace(0, 1, len(c.n))
            if np.isfinite(c.energy_neV[[0, -1]]).all()
            else 0.0
        )
        mixing = local_mean(c.energy_neV - line, c.weight, grid, half) / NEV_PER_EV / self.n_fu
        energy = mixing + (line if np.ndim(line) == 0 else np.asarray(line)[grid]) / NEV_PER_EV / self.n_fu
        kT = BOLTZMANN_EV_PER_K * self.temperature[rung]
        variance = local_mean(c.energy_variance_neV2, c.weight, grid, half) / NEV_PER_EV**2
        reach = max(half, 1)
        low, high = np.maximum(grid - reach, 0), np.minimum(grid + reach, len(f) - 1)
        slope = (f[high] - f[low]) * self.n_fu / (c.n[high] - c.n[low])
        slope[(grid == 0) | (grid == len(f) - 1)] = np.nan
        return {
            "free_energy_eV": f[grid],
            "mixing_free_energy_eV": self._mixing(f)[grid],
            "energy_eV": energy,
            "mixing_energy_eV": mixing,
            "entropy_kB": (energy - f[grid]) / kT,
            "chemical_potential_eV": slope,
            "heat_capacity_x_kB": variance / kT**2 / self.n_fu,
        }

    @staticmethod
    def _steps_seen(borrowed: NDArray[np.bool_], grid: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Per composition of the grid: no step nearby is borrowed."""
        half = max(int((grid[1] - grid[0]) // 2), 1) if len(grid) > 1 else 1
        return np.array([not borrowed[max(g - half, 0) : g + half + 1].any() for g in grid])

    def _nearest_trusted(self, x: Float) -> NDArray[np.bool_]:
        """(finite rungs, x): the replica nearest in composition is sound."""
        rows = []
        for r in self.finite:
            own = [k for k, s in enumerate(self.plan.slots) if s.rung == r and s.kind != "canonical"]
            place = np.array([self.plan.slots[k].n_expected for k in own]) / self.n_fu
            rows.append(self.health.trusted[own][np.abs(x[:, None] - place).argmin(axis=1)])
        return np.array(rows)

    def _add_reweighted(self, groups: dict[str, Group], curves: list[Curves]) -> None:
        """Grand potential and x on the chemical potentials of /semigrand, summed over n from the free energies."""
        group = groups.get("semigrand")
        if group is None:
            return
        mu = group["chemical_potential_eV"]
        names = {
            "grand_potential_eV": ("eV/fu", "grand potential, -kT/N ln of the sum over n"),
            "x_from_free_energy": ("1", "x from the free energies F(T, n)"),
        }
        table: dict[str, list[list[Float]]] = {name: [] for name in names}
        for rung, c in zip(self.finite.tolist(), curves):
            values = [self._grand(i, rung, mu) for i in (c.all, *c.resampled)]
            for k, name in enumerate(names):
                table[name].append([values[0][k], _spread(np.array([v[k] for v in values[1:]]))])
        for name, (unit, words) in names.items():
            group.add(
                name,
                ("temperature_K", "chemical_potential_eV"),
                [v for v, _ in table[name]],
                unit,
                words,
                [e for _, e in table[name]],
            )

    def _grand(self, c: Isotherm, rung: int, mu_eV: Float) -> tuple[Float, Float]:
        beta = self.plan.betas[rung] * NEV_PER_EV
        log_p = beta * mu_eV[:, None] * c.n - c.beta_f
        top = log_p.max(axis=1, keepdims=True)
        p = np.exp(log_p - top)
        total = p.sum(axis=1)
        return -(np.log(total) + top[:, 0]) / beta / self.n_fu, (p @ c.n) / total / self.n_fu

    def _hull_group(self, curves: list[Curves], grid: NDArray[np.int64], ends: Ends) -> Group:
        group = Group()
        x, dims = self._x(ends), ("temperature_K", "x")
        on, above, error = [], [], []
        for rung, c in zip(self.finite.tolist(), curves):
            height = [self._above_hull(x, self._free_energy(i, rung)) for i in (c.all, *c.resampled)]
            above.append(height[0][grid])
            error.append(_spread(np.array(height[1:])[:, grid]))
            on.append(height[0][grid] <= np.maximum(2 * error[-1], 1e-12))
        group.add("temperature_K", ("temperature_K",), self.temperature[self.finite], "K", "temperature")
        group.add("x", ("x",), x[grid], "1", f"{self.system.ion} per formula unit")
        group.add("energy_above_hull_eV", dims, above, "eV/fu", "free energy above the lower convex hull of F(T, x)", error)
        group.add("on_hull", dims, on, "1", "on the hull within two standard errors")
        return group

    @staticmethod
    def _above_hull(x: Float, f: Float) -> Float:
        return f - hull_values(x, f, lower_hull(x, f)) if np.isfinite(f).all() else np.full(len(f), np.nan)

    def _gaps(self, curves: list[Curves], grid: NDArray[np.int64], ends: Ends) -> list[list[Gap]]:
        x = self._x(ends)
        spacing = float(x[grid[1]] - x[grid[0]]) if len(grid) > 1 else 1.0
        rows = []
        for rung, c in zip(self.finite.tolist(), curves):
            resampled = np.array([self._mixing(self._free_energy(r, rung)) for r in c.resampled])
            halves = np.array([self._mixing(self._free_energy(half, rung)) for half in (c.up, c.down)])
            rows.append(
                find_gaps(
                    x,
                    self._mixing(self._free_energy(c.all, rung)),
                    resampled,
                    halves,
                    spacing,
                    DISTINCT_KT / self.plan.betas[rung] / NEV_PER_EV / self.n_fu,
                )
            )
        return join_regions(rows)

    def _diagram_group(self, gaps: list[list[Gap]], grid: NDArray[np.int64], ends: Ends, canonical: Group) -> Group:
        group = Group()
        temperatures = self.temperature[self.finite]
        rows = [
            (t, gap.x[side], gap.x_error[side], gap.region, side, gap.height_eV, self._gap_trusted(gap, canonical, k))
            for k, (t, row) in enumerate(zip(temperatures, gaps))
            for gap in row
            for side in (0, 1)
        ]
        table = np.array(rows, float).reshape(-1, 7)
        point = ("boundary",)
        group.add("boundary_temperature_K", point, table[:, 0], "K", "temperature of the boundary point")
        group.add("boundary_x", point, table[:, 1], "1", "composition of the boundary point", table[:, 2])
        group.add("boundary_region", point, table[:, 3].astype(int), "1", "number of the two-phase region that it bounds")
        group.add("boundary_side", point, table[:, 4].astype(int), "1", "0: low-x side, 1: high-x side of the region")
        group.add("boundary_height_eV", point, table[:, 5], "eV/fu", "height of F above the common tangent inside the region")
        group.add("boundary_trusted", point, table[:, 6] > 0, "1", "most of the compositions inside the region are trusted")
        group.add("temperature_K", ("temperature_K",), temperatures, "K", "temperatures that were looked at")
        group.add(
            "n_two_phase_regions",
            ("temperature_K",),
            [len(row) for row in gaps],
            "1",
            "number of two-phase regions; 0: one phase at every x",
        )
        regions = sorted({g.region for row in gaps for g in row})
        spans = [[g for row in gaps for g in row if g.region == r] for r in regions]
        names = [f"two phases, x = {min(g.x[0] for g in s):.2f} to {max(g.x[1] for g in s):.2f}" for s in spans]
        group.add("region_name", ("region",), np.array(names or [], dtype="U64"), "1", "name of each two-phase region")
        group.attributes["not_resolved"] = self._not_resolved(
            gaps, canonical, float(self._x(ends)[grid[1]] - self._x(ends)[grid[0]]) if len(grid) > 1 else 1.0
        )
        group.attributes["kind"] = "incoherent: coherency strain is not included"
        return group

    @staticmethod
    def _gap_trusted(gap: Gap, canonical: Group, row: int) -> bool:
        inside = (canonical["x"] >= gap.x[0]) & (canonical["x"] <= gap.x[1])
        return bool(inside.any() and canonical["trusted"][row][inside].mean() > 0.5)

    def _not_resolved(self, gaps: list[list[Gap]], canonical: Group, spacing: float) -> str:
        t = self.temperature[self.finite]
        text = [
            f"Regions narrower than {spacing:.3f} in x, lower than the noise of F or than {DISTINCT_KT:g} kT in the whole cell are not seen."
        ]
        closes = [(t[i], t[i + 1]) for i in range(len(t) - 1) for g in gaps[i] if g.region not in [h.region for h in gaps[i + 1]]]
        if closes:
            text.append("A two-phase region ends somewhere between " + "; ".join(f"{a:g} and {b:g} K" for a, b in closes) + ".")
        for row, temperature in zip(gaps, t):
            if row and temperature == t[-1]:
                text.append(
                    f"At {temperature:g} K, the highest temperature, there still are two phases: where the region closes is not known."
                )
        share = 1 - canonical["trusted"].mean()
        if share > 0:
            text.append(f"{share:.0%} of the points (T, x) are not trusted.")
        text.append(
            "Ordered phases are not identified, invariant points are not classified, and coherency strain is not included."
        )
        return " ".join(text)

    def _voltage_group(self, curves: list[Curves], grid: NDArray[np.int64], ends: Ends) -> Group | None:
        element = self._ion_element()
        reference = self.settings.reference_energy_eV.get(element)
        if reference is None:
            return None
        x, group = self._x(ends), Group()
        values, errors = [], []
        for rung, c in zip(self.finite.tolist(), curves):
            found = [self._hull_slope(x, self._free_energy(i, rung), grid) for i in (c.all, *c.resampled)]
            values.append(reference - found[0])
            errors.append(_spread(np.array(found[1:])))
        group.add("temperature_K", ("temperature_K",), self.temperature[self.finite], "K", "temperature")
        group.add("x", ("x",), x[grid], "1", f"{self.system.ion} per formula unit")
        group.add(
            "voltage_V",
            ("temperature_K", "x"),
            values,
            "V",
            f"equilibrium voltage against {element}, -(mu - E_ref)/e, from the hull of F",
            errors,
        )
        group.attributes["reference_energy_eV"] = reference
        group.attributes["reference"] = f"energy per atom of metallic {element}; its own entropy is not included"
        return group

    def _ion_element(self) -> str:
        return next(sp.element for s in self.system.lattice.sublattices for sp in s.species if sp.name == self.system.ion)

    def _hull_slope(self, x: Float, f: Float, grid: NDArray[np.int64]) -> Float:
        if not np.isfinite(f).all():
            return np.full(len(grid), np.nan)
        h = hull_values(x, f, lower_hull(x, f))
        half = max(int((grid[1] - grid[0]) // 2), 1) if len(grid) > 1 else 1
        low, high = np.maximum(grid - half, 0), np.minimum(grid + half, len(x) - 1)
        slope = (h[high] - h[low]) / (x[high] - x[low])
        slope[(grid == 0) | (grid == len(x) - 1)] = np.nan
        return slope


def _spread(samples: Float) -> Float:
    """Standard deviation over bootstrap samples (samples, ...); nan where nothing is known."""
    known = np.isfinite(samples)
    if not known.any():
        return np.full(samples.shape[1:], np.nan)
    with np.errstate(invalid="ignore"):
        return np.where(known.all(axis=0), np.std(np.where(known, samples, 0.0), axis=0, ddof=1), np.nan)
