"""Means and products of features and targets about them, from one pass over X."""

from typing import NamedTuple

import numpy as np

from fastml._csr import CSR
from fastml.kernels import for_device
from fastml.kernels.glm_data import Data
from fastml.solvers._errors import overflow_error
from fastml.solvers.least_squares._rows import Rows

# Rows whose mean is taken for the mean of all before that is known.
SAMPLE_ROWS = 1024

# Sparse rows of more features than this have no table of products.
MOST_SPARSE_FEATURES = 2000

# How much larger a sum of squares may be about the sample's mean than about the mean: digits lost when centring.
LOST = 100.0

# Products that one call of the kernel may be asked for: some tenths of a second, in which Ctrl-C is not heard.
WORK_PER_CALL = 20_000_000_000


class Moments(NamedTuple):
    """Sums about the means, or about zero where there is no intercept.

    Attributes
    ----------
    gram : ndarray of shape (n_features, n_features)
        sum_i weight_i x_i x_i'.
    cross : ndarray of shape (n_targets, n_features)
        sum_i weight_i y_i x_i'.
    mean, target_mean : ndarray of shape (n_features,), (n_targets,)
    """

    gram: np.ndarray
    cross: np.ndarray
    mean: np.ndarray
    target_mean: np.ndarray


def moments(rows: Rows, *, exact: bool = False) -> Moments:
    """Moments of all rows.

    They are summed about the mean of a sample of rows, so that hardly a digit is lost when what is left of the mean is
    taken off; where that sample has misled, about the mean, in a second pass.

    Parameters
    ----------
    rows : Rows
    exact : bool, default=False
        Whether in float64 whatever X is.

    Returns
    -------
    Moments

    Raises
    ------
    ValueError
        If a sum is not finite.
    """
    taken = moments_in_range(rows, exact=exact)
    if taken is None:
        raise overflow_error()
    return taken


def moments_in_range(rows: Rows, *, exact: bool = False) -> Moments | None:
    """As `moments`; None where a sum is not finite."""
    shift = sample_mean(rows)
    table = raw_moments(rows, shift, exact=exact)
    taken = _centred_in_range(rows, table, shift)
    if taken is not None and rows.fit_intercept and _lost(table, taken):
        shift = rounded(np.concatenate([taken.mean, taken.target_mean]), rows)
        taken = _centred_in_range(rows, raw_moments(rows, shift, exact=exact), shift)
    return taken


def raw_moments(
    rows: Rows, shift: np.ndarray, chosen: np.ndarray | None = None, *, exact: bool = False
) -> np.ndarray:
    """The kernel's table about ``shift``, of the chosen rows.

    Parameters
    ----------
    rows : Rows
    shift : ndarray of shape (n_features + n_targets,)
        As of `rounded`.
    chosen : ndarray of int64, optional
    exact : bool, default=False

    Returns
    -------
    ndarray of shape (n_features + 1 + n_targets, n_features + 1)
    """
    backend = for_device(rows.device)
    n_features = rows.shape[1]
    shape = (n_features + 1 + rows.n_targets, n_features + 1)
    n = rows.shape[0] if chosen is None else len(chosen)
    at_once = max(1, WORK_PER_CALL // (shape[0] * shape[1]))
    if n <= at_once or rows.device == "cuda":
        out = backend.arrays.empty(shape, np.float64)
        backend.glm.moments(rows.data, shift, out, rows.weighting, chosen, exact)
        return backend.arrays.fetch(out)
    total, out = np.zeros(shape), np.empty(shape)
    for first in range(0, n, at_once):
        last = min(first + at_once, n)
        if chosen is None:
            backend.glm.moments(_between(rows.data, first, last), shift, out, rows.weighting, None, exact)
        else:
            backend.glm.moments(rows.data, shift, out, rows.weighting, chosen[first:last], exact)
        total += out
    return total


def _between(data: Data, first: int, last: int) -> Data:
    """Some of the rows, X's where they lie."""
    X = data.X.between(first, last) if isinstance(data.X, CSR) else data.X[first:last]
    target = np.ascontiguousarray(data.target[..., first:last])
    return Data(X, target, None if data.weight is None else np.ascontiguousarray(data.weight[:, first:last]))


def centred(rows: Rows, table: np.ndarray, shift: np.ndarray) -> Moments:
    """Moments about the means of the rows that ``table`` is the sum of; ValueError if a sum is not finite."""
    taken = _centred_in_range(rows, table, shift)
    if taken is None:
        raise overflow_error()
    return taken


def _centred_in_range(rows: Rows, table: np.ndarray, shift: np.ndarray) -> Moments | None:
    n = rows.shape[1]
    if not np.isfinite(table).all():
        return None
    gram, sums, total = table[:n, :n], table[n, :n], table[n, n]
    cross, target_sums = table[n + 1 :, :n], table[n + 1 :, n]
    if not rows.fit_intercept:
        return Moments(gram, cross, np.zeros(n), np.zeros(rows.n_targets))
    mean, target_mean = sums / total, target_sums / total
    return Moments(
        gram - np.multiply.outer(sums, mean),
        cross - np.multiply.outer(target_sums, mean),
        shift[:n] + mean,
        shift[n:] + target_mean,
    )


@np.errstate(over="ignore", invalid="ignore")
def sample_mean(rows: Rows) -> np.ndarray:
    """Means of a sample of the rows, as X's dtype holds them; zeros for CSR, and where nothing is centred."""
    X, target = rows.data.X, rows.data.target
    shift = np.zeros(rows.shape[1] + rows.n_targets)
    if not rows.fit_intercept or isinstance(X, CSR):
        return shift
    step = -(-rows.shape[0] // SAMPLE_ROWS)
    fetch = for_device(rows.device).arrays.fetch
    sample = fetch(X[::step]).astype(np.float64)
    first = sample[0].copy()
    sample -= first  # of a constant column the mean is what it is, to the last digit
    shift[: rows.shape[1]] = first + sample.mean(axis=0)
    if target.dtype != np.int32:
        shift[rows.shape[1] :] = fetch(target[:, ::step]).mean(axis=1)
    return rounded(shift, rows)


def rounded(shift: np.ndarray, rows: Rows) -> np.ndarray:
    """The nearest numbers of X's dtype."""
    return shift.astype(rows.data.X.dtype).astype(np.float64)


def _lost(table: np.ndarray, taken: Moments) -> bool:
    """Whether centring has cost more digits than it should, in a column that is not constant."""
    after = taken.gram.diagonal()
    before = table.diagonal()[: len(after)]
    return bool((before > LOST * np.maximum(after, np.finfo(np.float64).tiny)).any())
