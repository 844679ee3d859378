"""Bad input: the right result or a clear exception, an estimator as it was before, and never a crash."""

import numpy as np
import pytest
import sklearn.linear_model
from fresh_interpreter import run
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import is_classifier
from unchanged_estimator import assert_same_attributes, snapshot

import fastml.linear_model
from fastml.linear_model import SGDClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

NAMES = (
    *("SGDClassifier", "SGDRegressor", "SGDOneClassSVM", "Perceptron"),
    *("PassiveAggressiveClassifier", "PassiveAggressiveRegressor"),
)
WEIGHTED = NAMES[:4]
METHODS = ("fit", "partial_fit")
N_ROWS, N_FEATURES = 40, 6
_rng = np.random.default_rng(0)
X = _rng.standard_normal((N_ROWS, N_FEATURES))
Y = _rng.integers(0, 2, N_ROWS)

each_name = pytest.mark.parametrize("name", NAMES)
each_method = pytest.mark.parametrize("method", METHODS)


def make(name, **parameters):
    return getattr(fastml.linear_model, name)(**{"random_state": 0, **parameters})


def arguments(estimator, method, y):
    """y, and for a classifier's first partial_fit the classes."""
    first_of_parts = method == "partial_fit" and not hasattr(estimator, "classes_")
    return {"y": y, **({"classes": [0, 1]} if first_of_parts and is_classifier(estimator) else {})}


def assert_refused(estimator, method, X, y, match, error=ValueError, **further):
    """Refused by an estimator that is not fitted, and by one that is; both stay as they were."""
    for is_fitted in (False, True):
        if is_fitted:
            estimator.fit(globals()["X"], Y)
        before = snapshot(estimator)
        with pytest.raises(error, match=match):
            getattr(estimator, method)(X, **arguments(estimator, method, y), **further)
        assert_same_attributes(estimator, before)


# --- NaN and infinity


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, N_ROWS // 2, N_ROWS - 1])
@each_method
@each_name
def test_not_finite(name, method, row, value, storage):
    """Without a single step, too: hinge's derivative at a margin of NaN is 0."""
    bad = X.copy()
    bad[row, 2] = value
    assert_refused(make(name), method, storage(bad), Y, "Input X contains (NaN|infinity)")


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("schedule", ["constant", "optimal", "invscaling", "adaptive", "pa1", "pa2"])
def test_not_finite_under_each_schedule(schedule, dtype, storage):
    bad = X.astype(dtype)
    bad[-1, -1] = np.nan
    model = make("SGDClassifier", learning_rate=schedule, eta0=0.1, average=True, penalty="l1")
    assert_refused(model, "fit", storage(bad), Y, "Input X contains NaN")


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("row", range(0, N_ROWS, 5))
def test_not_finite_with_early_stopping(row, n_classes):
    """Among the rows that are learned from, or among those held out."""
    bad = X.copy()
    bad[row, 0] = np.inf
    y = np.arange(N_ROWS) % n_classes
    assert_refused(make("SGDClassifier", early_stopping=True), "fit", bad, y, "Input X contains infinity")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", WEIGHTED)
def test_not_finite_where_the_sample_weight_is_zero(name, value):
    bad, weights = X.copy(), np.ones(N_ROWS)
    bad[7, 3], weights[7] = value, 0.0
    assert_refused(make(name), "fit", bad, Y, "Input X contains (NaN|infinity)", sample_weight=weights)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@each_method
@pytest.mark.parametrize("name", ["SGDRegressor", "PassiveAggressiveRegressor", "SGDClassifier"])
def test_targets_that_are_not_finite(name, method, value):
    y = Y.astype(float)
    y[3] = value
    assert_refused(make(name), method, X, y, "Input y contains (NaN|infinity)")


def test_weights_that_overflow():
    model = make("SGDRegressor", learning_rate="constant", eta0=1e10)
    assert_refused(model, "partial_fit", 1e200 * X, 1e100 * Y, "under-/overflow occurred at epoch #1")


