"""Moré and Thuente's line search, for searches that get values and slopes by passes over X."""

import math
from collections.abc import Callable, Generator
from typing import Any, NamedTuple


class Rules(NamedTuple):
    """When a step is accepted, and what steps there may be.

    Attributes
    ----------
    decrease : float
        mu of the sufficient decrease f(t) <= f(0) + mu t f'(0).
    curvature : float
        eta of |f'(t)| <= eta |f'(0)|.
    width : float
        The interval, relative to its upper end, below which the search ends.
    smallest, largest : float
        Steps' bounds.
    max_evaluations : int
    resolution : float
        Relative change of f that may be rounding: within it, slopes decide (Hager and Zhang).
    """

    decrease: float
    curvature: float
    width: float
    smallest: float
    largest: float
    max_evaluations: int
    resolution: float


class Step(NamedTuple):
    """The step taken, of length 0 where none was found; ``exact``: whether it meets the conditions."""

    length: float
    value: float
    exact: bool


class _Trial(NamedTuple):
    step: float
    value: float
    slope: float


# Extrapolation while no minimum is bracketed (section 4 of the paper: delta = 1.1, delta_max = 4), and the share by
# which the interval must shrink in two steps.
NEAREST, FARTHEST, SHRINK = 1.1, 4.0, 0.66


def search(
    evaluate: Callable[[float], Generator[Any, Any, tuple[float, float]]],
    value: float,
    slope: float,
    first: float,
    rules: Rules,
) -> Generator[Any, Any, Step]:
    """A step that meets the strong Wolfe conditions.

    Parameters
    ----------
    evaluate : callable
        ``yield from evaluate(t)`` gives f(t) and f'(t). The last step evaluated is the one returned.
    value, slope : float
        f(0) and f'(0) < 0.
    first : float
        Step to try first.
    rules : Rules

    Returns
    -------
    Step
        Of length 0 if ``max_evaluations`` did not suffice.

    References
    ----------
    J. J. Moré, D. J. Thuente, "Line Search Algorithms with Guaranteed Sufficient Decrease", ACM TOMS 20, 1994.
    W. W. Hager, H. Zhang, "A New Conjugate Gradient Method with Guaranteed Descent and an Efficient Line Search",
    SIAM Journal on Optimization 16, 2005, eq. 4.1.
    """
    best = other = _Trial(0.0, value, slope)
    bracketed, uses_auxiliary = False, True
    low, high = 0.0, first + FARTHEST * first
    width = rules.largest - rules.smallest
    width_before = 2.0 * width
    step = min(max(first, rules.smallest), rules.largest)
    for _ in range(rules.max_evaluations):
        trial = _Trial(step, *(yield from evaluate(step)))
        if not (math.isfinite(trial.value) and math.isfinite(trial.slope)):
            step = high = best.step + 0.1 * (step - best.step)  # overflow: the step was far too long
            continue
        bound = value + step * rules.decrease * slope
        if uses_auxiliary and trial.value <= bound and trial.slope >= 0.0:
            uses_auxiliary = False
        if _is_accepted(trial, value, slope, bound, rules):
            return Step(step, trial.value, True)
        at_end = bracketed and (step <= low or step >= high or high - low <= rules.width * high)
        at_largest = step == rules.largest and trial.value <= bound and trial.slope <= rules.decrease * slope
        at_smallest = step == rules.smallest and (
            trial.value > bound or trial.slope >= rules.decrease * slope
        )
        if at_end or at_largest or at_smallest:
            return Step(step, trial.value, False)
        # While psi(t) = f(t) - f(0) - mu t f'(0) decides, intervals are updated by it (section 3).
        tilt = rules.decrease * slope if uses_auxiliary and bound < trial.value <= best.value else 0.0
        best, other, step, bracketed = _next(best, other, trial, tilt, bracketed, low, high)
        if bracketed:
            if abs(other.step - best.step) >= SHRINK * width_before:
                step = best.step + 0.5 * (other.step - best.step)
            width_before, width = width, abs(other.step - best.step)
            low, high = sorted((best.step, other.step))
        else:
            low, high = step + NEAREST * (step - best.step), step + FARTHEST * (step - best.step)
        step = min(max(step, rules.smallest), rules.largest)
        if bracketed and (step <= low or step >= high or high - low <= rules.width * high):
            step = best.step
    return Step(0.0, value, False)


