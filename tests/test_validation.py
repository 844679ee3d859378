"""The gate through which arrays enter."""

import warnings
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import SGDRegressor
from sklearn.utils.validation import validate_data

from fastml._validation import check_sparse, check_X_y, for_kernels, unchanged_on_error
from fastml.kernels import for_device

N_ROWS, N_COLUMNS = 6, 4


def compressed(format="csr", index=np.int32):
    matrix = sparse.random(N_ROWS, N_COLUMNS, 0.5, format=format, random_state=0)
    matrix.indices, matrix.indptr = matrix.indices.astype(index), matrix.indptr.astype(index)
    return matrix


each_format = pytest.mark.parametrize("format", ["csr", "csc", "bsr"])
each_index = pytest.mark.parametrize("index", [np.int8, np.int32, np.int64])


def assert_refused(matrix, match):
    with pytest.raises(ValueError, match=match):
        check_sparse(matrix)


@each_format
@each_index
def test_what_is_right_passes(format, index):
    check_sparse(compressed(format, index))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0), (3, 3)])
@each_format
def test_what_holds_nothing_passes(format, shape):
    if format == "bsr":
        matrix = sparse.bsr_array(shape, blocksize=(1, 1))
    else:
        matrix = sparse.csr_array(shape).asformat(format)
    check_sparse(matrix)


def test_blocks_are_counted_not_elements():
    matrix = sparse.bsr_array(np.kron(np.eye(2), np.ones((2, 3))), blocksize=(2, 3))
    check_sparse(matrix)
    matrix.indices[1] = 2  # a column of the matrix, but none of its blocks
    assert_refused(matrix, r"X\.indices must lie in \[0, 2\)")


@pytest.mark.parametrize("format", ["coo", "lil", "dok", "dia"])
def test_other_formats_pass(format):
    check_sparse(compressed().asformat(format))


@each_format
@each_index
def test_indices_outside(format, index):
    n_minor = N_ROWS if format == "csc" else N_COLUMNS
    for value in (n_minor, np.iinfo(index).max, -1, np.iinfo(index).min):
        for position in (0, -1):
            matrix = compressed(format, index)
            matrix.indices[position] = value
            assert_refused(matrix, rf"X\.indices must lie in \[0, {n_minor}\) for shape \(6, 4\)")


@each_format
@each_index
def test_indptr_that_does_not_count_up_from_0(format, index):
    for position, value in ((0, 1), (0, -1), (1, np.iinfo(index).max), (2, -1), (-1, 0), (-1, -1)):
        matrix = compressed(format, index)
        matrix.indptr[position] = value
        assert_refused(matrix, r"X\.indptr must start with 0 and never decrease")


@each_format
@each_index
def test_indptr_that_ends_beyond_the_values(format, index):
    for value in (compressed(format).indptr[-1] + 1, np.iinfo(index).max):
        matrix = compressed(format, index)
        matrix.indptr[-1] = value
        assert_refused(matrix, rf"X\.indptr ends with {value}, but there are \d+ indices and \d+ values")


@each_format
@pytest.mark.parametrize("array", ["indices", "data"])
def test_arrays_that_end_early(format, array):
    matrix = compressed(format)
    setattr(matrix, array, getattr(matrix, array)[:-1])
    assert_refused(matrix, r"X\.indptr ends with")


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_what_lies_beyond_the_last_row_is_no_part_of_it(index):
    """Nobody has checked these indices: kernels do not get to see them."""
    matrix, longer = compressed(index=index), compressed(index=index)
    longer.data = np.append(matrix.data, [7.0, np.nan])
    longer.indices = np.append(matrix.indices, [10**6, -1]).astype(index)
    check_sparse(longer)
    rows = for_kernels(longer, "cpu")
    assert np.shares_memory(rows.data, longer.data)
    for rows_of_either in (rows, for_device("cpu").dual_cd.transposed(rows, 0.0)):
        assert len(rows_of_either.data) == len(rows_of_either.indices) == matrix.nnz
    np.testing.assert_array_equal(rows.data, matrix.data)
    np.testing.assert_array_equal(rows.indices, matrix.indices)


@each_format
@pytest.mark.parametrize("n_elements", [0, 1, -1])
def test_indptr_of_another_length(format, n_elements):
    matrix = compressed(format)
    matrix.indptr = matrix.indptr[:n_elements]
    n_major = N_COLUMNS if format == "csc" else N_ROWS
    assert_refused(matrix, rf"X\.indptr must have {n_major + 1} elements")


@each_format
@pytest.mark.parametrize("array", ["indices", "indptr"])
@pytest.mark.parametrize(
    "convert",
    [lambda a: a.astype(float), lambda a: a.astype(np.uint32), lambda a: a.astype(object), lambda a: a[None]],
    ids=["float", "unsigned", "object", "2-d"],
)
def test_index_arrays_of_another_kind(format, array, convert):
    matrix = compressed(format)
    setattr(matrix, array, convert(getattr(matrix, array)))
    assert_refused(matrix, rf"X\.{array} must be a 1-d array of integers")