# --- shapes


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (X[0], "Expected 2D array, got 1D array"),
        (X[None], "dim 3"),
        (np.float64(3.0), "Expected 2D array, got scalar"),
        (np.empty((0, N_FEATURES)), "Found array with 0 sample"),
        (np.empty((N_ROWS, 0)), "Found array with 0 feature"),
        (sparse.csr_matrix((0, N_FEATURES)), "Found array with 0 sample"),
        (sparse.csr_matrix((N_ROWS, 0)), "Found array with 0 feature"),
    ],
    ids=["1-d", "3-d", "scalar", "no rows", "no columns", "no sparse rows", "no sparse columns"],
)
@each_method
@each_name
def test_shape_of_X(name, method, bad, match):
    y = Y[: len(bad)] if np.ndim(bad) == 2 and not sparse.issparse(bad) else Y
    assert_refused(make(name), method, bad, y[:0] if np.shape(bad)[:1] == (0,) else y, match)


@pytest.mark.parametrize("n_targets", [0, N_ROWS - 1, N_ROWS + 1])
@each_method
@pytest.mark.parametrize("name", [name for name in NAMES if name != "SGDOneClassSVM"])
def test_y_of_another_length(name, method, n_targets):
    assert_refused(make(name), method, X, np.resize(Y, n_targets), "inconsistent numbers of samples|0 sample")


@each_name
def test_another_number_of_features_in_partial_fit(name):
    model = make(name).fit(X, Y)
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 6 features"):
        model.partial_fit(X[:, :5], Y)
    assert_same_attributes(model, before)


@pytest.mark.parametrize("shape", [(1, N_FEATURES + 1), (2, N_FEATURES)])
def test_initial_weights_of_another_shape(shape):
    assert_refused(make("SGDClassifier"), "fit", X, Y, "coef_init does not match", coef_init=np.zeros(shape))


# --- labels


