"""Random streams: distinct uses draw distinct numbers, also where their keys differ by trailing zeros alone."""

import re
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from redoxmc.engine.runtime.streams import Stream, chain_stream, generator, library_seed

from ..helpers.paths import ROOT

KEYS = [(), (0,), (0, 0), (1,), (1, 0), (1, 0, 0), (0, 1), (2**32 - 1,), (Stream.CHAIN,), (Stream.CHAIN, 0)]
USES = [(seed, stream, *key) for seed in (0, 3, 2**32 + 3, 2**63 - 1) for stream in list(Stream)[:4] for key in KEYS]
HOME = "engine/runtime/streams.py"


def appended(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """As streams were made up to format 2: a mutant."""
    return np.random.default_rng([seed, stream, *key])


def repeated(make: Callable[..., np.random.Generator]) -> list[tuple]:
    """Pairs of uses that draw the same numbers."""
    drawn = [make(*use).integers(2**63, size=4).tolist() for use in USES]
    return [(USES[a], USES[b]) for a, b in combinations(range(len(USES)), 2) if drawn[a] == drawn[b]]


def test_every_use_has_a_stream_of_its_own() -> None:
    assert repeated(generator) == []
    assert len({chain_stream(*use).tobytes() for use in USES}) == len(USES)
    assert len({library_seed(*use) for use in USES}) == len(USES)


def test_streams_made_from_a_list_repeat_one_another() -> None:
    same = repeated(appended)
    assert ((3, Stream.PILOT, 1), (3, Stream.PILOT, 1, 0)) in same and len(same) > 50


def test_streams_depend_on_their_key_alone() -> None:
    first = generator(3, Stream.SCAN, 1).random(3)
    generator(3, Stream.SCAN, 2).random(5)
    assert np.array_equal(generator(3, Stream.SCAN, 1).random(3), first)


@pytest.mark.parametrize("word", ["default_rng", "SeedSequence", "new_stream", "RandomState", r"np\.random\.seed"])
def test_no_other_module_makes_a_stream(word: str) -> None:
    found = [p for p in (ROOT / "engine").rglob("*.py") if re.search(rf"\b{word}\b", p.read_text())]
    assert {str(p.relative_to(ROOT)) for p in found} <= {HOME}
