"""Where the chains of a sheet stayed in their phase and agree with one another."""

import numpy as np
from numpy.typing import NDArray

from .sheets import Sheet

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
BLOCKS = 4  # of each walker
LEAST_LIKENESS = 0.2  # to the pattern, below which a chain has left the phase
LEAST_PURITY = 0.5  # likeness over the share of the stars of the pattern
MOST_DISAGREEMENT = 4.0  # of the means of the walkers, over what their own blocks let expect


def existence(sheet: Sheet) -> tuple[Float, Bool]:
    """Likeness to the pattern, and whether all chains stayed in the phase and agree, (temperatures,).

    A chain has left it if it has lost its order, has that of other arms of the star, or is more like another phase. Walkers that
    differ are not equilibrated: each has its own domains. Between temperatures at which they agree a difference counts as noise.
    """
    agree = np.all([disagreement(c) <= MOST_DISAGREEMENT for c in (sheet.means.energy_eV, sheet.means.ions)], axis=0)
    agree[1:-1] |= agree[:-2] & agree[2:]
    if np.isnan(sheet.likeness).all():
        return np.zeros(len(sheet.ordered)), ~sheet.ordered & agree
    own = (sheet.likeness[:, 0].mean(axis=0) > sheet.to_others.mean(axis=0)).all(axis=-1)
    to_order, to_stars, _ = sheet.likeness.mean(axis=0).min(axis=-1)  # the walker that is least like it
    return to_order, (to_order >= LEAST_LIKENESS) & (to_order >= LEAST_PURITY * to_stars) & own & agree


def units_of(chunks: Float) -> Float:
    """Means of BLOCKS blocks of every walker, (units, temperatures)."""
    return _blocks(chunks).transpose(0, 2, 1).reshape(-1, chunks.shape[1])


def _blocks(chunks: Float) -> Float:
    """(blocks, temperatures, walkers)."""
    return np.asarray(chunks.reshape(BLOCKS, -1, *chunks.shape[1:]).mean(axis=1))


def disagreement(chunks: Float) -> Float:
    """Standard error of the mean by the walkers over that by the blocks of each, (temperatures,); 1 where nothing fluctuates."""
    blocks, walkers = _blocks(chunks), chunks.mean(axis=0)
    expected = np.sqrt(blocks.var(axis=0, ddof=1).mean(axis=-1) / (len(blocks) * blocks.shape[-1]))
    apart = walkers.std(axis=1, ddof=1) / np.sqrt(walkers.shape[1])
    return np.where(apart > 0, np.divide(apart, expected, out=np.full_like(apart, np.inf), where=expected > 0), 1.0)
