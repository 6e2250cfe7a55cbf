"""Numbers of arrangements with a given charge and number of ions, as coefficients of a generating function.

The function is x^(fixed charge) times, over all groups of sites, [sum over species of x^charge y^(1 for the ion)]^sites. A
coefficient is the mean of the function, divided by the powers of x and y, over circles in the complex plane (Cauchy). The radii,
e^tilt, are those of the saddle point (Daniels, Ann. Math. Stat. 25, 631, 1954): there most arrangements have the numbers asked
for, no digit cancels, and the mean over evenly spaced points is exact but for arrangements that are more than REACH standard
deviations away. Time and memory grow with the width of the distribution, not with the number of compositions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import RedoxError

Float = NDArray[np.float64]
Int = NDArray[np.int64]
REACH, SPARE = 12.0, 30  # points on a circle: this many standard deviations, and steps of one site
NEGLIGIBLE = -42.0  # ln of the part of the function that is left out
WINDOW = 3.0  # numbers of ions found with one tilt: this many standard deviations to either side
ROUNDED = 20.0  # ln of the numbers up to which they are rounded to integers
NONE = 1e-10  # of what the numbers nearby are: no arrangement
POINTS = 200_000  # held at a time
TRIES, MOST_TRIES = 512, 50_000_000  # compositions drawn at a time, and until one is neutral
STIFFNESS = 1e-3  # of the tilt, which keeps it finite at the ends of composition


@dataclass(frozen=True)
class Sites:
    """A group of equivalent sites: their number, and the species that each may hold, as (charge, whether it is the ion)."""

    number: int
    species: tuple[tuple[int, bool], ...]

    @cached_property
    def charge(self) -> Int:
        return np.array([q for q, _ in self.species], np.int64)

    @cached_property
    def is_ion(self) -> Int:
        """1 for the ion, (species,)."""
        return np.array([is_ion for _, is_ion in self.species], np.int64)

    def log_weights(self, tilt: Float) -> Float:
        return tilt[0] * self.charge + tilt[1] * self.is_ion

    def probabilities(self, tilt: Float) -> Float:
        """Of the species (k,) on a site, in independent sites with this tilt."""
        w = self.log_weights(tilt)
        p = np.exp(w - w.max())
        return np.asarray(p / p.sum())


@dataclass(frozen=True)
class GeneratingFunction:
    """Groups of sites, and the charge of all that is fixed."""

    groups: tuple[Sites, ...]
    fixed_charge: int

    @lru_cache(maxsize=8)  # noqa: B019
    def neutral_counts(self) -> tuple[Int, Float]:
        """Numbers n (k,) of the ion that neutral arrangements can have, ascending, and ln of their numbers (k,)."""
        parts = list(self._windows())
        n, log_number = (np.concatenate(part) for part in zip(*parts)) if parts else (np.zeros(0), np.zeros(0))
        return n.astype(np.int64), log_number

    def draw(self, n: int, rng: np.random.Generator) -> list[Int]:
        """Species counts of every group of an arrangement that is drawn uniformly from the neutral ones with n of the ion.

        Compositions of independent tilted sites are drawn until one is neutral and has n ions: all arrangements of such
        compositions are then equally likely. Raises RedoxError if none is found.
        """
        tilt = self.tilt(n)
        probabilities = [group.probabilities(tilt) for group in self.groups]
        holders = [g for g, group in enumerate(self.groups) if group.is_ion.any()]
        for _ in range(MOST_TRIES // TRIES):
            counts = []
            for g, (group, p) in enumerate(zip(self.groups, probabilities)):
                set_apart = n if holders == [g] else 0  # the number of ions is then known
                others = p * (1 - group.is_ion) if set_apart or holders == [g] else p
                drawn = rng.multinomial(group.number - set_apart, others / max(others.sum(), 1e-300), size=TRIES)
                counts.append(drawn + set_apart * group.is_ion)
            charge = self.fixed_charge + sum(c @ group.charge for c, group in zip(counts, self.groups))
            ions = sum(c @ group.is_ion for c, group in zip(counts, self.groups))
            good = np.flatnonzero((charge == 0) & (ions == n))
            if len(good):
                return [c[good[0]] for c in counts]
        raise RedoxError(f"no neutral composition with {n} ions was found among {MOST_TRIES:.0e} drawn ones")

    def tilt(self, n: float) -> Float:
        """The tilt (2,), of charge and ions, at which the mean charge is 0 and the mean number of ions is n: Newton's method."""
        tilt = np.zeros(2)
        for _ in range(200):
            mean, covariance = self._moments(tilt)
            slope = mean - (0.0, n) + STIFFNESS * tilt
            step = np.linalg.solve(covariance + STIFFNESS * np.eye(2), slope)
            tilt = tilt - step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-300))
            if np.abs(step).max() < 1e-9:
                break
        return tilt

    def _log_total(self, tilt: Float) -> float:
        """ln of the function at e^tilt."""
        logs = (group.number * np.logaddexp.reduce(group.log_weights(tilt)) for group in self.groups)
        return float(self.fixed_charge * tilt[0] + sum(logs))

    def _moments(self, tilt: Float) -> tuple[Float, Float]:
        """Mean (2,) and covariance (2, 2) of charge and number of ions of independent sites with this tilt."""
        mean, covariance = np.array([self.fixed_charge, 0.0]), np.zeros((2, 2))
        for group in self.groups:
            p, values = group.probabilities(tilt), np.stack([group.charge, group.is_ion]).astype(float)
            at = values @ p
            mean += group.number * at
            covariance += group.number * ((values - at[:, None]) * p @ (values - at[:, None]).T)
        return mean, covariance

    def _windows(self) -> Iterator[tuple[Int, Float]]:
        """Numbers of ions and ln of the numbers of arrangements, window by window."""
        holders = [group for group in self.groups if group.is_ion.any()]
        most = sum(group.number for group in holders)
        least = sum(group.number for group in holders if group.is_ion.all())
        low, high = self._feasible(least, most)
        while low <= high:
            above = min(int(WINDOW * self._width(self.tilt(low))), high - low)
            while above > WINDOW * self._width(tilt := self.tilt(centre := low + above)):
                above //= 2  # the distribution is narrower towards the end of composition
            last = min(centre + int(WINDOW * self._width(tilt)), high)
            n = np.arange(low, last + 1)
            log_number = self._coefficients(tilt, n)
            found = np.isfinite(log_number)
            yield n[found], log_number[found]
            low = last + 1

    def _feasible(self, least: int, most: int) -> tuple[int, int]:
        """Numbers of ions between which the charges can add up to 0 if fractions of sites are allowed."""
        from scipy.optimize import linprog  # slow to import, and seldom needed

        charge = np.concatenate([group.charge for group in self.groups])
        ion = np.concatenate([group.is_ion for group in self.groups])
        owner = np.repeat(np.arange(len(self.groups)), [len(group.charge) for group in self.groups])
        rows = np.vstack([charge, owner == np.arange(len(self.groups))[:, None]])
        values = [-self.fixed_charge, *(group.number for group in self.groups)]
        ends = [linprog(sign * ion, A_eq=rows, b_eq=values) for sign in (1, -1)]
        if not all(end.success for end in ends):
            return 1, 0
        low, high = ends[0].fun, -ends[1].fun
        margin = 1e-6 * (1 + most)  # of the linear program
        return max(int(np.ceil(low - margin)), least), min(int(np.floor(high + margin)), most)

    def _width(self, tilt: Float) -> float:
        """Standard deviation of the number of ions at a fixed charge."""
        (charges, both), (_, ions) = self._moments(tilt)[1]
        return float(np.sqrt(max(ions - both**2 / charges if charges > 1e-12 else ions, 0.0)))

    def _coefficients(self, tilt: Float, n: Int) -> Float:
        """ln of the number of neutral arrangements with n (k,) ions; -inf where there is none."""
        spread = np.sqrt(np.diag(self._moments(tilt)[1]))
        steps = max((int(np.ptp(group.charge)) for group in self.groups), default=0)
        spans = [sum(group.number * int(np.ptp(v)) for group, v in zip(self.groups, values)) for values in self._values()]
        sizes = [min(int(REACH * s + SPARE * step) + 1, span + 1) for s, step, span in zip(spread, (steps, 1), spans)]
        angles = [np.asarray(np.arange(size) * (2 * np.pi / size), np.float64) for size in sizes]
        total = np.zeros(len(angles[1]), complex)
        around = angles[0][: len(angles[0]) // 2 + 1]  # the other half is the complex conjugate
        weight = np.where((around == 0) | (np.abs(around - np.pi) < 1e-9), 1.0, 2.0) / len(angles[0])
        kept = self._largest(tilt, around) > NEGLIGIBLE
        around, weight = around[kept], weight[kept]
        for part in np.array_split(np.arange(len(around)), max(1, len(around) * len(angles[1]) // POINTS)):
            total += (weight[part, None] * self._relative(tilt, around[part], angles[1])).sum(axis=0)
        share = np.fft.fft(total)[n % len(total)].real / len(total)
        possible = share > NONE * share.max(initial=0.0)
        log_number = np.full(len(n), -np.inf)
        log_number[possible] = np.log(share[possible]) + self._log_total(tilt) - tilt[1] * n[possible]
        small = log_number < ROUNDED
        whole = np.rint(np.exp(log_number[small]))
        log_number[small] = np.where(whole > 0, np.log(np.maximum(whole, 1)), -np.inf)
        return log_number

    def _values(self) -> tuple[list[Int], list[Int]]:
        return [group.charge for group in self.groups], [group.is_ion for group in self.groups]

    def _relative(self, tilt: Float, x: Float, y: Float) -> NDArray[np.complex128]:
        """The function at angles x (k,) and y (m,) over its value at 0, (k, m)."""
        log_size, phase = np.zeros((len(x), 1)), self.fixed_charge * x[:, None]
        for group in self.groups:
            without, with_ion = self._parts(group, tilt, x)
            value = without[:, None]
            if group.is_ion.any():
                value = value + with_ion[:, None] * np.exp(1j * y)
            with np.errstate(divide="ignore"):
                log_size = log_size + group.number * np.log(np.abs(value))
            phase = phase + group.number * np.angle(value)
        return np.broadcast_to(np.exp(log_size) * np.exp(1j * phase), (len(x), len(y)))

    def _largest(self, tilt: Float, x: Float) -> Float:
        """ln of an upper bound (k,) of the relative size of the function at angles x (k,), whatever y is."""
        found = np.zeros(len(x))
        for group in self.groups:
            without, with_ion = self._parts(group, tilt, x)
            found += group.number * np.log(np.maximum(np.abs(without) + np.abs(with_ion), 1e-300))
        return found

    @staticmethod
    def _parts(group: Sites, tilt: Float, x: Float) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Sums over the other species and over the ion of probability times e^(i x charge), (k,) each."""
        without, with_ion = np.zeros(len(x), complex), np.zeros(len(x), complex)
        for p, charge, is_ion in zip(group.probabilities(tilt), group.charge, group.is_ion):
            part = with_ion if is_ion else without
            part += p * np.exp(1j * charge * x)
        return without, with_ion
