"""The group /exchange: how often pairs of replicas exchanged their states, and the ladder of temperatures."""

import numpy as np

from ..runtime.results.replicas import Exchange
from ..sampling.ladder.plan import Plan
from ..sampling.samples import Samples


def exchange_group(samples: Samples) -> Exchange:
    """Acceptance of the exchanges of every pair of replicas."""
    plan, pairs = samples.plan, sorted(samples.exchanged)
    names = [_pair_name(plan, a, b) for a, b in pairs]
    rungs = np.array([[plan.slots[k].rung for k in p] for p in pairs], np.int64).reshape(-1, 2)
    return Exchange(
        pair=np.arange(len(pairs)),
        replicas=np.array(pairs, np.int64).reshape(-1, 2),
        axis=np.array([axis for axis, _ in names]),
        pair_temperature_K=plan.ladder.temperature_K[rungs],
        name=np.array([name for _, name in names]),
        acceptance=np.array([samples.exchanged[p][1] / max(samples.exchanged[p][0], 1) for p in pairs]),
        temperature_ladder_K=plan.ladder.temperature_K,
        rung_asked=plan.ladder.asked,
    )


def _pair_name(plan: Plan, a: int, b: int) -> tuple[str, str]:
    """What differs between two replicas, and a description of the pair."""
    p, q = plan.slots[a], plan.slots[b]
    ta, tb = plan.ladder.temperature_K[p.rung], plan.ladder.temperature_K[q.rung]
    if p.rung != q.rung:
        return "temperature", f"{p.kind} {p.index}: {ta:g} K <-> {tb:g} K"
    return "composition", f"{ta:g} K: {p.kind} {p.index} <-> {q.kind} {q.index}"
