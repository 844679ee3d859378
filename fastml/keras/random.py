"""Generators and seeds."""

import random as _python_random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from fastml.keras._locks import ForkSafeLock
from fastml.keras._naming import auto_name
from fastml.keras._variable import Variable

__all__ = ["SeedGenerator", "make_default_seed", "seeded"]


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
        state = np.array([seed & (2**64 - 1), 0], dtype=np.uint64)
        self.state = Variable(state, "seed_generator_state", f"{self.name}/seed_generator_state")

    def next(self) -> np.ndarray:
        """The seed and the counter, which goes on."""
        state = self.state.numpy()
        self.state.value[1] += np.uint64(1)
        return state

    def generator(self) -> np.random.Generator:
        """NumPy's generator for the next draw."""
        return np.random.default_rng(self.next().tolist())

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SeedGenerator":
        return cls(**config)


def make_default_seed() -> int:
    """A seed from Python's generator, which ``set_random_seed`` sets."""
    return _generators.get().seeds.randint(1, 10**9)


class _Generators:
    """What this package draws from: seeds, by a generator like Python's, and the order of samples."""

    def __init__(self, seeds: Any):
        self.seeds = seeds
        self.shuffling: SeedGenerator | None = None

    def seed(self, seed: int) -> None:
        self.seeds.seed(seed)
        self.shuffling = SeedGenerator(seed, name="shuffling")


_generators: ContextVar[_Generators] = ContextVar("generators", default=_Generators(_python_random))  # noqa: B039


def shuffling_generator() -> SeedGenerator:
    """What the order of samples in ``fit`` is drawn from."""
    generators = _generators.get()
    if generators.shuffling is None:
        generators.shuffling = SeedGenerator(name="shuffling")
    return generators.shuffling


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
