"""Random streams: every use has one of its own, given by the seed of the run, a member of `Stream` and further whole numbers.

A stream depends on nothing else, so results depend neither on the number of MPI ranks nor on what was drawn before. The numbers
go into the spawn key of numpy's SeedSequence. They must not be appended to its entropy, which ignores trailing zeros: there
[seed, 1, 3] and [seed, 1, 3, 0] are one stream.
"""

from enum import IntEnum, unique

import numpy as np
from numpy.typing import NDArray

from ...kernels.random import new_stream

ANY_SEED = 0  # of draws that are the same in every run


@unique
class Stream(IntEnum):
    """What random numbers are for. Results depend on these numbers: add members, change none."""

    # who draws: the first number of a key
    PILOT = 1
    ANNEALING = 2
    TUNING = 3
    SCAN = 4
    CYCLE = 5
    EQUILIBRATION = 6
    SAMPLING = 7
    REFINEMENT = 8
    CONDITIONAL_ENTROPY = 9
    GROUND_STATE_SEARCH = 10
    CORRECTION = 11
    LEARNING = 12
    LABELLING = 13
    CHARGE_ORDERS = 14
    EVALUATION = 15
    DILUTE_EVALUATION = 16
    TRAINING = 17
    FIT = 18
    NEUTRALITY = 19
    ANY_STATE = 20
    BOOTSTRAP = 21
    LEAST_SQUARES = 22
    CORRECTION_BOOTSTRAP = 23
    ORDER_SCAN = 24
    PHASES = 25

    # what it draws, where it draws several things: the second number
    START = 101
    CHAIN = 102
    PROPOSALS = 103
    EXCHANGE = 104
    WHOLE_STATE = 105


Use = tuple[Stream, *tuple[int, ...]]  # the first numbers of a key, where one function draws for several uses


def generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """The stream as a generator of numpy. Distinct (stream, *key) are independent. key: whole numbers from 0 to 2^32 - 1."""
    return np.random.default_rng(_sequence(seed, stream, *key))


def chain_stream(seed: int, stream: Stream, *key: int) -> NDArray[np.uint64]:
    """The stream as a state (2,) of the compiled kernels' own generator; key as in `generator`."""
    return new_stream(seed, stream, *key)


def library_seed(seed: int, stream: Stream, *key: int) -> int:
    """A seed of 32 bits for a library that makes its own generator; key as in `generator`."""
    return int(_sequence(seed, stream, *key).generate_state(1)[0])


def _sequence(seed: int, stream: Stream, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(stream, *key))
