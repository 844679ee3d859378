"""A user's kernel on the CPU: what is computed for several rows at once, what row by row, and that both are right."""

import math

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal

from fastml import Kernel
from fastml._kernel import KernelFunction
from fastml.kernels.cpu import gram
from fastml.kernels.cpu._gram_custom_block import compiled_block
from fastml.kernels.cpu._lanes import LANES

N_FEATURES = 7
WEIGHTS = np.linspace(0.5, 2.0, N_FEATURES)


def computed(function, A, B):
    kernel = KernelFunction("custom", function=Kernel(function))
    out = np.full((len(A), len(B)), np.nan, A.dtype)
    gram.gram(A, gram.prepare(B, kernel), kernel, out)
    return out


def expected(function, A, B):
    return np.array([[function.py_func(a, b) for b in B] for a in A], A.dtype)


def rows(dtype, n_features=N_FEATURES):
    rng = np.random.default_rng(0)
    # Of B more than a vector of rows, and no whole number of them.
    return [rng.standard_normal((n, n_features)).astype(dtype) for n in (3, 37)]


# Of several rows at once.


@njit
def gaussian(x, y):
    distance = 0.0
    for i in range(len(x)):
        difference = x[i] - y[i]
        distance += difference * difference
    return math.exp(-0.1 * distance)


@njit
def gaussian_of_rows(x, y):
    return np.exp(-0.1 * np.sum((x - y) ** 2))


@njit
def weighted(x, y):
    return np.exp(-np.sum(WEIGHTS * np.abs(x - y) / 3)) + 0.5 * (y * x).sum()


@njit
def by_products(x, y):
    return np.exp(-0.1 * (np.dot(x, x) - 2.0 * np.dot(x, y) + y @ y))


@njit
def polynomial(x, y):
    return (0.5 * np.dot(x, y) + 1.0) ** 3 + (2.0 + np.dot(y, y)) ** -2 + (x[0] - y[0]) ** 0


@njit
def sigmoid(x, y):
    return np.tanh(0.3 * (x @ y) - 0.1) + math.tanh(y[-1] + x[-1])


@njit
def zipped(x, y):
    total = 0.0
    for a, b in zip(x, y):
        total += min(a, b) - max(0.25, b) / 2
    return total


@njit
def enumerated(x, y):
    total = np.float32(0)
    for i, b in enumerate(y):
        total -= -x[i] * +b
    return total


@njit
def chebyshev(x, y):
    largest = 0.0
    for i in range(y.size):
        largest = max(largest, abs(x[i] - y[i]))
    return largest


@njit
def functions(x, y):
    value = math.sqrt(abs(y[0])) + np.sqrt(np.square(y[1])) + np.log(1.0 + y[2] * y[2]) + np.fabs(y[3])
    value += np.floor(y[4]) + np.ceil(y[5]) + np.log2(2.0 + np.abs(y[6])) + math.log10(math.fabs(y[0]))
    return value + math.sin(y[1]) * np.cos(y[2]) + math.log(abs(x[0]) + 1.0) + np.power(abs(y[3]), 1.5)


@njit
def numpy_arithmetic(x, y):
    value = np.add(x[0], y[0]) * np.subtract(y[1], x[1]) / np.divide(y[2], 3.0) + np.multiply(2, y[3])
    return value + np.minimum(x[4], y[4]) - np.maximum(y[5], 0.5) + pow(2.0, y[6]) + math.pow(y[6], 2.0)


@njit
def power_of_a_variable(x, y):
    total = 0.0
    for i in range(y.shape[0]):
        total += y[i] ** i
    return total


@njit
def hamming(x, y):
    different = 0.0
    for i in range(len(y)):
        different += x[i] != y[i]
        different += 2.0 * (y[i] < 0.0)
    return different


@njit
def of_one_row(x, y):
    return x[0] if x[0] > 0.0 else -2 * x[1]


@njit
def square_of(x):
    return x * x


@njit
def calling(x, y):
    return square_of(np.linalg.norm(x - y)) + square_of(x[0])


