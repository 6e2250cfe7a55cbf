"""Attempted moves of this process and what they take; rates and memory of earlier runs on this machine, for --check."""

import json
import math
import resource
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...kernels.cache_folders import user_cache
from .storage import write_text

KEPT = 50  # runs
LEAST_S = 0.05  # of measured time, below which a rate is not recorded
LEAST_SITES = 2.0  # factor in sites within which runs take alike


@dataclass
class Meter:
    """Attempted moves. The first call is not timed, since it loads or compiles the kernel."""

    moves: int = 0
    timed_moves: int = 0
    timed_s: float = 0.0
    calls: int = 0

    def add(self, moves: int, seconds: float) -> None:
        if self.calls:
            self.timed_moves += moves
            self.timed_s += seconds
        self.moves += moves
        self.calls += 1

    @property
    def per_s(self) -> float | None:
        return self.timed_moves / self.timed_s if self.timed_s > LEAST_S else None


@dataclass
class Effort:
    """Of chains that share proposals, and of chains that advance one by one."""

    lanes: Meter = field(default_factory=Meter)
    alone: Meter = field(default_factory=Meter)

    @property
    def moves(self) -> int:
        return self.lanes.moves + self.alone.moves


EFFORT = Effort()


@dataclass(frozen=True)
class Rate:
    """Of one run, by its rank 0. host: name of the machine. energy: key of lattice and energy. moves: attempted.

    lanes_per_s, alone_per_s: None where not measured. rest_s: wall time beside the moves.
    """

    host: str
    energy: str
    n_sites: int
    moves: int
    lanes_per_s: float | None
    alone_per_s: float | None
    rest_s: float
    peak_MiB: float


def record_rate(energy: str, n_sites: int, wall_s: float) -> None:
    """Keep what this run took; nothing happens where no folder can be written, or where nothing was sampled."""
    if not EFFORT.moves or (path := _path()) is None:
        return
    rest_s = max(wall_s - EFFORT.lanes.timed_s - EFFORT.alone.timed_s, 0.0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = Rate(socket.gethostname(), energy, n_sites, EFFORT.moves, EFFORT.lanes.per_s, EFFORT.alone.per_s, rest_s, peak)
    try:
        write_text(path, json.dumps([asdict(r) for r in [*_known(path), rate][-KEPT:]], indent=1))
    except OSError:
        return


def known_rate(energy: str, n_sites: int) -> Rate | None:
    """The last run on this machine of the same energy, or else of nearly as many sites."""
    rates = [r for r in _known(_path()) if r.host == socket.gethostname() and (r.lanes_per_s or r.alone_per_s)]
    same = [r for r in rates if r.energy == energy and r.n_sites == n_sites]
    near = [r for r in rates if abs(math.log(r.n_sites / n_sites)) <= math.log(LEAST_SITES)]
    return next(reversed(same or near), None)


def _path() -> Path | None:
    folder = user_cache()
    return None if folder is None else folder / "rates.json"


def _known(path: Path | None) -> list[Rate]:
    """Records of another version are left out."""
    try:
        return [Rate(**r) for r in json.loads(path.read_text(encoding="utf-8"))] if path else []
    except (OSError, ValueError, TypeError):
        return []