def _is_accepted(trial: _Trial, value: float, slope: float, bound: float, rules: Rules) -> bool:
    if trial.value <= bound and abs(trial.slope) <= rules.curvature * -slope:
        return True
    return (
        abs(trial.value - value) <= rules.resolution * abs(value)
        and (2.0 * rules.decrease - 1.0) * slope >= trial.slope >= rules.curvature * slope
    )


def _next(
    best: _Trial, other: _Trial, trial: _Trial, tilt: float, bracketed: bool, low: float, high: float
) -> tuple[_Trial, _Trial, float, bool]:
    """The new interval and the next step: section 4 of the paper, on f less ``tilt`` times the step."""
    x, y, t = (_Trial(p.step, p.value - tilt * p.step, p.slope - tilt) for p in (best, other, trial))
    step, bracketed = _interpolated(x, y, t, bracketed, low, high)
    if t.value > x.value:
        return best, trial, step, bracketed
    return trial, best if t.slope * x.slope < 0.0 else other, step, bracketed


def _interpolated(
    x: _Trial, y: _Trial, t: _Trial, bracketed: bool, low: float, high: float
) -> tuple[float, bool]:
    """The paper's four cases, by the trial's value and slope beside the best ones."""
    secant = t.step + (x.step - t.step) * _ratio(t.slope, t.slope - x.slope)
    if t.value > x.value:  # case 1: a minimum between the two
        cubic = _cubic_minimum(x, t)
        quadratic = x.step + 0.5 * (t.step - x.step) * _ratio(
            x.slope, (x.value - t.value) / (t.step - x.step) + x.slope
        )
        # Where the trial's slope is 1e16 times x's, no digit is left of how far the cubic is from x; the quadratic has
        # all of them.
        if (cubic - x.step) * (t.step - x.step) <= 0.0:
            return quadratic, True
        closer = abs(cubic - x.step) < abs(quadratic - x.step)
        return (cubic if closer else cubic + 0.5 * (quadratic - cubic)), True
    if t.slope * x.slope < 0.0:  # case 2: likewise, the slope has changed sign
        cubic = _cubic_minimum(t, x)
        return (cubic if abs(cubic - t.step) > abs(secant - t.step) else secant), True
    if abs(t.slope) < abs(x.slope):  # case 3: lower, and less steep
        cubic = _cubic_beyond(x, t, low, high)
        if bracketed:
            step = cubic if abs(cubic - t.step) < abs(secant - t.step) else secant
            limit = t.step + SHRINK * (y.step - t.step)
            return (min(limit, step) if t.step > x.step else max(limit, step)), True
        step = cubic if abs(cubic - t.step) > abs(secant - t.step) else secant
        return min(max(step, low), high), False
    if bracketed:  # case 4: lower, and steeper
        return _cubic_minimum(t, y), True
    return (high if t.step > x.step else low), False


def _ratio(a: float, b: float) -> float:
    return a / b if b != 0.0 else 0.0


def _cubic(a: _Trial, b: _Trial) -> tuple[float, float, float]:
    """theta, gamma^2 and the scale of the cubic through values and slopes of two points."""
    theta = 3.0 * (a.value - b.value) / (b.step - a.step) + a.slope + b.slope
    scale = max(abs(theta), abs(a.slope), abs(b.slope))
    if scale == 0.0:
        return theta, 0.0, 1.0
    return theta, (theta / scale) ** 2 - (a.slope / scale) * (b.slope / scale), scale


def _cubic_minimum(a: _Trial, b: _Trial) -> float:
    """The cubic's minimum, between ``a`` and ``b``."""
    theta, square, scale = _cubic(a, b)
    gamma = scale * math.sqrt(max(square, 0.0))
    if b.step < a.step:
        gamma = -gamma
    return a.step + _ratio(gamma - a.slope + theta, gamma - a.slope + gamma + b.slope) * (b.step - a.step)


def _cubic_beyond(x: _Trial, t: _Trial, low: float, high: float) -> float:
    """The cubic's minimum beyond ``t``; a bound where it has none there."""
    theta, square, scale = _cubic(x, t)
    gamma = scale * math.sqrt(max(square, 0.0))
    if t.step > x.step:
        gamma = -gamma
    r = _ratio(gamma - t.slope + theta, gamma + (x.slope - t.slope) + gamma)
    if r < 0.0 and gamma != 0.0:
        return t.step + r * (x.step - t.step)
    return high if t.step > x.step else low
