"""Errors that several solvers raise."""

from typing import Any


def overflow_error(epoch: int | None = None, loss: Any = None) -> ValueError:
    """What a solver raises where its sums leave the range of float64.

    Parameters
    ----------
    epoch : int, optional
    loss : str or fastml.Loss, optional
    """
    when = "" if epoch is None else f" at epoch #{epoch}"
    message = (
        f"Floating-point under-/overflow occurred{when}. Scaling input data with StandardScaler or MinMaxScaler might "
        "help."
    )
    if loss is not None and not isinstance(loss, str):
        message += f" Or {loss!r} has given NaN, or raised an exception, which stands for it."
    return ValueError(message)
