"""Random stream of one chain: xoroshiro128++ (Blackman and Vigna, ACM TOMS 47, 36, 2021).

The state is a uint64 array of shape (2,), changed in place; each chain owns one.
"""

import numba as nb
import numpy as np
from numpy.typing import NDArray

from .compiling import part


def new_stream(seed: int, *key: int) -> NDArray[np.uint64]:
    """State from SeedSequence(seed, spawn_key=key); distinct keys give independent streams. The engine asks
    runtime/streams.py instead.
    """
    return np.asarray(np.random.SeedSequence(seed, spawn_key=key).generate_state(2, np.uint64), np.uint64)


@part
def _rotate_left(x, k):
    return (x << np.uint64(k)) | (x >> np.uint64(64 - k))


@part
def following(s0, s1):
    """64 random bits from a state, and the state after them."""
    bits = _rotate_left(s0 + s1, 17) + s0
    s1 ^= s0
    return bits, _rotate_left(s0, 49) ^ s1 ^ (s1 << np.uint64(21)), _rotate_left(s1, 28)


@part
def unit(bits):
    """64 random bits as a number in [0, 1), 53 of them."""
    return np.float64(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@part
def uniform(stream):
    """Next number in [0, 1), 53 bits."""
    bits, stream[0], stream[1] = following(stream[0], stream[1])
    return unit(bits)


@part
def below(stream, n):
    """Next integer in [0, n); n < 2**31."""
    return np.int64(uniform(stream) * n)


@part
def bits(stream):
    """Next 64 random bits."""
    found, stream[0], stream[1] = following(stream[0], stream[1])
    return found


@nb.njit
def branch(seed, number):
    """Stream `number` of those that 64 bits seed, by SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), as xoroshiro's authors
    advise.
    """
    stream = np.empty(2, np.uint64)
    for k in range(2):
        z = seed + np.uint64(2 * number + k + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        stream[k] = z ^ (z >> np.uint64(31))
    return stream
