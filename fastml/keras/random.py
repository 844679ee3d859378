"""Generators and seeds."""

import random as _python_random
from typing import Any

import numpy as np

from fastml.keras._naming import auto_name
from fastml.keras._variable import Variable

__all__ = ["SeedGenerator", "make_default_seed"]


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
    return _python_random.randint(1, 10**9)


_shuffling: SeedGenerator | None = None


def shuffling_generator() -> SeedGenerator:
    """What the order of samples in ``fit`` is drawn from."""
    global _shuffling
    if _shuffling is None:
        _shuffling = SeedGenerator(name="shuffling")
    return _shuffling


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and this package's generators."""
    global _shuffling
    _python_random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what users' own scripts draw from
    _shuffling = SeedGenerator(seed, name="shuffling")
