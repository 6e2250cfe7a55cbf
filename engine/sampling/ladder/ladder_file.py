"""The file ladder.h5: the plan of the sampling, the states that the chains start from, and what was found on the way to them."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.sample_store import SampleStore
from ...runtime.storage import read_h5, write_h5
from ..chains.moves import Mix
from .ladder import Ladder
from .plan import Cycles, Plan
from .slots import EnsembleKind, Slot

Float = NDArray[np.float64]


def write_ladder(
    store: SampleStore, plan: Plan, starts: NDArray[np.int8], scans: Float | None = None, cycled: Cycles | None = None
) -> None:
    """scans: at the temperatures asked for, up and down in x. cycled: cooling and heating. None where there are none."""
    data: dict[str, Any] = {
        "temperature_K": plan.ladder.temperature_K,
        "asked": plan.ladder.asked,
        "slot_rung": [s.rung for s in plan.slots],
        "slot_kind": np.array([s.kind.value for s in plan.slots], dtype="S"),
        "slot_index": [s.index for s in plan.slots],
        "slot_n_expected": [s.n_expected for s in plan.slots],
        "target_n": plan.target_n,
        "reference": plan.reference,
        "starts": starts,
    }
    data |= {f"mu_eV/{k}": m for k, m in enumerate(plan.mu_eV)}
    if scans is not None:
        data["scan_reference"] = scans
    if cycled is not None:
        data |= {f"cycle/{name}": value for name, value in vars(cycled).items()}
    attributes = {
        "sigma_n": plan.sigma_n,
        "walkers": plan.walkers,
        "notes": json.dumps(plan.notes),
    }
    write_h5(store.ladder, data, {**attributes, "mix": json.dumps(asdict(plan.mix))})


def read_ladder(store: SampleStore) -> tuple[Plan, NDArray[np.int8]]:
    data, attributes = read_h5(store.ladder)
    slots = zip(
        data["slot_rung"].tolist(), data["slot_kind"].tolist(), data["slot_index"].tolist(), data["slot_n_expected"].tolist()
    )
    plan = Plan(
        ladder=Ladder(data["temperature_K"], data["asked"]),
        slots=tuple(Slot(r, EnsembleKind(kind.decode()), k, n) for r, kind, k, n in slots),
        target_n=data["target_n"],
        sigma_n=float(attributes["sigma_n"]),
        mu_eV=tuple(data[name] for name in sorted((d for d in data if d.startswith("mu_eV/")), key=lambda d: int(d[6:]))),
        reference=data["reference"],
        scan_reference=data.get("scan_reference"),
        cycles=Cycles(**found) if (found := {k[6:]: v for k, v in data.items() if k.startswith("cycle/")}) else None,
        walkers=int(attributes["walkers"]),
        mix=Mix(**json.loads(attributes.get("mix", "{}"))),
        notes=tuple(json.loads(attributes["notes"])),
    )
    return plan, data["starts"]
