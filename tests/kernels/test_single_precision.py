"""Functions of the user's, computed in float32 on float32 rows."""

import math
from itertools import pairwise

import numba
import numpy as np
import pytest

from fastml import Kernel
from fastml._kernel import KernelFunction
from fastml.kernels import for_device
from fastml.kernels.single_precision import in_single_precision

SCALE = 0.25
WEIGHTS = np.array([0.5, 1.5, 2.0])
PAIR = (0.1, (0.2, 3))


@numba.njit
def squared(x):
    return 0.5 * x * x


def from_around(x, y):
    return SCALE * math.exp(-squared(x[0] - y[0]))


def array_from_around(x, y):
    total = 0.0
    for k in range(len(x)):
        total += WEIGHTS[k] * x[k] * y[k]
    return total


def tuple_from_around(x, y):
    return x[0] * y[0] * PAIR[0] + PAIR[1][0]


def with_default(x, y, gamma=0.1):
    return math.tanh(gamma * np.dot(x, y) + 1e-3)


def closing_over(gamma):
    def inner(x, y):
        return math.exp(-gamma * np.sum((x - y) ** 2))

    return inner


@numba.njit
def power(x, n):
    if n == 0:
        return 1.0
    return x * power(x, n - 1)


def calling_a_function_that_calls_itself(x, y):
    return power(x[0] * y[0], 3) + 0.5


FUNCTIONS = [
    from_around,
    array_from_around,
    tuple_from_around,
    with_default,
    closing_over(0.3),
    calling_a_function_that_calls_itself,
]


@pytest.mark.parametrize("python", FUNCTIONS, ids=lambda python: python.__name__)
def test_all_of_a_function_is_single(python):
    rows = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    single = numba.njit(in_single_precision(python))
    value = single(*rows)
    assert str(single.nopython_signatures[0].return_type) == "float32"
    assert value == pytest.approx(numba.njit(python)(*rows), rel=1e-5)


def test_the_function_given_is_not_changed():
    def f(x, y):
        return 0.1 * x[0] * y[0] * SCALE

    before = f.__code__, dict(f.__globals__), f.__code__.co_consts
    in_single_precision(f)
    assert (f.__code__, f.__code__.co_consts) == (before[0], before[2])
    assert type(SCALE) is float
    assert f.__globals__["SCALE"] is before[1]["SCALE"]


@pytest.mark.parametrize("number", [1e-300, 1e300, -1e60])
def test_a_number_beyond_float32_leaves_the_function_as_it_is(number):
    def f(x, y):
        return max(x[0] * y[0], number)

    assert in_single_precision(f) is f


def test_zero_infinity_and_nan_are_numbers_of_float32():
    values = (0.0, -0.0, math.inf, -math.inf, math.nan)

    def f(x, y):
        return values[0] + x[0]

    converted = in_single_precision(f).__closure__[0].cell_contents
    assert [type(value) for value in converted] == [np.float32] * 5
    np.testing.assert_array_equal(converted, np.array(values, np.float32))
    assert math.copysign(1.0, converted[1]) == -1.0


def test_kernel_values_of_float32_rows():
    """As close to float64's as float32 is, and the same whatever rows keep a row company."""
    rng = np.random.default_rng(1)
    gram = for_device("cpu").gram
    X = rng.standard_normal((150, 40))
    kernel = KernelFunction("custom", function=Kernel(numba.njit(closing_over(0.01))))
    values = {}
    for dtype in (np.float32, np.float64):
        rows = X.astype(dtype)
        out = np.empty((150, 150), dtype)
        gram.gram(rows, gram.prepare(rows, kernel), kernel, out)
        values[dtype] = out
        for first, last in pairwise((0, 1, 17, 80, 150)):
            part = np.empty((150, last - first), dtype)
            gram.gram(rows, gram.prepare(rows[first:last], kernel), kernel, part)
            np.testing.assert_array_equal(part, out[:, first:last])
    np.testing.assert_allclose(values[np.float32], values[np.float64], rtol=1e-5)
