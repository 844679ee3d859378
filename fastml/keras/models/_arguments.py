"""What fit, evaluate and predict are asked for: numbers that make sense, or an error that names them.

Keras takes 0 batches or steps for none given, negative ones for various things, and some fractions.
"""

import operator
from typing import Any


def check_counts(least: int = 1, optional: bool = True, **given: Any) -> None:
    """Raise a ValueError for what is no integer of at least ``least``, nor None where that is ``optional``."""
    for name, value in given.items():
        if value is None and optional:
            continue
        try:
            accepted = operator.index(value) >= least
        except TypeError:
            accepted = False
        if not accepted:
            raise ValueError(
                f"`{name}` must be an integer of at least {least}{' or None' if optional else ''}. "
                f"Received: {name}={value!r} (of type {type(value)})"
            )


def check_validation_split(validation_split: Any) -> None:
    """Raise a ValueError for what is no share of the samples."""
    try:
        accepted = validation_split is None or 0 <= validation_split <= 1
    except TypeError:
        accepted = False
    if not accepted:
        raise ValueError(
            "`validation_split` must be a number between 0 and 1. "
            f"Received: validation_split={validation_split!r} (of type {type(validation_split)})"
        )


def check_validation_freq(validation_freq: Any) -> None:
    """Raise a ValueError for what is neither a number of epochs nor a list of epochs."""
    if isinstance(validation_freq, int):
        check_counts(optional=False, validation_freq=validation_freq)
    elif not isinstance(validation_freq, list | tuple):
        raise ValueError(
            "Expected `validation_freq` to be a list or int. "
            f"Received: validation_freq={validation_freq} of the type {type(validation_freq)}."
        )


def is_due(epoch: int, validation_freq: Any) -> bool:
    """Whether an epoch, counted from 0, is one of those."""
    if isinstance(validation_freq, int):
        return (epoch + 1) % validation_freq == 0
    return epoch + 1 in validation_freq
