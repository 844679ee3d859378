"""fastml.Kernel: what it takes, and when two are the same."""

import copy
import pickle

import numpy as np
import pytest
import sklearn.svm
from fresh_interpreter import output_of, run
from numba import njit
from scipy import sparse

import fastml.svm
from fastml import Kernel, Loss
from fastml._kernel import KernelFunction
from fastml.kernels.cpu import gram

X = np.arange(12.0).reshape(4, 3)


def plain(x, y):
    return x @ y


@njit
def dot(x, y):
    total = 0.0
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


@njit
def first(x, y):
    return x[0] * y[0]


@njit
def exp(x, y):
    """A function of this name in the module, and an attribute of it in the function."""
    return np.exp(x[0] * y[0])


@njit
def product(x, y, i=0):
    return x[i] * y[i] + product(x, y, i + 1) if i < len(x) else 0.0


def scaled(factor):
    """Kernels that differ in nothing but a number of their closure."""

    @njit
    def scaled_dot(x, y):
        return factor * x[0] * y[0]

    return Kernel(scaled_dot)


def block(kernel, rows=X):
    out = np.empty((len(rows), len(rows)), rows.dtype)
    function = KernelFunction("custom", function=kernel)
    gram.gram(rows, gram.prepare(rows, function), function, out)
    return out


@pytest.mark.parametrize("bad", [plain, lambda x, y: 0.0, "rbf", 3, None])
def test_a_function_that_is_not_jitted(bad):
    with pytest.raises(TypeError, match=r"f must be a function decorated with numba\.njit; got"):
        Kernel(bad)


def test_a_function_that_is_not_jitted_where_numba_has_not_been_imported():
    finished = run("-c", "from fastml import Kernel\nKernel(max)")
    assert "TypeError: f must be a function decorated with numba.njit" in finished.stderr


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_it_is_computed(dtype):
    np.testing.assert_allclose(block(Kernel(dot), X.astype(dtype)), X @ X.T)


@pytest.mark.parametrize("to_rows", [np.asarray, sparse.csr_matrix, sparse.csc_array, np.ndarray.tolist])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
def test_a_call_gives_the_kernel_matrix(dtype, to_rows):
    rows = np.array([[1, 0, 2], [0, 3, 1], [4, 0, 0]], dtype)
    kernel = Kernel(dot)
    values = kernel(to_rows(rows))
    np.testing.assert_allclose(values, rows @ rows.T)
    assert values.dtype == (np.float32 if dtype == "f4" and to_rows != np.ndarray.tolist else np.float64)
    assert values.flags.c_contiguous
    np.testing.assert_allclose(kernel(to_rows(rows[:2]), rows.astype(float)), rows[:2] @ rows.T)


def test_a_call_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"X.shape\[1\] == 3 while Y.shape\[1\] == 2"):
        Kernel(dot)(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="NaN"):
        Kernel(dot)(np.full((2, 3), np.nan))


@pytest.mark.parametrize("to_rows", [np.asarray, sparse.csr_matrix])
def test_scikit_learns_estimators_take_it(to_rows):
    """And ours compile it, as before: they do not call it."""
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((60, 3)), np.arange(60) % 3
    kernel = Kernel(dot)
    twin = sklearn.svm.SVC(kernel=kernel, tol=1e-6).fit(rows, labels)
    model = fastml.svm.SVC(kernel=kernel, tol=1e-6).fit(to_rows(rows), labels)
    assert model.support_vectors_.shape == (len(model.support_), 3)
    np.testing.assert_allclose(
        model.decision_function(to_rows(rows)), twin.decision_function(rows), atol=1e-3
    )


@pytest.mark.parametrize("body", ["return x.margin", "return undefined_name"], ids=["attribute", "name"])
def test_a_function_that_does_not_compile(body):
    scope = {}
    exec(f"def bad(x, y):\n    {body}", scope)
    with pytest.raises(
        TypeError, match=r"the function 'bad' of .* must compile as a function of two rows of float64"
    ):
        block(Kernel(njit(scope["bad"])))


