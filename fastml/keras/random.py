"""Generators and seeds, and what is drawn with them: the numbers that Keras draws on TensorFlow."""

import math as _math
import random as _python_random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from fastml.keras import _philox
from fastml.keras._locks import ForkSafeLock
from fastml.keras._naming import auto_name
from fastml.keras._serialization import public
from fastml.keras._variable import Variable
from fastml.keras.config import floatx

__all__ = ["SeedGenerator", "make_default_seed", "normal", "seeded", "truncated_normal", "uniform"]


@public("keras.random")
class SeedGenerator:
    """A seed and a counter, of which every draw takes the next value.

    Parameters
    ----------
    seed : int or None
        None draws one.
    name : str, default=None

    Attributes
    ----------
    state : Variable of uint64, shape (2,)
        The seed and the counter.
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
        self.name = auto_name(type(self).__name__) if name is None else name
        self._initial_seed = seed
        if seed is None:
            seed = make_default_seed()
        if not isinstance(seed, int):
            raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed}")
        self.state = Variable(_state(seed), "seed_generator_state", f"{self.name}/seed_generator_state")

    def next(self, ordered: bool = True) -> np.ndarray:
        """The seed and the counter, which goes on; not ``ordered``, both become others."""
        state = self.state.numpy()
        if ordered:
            self.state.value[1] += np.uint64(1)
        else:
            self.state.assign((state + np.uint64(1)) * np.uint64(5387) % np.uint64(933199))
        return state

    def generator(self) -> np.random.Generator:
        """NumPy's generator for the next draw."""
        return np.random.default_rng(self.next().tolist())

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SeedGenerator":
        return cls(**config)


def _state(seed: int) -> np.ndarray:
    """A seed, negative ones as two's complements, and the counter's beginning."""
    return np.array([seed & (2**64 - 1), 0], dtype=np.uint64)


def make_default_seed() -> int:
    """A seed from Python's generator, which ``set_random_seed`` sets."""
    return _generators.get().seeds.randint(1, 10**9)


class _Generators:
    """What this package draws from: seeds, by a generator like Python's, the order of samples, draws without a seed."""

    def __init__(self, seeds: Any):
        self.seeds = seeds
        self.shuffling: SeedGenerator | None = None
        self.unseeded: SeedGenerator | None = None

    def seed(self, seed: int) -> None:
        self.seeds.seed(seed)
        self.shuffling = SeedGenerator(seed, name="shuffling")
        self.unseeded = None


_generators: ContextVar[_Generators] = ContextVar("generators", default=_Generators(_python_random))  # noqa: B039


def shuffling_generator() -> SeedGenerator:
    """What the order of samples in ``fit`` is drawn from."""
    generators = _generators.get()
    if generators.shuffling is None:
        # Of a twin of Python's generator: Keras' `fit` takes no seed from it, so the next one is to be the same here.
        twin = _python_random.Random()
        twin.setstate(generators.seeds.getstate())
        generators.shuffling = SeedGenerator(twin.randint(1, 10**9), name="shuffling")
    return generators.shuffling


def unseeded_generator() -> SeedGenerator | None:
    """What draws without a seed are made from; None before the first one since seeds were set."""
    return _generators.get().unseeded


def set_unseeded_generator(generator: SeedGenerator | None) -> None:
    """Go on with another one."""
    _generators.get().unseeded = generator


def _next_unseeded() -> np.ndarray:
    generator = unseeded_generator()
    if generator is None:
        generator = SeedGenerator()
        set_unseeded_generator(generator)
    return generator.next(ordered=False)


def draw_seed(seed: Any) -> tuple[int, int]:
    """The two seed words of a draw.

    Parameters
    ----------
    seed : int, SeedGenerator or None
        None takes the next seed of the generator that all draws without a seed have in common.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(seed, int):
        state = _state(seed)
    elif seed is None:
        state = _next_unseeded()
    elif isinstance(seed, SeedGenerator):
        state = seed.next()
    else:
        raise ValueError(
            "Argument `seed` must be either an integer or an instance of `SeedGenerator`. "
            f"Received: seed={seed} (of type {type(seed)})"
        )
    # As Keras does on TensorFlow, whose operations take 32 bits of a seed of 64.
    first, second = (state.view(np.int64) % (2**31 - 2)).tolist()
    return first, second


def uniform(
    shape: Sequence[int], minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Uniformly distributed numbers: those that Keras draws on TensorFlow.

    Parameters
    ----------
    shape : sequence of int
    minval, maxval : float, default=0.0, 1.0
        The bounds: the lower one may be drawn.
    dtype : {None, "float32", "float64"}
        None is ``config.floatx()``.
    seed : int, SeedGenerator or None, default=None
        An integer draws the same numbers each time, a generator others.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If the dtype or the seed is no such thing.
    """
    numbers = _drawn(_philox.uniform, shape, dtype, seed)
    low, high = (_by_way_of_float32(bound).astype(numbers.dtype) for bound in (minval, maxval))
    numbers *= high - low
    numbers += low
    return numbers


def _by_way_of_float32(bound: Any) -> np.ndarray:
    """As Keras gives bounds to TensorFlow, which makes a float32 of a number of Python's, whatever it becomes next."""
    return np.asarray(bound, dtype=np.float32 if type(bound) is float else None)


def normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Normally distributed numbers: those that Keras draws on TensorFlow, but for their last bits.

    Parameters
    ----------
    mean, stddev : float, default=0.0, 1.0
    shape, dtype, seed
        See `uniform`.

    Returns
    -------
    array
    """
    return _scaled(_drawn(_philox.normal, shape, dtype, seed), mean, stddev)


def truncated_normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Like `normal`; numbers further than two standard deviations from the mean are drawn anew."""
    return _scaled(_drawn(_philox.truncated_normal, shape, dtype, seed), mean, stddev)


def _drawn(
    draw: Callable[[tuple[int, int], int, Any], np.ndarray], shape: Sequence[int], dtype: Any, seed: Any
) -> np.ndarray:
    dtype = np.dtype(floatx() if dtype is None else dtype)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"fastml.keras draws float32 and float64. Received: dtype={dtype.name}")
    return draw(draw_seed(seed), _math.prod(shape), dtype).reshape(tuple(shape))


def _scaled(numbers: np.ndarray, mean: Any, stddev: Any) -> np.ndarray:
    numbers *= np.asarray(stddev, numbers.dtype)
    numbers += np.asarray(mean, numbers.dtype)
    return numbers


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and this package's generators."""
    _generators.get().seed(seed)
    _seed_scripts(seed)


def _seed_scripts(seed: int) -> None:
    """Python's and NumPy's own generators, which users' functions draw from."""
    _python_random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002


class _Kept:
    """Python's and NumPy's states from before the first of the blocks under way, which may be in several threads."""

    def __init__(self) -> None:
        self._lock, self._blocks = ForkSafeLock(), 0
        self._states: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._blocks:
                self._states = _python_random.getstate(), np.random.get_state()  # noqa: NPY002
            self._blocks += 1

    def __exit__(self, *error: Any) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                python, numpy = self._states
                _python_random.setstate(python)
                np.random.set_state(numpy)  # noqa: NPY002


_kept = _Kept()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw what this thread draws in the block from a seed; all generators go on afterwards as if nothing had been.

    This package's draws are then the same whatever other threads draw. Python's and NumPy's generators, which it
    seeds for users' functions, all threads have in common.
    """
    generators = _Generators(_python_random.Random())
    generators.seed(seed)
    token = _generators.set(generators)
    try:
        with _kept:
            _seed_scripts(seed)
            yield
    finally:
        _generators.reset(token)
