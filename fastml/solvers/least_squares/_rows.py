"""Rows, targets and weights, and blocks of them in float64."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from fastml._csr import CSR
from fastml.kernels.glm_data import Data
from fastml.solvers._errors import overflow_error
from fastml.solvers._vectors import combination

# Of a block in float64; such copies, of which there are two or three at a time, are all that is made of X.
BLOCK_BYTES = 2**22

# Of dense rows in float64 that are copied as a whole: the copy costs less than a pass of LSQR over rows where they lie.
FEW_BYTES = 2**24


class Rows(NamedTuple):
    """The rows of a problem.

    Attributes
    ----------
    data : Data
        With one row of weights, or none. Codes stand for +1 and -1, as in ``fastml.kernels.reference.glm.moments``.
    n_targets : int
    fit_intercept : bool
        Whether rows and targets are centred.
    device : str
        Where ``data`` lies. All but moments and passes is for host memory.
    """

    data: Data
    n_targets: int
    fit_intercept: bool
    device: str

    @property
    def weighting(self) -> int:
        return -1 if self.data.weight is None else 0

    @property
    def shape(self) -> tuple[int, int]:
        return self.data.X.shape

    @property
    def is_tall(self) -> bool:
        return self.shape[1] < self.shape[0]

    @property
    def is_few(self) -> bool:
        """Whether they are so few that a copy in float64 is made."""
        return 8 * self.shape[0] * self.shape[1] <= FEW_BYTES

    def weights(self) -> np.ndarray:
        return np.ones(self.shape[0]) if self.data.weight is None else self.data.weight[0]

    def root_weights(self) -> np.ndarray:
        """Square roots of the weights."""
        return np.sqrt(self.weights())

    def targets(self, rows: Any = slice(None)) -> np.ndarray:
        """Targets of some rows, of shape (n, n_targets)."""
        target = self.data.target
        if target.dtype != np.int32:
            return target[:, rows].T
        codes = target[rows, None]
        return np.where(codes == (np.arange(self.n_targets) if self.n_targets > 1 else 1), 1.0, -1.0)

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted means of features and targets; zeros without an intercept."""
        return self.feature_means(), self.target_means()

    def feature_means(self) -> np.ndarray:
        if isinstance(self.data.X, CSR) and self.fit_intercept:
            weight = self.weights()
            return self.sparse().T @ weight / weight.sum()
        return self._mean(self.block, self.shape[1])

    def target_means(self) -> np.ndarray:
        return self._mean(self.targets, self.n_targets)

    @np.errstate(over="ignore", invalid="ignore")
    def _mean(self, values: Callable, size: int) -> np.ndarray:
        mean = np.zeros(size)
        if self.fit_intercept:
            weight = self.weights()
            for rows in self.blocks():
                mean += combination(weight[rows], values(rows))
            mean /= weight.sum()
        return mean

    def blocks(self, least: int = 1) -> Iterator[slice]:
        """Slices of the rows, at least ``least`` long but for the last."""
        n_rows, n_features = self.shape
        size = max(least, BLOCK_BYTES // (8 * max(1, n_features)), 1)
        for first in range(0, n_rows, size):
            yield slice(first, min(first + size, n_rows))

    def block(self, rows: Any, mean: np.ndarray | None = None) -> np.ndarray:
        """Some rows, less ``mean``, as a dense float64 matrix; a view of X where that is it already."""
        X = self.data.X
        if isinstance(X, CSR):
            dense = self.sparse(rows).toarray()
        else:
            dense = X[rows].astype(np.float64, copy=mean is not None)
        if mean is not None:
            dense -= mean  # in place: new memory takes longer than the arithmetic
        return dense

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is looked for at the end
    def centred_copy(self, mean: np.ndarray) -> np.ndarray:
        """All rows less ``mean``, multiplied with the roots of the weights; ValueError if they are not finite."""
        copy = self.block(slice(None), mean)
        if self.data.weight is not None:
            copy *= self.root_weights()[:, None]
        if not np.isfinite(copy).all():
            raise overflow_error()
        return copy

    def columns(self, shift: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of columns of a dense X, less ``shift``, in its dtype; each in the place of the one before."""
        n_rows, n_features = self.shape
        size = max(1, BLOCK_BYTES // (shift.itemsize * max(1, n_rows)))
        # Once: new memory takes longer than the copy.
        room = np.empty(n_rows * min(size, n_features), shift.dtype)
        for first in range(0, n_features, size):
            chosen = slice(first, min(first + size, n_features))
            block = room[: n_rows * (chosen.stop - first)].reshape(n_rows, -1)
            yield chosen, np.subtract(self.data.X[:, chosen], shift[chosen], out=block)

    def sparse(self, rows: Any = None) -> Any:
        """Some rows, or all, of a CSR X, as SciPy's, in float64."""
        X = self.data.X
        whole = sparse.csr_array((X.data, X.indices, X.indptr), shape=X.shape)
        return (whole if rows is None else whole[rows]).astype(np.float64, copy=False)