@pytest.mark.parametrize("name", ["SGDClassifier", "Perceptron", "PassiveAggressiveClassifier"])
def test_one_class_only(name):
    assert_refused(
        make(name), "fit", X, np.ones(N_ROWS), "number of classes has to be greater than one; got 1"
    )


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c"]])
@pytest.mark.parametrize("name", ["SGDClassifier", "Perceptron", "PassiveAggressiveClassifier"])
def test_labels_that_are_not_among_the_classes(name, classes):
    """Below the first, between two, and above the last."""
    for unseen in ("A", "ab", "z"):
        y = np.array(["a", "b"] * (N_ROWS // 2), dtype="<U2")
        y[5] = unseen
        for model in (make(name), make(name).partial_fit(X, np.resize(classes, N_ROWS), classes=classes)):
            before = snapshot(model)
            with pytest.raises(ValueError, match=rf"y contains labels that are not in classes: .*'{unseen}'"):
                model.partial_fit(X, y, classes=classes)
            assert_same_attributes(model, before)


def test_other_classes_in_a_later_partial_fit():
    model = make("SGDClassifier").partial_fit(X, Y, classes=[0, 1])
    before = snapshot(model)
    with pytest.raises(ValueError, match="not the same as on last call to partial_fit"):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    assert_same_attributes(model, before)


def test_no_classes_in_the_first_partial_fit():
    model = make("SGDClassifier")
    before = snapshot(model)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        model.partial_fit(X, Y)
    assert_same_attributes(model, before)


# --- sample weights


@pytest.mark.parametrize(
    "weights",
    [
        np.full(N_ROWS, np.nan),
        np.where(np.arange(N_ROWS) == 3, np.inf, 1.0),
        np.ones(N_ROWS - 1),
        np.ones((N_ROWS, 2)),
        np.zeros(N_ROWS),
        -np.ones(N_ROWS),
        np.where(np.arange(N_ROWS) == 3, -1.0, 1.0),
    ],
    ids=["NaN", "inf", "short", "2-d", "all zero", "all negative", "one negative"],
)
@pytest.mark.parametrize("name", WEIGHTED)
def test_sample_weights_are_refused_or_taken_as_in_scikit_learn(name, weights):
    ours, theirs = (
        getattr(library, name)(random_state=0) for library in (fastml.linear_model, sklearn.linear_model)
    )
    try:
        theirs.fit(X, Y, sample_weight=weights)
    except ValueError as error:
        message = str(error)
        before = snapshot(ours)
        with pytest.raises(ValueError) as caught:
            ours.fit(X, Y, sample_weight=weights)
        assert str(caught.value) == message
        assert_same_attributes(ours, before)
    else:
        ours.fit(X, Y, sample_weight=weights)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)


# --- sparse matrices whose arrays don't fit together


def csr(**changes):
    """A sparse matrix of X's shape with some of its arrays replaced, past SciPy's own checks."""
    matrix = sparse.csr_matrix(np.where(np.abs(X) > 0.5, X, 0.0))
    for name, value in changes.items():
        setattr(matrix, name, value)
    return matrix


GOOD = csr()


def changed(array, position, value):
    array = array.copy()
    array[position] = value
    return array


MALFORMED = {
    "column beyond the last": {"indices": changed(GOOD.indices, 3, N_FEATURES)},
    "last column far away": {"indices": changed(GOOD.indices, -1, 2**31 - 1)},
    "negative column": {"indices": changed(GOOD.indices, 0, -1)},
    "most negative column": {"indices": changed(GOOD.indices, 5, -(2**31))},
    "int64 column past 2**31": {
        "indices": changed(GOOD.indices.astype(np.int64), 5, 2**31 + 1),
        "indptr": GOOD.indptr.astype(np.int64),
    },
    "column that is 0 in its low 32 bits": {
        "indices": changed(GOOD.indices.astype(np.int64), 5, 2**32),
        "indptr": GOOD.indptr.astype(np.int64),
    },
    "row that ends before it begins": {"indptr": changed(GOOD.indptr, 4, 0)},
    "row that ends beyond the values": {"indptr": changed(GOOD.indptr, -1, GOOD.nnz + 10_000_000)},
    "row in the middle beyond the values": {"indptr": changed(GOOD.indptr, 4, GOOD.nnz + 10_000_000)},
    "rows that begin late": {"indptr": changed(GOOD.indptr, 0, 1)},
    "rows that begin before 0": {"indptr": changed(GOOD.indptr, 0, -(10**9))},
    "too few rows": {"indptr": GOOD.indptr[:-1]},
    "no rows": {"indptr": GOOD.indptr[:0]},
    "too few columns": {"indices": GOOD.indices[:-1]},
    "too few values": {"data": GOOD.data[:-1]},
    "columns that are no integers": {"indices": GOOD.indices.astype(float)},
    "columns in 2-d": {"indices": GOOD.indices[None]},
}
# NumPy or SciPy may find it first, with words of their own.
MATCH = "indices|indptr|index|indptr must|elements|dimension"


@pytest.mark.parametrize("changes", MALFORMED.values(), ids=MALFORMED)
@each_method
@pytest.mark.parametrize("name", ["SGDClassifier", "SGDRegressor", "SGDOneClassSVM"])
def test_malformed_csr(name, method, changes):
    assert_refused(make(name), method, csr(**changes), Y, MATCH, error=(ValueError, TypeError))


@pytest.mark.parametrize("format", ["csc", "bsr"])
@pytest.mark.parametrize("position", [0, -1])
@pytest.mark.parametrize("value", [-1, 2**31 - 1, 10**6])
@pytest.mark.parametrize("array", ["indices", "indptr"])
def test_malformed_compressed_formats(format, array, value, position):
    matrix = GOOD.asformat(format)
    setattr(matrix, array, changed(getattr(matrix, array), position, value))
    assert_refused(make("SGDClassifier"), "fit", matrix, Y, MATCH)


def test_the_process_survives_malformed_coordinates():
    """SciPy checks coordinates as a matrix is made; these have been changed since."""
    finished = run(
        "-c",
        "import numpy as np\n"
        "from scipy import sparse\n"
        "from fastml.linear_model import SGDClassifier\n"
        "for axis in (0, 1):\n"
        "    for far in (-1, 500, 10**8, -10**8):\n"
        "        X = sparse.random(500, 50, 0.1, format='coo', random_state=0)\n"
        "        X.coords[axis][3] = far\n"
        "        try:\n"
        "            SGDClassifier().fit(X, np.arange(500) % 2)\n"
        "        except ValueError:\n"
        "            print('refused')\n",
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == ["refused"] * 8


def test_the_process_survives_malformed_matrices_in_every_estimator():
    finished = run(
        "-c",
        "import numpy as np, fastml.linear_model as lm\n"
        "from scipy import sparse\n"
        "rng = np.random.default_rng(0)\n"
        "y = rng.integers(0, 2, 500)\n"
        "refused = 0\n"
        "for far in (2**31 - 1, -2**31, 10**8, -1, 2**62, -2**62):\n"
        "    for array in ('indices', 'indptr'):\n"
        "        for position in (0, 1, 250, -1):\n"
        "            for name in lm.__all__:\n"
        "                X = sparse.random(500, 50, 0.1, format='csr', random_state=0)\n"
        "                if abs(far) > 2**31:\n"
        "                    X.indices, X.indptr = X.indices.astype('i8'), X.indptr.astype('i8')\n"
        "                getattr(X, array)[position] = far\n"
        "                try:\n"
        "                    getattr(lm, name)().fit(X, y)\n"
        "                except ValueError:\n"
        "                    refused += 1\n"
        "print(refused, len(lm.__all__))\n",
    )
    assert finished.returncode == 0, finished.stderr
    refused, n_estimators = map(int, finished.stdout.split())
    assert refused == 6 * 2 * 4 * n_estimators


# --- input that is unusual but right


def assert_fits_as(expected_X, given_X, name="SGDClassifier"):
    expected, given = (make(name, max_iter=3, tol=None).fit(rows, Y).coef_ for rows in (expected_X, given_X))
    rtol = 1e-9 if expected.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(given, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


SUMS = sparse.csr_matrix(np.round(X))


def with_duplicates():
    """SUMS, each value in two parts, and the columns of each row in falling order."""
    halves = SUMS.copy()
    halves.data = np.repeat(SUMS.data / 2, 2)
    halves.indices, halves.indptr = np.repeat(SUMS.indices, 2), 2 * SUMS.indptr
    for first, last in zip(halves.indptr, halves.indptr[1:]):
        halves.indices[first:last] = halves.indices[first:last][::-1].copy()
        halves.data[first:last] = halves.data[first:last][::-1].copy()
    return halves


@each_name
def test_unsorted_columns(name):
    matrix = SUMS.copy()
    for first, last in zip(matrix.indptr, matrix.indptr[1:]):
        matrix.indices[first:last] = matrix.indices[first:last][::-1].copy()
        matrix.data[first:last] = matrix.data[first:last][::-1].copy()
    matrix.has_sorted_indices = False
    assert_fits_as(SUMS, matrix, name)


@each_name
def test_columns_that_occur_twice_count_as_the_sum(name):
    assert_fits_as(SUMS, with_duplicates(), name)


@pytest.mark.parametrize("format", ["csr", "csc", "bsr", "coo", "lil", "dok", "dia"])
def test_sparse_formats(format):
    assert_fits_as(SUMS, SUMS.asformat(format))
    assert_fits_as(SUMS, sparse.coo_array(SUMS).asformat(format))


@pytest.mark.parametrize("indices", [np.int32, np.int64])
@pytest.mark.parametrize("indptr", [np.int32, np.int64])
def test_index_types(indices, indptr):
    matrix = SUMS.copy()
    matrix.indices, matrix.indptr = matrix.indices.astype(indices), matrix.indptr.astype(indptr)
    assert_fits_as(SUMS, matrix)


def test_values_beyond_the_last_row_are_ignored():
    matrix = SUMS.copy()
    matrix.data = np.append(matrix.data, [np.nan, 1.0])
    matrix.indices = np.append(matrix.indices, [10**6, -1]).astype(np.int32)
    assert_fits_as(SUMS, matrix)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_that_are_read_only_misaligned_or_of_the_other_byte_order(dtype):
    plain = X.astype(dtype)
    read_only = plain.copy()
    read_only.flags.writeable = False
    misaligned = np.empty(plain.nbytes + 1, np.uint8)[1:].view(dtype).reshape(plain.shape)
    misaligned[...] = plain
    assert not misaligned.flags.aligned
    swapped = plain.astype(plain.dtype.newbyteorder())
    for unusual in (
        read_only,
        misaligned,
        swapped,
        np.asfortranarray(plain),
        np.repeat(plain, 2, axis=1)[:, ::2],
    ):
        assert_fits_as(plain, unusual)
        assert_array_equal(unusual, plain)


def test_sparse_arrays_that_are_read_only_or_misaligned():
    matrix = SUMS.copy()
    for name in ("data", "indices", "indptr"):
        array = getattr(matrix, name)
        misaligned = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype)
        misaligned[...] = array
        misaligned.flags.writeable = False
        setattr(matrix, name, misaligned)
    assert_fits_as(SUMS, matrix)


def test_a_memory_mapped_array(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert_fits_as(X, mapped)


@pytest.mark.parametrize(
    "convert", [np.ndarray.tolist, lambda rows: rows.astype(object), lambda rows: rows.astype(str)]
)
def test_lists_objects_and_strings_of_numbers(convert):
    assert_fits_as(X, convert(X))


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (np.full(X.shape, "word"), "could not convert string to float"),
        (np.full(X.shape, None), "Input X contains NaN"),
        (X + 1j, "Complex data not supported"),
    ],
    ids=["text", "None", "complex"],
)
@each_method
@each_name
def test_what_is_no_number(name, method, bad, match):
    assert_refused(make(name), method, bad, Y, match)


@pytest.mark.parametrize("labels", [["no", "yes"], [5, 7], ["a", "b", "c"], [10, 20, 37]], ids=str)
@pytest.mark.parametrize("name", ["SGDClassifier", "Perceptron", "PassiveAggressiveClassifier"])
def test_classes_with_too_few_rows_to_hold_one_out_are_named(name, labels):
    y = np.array(labels)[np.arange(N_ROWS) % (len(labels) - 1)]
    y[3] = labels[-1]
    assert_refused(
        make(name, early_stopping=True),
        "fit",
        X,
        y,
        rf"(?i)classes with too few members are: \[{labels[-1]!r}\]",
    )


@pytest.mark.parametrize("n_rows", [1, 2])
@pytest.mark.parametrize("name", ["SGDRegressor", "SGDOneClassSVM", "PassiveAggressiveRegressor"])
def test_very_few_rows(name, n_rows):
    ours, theirs = (
        getattr(library, name)(random_state=0, max_iter=4, tol=None).fit(X[:n_rows], Y[:n_rows])
        for library in (fastml.linear_model, sklearn.linear_model)
    )
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)


def test_a_column_index_past_2_to_the_31():
    """coef_ of such a width takes more memory than a test should; the check comes before."""
    wide = sparse.csr_matrix(
        (np.ones(2), np.array([0, 2**31 + 5], np.int64), np.array([0, 1, 2], np.int64)), shape=(2, 2**31 + 10)
    )
    wide.indices[1] = 2**31 + 10
    with pytest.raises(ValueError, match=r"X\.indices must lie in"):
        SGDClassifier().fit(wide, [0, 1])
