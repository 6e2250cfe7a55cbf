"""What the chains of one phase give over (T, mu): energy, composition and their fluctuations, and where the phase exists."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.streams import Stream, generator
from ...sampling.phases.existence import disagreement, existence, units_of
from ...sampling.phases.sheets import Kind, Sheet, betas_of
from ...sampling.phases.tasks import DISORDERED, Catalogue
from ...units import NEV_PER_EV
from ..free_energy.isotherms import student_factor

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
RESAMPLES = 100


@dataclass(frozen=True)
class Surface:
    """Of one phase in one cell, at beta_per_eV (beta,) ascending and mu_eV (mu,).

    energy_eV, x (1 + resamples, beta, mu): per formula unit. variance (3, beta, mu): of E, of E with n, and of n, per formula
    unit. exists (beta, mu): all chains stayed in the phase. likeness (beta, mu): to its pattern.
    """

    phase: int
    beta_per_eV: Float
    mu_eV: Float
    energy_eV: Float
    x: Float
    variance: Float
    exists: Bool
    likeness: Float

    @property
    def grand_energy_eV(self) -> Float:
        """u - mu x, (1 + resamples, beta, mu)."""
        return self.energy_eV - self.mu_eV * self.x

    @property
    def grand_variance(self) -> Float:
        """Of E - mu n, per formula unit, (beta, mu)."""
        ee, en, nn = self.variance
        return np.asarray(ee - 2 * self.mu_eV * en + self.mu_eV**2 * nn)


def surface_of(catalogue: Catalogue, sheets: Sequence[Sheet], phase: int, cell: int, n_fu: int, seed: int) -> Surface | None:
    """From the chains of the phase in a cell of n_fu formula units; None while some are missing."""
    mu_eV = catalogue.mu_of(phase)
    own = [s for s in sheets if (s.task.phase, s.task.cell) == (phase, cell)]
    cold = {s.task.mu_eV: s for s in own if s.task.kind is Kind.COLD}
    hot = {s.task.mu_eV: s for s in own if s.task.kind is Kind.HOT}
    if len(cold) < len(mu_eV) or (phase == DISORDERED and len(hot) < len(mu_eV)):
        return None
    parts = [_part([cold[m] for m in mu_eV.tolist()], catalogue, n_fu, seed)]
    if phase == DISORDERED:
        parts.insert(0, _part([hot[m] for m in mu_eV.tolist()], catalogue, n_fu, seed))
    beta, energy, x, variance, exists, likeness = (np.concatenate(p, axis=k) for p, k in zip(zip(*parts), (0, 1, 1, 1, 0, 0)))
    return Surface(phase, beta, mu_eV, energy, x, variance, exists, likeness)


def fine_surface(sheet: Sheet, catalogue: Catalogue, n_fu: int, seed: int) -> Surface:
    """Of chains around the end of an order, at one mu."""
    return Surface(sheet.task.phase, *_split(_part([sheet], catalogue, n_fu, seed), np.array([sheet.task.mu_eV])))


def _split(part: tuple[NDArray, ...], mu_eV: Float) -> tuple[NDArray, ...]:
    return part[0], mu_eV, *part[1:]


def _part(sheets: list[Sheet], catalogue: Catalogue, n_fu: int, seed: int) -> tuple[NDArray, ...]:
    """Sheets of one kind at all mu, by ascending beta."""
    beta = betas_of(sheets[0].task, catalogue.asked_K) * NEV_PER_EV
    order = np.argsort(beta)
    energy = [resampled(s.means.energy_eV, seed, _number(s, k)) for k, s in enumerate(sheets)]
    x = [resampled(s.means.ions, seed, _number(s, k)) for k, s in enumerate(sheets)]
    variance = np.array([_variance(s, n_fu) for s in sheets])
    likeness, exists = (np.array(a) for a in zip(*(existence(s) for s in sheets)))
    arrays = (np.array(energy).transpose(1, 2, 0), np.array(x).transpose(1, 2, 0), variance.transpose(1, 2, 0))
    return beta[order], *(a[:, order] for a in arrays), exists.T[order], likeness.astype(float).T[order]


def _number(sheet: Sheet, at: int) -> tuple[int, ...]:
    return sheet.task.cell, sheet.task.phase + 1, list(Kind).index(sheet.task.kind), at, sheet.task.node


def _variance(sheet: Sheet, n_fu: int) -> Float:
    """(3, temperatures): means over walkers of the variance of each."""
    m = sheet.means
    e, n = m.energy_eV.mean(axis=0), m.ions.mean(axis=0)
    products = ((m.energy_energy, e * e), (m.energy_ions, e * n), (m.ions_ions, n * n))
    return np.array([(p.mean(axis=0) - n_fu * q).mean(axis=-1) for p, q in products])


def resampled(chunks: Float, seed: int, key: tuple[int, ...]) -> Float:
    """Mean of chunks (chunks, temperatures, walkers) and bootstrap resamples of it, (1 + RESAMPLES, temperatures).

    Units are blocks of each walker; where walkers differ by more than their blocks, the spread is that of the walkers.
    """
    units, mean = units_of(chunks), chunks.mean(axis=(0, 2))
    wider = np.minimum(np.maximum(disagreement(chunks), 1.0), len(units) ** 0.5)
    picks = generator(seed, Stream.PHASES, Stream.BOOTSTRAP, *key).integers(len(units), size=(RESAMPLES, len(units)))
    spread = (units[picks].mean(axis=1) - mean) * wider * student_factor(len(units))
    return np.concatenate([mean[None], mean + spread])