@given(
    st.lists(st.integers(-2, 8), min_size=4, max_size=4),
    st.lists(st.integers(-2, 4), max_size=6),
    st.integers(0, 6),
)
def test_what_passes_stays_inside(indptr, indices, n_values):
    """Any arrays at all: refused, or each row's entries exist and lie in the matrix."""
    matrix = sparse.csr_array((3, 3))
    matrix.indptr, matrix.indices = np.array(indptr, np.int32), np.array(indices, np.int32)
    matrix.data = np.ones(n_values)
    entries = [range(first, last) for first, last in pairwise(indptr)]
    is_inside = (
        indptr == sorted(indptr)
        and indptr[0] == 0
        and indptr[-1] <= min(len(indices), n_values)
        and all(0 <= indices[entry] < 3 for row in entries for entry in row)
    )
    if is_inside:
        check_sparse(matrix)
    else:
        assert_refused(matrix, r"X\.ind")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contiguous_floats_are_used_where_they_lie(dtype):
    X = np.ones((3, 2), dtype)
    checked, _ = check_X_y(SGDRegressor(), X, np.ones(3), reset=True)
    assert checked is X or np.shares_memory(checked, X)
    sparse_X = sparse.csr_array(X)
    checked, _ = check_X_y(SGDRegressor(), sparse_X, np.ones(3), reset=True)
    assert checked.data is sparse_X.data
    assert checked.indices is sparse_X.indices


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        (np.ones((3, 2), np.int64), np.float64),
        (np.ones((3, 2), bool), np.float64),
        (np.ones((3, 2), np.float16), np.float64),
        (np.ones((3, 2), np.longdouble), np.float64),
        (np.asfortranarray(np.ones((3, 2), np.float32)), np.float32),
        ([[1, 2], [3, 4], [5, 6]], np.float64),
    ],
)
def test_other_input_is_converted(X, dtype):
    checked, _ = check_X_y(SGDRegressor(), X, np.ones(3), reset=True)
    assert checked.dtype == dtype
    assert checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, np.asarray(X, dtype))


def theirs(estimator, X, y, **options):
    """scikit-learn's checks of the same."""
    return validate_data(
        estimator, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C", **options
    )


def outcome(check, X, y, **options):
    """What a check gives or raises, and the features that it sets."""
    estimator = SGDRegressor()
    try:
        result = check(estimator, X, y, **options)
    except (TypeError, ValueError) as error:
        result = type(error), str(error)
    return result, getattr(estimator, "n_features_in_", None)


def replaced(array, value):
    array = array.copy()
    array.flat[3] = value
    return array


X_64, Y_64 = np.random.default_rng(0).standard_normal((6, 4)), np.arange(6.0)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (X_64, Y_64),
        (X_64.astype(np.float32), Y_64.astype(np.float32)),
        (X_64, Y_64.astype(np.int8)),
        (X_64, Y_64 > 2),
        (X_64, np.repeat(Y_64, 2)[::2]),
        (1e308 * np.ones((6, 4)), 1e308 * np.ones(6)),  # finite, but not their sums
        (X_64, np.array(list("abcdef"))),
        (X_64, Y_64.astype(object)),
        (X_64, Y_64[:, None]),
        (X_64, Y_64[:5]),
        (X_64, Y_64 + 1j),
        (X_64, None),
        (X_64, "no_validation"),
        (X_64, "abcdef"),
        (replaced(X_64, np.nan), Y_64),
        (replaced(X_64, np.inf), Y_64),
        (X_64, replaced(Y_64, np.nan)),
        (X_64, replaced(Y_64, -np.inf)),
        (X_64 + 1j, Y_64),
        (X_64[:0], Y_64[:0]),
        (X_64[:, :0], Y_64),
        (X_64[0], Y_64),
        (X_64[None], Y_64),
    ],
)
def test_plain_arrays_fare_as_with_all_of_scikit_learns_checks(X, y):
    """Whose outcome is known beforehand where X and y are arrays of the right kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataConversionWarning)
        (got, n_features), (expected, n_expected) = (
            outcome(check_X_y, X, y, reset=True, finite=True),
            outcome(theirs, X, y, reset=True),
        )
    assert n_features == n_expected
    if not isinstance(got, tuple) or isinstance(got[0], type):
        got, expected = (got,), (expected,)
    for ours, wanted in zip(got, expected, strict=True):
        if isinstance(wanted, np.ndarray):
            assert (ours.dtype, ours.shape) == (wanted.dtype, wanted.shape)
            assert np.array_equal(ours, wanted)
            assert np.shares_memory(ours, X) == np.shares_memory(wanted, X)
        else:
            assert ours == wanted


def test_names_and_number_of_features_are_compared_for_plain_arrays():
    estimator = SGDRegressor()
    check_X_y(estimator, X_64, Y_64, reset=True)
    estimator.feature_names_in_ = np.array(list("abcd"), object)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        check_X_y(estimator, X_64, reset=False)
    check_X_y(estimator, X_64, Y_64, reset=True)
    assert not hasattr(estimator, "feature_names_in_")
    with pytest.raises(ValueError, match="X has 3 features, but SGDRegressor is expecting 4 features"):
        check_X_y(estimator, np.ascontiguousarray(X_64[:, :3]), reset=False)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_attributes_come_back_after_an_error(error):
    estimator = SimpleNamespace(kept=1, changed=2)

    def fail():
        with unchanged_on_error(estimator):
            estimator.changed, estimator.added = 3, 4
            del estimator.kept
            raise error

    with pytest.raises(error):
        fail()
    assert vars(estimator) == {"kept": 1, "changed": 2}


def test_attributes_stay_without_an_error():
    estimator = SimpleNamespace(changed=2)
    with unchanged_on_error(estimator):
        estimator.changed = 3
    assert vars(estimator) == {"changed": 3}
