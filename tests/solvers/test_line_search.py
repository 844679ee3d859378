"""Moré and Thuente's line search on functions of one variable, the paper's test functions among them."""

import numpy as np
import pytest

from fastml.solvers._line_search import Rules, search


def run(f, df, first, rules):
    """The step, and how many evaluations it took."""
    evaluations = []

    def evaluate(t):
        evaluations.append(t)
        return f(t), df(t)
        yield

    generator = search(evaluate, f(0.0), df(0.0), first, rules)
    try:
        next(generator)
    except StopIteration as end:
        return end.value, evaluations
    raise AssertionError("the search has asked for something")


def rules(decrease=1e-3, curvature=0.1, largest=1e10, max_evaluations=50, resolution=1e-15):
    return Rules(decrease, curvature, 1e-10, 0.0, largest, max_evaluations, resolution)


def phi_1(t, beta=2.0):
    return -t / (t * t + beta)


def dphi_1(t, beta=2.0):
    return (t * t - beta) / (t * t + beta) ** 2


def phi_2(t, beta=0.004):
    return (t + beta) ** 5 - 2.0 * (t + beta) ** 4


def dphi_2(t, beta=0.004):
    return 5.0 * (t + beta) ** 4 - 8.0 * (t + beta) ** 3


FUNCTIONS = {
    "quadratic": (lambda t: (t - 3.0) ** 2, lambda t: 2.0 * (t - 3.0)),
    "paper's (5.1)": (phi_1, dphi_1),
    "paper's (5.2)": (phi_2, dphi_2),
    "quartic": (lambda t: (t - 1.0) ** 4 - t, lambda t: 4.0 * (t - 1.0) ** 3 - 1.0),
    "log barrier": (lambda t: t - np.log1p(5.0 * t), lambda t: 1.0 - 5.0 / (1.0 + 5.0 * t)),
}


@pytest.mark.parametrize("first", [1e-3, 1e-1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("curvature", [0.9, 0.1, 1e-3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_step_meets_the_strong_wolfe_conditions(name, curvature, first):
    f, df = FUNCTIONS[name]
    step, evaluations = run(f, df, first, rules(decrease=1e-4, curvature=curvature))
    assert step.exact
    assert evaluations[-1] == step.length
    assert step.value == f(step.length) <= f(0.0) + 1e-4 * step.length * df(0.0)
    assert abs(df(step.length)) <= curvature * abs(df(0.0))
    assert len(evaluations) <= 25


def test_the_first_step_is_taken_if_it_will_do():
    step, evaluations = run(*FUNCTIONS["quadratic"], 3.0, rules())
    assert (step.length, evaluations) == (3.0, [3.0])


def test_a_step_into_overflow_is_shortened():
    def f(t):
        return (t - 0.25) ** 2 if t < 1.0 else np.inf

    step, evaluations = run(f, lambda t: 2.0 * (t - 0.25) if t < 1.0 else np.nan, 64.0, rules())
    assert step.exact
    assert step.length == pytest.approx(0.25)
    assert evaluations[0] == 64.0


@pytest.mark.parametrize("curvature", [1e10, 1e17, 1e50, 1e300])
@pytest.mark.parametrize("first", [1.0, 2.2890932545130878, 1e3])
def test_a_step_that_is_far_too_long(curvature, first):
    step, _ = run(lambda t: 0.5 * curvature * t * t - t, lambda t: curvature * t - 1.0, first, rules())
    assert step.exact
    assert step.length == pytest.approx(1.0 / curvature, rel=0.1)


def test_the_largest_step_ends_a_fall_without_end():
    step, _ = run(lambda t: -t, lambda t: -1.0, 1.0, rules(largest=50.0))
    assert (step.length, step.exact) == (50.0, False)


def test_evaluations_run_out():
    step, evaluations = run(*FUNCTIONS["quadratic"], 1e-6, rules(max_evaluations=2))
    assert (step.length, len(evaluations)) == (0.0, 2)


def test_where_values_are_rounded_slopes_decide():
    # 1e8 hides the quadratic's fall of 1e-12: every step would be refused by its value.
    step, evaluations = run(
        lambda t: 1e8 + (0.0 if t == 0.0 else 1e-8),
        lambda t: 1e-6 * (t - 1.0),
        1.0,
        rules(resolution=1e-14),
    )
    assert (step.length, step.exact, evaluations) == (1.0, True, [1.0])
