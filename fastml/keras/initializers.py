"""Initial values of weights: with the same seed, those that Keras gives them on TensorFlow."""

import math
from typing import Any

import numpy as np

from fastml.keras import random
from fastml.keras._naming import by_name
from fastml.keras._serialization import (
    Names,
    deserialize_keras_object,
    public,
    serialize_keras_object,
)
from fastml.keras.config import floatx

# The standard deviation of a standard normal that is cut off at 2.
_TRUNCATED_STD = 0.87962566103423978


class Initializer:
    """What gives the values of an array of a shape."""

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        raise NotImplementedError("Initializer subclasses must implement the `__call__()` method.")

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Initializer":
        return cls(**config)

    def clone(self) -> "Initializer":
        """One with the same arguments."""
        return type(self).from_config(self.get_config())


def _initializer(cls: type) -> type:
    _CLASSES.append(cls)
    return public("keras.initializers")(cls)


_CLASSES: list[type] = []


@_initializer
class Zeros(Initializer):
    """All 0."""

    def __call__(self, shape, dtype=None):
        return np.zeros(shape, dtype or floatx())


@_initializer
class Ones(Initializer):
    """All 1."""

    def __call__(self, shape, dtype=None):
        return np.ones(shape, dtype or floatx())


@_initializer
class Constant(Initializer):
    """All ``value``."""

    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return np.broadcast_to(np.asarray(self.value, dtype or floatx()), shape).copy()

    def get_config(self):
        return {"value": serialize_keras_object(self.value)}


@_initializer
class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, 0 elsewhere."""

    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        if len(shape) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return self.gain * np.eye(*shape).astype(dtype or floatx())

    def get_config(self):
        return {"gain": self.gain}


class RandomInitializer(Initializer):
    """What draws values; with the same seed, the same ones in every call."""

    def __init__(self, seed: Any = None):
        self._init_seed = seed
        if seed is None:
            seed = random.make_default_seed()
        elif isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        if not isinstance(seed, int | random.SeedGenerator):
            raise ValueError(
                "`seed` argument should be an instance of `keras.random.SeedGenerator()` or an integer. "
                f"Received: seed={seed}"
            )
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": serialize_keras_object(self._init_seed)}


@_initializer
class RandomNormal(RandomInitializer):
    """Normally distributed."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def __call__(self, shape, dtype=None):
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@_initializer
class TruncatedNormal(RandomNormal):
    """Normally distributed; what lies further than two standard deviations from the mean is drawn anew."""

    def __call__(self, shape, dtype=None):
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


@_initializer
class RandomUniform(RandomInitializer):
    """Uniformly distributed from ``minval`` to ``maxval``."""

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval, self.maxval = minval, maxval
        super().__init__(seed)

    def __call__(self, shape, dtype=None):
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)

    def get_config(self):
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


@_initializer
class VarianceScaling(RandomInitializer):
    """Of variance ``scale / n``, where n counts a unit's inputs, outputs or the mean of both, as ``mode`` says."""

    def __init__(
        self,
        scale=1.0,
        mode="fan_in",
        distribution="truncated_normal",
        seed=None,
        input_axes=None,
        output_axes=None,
    ):
        if scale <= 0.0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        modes = ("fan_in", "fan_out", "fan_avg")
        if mode not in modes:
            raise ValueError(f"Invalid `mode` argument: {mode}. Please use one of {modes}")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        distributions = ("uniform", "truncated_normal", "untruncated_normal")
        if distribution not in distributions:
            raise ValueError(
                f"Invalid `distribution` argument: {distribution}. Please use one of {distributions}"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def __call__(self, shape, dtype=None):
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        # In Keras' order of operations, so that the last bit is Keras', too.
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        std = math.sqrt(variance)
        if self.distribution == "truncated_normal":
            return random.truncated_normal(shape, 0.0, std / _TRUNCATED_STD, dtype, self.seed)
        return random.normal(shape, 0.0, std, dtype, self.seed)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _NamedScaling(VarianceScaling):
    """A variance scaling that has a name of its own."""

    arguments: tuple[float, str, str]

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(*self.arguments, seed, input_axes, output_axes)

    def get_config(self):
        config = super().get_config()
        return {name: config[name] for name in ("seed", "input_axes", "output_axes")}


@_initializer
class GlorotUniform(_NamedScaling):
    """X. Glorot and Y. Bengio, 2010."""

    arguments = (1.0, "fan_avg", "uniform")


@_initializer
class GlorotNormal(_NamedScaling):
    """X. Glorot and Y. Bengio, 2010."""

    arguments = (1.0, "fan_avg", "truncated_normal")


@_initializer
class LecunUniform(_NamedScaling):
    """Y. LeCun et al., 1998."""

    arguments = (1.0, "fan_in", "uniform")


@_initializer
class LecunNormal(_NamedScaling):
    """Y. LeCun et al., 1998."""

    arguments = (1.0, "fan_in", "truncated_normal")


@_initializer
class HeUniform(_NamedScaling):
    """K. He et al., 2015."""

    arguments = (2.0, "fan_in", "uniform")


@_initializer
class HeNormal(_NamedScaling):
    """K. He et al., 2015."""

    arguments = (2.0, "fan_in", "truncated_normal")


@_initializer
class Orthogonal(RandomInitializer):
    """``gain`` times a matrix with orthonormal rows or columns (A. Saxe et al., 2014)."""

    def __init__(self, gain=1.0, seed=None):
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape, dtype=None):
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        flat_shape = (max(rows, columns), min(rows, columns))
        normal = random.normal(flat_shape, dtype=dtype, seed=self.seed)
        # In float64, where the decomposition has no error to speak of: TensorFlow's has that of float32.
        q, r = np.linalg.qr(normal.astype(np.float64))
        q *= np.sign(np.diag(r))
        q = q.T if rows < columns else q
        return (self.gain * q.reshape(shape)).astype(normal.dtype)

    def get_config(self):
        return {**super().get_config(), "gain": self.gain}


def compute_fans(shape: Any, input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """How many inputs and outputs a unit with weights of this shape has."""
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


_NAMES = Names(
    "initializer",
    {
        **by_name(_CLASSES),
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "one": Ones,
        "zero": Zeros,
    },
)
public("keras", "Initializer")(Initializer)


def get(identifier: Any) -> Any:
    """The initializer of a name, a configuration, an array, a class or itself; None is None.

    Raises
    ------
    ValueError
        If it is the name of none.
    """
    if identifier is None:
        return None
    if isinstance(identifier, np.ndarray | np.generic):
        values = np.asarray(identifier)

        def initialize(shape: Any, dtype: Any = None) -> np.ndarray:
            if tuple(shape) != values.shape:
                raise ValueError(
                    f"Expected `shape` to be {values.shape} for direct tensor as initializer. "
                    f"Received shape={shape}"
                )
            return values.astype(dtype or floatx())

        return initialize
    return _NAMES.get(identifier)


def serialize(initializer: Any) -> Any:
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    return _NAMES.deserialize(config, custom_objects)


# Keras offers each class under its name in snake case, too.
constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
random_normal, random_uniform = RandomNormal, RandomUniform
truncated_normal, variance_scaling = TruncatedNormal, VarianceScaling
