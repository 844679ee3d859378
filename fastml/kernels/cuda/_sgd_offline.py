"""The kernels of SGD, for the compile check that needs no GPU (``tools/compile_cuda.py``)."""

import math

import numba
import numpy as np
from numba import types

from fastml._loss import Loss
from fastml.kernels.cuda._sgd_kernel import Specialisation, epoch_function, fold_function
from fastml.kernels.cuda._sgd_rows import RESIDENT, SPARSE, STREAMED
from fastml.kernels.sgd_state import LOSSES, SCHEDULES

_PLAIN = Specialisation(
    loss="hinge",
    penalty="l2",
    schedule="optimal",
    averaged=False,
    record=True,
    labels=True,
    layout=RESIDENT,
    per_lane=4,
    dtype=np.dtype("f4"),
)
_LAYOUTS = ((RESIDENT, 4), (RESIDENT, 8), (STREAMED, 0), (SPARSE, 0))
_DTYPES = (np.dtype("f4"), np.dtype("f8"))


@numba.njit
def _softplus(z):
    return math.log1p(math.exp(z))


@numba.njit
def _user_value(y, margin):
    return _softplus(-y * margin)


@numba.njit
def _user_derivative(y, margin):
    return -y / (1.0 + np.exp(y * margin))


def kernels_to_compile():
    """Yields (name, Python function, signature): every kernel, in the specialisations that matter.

    Every loss in both kinds of row and dtype; every other choice at least once, and those that take registers
    together in every layout.
    """
    for specialisation in dict.fromkeys(_specialisations()):
        yield _name(specialisation), epoch_function(specialisation), _epoch_signature(specialisation)
    for averaged in (False, True):
        for number in (types.float32, types.float64):
            name = f"sgd_fold {number}{' averaged' if averaged else ''}"
            yield name, fold_function(averaged), _fold_signature(number)


def _specialisations():
    for dtype in _DTYPES:
        for layout, per_lane in ((RESIDENT, 4), (SPARSE, 0)):
            for loss in LOSSES:
                yield _PLAIN._replace(loss=loss, layout=layout, per_lane=per_lane, dtype=dtype)
        for layout, per_lane in _LAYOUTS:
            yield _PLAIN._replace(
                loss="log_loss", penalty="l1", averaged=True, layout=layout, per_lane=per_lane, dtype=dtype
            )
    for schedule in SCHEDULES:
        yield _PLAIN._replace(schedule=schedule)
    for schedule in ("pa1", "pa2"):
        yield _PLAIN._replace(
            schedule=schedule, loss="epsilon_insensitive", labels=False, layout=SPARSE, per_lane=0
        )
    yield _PLAIN._replace(penalty="none", record=False, labels=False)
    yield _PLAIN._replace(loss=Loss(_user_value, _user_derivative))


def _name(specialisation):
    flags = [flag for flag in ("averaged", "record", "labels") if getattr(specialisation, flag)]
    loss, penalty, schedule = specialisation[:3]
    layout = f"{specialisation.layout}{specialisation.per_lane or ''}"
    return " ".join(["sgd_epoch", str(loss), penalty, schedule, layout, specialisation.dtype.name, *flags])


def _array(dtype, ndim=1):
    return types.Array(dtype, ndim, "C")


def _epoch_signature(specialisation):
    number = numba.from_dtype(specialisation.dtype)
    weights, table, index = _array(number, 2), _array(types.float64, 2), _array(types.int32)
    target = _array(types.int32 if specialisation.labels else types.float64)
    return types.void(
        _array(number), index, index, target, _array(types.float64), index,
        weights, weights, weights, table, _array(types.int64, 2), table, index,
        types.float64, types.float64, types.boolean, types.boolean,
    )  # fmt: skip


def _fold_signature(number):
    return types.void(_array(number, 2), _array(number, 2), _array(types.float64, 2))
