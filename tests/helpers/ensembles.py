"""Ensembles of chains that run together, from those of single chains."""

from collections.abc import Sequence

import numpy as np

from redoxmc.kernels.layout import Ensemble, Ensembles


def stack(ensembles: Sequence[Ensemble]) -> Ensembles:
    """One row each."""
    beta, beta_mu, log_weight, reference = (np.array([e[k] for e in ensembles]) for k in range(4))
    return Ensembles(beta, beta_mu, log_weight, reference, ensembles[0].step)