@njit
def a_whole_number(x, y):
    return 1


VECTORISED = [
    *(gaussian, gaussian_of_rows, weighted, by_products, polynomial, sigmoid, zipped, enumerated, chebyshev),
    *(functions, numpy_arithmetic, power_of_a_variable, hamming, of_one_row, calling, a_whole_number),
]


# Of single rows: these ask for one number of a row.


@njit
def branching(x, y):
    total = 0.0
    for i in range(len(x)):
        if x[i] > y[i]:
            total += x[i] - y[i]
    return total


@njit
def sliced(x, y):
    return np.sum(y[1:3]) + x[0]


@njit
def searching(x, y):
    i = 0
    while i < len(y) and y[i] < 0.5:
        i += 1
    return float(i)


@njit
def indexing(x, y):
    return x[int(abs(y[0])) % 7]


@njit
def allocating(x, y):
    differences = np.empty(len(x))
    for i in range(len(x)):
        differences[i] = abs(x[i] - y[i])
    return np.median(differences)


@njit
def remainder(x, y):
    return y[0] % 0.3 + y[1] // 0.7


@njit
def arcs(x, y):
    return np.arctan2(y[0], x[0]) + (0.0 if np.isnan(y[1]) else 1.0)


@njit
def sorted_rows(x, y):
    return np.sort(y)[0] * np.sort(x)[0]


SINGLE = [branching, sliced, searching, indexing, allocating, remainder, arcs, sorted_rows]


@pytest.mark.parametrize("function", VECTORISED, ids=lambda f: f.__name__)
def test_several_rows_at_once(function):
    A, B = rows("f8")
    assert_allclose(computed(function, A, B), expected(function, A, B), 1e-12, 1e-12)
    assert compiled_block(Kernel(function), "float64").lanes == LANES


@pytest.mark.parametrize("function", SINGLE, ids=lambda f: f.__name__)
def test_single_rows(function):
    A, B = rows("f8")
    assert_allclose(computed(function, A, B), expected(function, A, B), 1e-12, 1e-12)
    assert compiled_block(Kernel(function), "float64").lanes == 1


@pytest.mark.parametrize(
    "function", [gaussian, gaussian_of_rows, sigmoid, enumerated], ids=lambda f: f.__name__
)
def test_single_precision(function):
    A, B = rows("f4")
    assert_allclose(computed(function, A, B), expected(function, A.astype("f8"), B.astype("f8")), 1e-5, 1e-6)
    assert compiled_block(Kernel(function), "float32").lanes == LANES


@pytest.mark.parametrize("n_features", [0, 1, 300, 5000])
@pytest.mark.parametrize("function", [gaussian, gaussian_of_rows], ids=lambda f: f.__name__)
def test_any_number_of_features(function, n_features):
    A, B = rows("f8", n_features)
    assert_allclose(computed(function, A, B), expected(function, A, B), 1e-11)


def test_values_do_not_depend_on_the_rows_asked_for():
    _, B = rows("f8")
    whole = computed(gaussian, B, B)
    for i in (0, 5, 36):
        assert_array_equal(computed(gaussian, B[i : i + 1], B[: i + 1]), whole[i : i + 1, : i + 1])
    assert_array_equal(whole, whole.T)
    assert_array_equal(whole.diagonal(), 1.0)


# The functions that are ours.


@njit
def exp(x, y):
    return math.exp(y[0])


@njit
def tanh(x, y):
    return np.tanh(y[0])


@njit(fastmath=True)
def fast_exp(x, y):
    return np.exp(y[0] + x[0])


@njit
def calling_fast_exp(x, y):
    return fast_exp(x, y)