@njit
def two_numbers(x, y):
    return x[0], y[0]


@njit
def nothing(x, y):
    x[0] + y[0]


@njit
def sometimes(x, y):
    if x[0] > 1.0:
        return 1.0
    return None


@pytest.mark.parametrize(
    ("function", "returned"),
    [
        (two_numbers, r"UniTuple\(float32 x 2\)"),
        (nothing, "None"),
        (sometimes, "None"),
        (njit(lambda x, y: x * y), "array"),
        (njit(lambda x, y: 1j * x[0]), "complex"),
        (njit(lambda x, y: "text"), "text"),
    ],
    ids=["tuple", "none", "sometimes none", "array", "complex", "text"],
)
def test_a_function_that_returns_no_number(function, returned):
    name = function.__name__
    with pytest.raises(
        TypeError, match=f"the function '{name}' of .*, must return a float; .* it returns .*{returned}"
    ):
        block(Kernel(function), X.astype("f4"))


def test_a_division_by_zero_is_no_exception():
    assert np.all(np.isinf(block(Kernel(njit(lambda x, y: 1.0 / (x[0] - x[0]))))))


def test_nan_and_inf_keep_their_meaning():
    counted = njit(lambda x, y: (1.0 if np.isnan(x[0]) else 0.0) + (2.0 if np.isinf(y[0]) else 0.0))
    values = np.array([[np.nan], [np.inf], [1.0]])
    np.testing.assert_array_equal(block(Kernel(counted), values), [[1, 3, 1], [0, 2, 0], [0, 2, 0]])


def test_equal_by_their_functions():
    assert scaled(2.0) == scaled(2.0)
    assert hash(scaled(2.0)) == hash(scaled(2.0))
    assert scaled(2.0) is not scaled(2.0)


@pytest.mark.parametrize("other", [Kernel(first), Loss(dot, dot), scaled(1.0), "rbf", None])
def test_different_by_any_part(other):
    assert Kernel(dot) != other


@pytest.mark.parametrize("function", [exp, product], ids=["exp", "product"])
def test_functions_that_have_their_own_name_in_them(function):
    kernel = Kernel(function)
    assert kernel == Kernel(njit(function.py_func)) != Kernel(dot)
    np.testing.assert_allclose(
        block(kernel, 0.1 * X), [[function.py_func(a, b) for b in 0.1 * X] for a in 0.1 * X]
    )


def test_different_by_closure():
    assert scaled(2.0) != scaled(3.0)


@pytest.mark.parametrize(
    "make_copy", [copy.copy, copy.deepcopy, lambda kernel: pickle.loads(pickle.dumps(kernel))]
)
@pytest.mark.parametrize("is_compiled", [False, True])
def test_copies_are_equal_and_work(make_copy, is_compiled):
    kernel = Kernel(dot)
    if is_compiled:
        block(kernel)
    copied = make_copy(kernel)
    assert copied == kernel
    assert hash(copied) == hash(kernel)
    np.testing.assert_allclose(block(copied), X @ X.T)


def test_pickled_for_another_process(tmp_path):
    """A function of a script goes by value: the process that reads it has no such script."""
    write = (
        "import pickle\nfrom numba import njit\nfrom fastml import Kernel\n"
        "f = njit(lambda x, y: x[0] - y[0])\n"
        f"pickle.dump(Kernel(f), open({str(tmp_path / 'kernel')!r}, 'wb'))\n"
    )
    read = (
        "import pickle, numpy as np\n"
        f"print(pickle.load(open({str(tmp_path / 'kernel')!r}, 'rb')).f(np.ones(1), np.zeros(1)))\n"
    )
    output_of(write)
    assert output_of(read) == "1.0"


def test_representation():
    assert repr(Kernel(dot)) == "Kernel(dot)"
