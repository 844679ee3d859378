"""What TensorFlow's stateless operations draw on a CPU, number by number: Philox4x32-10 as they use it.

A draw's two seed words give Philox' key and the upper half of its counter, whose lower half numbers blocks of four
words. Uniform numbers are equal bit for bit. Normal ones go through logarithms and sines, which libraries round
differently: they differ by a few units in the last place at most. A truncated normal number that lies that close to the
bound may be kept by one and drawn anew by the other: fewer than one in 10⁸ of float32.

References
----------
J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
G. Box, M. Muller, "A Note on the Generation of Random Normal Deviates", Annals of Mathematical Statistics 29, 1958.
TensorFlow's documentation of ``tf.random.stateless_uniform``, ``tf.random.stateless_normal`` and
``tf.random.stateless_truncated_normal``, and its guide "Random number generation".
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastml.kernels import philox

# Blocks computed at once: their words, as 64-bit integers, stay in the second-level cache.
_CHUNK = 1 << 13
# What seed words are scrambled with before they become key and counter, so that seeds need not be random themselves.
_SCRAMBLING_KEY = 0x02461E293EC8F720
# A group of truncated numbers may take so many words for each of them, before those of the next group begin.
_RESERVED_WORDS = 256
# Keeps logarithms finite.
_SMALLEST = 1e-7


class Stream(NamedTuple):
    """Blocks of four words, by their numbers.

    Attributes
    ----------
    key, high : int
        64 bits each: Philox' key, and the upper half of its counter.
    """

    key: int
    high: int

    @classmethod
    def of_seed(cls, seed: tuple[int, int]) -> "Stream":
        """Of a draw's two seed words: 64 bits each, of which negative ones are two's complements."""
        first, second = (word & (2**64 - 1) for word in seed)
        words = philox.blocks(_SCRAMBLING_KEY, np.array([first], np.uint64), second)[:, 0].tolist()
        return cls(words[0] | words[1] << 32, words[2] | words[3] << 32)

    def blocks(self, numbers: np.ndarray) -> np.ndarray:
        """The words of some blocks.

        Parameters
        ----------
        numbers : array of uint64, shape (n,)

        Returns
        -------
        array of uint32, shape (n, 4)
        """
        return philox.blocks(self.key, numbers, self.high).T.astype(np.uint32, order="C")


def uniform(seed: tuple[int, int], n: int, dtype: Any) -> np.ndarray:
    """``n`` numbers from 0 to 1, without 1.

    Parameters
    ----------
    seed : tuple of two int
    n : int
    dtype : float32 or float64

    Returns
    -------
    array, shape (n,)
    """
    dtype = np.dtype(dtype)
    return _in_chunks(seed, n, dtype, lambda stream, numbers: _uniform(stream.blocks(numbers), dtype))


def normal(seed: tuple[int, int], n: int, dtype: Any) -> np.ndarray:
    """``n`` standard normal numbers. See `uniform`."""
    dtype = np.dtype(dtype)
    return _in_chunks(seed, n, dtype, lambda stream, numbers: _normal(stream.blocks(numbers), dtype))


def truncated_normal(seed: tuple[int, int], n: int, dtype: Any) -> np.ndarray:
    """``n`` standard normal numbers between -2 and 2: others are drawn anew. See `uniform`."""
    dtype = np.dtype(dtype)
    return _in_chunks(seed, n, dtype, lambda stream, numbers: _truncated(stream, numbers, dtype))


def _in_chunks(
    seed: tuple[int, int], n: int, dtype: np.dtype, drawn: Callable[[Stream, np.ndarray], np.ndarray]
) -> np.ndarray:
    """``n`` numbers, of groups that are as many as a block has bits for."""
    stream, size = Stream.of_seed(seed), _per_block(dtype)
    n_groups = -(-n // size)
    values = np.empty((n_groups, size), dtype)
    for first in range(0, n_groups, _CHUNK):
        last = min(first + _CHUNK, n_groups)
        values[first:last] = drawn(stream, np.arange(first, last, dtype=np.uint64))
    return values.reshape(-1)[:n]


def _per_block(dtype: np.dtype) -> int:
    return 16 // dtype.itemsize


def _uniform(words: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Multiples of 2⁻²³ of a word each, or of 2⁻⁵² of two: what the mantissa of a number from 1 to 2 has room for."""
    if dtype == np.float32:
        return (words & np.uint32(0x7FFFFF)).astype(np.float32) * np.float32(2.0**-23)
    upper = (words[:, 0::2] & np.uint32(0xFFFFF)).astype(np.uint64)
    return (upper << np.uint64(32) | words[:, 1::2]) * 2.0**-52


def _normal(words: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """By Box and Muller: two uniform numbers give a radius and an angle, and these two normal numbers.

    Functions of float32 are computed in float64 and rounded, which libraries of float32 come closer to than to each
    other.
    """
    numbers = _uniform(words, dtype)
    logarithms = np.log(np.maximum(numbers[:, 0::2], dtype.type(_SMALLEST)), dtype=np.float64)
    radius = np.sqrt(-2 * logarithms.astype(dtype, copy=False))
    angle = (2 * np.pi * numbers[:, 1::2].astype(np.float64)).astype(dtype).astype(np.float64)
    values = np.empty_like(numbers)
    values[:, 0::2] = radius * np.sin(angle).astype(dtype, copy=False)
    values[:, 1::2] = radius * np.cos(angle).astype(dtype, copy=False)
    return values


def _truncated(stream: Stream, groups: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Groups of numbers, each from blocks of its own: so many of them, in order, as it takes to fill the group."""
    size = _per_block(dtype)
    first_blocks = groups * np.uint64(_RESERVED_WORDS * size // 4)
    values = np.empty((len(groups), size), dtype)
    filled = np.zeros(len(groups), np.intp)
    short = np.arange(len(groups))
    n_blocks = 0
    while len(short):
        drawn = _normal(stream.blocks(first_blocks[short] + np.uint64(n_blocks)), dtype)
        inside = np.abs(drawn) < 2
        places = filled[short, None] + np.cumsum(inside, axis=1) - 1
        rows, columns = np.nonzero(inside & (places < size))
        values[short[rows], places[rows, columns]] = drawn[rows, columns]
        filled[short] = places[:, -1] + 1
        short = short[filled[short] < size]
        n_blocks += 1
    return values