@pytest.mark.parametrize(
    ("function", "exact", "lowest", "highest"),
    [
        (exp, np.exp, -746.0, 709.7),
        (calling_fast_exp, np.exp, -700.0, 700.0),
        (tanh, np.tanh, -22.0, 22.0),
    ],
    ids=["exp", "exp of other flags", "tanh"],
)
def test_to_the_last_places(function, exact, lowest, highest):
    rng = np.random.default_rng(0)
    small = rng.choice([-1.0, 1.0], 10_000) * 10.0 ** rng.uniform(-30, 0, 10_000)
    arguments = np.concatenate([np.linspace(lowest, highest, 100_003), small])
    values = computed(function, np.zeros((1, 1)), arguments[:, None])[0]
    want = exact(arguments.astype(np.longdouble))
    unit = np.spacing(np.abs(want.astype("f8"))).astype(np.longdouble)
    assert np.max(np.abs(values - want) / unit) < 3.0


@pytest.mark.parametrize(("function", "exact"), [(exp, np.exp), (tanh, np.tanh)], ids=["exp", "tanh"])
def test_beyond_the_range(function, exact):
    special = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, -0.0, 710.0, -750.0])
    with np.errstate(over="ignore"):
        assert_array_equal(computed(function, np.zeros((1, 1)), special[:, None])[0], exact(special))


@njit
def first_smaller(x, y):
    return min(x[0], y[0])


@njit
def smaller_or_nan(x, y):
    return np.minimum(y[0], x[0])


@njit
def equal(x, y):
    return 1.0 * (x[0] == y[0]) + 2.0 * (x[0] != y[0]) + 4.0 * (x[0] >= y[0])


@pytest.mark.parametrize("function", [first_smaller, smaller_or_nan, equal], ids=lambda f: f.__name__)
def test_nan_compares_as_it_does_elsewhere(function):
    special = np.array([[np.nan], [np.inf], [-np.inf], [1.0], [2.0]])
    assert_array_equal(computed(function, special, special), expected(function, special, special))
    assert compiled_block(Kernel(function), "float64").lanes == LANES


# Errors.


@njit
def wrong_sizes(x, y):
    return np.dot(WEIGHTS, y)


@njit
def refusing(x, y):
    if x[0] == 3.0:
        raise ValueError("three")
    return x[0] * y[0]


def test_rows_of_other_sizes_are_an_error():
    A, B = rows("f8", 5)
    with pytest.raises(ValueError, match=r"np\.dot|not aligned"):
        computed(wrong_sizes, A, B)


@njit
def refusing_a_pair(x, y):
    if x[0] == 3.0 and y[0] == 5.0:
        raise ValueError("three and five")
    return x[0] * y[0]


def test_an_exception_for_a_single_row_is_raised():
    X = np.arange(10.0).reshape(10, 1)
    with pytest.raises(ValueError, match="three and five"):
        computed(refusing_a_pair, X, X)
    assert_array_equal(computed(refusing_a_pair, X[:3], X), expected(refusing_a_pair, X[:3], X))
    assert compiled_block(Kernel(refusing_a_pair), "float64").lanes == 1


def test_an_exception_for_several_rows_is_raised():
    X = np.arange(20.0).reshape(20, 1)
    with pytest.raises(ValueError, match="three"):
        computed(refusing, X, X)
    assert_array_equal(computed(refusing, X[:3], X), expected(refusing, X[:3], X))
    assert compiled_block(Kernel(refusing), "float64").lanes == LANES


def test_equal_kernels_are_compiled_once():
    first, second = Kernel(gaussian), Kernel(njit(gaussian.py_func))
    assert first is not second
    assert compiled_block(first, "float64") is compiled_block(second, "float64")
    assert compiled_block(first, "float32") is not compiled_block(first, "float64")


@pytest.mark.parametrize("statement", ["x[0] = 0.0", "y[0] = 0.0", "x[:] = y", "y += x"])
def test_a_function_that_writes_to_its_rows_is_refused(statement):
    """They are the user's X, which may be read-only, or a file's."""
    scope = {}
    exec(f"def writes(x, y):\n    {statement}\n    return 1.0", scope)
    X = np.ones((20, 3))
    with pytest.raises(TypeError, match="writes"):
        computed(njit(scope["writes"]), X, X)
    assert_array_equal(X, 1.0)
