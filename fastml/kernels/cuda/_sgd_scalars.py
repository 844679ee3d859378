"""The scalar half of one SGD step, computed alike by every thread of the block: nothing to broadcast, no
barrier.

``m`` holds a model's hyperparameters and ``s`` its running scalars, in thread-local arrays that the compiler
keeps in registers; the names below are their indices.
"""

from typing import NamedTuple

from numba import float64

from fastml.kernels.cuda._sgd_loss import loss_functions
from fastml.kernels.cuda._warp import device_function
from fastml.kernels.sgd_state import MAX_DLOSS, MODEL, PROGRESS

N_MODEL = len(MODEL.names)
N_PROGRESS = sum(not name.startswith("padding") for name in PROGRESS.names)

(
    POSITIVE_CLASS,
    ALPHA,
    L1_RATIO,
    ETA0,
    POWER_T,
    EPSILON,
    OPTIMAL_INIT,
    WEIGHT_POS,
    WEIGHT_NEG,
) = range(N_MODEL)

(
    WSCALE,
    INTERCEPT,
    T,
    ETA,
    SQ_NORM,
    L1_NORM,
    CUMULATIVE_L1,
    AVERAGE_A,
    AVERAGE_B,
    AVERAGE_INTERCEPT,
    LOSS,
    OBJECTIVE,
    FINITE,
) = range(N_PROGRESS)


class Scalars(NamedTuple):
    """Device functions on ``s`` and ``m``, specialised to loss, penalty and schedule."""

    set_learning_rate: object
    record: object
    step_length: object
    shrink: object


def scalar_functions(loss, penalty, schedule):
    """The scalar half of the step for one rule."""
    value, derivative = loss_functions(loss)
    if schedule in ("pa1", "pa2"):
        step_length = _passive_aggressive(loss, schedule, value)
    else:
        step_length = _gradient(derivative)
    return Scalars(
        _learning_rate(schedule), _recorder(value, penalty, schedule), step_length, _shrink(penalty)
    )


def _learning_rate(schedule):
    @device_function
    def set_learning_rate(s, m):
        if schedule == "optimal":
            s[ETA] = 1.0 / (m[ALPHA] * (m[OPTIMAL_INIT] + s[T] - 1.0))
        elif schedule == "invscaling":
            s[ETA] = m[ETA0] / s[T] ** m[POWER_T]

    return set_learning_rate


def _recorder(value, penalty, schedule):
    passive_aggressive, penalised = schedule in ("pa1", "pa2"), penalty != "none"

    @device_function
    def record(s, m, y, p, sq_norm, l1_norm, one_class):
        loss = float64(value(y, p, m[EPSILON]))
        regularisation = 0.0
        if not passive_aggressive:
            if penalised:
                regularisation += m[ALPHA] * ((1.0 - m[L1_RATIO]) * 0.5 * sq_norm + m[L1_RATIO] * l1_norm)
            if one_class:
                regularisation += s[INTERCEPT] * m[ALPHA]
        s[LOSS] += loss
        s[OBJECTIVE] += loss + regularisation

    return record


def _gradient(derivative):
    @device_function
    def step_length(y, p, x_sq, s, m):
        slope = float64(derivative(y, p, m[EPSILON]))
        # Comparisons, not min and max, which drop a NaN on the GPU.
        if slope > MAX_DLOSS:
            slope = MAX_DLOSS
        elif slope < -MAX_DLOSS:
            slope = -MAX_DLOSS
        return -s[ETA] * slope

    return step_length


def _passive_aggressive(loss, schedule, value):
    bounded, hinge = schedule == "pa1", loss == "hinge"

    @device_function
    def step_length(y, p, x_sq, s, m):
        violation = float64(value(y, p, m[EPSILON]))
        if bounded:
            length = violation / x_sq
            length = length if length < m[ETA0] else m[ETA0]
        else:
            length = violation / (x_sq + 0.5 / m[ETA0])
        if hinge:
            return length * y
        return -length if y - p < 0.0 else length

    return step_length


def _shrink(penalty):
    penalised = penalty != "none"

    @device_function
    def shrink(s, m):
        if penalised:
            factor = 1.0 - (1.0 - m[L1_RATIO]) * s[ETA] * m[ALPHA]
            factor = factor if factor > 0.0 else 0.0
            s[WSCALE] *= factor
            s[SQ_NORM] *= factor * factor
            s[L1_NORM] *= factor

    return shrink


@device_function
def load_scalars(m, s, models, progress, k, lane):
    """The scalars of model ``k``. The norms become the threads' shares, whose sum they are from here on."""
    for i in range(N_MODEL):
        m[i] = models[k, i]
    for i in range(N_PROGRESS):
        s[i] = progress[k, i]
    if lane != 0:
        s[SQ_NORM] = s[L1_NORM] = 0.0


@device_function
def store_scalars(progress, k, s):
    for i in range(N_PROGRESS):
        progress[k, i] = s[i]


@device_function
def reset_scales(s):
    """What remains of the scalars once they are folded into the weights."""
    s[WSCALE], s[AVERAGE_A], s[AVERAGE_B] = 1.0, 0.0, 1.0


@device_function
def move_intercept(s, m, update, intercept_decay, one_class):
    regularised = s[ETA] * m[ALPHA] if one_class else 0.0
    s[INTERCEPT] += (update - regularised) * intercept_decay


@device_function
def count_average(s, n_averaged):
    """The scalars of Xu's lazy average, after its array has taken the row."""
    if n_averaged > 1.0:
        s[AVERAGE_B] /= 1.0 - 1.0 / n_averaged
    s[AVERAGE_A] += s[AVERAGE_B] * s[WSCALE] / n_averaged
    s[AVERAGE_INTERCEPT] += (s[INTERCEPT] - s[AVERAGE_INTERCEPT]) / n_averaged
