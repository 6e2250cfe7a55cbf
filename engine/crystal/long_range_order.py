"""Long-range order: the strongest star of waves, if it is more than what disorder gives."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from .structure_factor import Field, Waves

Float = NDArray[np.float64]
Int = NDArray[np.int64]
LEAST_ORDER = 0.1  # share of a field in one star above which it has long-range order
FALSE_ALARM = 1e-3  # probability that random arrangements pass the other test, at any star
LONG_WAVE_SPACINGS = 4.0  # mean distances between sites: a longer wave may be phases side by side


@dataclass(frozen=True)
class Recognised:
    """The strongest star at each point (...). weight: its share of the field; parameter: sqrt of the share beyond disorder."""

    star: Int
    weight: Float
    parameter: Float
    ordered: NDArray[np.bool_]
    separated: NDArray[np.bool_]


def recognise(weights: Float, chains: Int, waves: Waves, field: Field) -> Recognised:
    """Find the strongest star, and whether it is long-range order; where weights are nan it is not.

    weights (..., stars): means over `chains` (...) independent chains.

    Disorder gives a star of m waves the share m/n_cells on average: a sum of squares of m * sites real amplitudes (sites: of
    the field in a cell), each of variance 1/(n_cells * sites), hence chi2 with m * sites * chains degrees of freedom in the mean.
    """
    n_cells, sites = waves.supercell.n_cells, len(field.sites)
    level = waves.star_size / n_cells
    excess = np.divide(weights - level, 1 - level, out=np.full_like(weights, np.nan), where=level < 1)
    star = np.nan_to_num(excess, nan=-1.0).argmax(axis=-1)
    amplitudes = waves.star_size[star] * sites * np.maximum(chains, 1)
    random = chdtri(amplitudes, FALSE_ALARM / len(level)) * level[star] / amplitudes
    weight, most = (np.take_along_axis(v, star[..., None], axis=-1)[..., 0] for v in (weights, excess))
    found = (np.nan_to_num(most) >= LEAST_ORDER) & (np.nan_to_num(weight) > random)
    spacing_A = (waves.supercell.lattice.atoms.get_volume() / max(sites, 1)) ** (1 / 3)
    length_A = waves.star_wavelength_A
    once = np.isfinite(length_A) & (length_A > LONG_WAVE_SPACINGS * spacing_A) & (waves.star_passes <= 1)
    return Recognised(star, weight, np.sqrt(np.maximum(most, 0)), found & ~once[star], found & once[star])
