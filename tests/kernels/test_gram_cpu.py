"""What is the CPU backend's own: exp and tanh, which method for which rows, arguments that are refused, memory."""

import numpy as np
import pytest
from fresh_interpreter import output_of
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from fastml._csr import CSR
from fastml._kernel import KernelFunction
from fastml.kernels.cpu import _gram, gram

LINEAR, RBF = KernelFunction("linear"), KernelFunction("rbf", 0.1)
# Arguments below which exp is 0, and above which it is inf.
RANGE = {"f4": (-104.0, 88.73), "f8": (-745.2, 709.79)}


def units_off(values, exact, dtype):
    """Distance in units of the last place of the exact value, denormal ones included."""
    unit = np.spacing(np.abs(exact.astype(dtype))).astype(np.longdouble)
    return np.max(np.abs(values.astype(np.longdouble) - exact) / unit)


def arguments(dtype, lowest, highest):
    rng = np.random.default_rng(0)
    small = rng.choice([-1.0, 1.0], 10_000) * 10.0 ** rng.uniform(-30, 0, 10_000)
    return np.concatenate([np.linspace(lowest, highest, 1_000_003), small]).astype(dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_exp(dtype):
    x = arguments(dtype, *RANGE[dtype])
    with np.errstate(over="ignore", under="ignore"):
        exact = np.exp(x.astype(np.longdouble))
        inside = np.isfinite(exact.astype(dtype))
        values = _gram.elementwise("exp", x)
        assert units_off(values[inside], exact[inside], dtype) <= 1.5
        assert np.all(np.isinf(values[~inside]))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_tanh(dtype):
    x = arguments(dtype, -25.0, 25.0)
    assert units_off(_gram.elementwise("tanh", x), np.tanh(x.astype(np.longdouble)), dtype) <= 3.0


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_exp_and_tanh_of_special_values(dtype):
    x = np.array(
        [np.inf, -np.inf, np.nan, 0.0, -0.0, 1e30, -1e30, RANGE[dtype][0] - 1, RANGE[dtype][1] + 1], dtype
    )
    assert_array_equal(_gram.elementwise("exp", x), [np.inf, 0, np.nan, 1, 1, np.inf, 0, 0, np.inf])
    tanh = _gram.elementwise("tanh", x)
    assert_array_equal(tanh, [1, -1, np.nan, 0, 0, 1, -1, -1, 1])
    assert_array_equal(np.signbit(tanh[3:5]), [False, True])


@pytest.mark.parametrize("n", [0, 1, 3, 4, 15, 17])
def test_exp_of_parts_of_a_vector(n):
    x = np.linspace(-1, 1, n)
    np.testing.assert_allclose(_gram.elementwise("exp", x), np.exp(x), 1e-15)


def random_csr(n_rows, n_features, n_values, dtype=np.float32):
    rng = np.random.default_rng(0)
    indices = np.sort(rng.choice(n_features, (n_rows, n_values)), axis=1)
    indptr = np.arange(n_rows + 1) * n_values
    return CSR(
        rng.random(n_rows * n_values).astype(dtype),
        indices.ravel().astype(np.int32),
        indptr.astype(np.int32),
        (n_rows, n_features),
    )


@pytest.mark.parametrize(
    ("B", "method"),
    [
        (np.ones((5, 3)), "dense"),
        (random_csr(500, 123, 14), "table"),
        (random_csr(2000, 100_000, 50), "postings"),
        (random_csr(0, 100_000, 50), "table"),
    ],
    ids=["dense", "few features", "text", "no rows"],
)
def test_method(B, method):
    assert gram.prepare(B, RBF).method_name == method


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_dense_rows_of_mostly_zeros_are_compressed(dtype, monkeypatch):
    rng = np.random.default_rng(0)
    B = np.where(rng.random((2_000, 123)) < 0.1, rng.standard_normal((2_000, 123)), 0.0).astype(dtype)
    compressed = gram.prepare(B, RBF)
    assert (compressed.method_name, compressed.shape) == ("table", B.shape)
    assert len(compressed.rows.data) == np.count_nonzero(B)
    assert compressed.nbytes == gram.prepare(compressed.rows, RBF).nbytes
    monkeypatch.setattr(gram, "COMPRESS_UP_TO", 0.0)
    dense = gram.prepare(B, RBF)
    assert dense.method_name == "dense"
    ours, theirs = np.empty((2, 40, len(B)), dtype)
    gram.gram(B[:40], compressed, RBF, ours)
    gram.gram(B[:40], dense, RBF, theirs)
    assert_allclose(ours, theirs, rtol=0, atol=3e-6 if dtype == "f4" else 1e-13)
    with pytest.raises(TypeError, match="A must be dense"):
        gram.gram(random_csr(3, 123, 10, dtype), compressed, RBF, ours[:3])
    with pytest.raises(ValueError, match="out must have 40 rows, as A has; got 41"):
        gram.gram(B[:40], compressed, RBF, np.empty((41, len(B)), dtype))


def mostly_zeros(n_rows, n_features, dtype=np.float64):
    rng = np.random.default_rng(0)
    return np.where(rng.random((n_rows, n_features)) < 0.05, 1.0, 0.0).astype(dtype)


def test_rows_are_compressed_some_at_a_time(monkeypatch):
    """The same values to the bit, in memory that the number of rows does not change."""
    A, B = mostly_zeros(1000, 400), mostly_zeros(600, 400)
    prepared, coef, starts = gram.prepare(B, RBF), np.ones((2, len(B))), np.array([0, 100, len(B)])
    compressed, sizes = _gram.compressed, []

    def counted(rows):
        sizes.append(rows.nbytes)
        return compressed(rows)

    monkeypatch.setattr(_gram, "compressed", counted)
    results = []
    for block_bytes in (1 << 30, 64 * A[0].nbytes):
        monkeypatch.setattr(gram, "COMPRESSED_BLOCK_BYTES", block_bytes)
        values, sums = np.full((len(A), len(B)), 7.0), np.full((len(A), 2, 2), 7.0)
        gram.gram(A, prepared, RBF, values)
        gram.expansions(A, prepared, RBF, coef, starts, sums)
        results.append((values, sums))
    assert_array_equal(results[0][0], results[1][0])
    assert_array_equal(results[0][1], results[1][1])
    assert sizes[:2] == [A.nbytes] * 2
    assert len(sizes[2:]) == 2 * 16
    assert max(sizes[2:]) == 64 * A[0].nbytes


def test_rows_that_int32_could_not_count_are_not_compressed():
    """Of so many, a row more that is not as empty as the sample would be written past the end."""
    for shape in ((2**16, 2**15), (1, 2**26)):
        wide = np.broadcast_to(np.float32(0), shape)
        assert not gram._is_mostly_zero(wide)
        assert gram._is_mostly_zero(wide[:, : shape[1] // 2 - 1])
    with pytest.raises(ValueError, match=f"rows of more than {2**31 - 1} values cannot be compressed"):
        _gram.compressed(np.broadcast_to(np.float32(0), (2**16, 2**15)))


def rows_in_blocks(dtype, n_features=100):
    """Rows that share their zeros with neighbours: of a panel of B, whole features are zero, of others none."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((150, n_features)).astype(dtype)
    rows[:40, n_features // 3 :] = 0.0
    rows[40:80, : n_features // 2] = -0.0
    rows[80:120] = 0.0
    return rows


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kernel", [LINEAR, RBF], ids=["linear", "rbf"])
def test_features_that_are_zero_in_neighbouring_rows_are_left_out_exactly(kernel, dtype):
    """A row laid out with 31 others that lack few features gives, to the bit, what it gives among its like."""
    rows = rows_in_blocks(dtype)
    A = np.random.default_rng(1).standard_normal((29, rows.shape[1])).astype(dtype)
    neighbours = np.random.default_rng(2).standard_normal((32, rows.shape[1])).astype(dtype)
    condensed, whole = (np.empty((len(A), len(rows)), dtype) for _ in range(2))
    gram.gram(A, gram.prepare(rows, kernel), kernel, condensed)
    for j in range(len(rows)):
        full = neighbours.copy()
        full[7] = rows[j]
        out = np.empty((len(A), 32), dtype)
        gram.gram(A, gram.prepare(full, kernel), kernel, out)
        whole[:, j] = out[:, 7]
    assert_array_equal(condensed, whole)
    if kernel is LINEAR:
        assert_allclose(condensed, A.astype("f8") @ rows.T.astype("f8"), 1e-4, 1e-4)


@pytest.mark.parametrize("n_features", [31, 32, 33, 1024, 1025, 2048, 2049])
def test_zero_features_at_any_depth(n_features):
    rows = rows_in_blocks("f4", n_features)
    A = rows[::5] + np.float32(0.25)
    out = np.empty((len(A), len(rows)), "f4")
    gram.gram(A, gram.prepare(rows, LINEAR), LINEAR, out)
    assert_allclose(out, A.astype("f8") @ rows.T.astype("f8"), 1e-3, 1e-3)


def test_memory_held():
    B = np.zeros((1000, 100), np.float32)
    assert B.nbytes <= gram.prepare(B, LINEAR).nbytes <= 1.1 * B.nbytes
    narrow, wide = random_csr(2000, 123, 14), random_csr(2000, 100_000, 50)
    assert gram.prepare(narrow, RBF).nbytes <= 8192 + 64
    assert gram.prepare(wide, RBF).nbytes <= 8 * len(wide.data) + 8 * wide.shape[1] + 8192 + 128


def test_arguments_that_are_refused():
    A, B, out = np.ones((2, 3)), np.ones((4, 3)), np.empty((2, 4))
    prepared = gram.prepare(B, LINEAR)
    gram.gram(A, prepared, LINEAR, out)
    assert_array_equal(out, 3.0)
    for bad_a in (A.astype("f4"), np.asfortranarray(A), random_csr(2, 3, 1, "f8")):
        with pytest.raises(TypeError, match="A must be"):
            gram.gram(bad_a, prepared, LINEAR, out)
    with pytest.raises(ValueError, match="A has 5 features, but B has 3"):
        gram.gram(np.ones((2, 5)), prepared, LINEAR, out)
    with pytest.raises(ValueError, match=r"out must be of shape \(2, 4\)"):
        gram.gram(A, prepared, LINEAR, np.empty((2, 5)))
    for bad_out in (out.astype("f4"), np.empty((4, 2)).T, np.empty(8)):
        with pytest.raises(TypeError, match="out must"):
            gram.gram(A, prepared, LINEAR, bad_out)
    with pytest.raises(ValueError, match="prepared for another kernel than 'rbf'"):
        gram.gram(A, prepared, RBF, out)
    with pytest.raises(TypeError, match="B must be of float32 or float64"):
        gram.prepare(np.ones((2, 3), np.int64), LINEAR)


def test_expansions_refuse_what_does_not_fit():
    A, B = np.ones((2, 3)), np.ones((4, 3))
    prepared, coef, starts = gram.prepare(B, LINEAR), np.ones((5, 4)), np.array([0, 1, 4])
    out = np.empty((2, 2, 5))
    gram.expansions(A, prepared, LINEAR, coef, starts, out)
    assert_array_equal(out, np.broadcast_to(np.array([[3.0], [9.0]]), (2, 2, 5)))
    with pytest.raises(ValueError, match=r"coef must be of shape \(n_sums, 4\)"):
        gram.expansions(A, prepared, LINEAR, coef[:, :3], starts, out)
    for bad in ([], [0, 1], [1, 4], [0, 3, 2, 4]):
        with pytest.raises(ValueError, match="starts must rise from 0 to 4"):
            gram.expansions(A, prepared, LINEAR, coef, np.array(bad, np.int64), out)
    with pytest.raises(ValueError, match=r"out must be of shape \(2, 2, 5\)"):
        gram.expansions(A, prepared, LINEAR, coef, starts, np.empty((2, 2, 4)))
    for arguments in (
        (coef.astype("f4"), starts, out),
        (np.asfortranarray(coef), starts, out),
        (coef, starts.astype(np.int32), out),
        (coef, starts, out.astype("f4")),
    ):
        with pytest.raises(TypeError, match="must be C-contiguous of"):
            gram.expansions(A, prepared, LINEAR, *arguments)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_compressed_rows_hold_what_is_not_zero(dtype):
    rng = np.random.default_rng(0)
    X = np.where(rng.random((40, 70)) < 0.1, rng.standard_normal((40, 70)), 0.0).astype(dtype)
    X[3], X[-1, -1] = 0.0, 5.0
    rows = _gram.compressed(X)
    assert rows.dtype == X.dtype
    assert len(rows.data) == len(rows.indices) == np.count_nonzero(X)
    assert_array_equal(sparse.csr_array((rows.data, rows.indices, rows.indptr), X.shape).toarray(), X)


@pytest.mark.parametrize(
    ("left_over", "failing"),
    [(50_000_000, "160000512 bytes for 20000064 packed rows"), (250_000_000, "160000512 bytes for norms")],
)
def test_memory_that_is_not_there(left_over, failing):
    """The error says how much was asked for. What had been taken is given back: else the packed rows, which there
    was room for at first, would not fit a second time."""
    code = f"""
import resource
import numpy as np
from fastml._kernel import KernelFunction
from fastml.kernels.cpu import gram
RBF = KernelFunction("rbf", 0.1)
B = np.ones((20_000_064, 1))  # whole panels at every instruction-set level
gram.prepare(B[:100], RBF)
address_space = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (address_space + {left_over}, resource.RLIM_INFINITY))
for _ in range(5):
    try:
        gram.prepare(B, RBF)
    except MemoryError as error:
        print(error)
"""
    assert output_of(code).splitlines() == [f"{failing} could not be allocated."] * 5
