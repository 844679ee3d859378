"""``fastml.Loss`` as the loss of a model: compiled scalar functions of target and prediction."""

from functools import lru_cache
from typing import Any

import numpy as np

from fastml._loss import Loss as UserLoss
from fastml.keras.losses._loss import Compiled, Loss
from fastml.solvers import backprop


class ElementwiseLoss(Loss):
    """A ``fastml.Loss`` of every element, averaged over the last axis."""

    def __init__(self, loss: UserLoss, name: str | None = None):
        super().__init__(name or loss.value.__name__)
        self.loss = loss

    def call(self, y_true, y_pred):
        return self._formula(np.asarray(y_true, y_pred.dtype), y_pred)[0]

    def compiled(self, last):
        return Compiled(backprop.Formula(self._formula), False, "mean")

    def _formula(self, target, prediction):
        target, prediction = np.broadcast_arrays(target, prediction)
        values, slopes = _compiled(self.loss)(
            np.ascontiguousarray(target).ravel(), np.ascontiguousarray(prediction).ravel()
        )
        shape = prediction.shape
        return values.reshape(shape).mean(axis=-1), slopes.reshape(shape) / shape[-1]


@lru_cache(maxsize=32)
def _compiled(loss: UserLoss) -> Any:
    """Both functions over vectors."""
    import numba

    value, derivative = (
        numba.njit(error_model="numpy")(function.py_func) for function in (loss.value, loss.derivative)
    )

    @numba.njit(error_model="numpy")
    def over_vectors(target, prediction):
        values, slopes = np.empty(len(target)), np.empty(len(target))
        for i in range(len(target)):
            values[i] = value(target[i], prediction[i])
            slopes[i] = derivative(target[i], prediction[i])
        return values, slopes

    return over_vectors
