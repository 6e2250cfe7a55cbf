"""Exchange of configurations between slots: along temperature and along composition (replica exchange).

Energies, counts, counters and the random stream are alike on all ranks, so every rank decides alike and nothing is sent to agree.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..chains.system import System
from ..ladder.plan import Plan
from ..ladder.slots import EnsembleKind

Int = NDArray[np.int64]


def exchange_pairs(plan: Plan) -> list[Int]:
    """Rounds of disjoint pairs of slots, (pairs, 2) each: along temperature and composition in turn, even pairs and odd pairs."""
    where = {(s.rung, s.kind, s.index): k for k, s in enumerate(plan.slots)}
    along_t: list[list[tuple[int, int]]] = [[], []]
    for k, s in enumerate(plan.slots):
        if (hotter := where.get((s.rung + 1, s.kind, s.index))) is not None:
            along_t[s.rung % 2].append((k, hotter))
    along_x: list[list[tuple[int, int]]] = [[], []]
    for rung in range(len(plan.ladder)):
        row = sorted(
            (s.n_expected, s.kind, s.index, k)
            for k, s in enumerate(plan.slots)
            if s.rung == rung and s.kind is not EnsembleKind.FIXED_COMPOSITION
        )
        for place, (a, b) in enumerate(zip(row, row[1:])):
            along_x[place % 2].append((a[-1], b[-1]))
    rounds = (along_t[0], along_x[0], along_t[1], along_x[1])
    return [np.array(pairs, np.int64).reshape(-1, 2) for pairs in rounds if pairs]


@dataclass
class Exchange:
    """All rounds of exchange of a plan, with its counters and its random stream."""

    plan: Plan
    system: System
    stream: np.random.Generator

    def __post_init__(self) -> None:
        self.rounds = exchange_pairs(self.plan)
        self.counters = [np.zeros((len(pairs), 2), np.int64) for pairs in self.rounds]  # tried, accepted
        weights = [self.plan.log_weight(s, self.system) for s in self.plan.slots]
        self.log_weight, self.beta_mu = np.array([w for w, _ in weights]), np.array([b for _, b in weights])
        self.beta = np.array([self.plan.ladder.beta_per_neV[s.rung] for s in self.plan.slots])

    def sources(self, state: Int) -> Int:
        """The slot whose configuration comes to each (slots, walkers), after all rounds, one after the other.

        A round tries every pair in every walker and counts it. state (slots, walkers, 1 + ions): energies (neV) and counts.
        """
        state = state.copy()
        n_slots, walkers = state.shape[:2]
        source = np.tile(np.arange(n_slots)[:, None], walkers)
        for pairs, counters in zip(self.rounds, self.counters):
            accepted = self._accepted(pairs, state)
            counters += np.column_stack([np.full(len(pairs), walkers), accepted.sum(axis=1)])
            k, walker = np.nonzero(accepted)
            here, there = pairs[k, 0], pairs[k, 1]
            for table in (state, source):
                table[here, walker], table[there, walker] = table[there, walker], table[here, walker]
        return source

    def _accepted(self, pairs: Int, state: Int) -> NDArray[np.bool_]:
        """Whether the two slots of a pair exchange, (pairs, walkers)."""
        a, b = pairs[:, :1], pairs[:, 1:]
        (ea, na), (eb, nb) = ((one[..., 0], one[..., 1:]) for one in (state[pairs[:, 0]], state[pairs[:, 1]]))
        log_ratio = self.log_probability(a, eb, nb) + self.log_probability(b, ea, na)
        log_ratio -= self.log_probability(a, ea, na) + self.log_probability(b, eb, nb)
        return np.log(self.stream.random(log_ratio.shape)) < log_ratio

    def log_probability(self, slots: Int, energy: Int, ions: Int) -> NDArray[np.float64]:
        """Log weight of states (pairs, walkers), (pairs, walkers, ions) in the ensembles of the slots (pairs, 1)."""
        mu = (self.beta_mu[slots] * ions).sum(axis=-1)
        return -self.beta[slots] * energy + mu + self.log_weight[slots, ions[..., 0]]

    def table(self) -> Int:
        """(pairs, 4): two slots, exchanges tried and accepted, in the order of the slots."""
        rows = [np.column_stack([pairs, counters]) for pairs, counters in zip(self.rounds, self.counters)]
        table = np.concatenate([np.zeros((0, 4), np.int64), *rows])
        return table[np.lexsort(table.T[1::-1])]

    def restore(self, pairs: Int, counters: Int, words: NDArray[np.uint64]) -> None:
        """Take the counters from a `table` and the random stream from `stream_words`."""
        known = {(int(a), int(b)): row for (a, b), row in zip(pairs, counters)}
        for own, row in zip(self.rounds, self.counters):
            row[:] = [known[int(a), int(b)] for a, b in own]
        high, low, inc_high, inc_low = (int(w) for w in words)
        state: Any = self.stream.bit_generator.state
        state["state"] = {"state": (high << 64) | low, "inc": (inc_high << 64) | inc_low}
        self.stream.bit_generator.state = state

    def stream_words(self) -> NDArray[np.uint64]:
        """State of the random stream (PCG64) as four words: state and increment, high and low 64 bits of each."""
        state: Any = self.stream.bit_generator.state
        mask = (1 << 64) - 1
        numbers = (state["state"]["state"], state["state"]["inc"])
        return np.array([part for v in numbers for part in (v >> 64, v & mask)], np.uint64)
