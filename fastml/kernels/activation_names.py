"""The elementwise activations that every backend knows, with their parameters: Keras' names, order and defaults."""

from math import inf

# Of selu and of gelu's approximation by tanh, which have no parameters.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
GELU_CUBIC = 0.044715

# Names that stand for another one with these parameters.
ALIASES: dict[str, tuple[str, tuple[float, ...]]] = {
    "relu6": ("relu", (0.0, 6.0, 0.0)),
    "swish": ("silu", ()),
    "hard_swish": ("hard_silu", ()),
}

# name -> {parameter: default}. ``max_value`` inf stands for Keras' None; ``approximate`` is 0.0 or 1.0.
PARAMETERS: dict[str, dict[str, float | None]] = {
    "celu": {"alpha": 1.0},
    "elu": {"alpha": 1.0},
    "exponential": {},
    "gelu": {"approximate": 0.0},
    "hard_shrink": {"threshold": 0.5},
    "hard_sigmoid": {},
    "hard_silu": {},
    "hard_tanh": {},
    "leaky_relu": {"negative_slope": 0.2},
    "linear": {},
    "log_sigmoid": {},
    "mish": {},
    "relu": {"negative_slope": 0.0, "max_value": inf, "threshold": 0.0},
    "selu": {},
    "sigmoid": {},
    "silu": {},
    "soft_shrink": {"threshold": 0.5},
    "softplus": {},
    "softsign": {},
    "sparse_plus": {},
    "sparse_sigmoid": {},
    "squareplus": {"b": 4.0},
    "tanh": {},
    "tanh_shrink": {},
    "threshold": {"threshold": None, "default_value": None},
}


def resolved(name: str, parameters: tuple[float, ...]) -> tuple[str, tuple[float, ...]]:
    """A name of ``PARAMETERS``, and all of its parameters.

    Parameters
    ----------
    name : str
        Of ``PARAMETERS`` or ``ALIASES``.
    parameters : tuple of float
        The leading ones; the others take their defaults.

    Returns
    -------
    name : str
    parameters : tuple of float

    Raises
    ------
    ValueError
        For an unknown name, too many or too few parameters, or a relu whose slope, largest value or threshold is
        negative (Keras' ReLU refuses these, too).
    """
    if name in ALIASES and not parameters:
        name, parameters = ALIASES[name]
    if name not in PARAMETERS:
        raise ValueError(f"Unknown activation {name!r}; known are {', '.join(sorted(PARAMETERS | ALIASES))}.")
    defaults = PARAMETERS[name]
    if len(parameters) > len(defaults):
        raise ValueError(f"{name} takes at most {len(defaults)} parameters, not {len(parameters)}.")
    values = (*parameters, *list(defaults.values())[len(parameters) :])
    missing = [parameter for parameter, value in zip(defaults, values) if value is None]
    if missing:
        raise ValueError(f"{name} needs a value of {', '.join(missing)}.")
    if name == "relu" and not all(value >= 0.0 for value in values if value is not None):
        raise ValueError(f"negative_slope, max_value and threshold of relu must not be negative: {values}")
    return name, tuple(float(value) for value in values if value is not None)
