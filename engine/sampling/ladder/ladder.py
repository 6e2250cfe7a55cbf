"""The temperatures that are sampled: those asked for and those inserted."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...units import inverse_temperature, temperature_of


@dataclass(frozen=True)
class Ladder:
    """temperature_K (rungs,) ascending, inf last if the ladder leads to beta = 0.

    asked (rungs,): in the input; the other temperatures are inserted so that neighbours exchange configurations.
    """

    temperature_K: NDArray[np.float64]
    asked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.temperature_K)

    @cached_property
    def beta_per_neV(self) -> NDArray[np.float64]:
        """(rungs,) descending, 0 last if the ladder leads there."""
        return np.array([inverse_temperature(t) for t in self.temperature_K])

    @property
    def rungs_asked(self) -> list[int]:
        """Rungs at temperatures that the input asks for."""
        return np.flatnonzero(self.asked).tolist()


def ladder_of(asked_K: tuple[float, ...], inserted_beta: NDArray[np.float64]) -> Ladder:
    """A ladder of the temperatures asked for, exactly as given, and others (beta, 1/neV) rounded to 0.001 K."""
    inserted_K = {round(temperature_of(b), 3) for b in inserted_beta.tolist()} - set(asked_K)
    temperature_K = np.array(sorted({*asked_K, *inserted_K}))
    return Ladder(temperature_K, np.isin(temperature_K, asked_K))
