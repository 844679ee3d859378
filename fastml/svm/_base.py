"""What the five kernel machines share: from X to the attributes of a fit, and the gate of predictions.

Each is scikit-learn's class of its name, whose private hooks ``_validate_for_predict``, ``_dense_predict`` and their
like are answered here: constructors, parameter constraints, tags, ``coef_``, ``score`` and the public methods around
the hooks are inherited.
"""

import warnings
from collections.abc import Iterator
from numbers import Real
from types import FunctionType
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Hidden
from sklearn.utils._sparse import _align_api_if_sparse
from sklearn.utils.validation import _num_samples, check_array, check_consistent_length, check_is_fitted

from fastml._config import resolve_device
from fastml._kernel import BUILT_IN, KernelFunction
from fastml._log import log_ran
from fastml._user_functions import is_compiled
from fastml._validation import check_X_y, for_kernels
from fastml.kernels.user_kernel import Kernel
from fastml.solvers import smo
from fastml.svm._decision import KeptLayout, kernel_expansions, matrix_expansions
from fastml.svm._limits import check_limits
from fastml.svm._training import Training, is_small_and_sparse, training_rows, variance

# A float32 kernel value is off by some 1e-7 of it: with larger coefficients decision values would be off by more than
# a tenth of the 1e-3 to which a fit goes by default.
MAX_SINGLE_PRECISION_COEF = 1e3
MAX_KERNEL_VALUE = float(np.finfo(np.float32).max)
MAX_SEED = np.iinfo(np.int32).max
NOT_FINITE = (
    "The dual coefficients or intercepts are not finite. The input data may contain large values and need to be "
    "preprocessed."
)


class KernelMachine:
    """Mixin: validation, the kernel, the solver's call, and the attributes that all five have."""

    # What LIBSVM limits, besides tol and cache_size.
    _limited: tuple[str, ...] = ()

    _dual_coef_: Any
    _kept_layout: KeptLayout

    # Training

    def _check_training_data(self, X: Any, y: Any) -> tuple[Any, Any]:
        check_limits(**{name: getattr(self, name) for name in ("tol", "cache_size", *self._limited)})
        is_sparse = sparse.issparse(X)
        if is_sparse and self.kernel == "precomputed":
            raise TypeError("Sparse precomputed kernels are not supported.")
        self._sparse = is_sparse and not self._is_callable()
        if self._is_callable():
            check_consistent_length(X, y)
            return X, y
        X, y = check_X_y(self, X, y, reset=True, finite=True, large_sparse=False)
        if self.kernel == "precomputed" and X.shape[0] != X.shape[1]:
            raise ValueError(
                f"Precomputed matrix must be a square matrix. Input is a {X.shape[0]}x{X.shape[1]} matrix."
            )
        return X, y

    def _check_weights(self, sample_weight: Any, X: Any) -> np.ndarray:
        """Weights as given, negative ones included, which count as zero; ones where none are."""
        n_samples = _num_samples(X)
        weights = np.asarray([] if sample_weight is None else sample_weight, dtype=np.float64)
        if not weights.size:
            return np.ones(n_samples)
        if weights.ndim != 1:
            raise ValueError(
                f"sample_weight has a wrong number of dimensions (expected 1, got {weights.ndim})."
            )
        if len(weights) != n_samples:
            raise ValueError(
                "sample_weight and X have incompatible shapes: "
                f"{weights.shape} vs {getattr(X, 'shape', (n_samples,))}"
            )
        return weights

    @staticmethod
    def _weighted_rows(weights: np.ndarray) -> np.ndarray:
        """The rows that take part: those whose weight is above zero."""
        rows = np.flatnonzero(weights > 0).astype(np.int32)
        if not len(rows):
            raise ValueError("Invalid input - all samples have zero or negative weights.")
        return rows

    def _training(self, X: Any) -> Training:
        """The validated X as the solver takes it. Sets ``_gamma``, and for a callable what predictions need."""
        self._gamma = self._numeric_gamma(X)
        self.shape_fit_ = X.shape if hasattr(X, "shape") else (_num_samples(X),)
        self._kept_layout = KeptLayout()
        kernel = self._kernel_function()
        if kernel is not None:
            self._single_precision = X.dtype == np.float32
            rows = training_rows(X)
            _check_range(smo.largest_value(rows, kernel))
            return Training(X, rows, kernel)
        self._single_precision = False
        if not self._is_callable():
            _check_range(np.abs(X.diagonal()).max(initial=0.0))
            return Training(X, None, None, np.require(X, np.float64, ["C", "A"]))
        self._BaseLibSVM__Xfit = X  # where the inherited _compute_kernel looks for it
        K = self._compute_kernel(X)
        if K.ndim != 2 or K.shape[0] != K.shape[1]:
            raise ValueError("X.shape[0] should be equal to X.shape[1]" + self._hint_at_rows())
        if len(K) > self.shape_fit_[0]:
            raise ValueError(f"The kernel matrix has {len(K)} rows for {self.shape_fit_[0]} samples.")
        if not np.isfinite(K).all():
            raise ValueError(NOT_FINITE)
        _check_range(np.abs(K.diagonal()).max(initial=0.0))
        return Training(X, None, None, K)

    def _compute_kernel(self, X: Any) -> np.ndarray:
        """scikit-learn's; what fails in a compiled function gets a note, since it may be meant for rows."""
        try:
            return super()._compute_kernel(X)
        except Exception as error:
            if hint := self._hint_at_rows():
                error.add_note(hint.lstrip(". "))
            raise

    def _hint_at_rows(self) -> str:
        if not is_compiled(self.kernel):
            return ""
        name = self.kernel.__name__
        return (
            f". As a callable kernel, {name!r} is given two matrices and is to return their kernel matrix; if it is a "
            f"function of two rows, pass kernel=fastml.Kernel({name})"
        )

    def _numeric_gamma(self, X: Any) -> Any:
        if self._has_kernel_matrix():
            return 0.0  # unused
        if isinstance(self.gamma, Real):
            check_limits(gamma=self.gamma)
            return self.gamma
        if self.gamma == "auto":
            return 1.0 / X.shape[1]
        if self.gamma != "scale":
            raise ValueError(f"gamma must be 'scale', 'auto' or a number; got {self.gamma!r}.")
        spread = variance(X)
        if not np.isfinite(spread):
            raise ValueError(NOT_FINITE)
        return 1.0 / (X.shape[1] * spread) if spread != 0 else 1.0

    def _is_callable(self) -> bool:
        """Whether the kernel takes two matrices; a ``fastml.Kernel`` could, but is compiled into the kernels."""
        return callable(self.kernel) and not isinstance(self.kernel, Kernel)

    def _has_kernel_matrix(self) -> bool:
        """Whether predictions and fits get kernel values from the user."""
        return self._is_callable() or (isinstance(self.kernel, str) and self.kernel == "precomputed")

    def _kernel_function(self) -> KernelFunction | None:
        if self._has_kernel_matrix():
            return None
        if isinstance(self.kernel, Kernel):
            return KernelFunction("custom", function=self.kernel)
        if self.kernel not in BUILT_IN:
            raise ValueError(
                f"kernel must be one of {BUILT_IN}, a callable or a fastml.Kernel; got {self.kernel!r}."
            )
        return KernelFunction(self.kernel, float(self._gamma), float(self.coef0), int(self.degree))

    def _solve(self, training: Training, problems: smo.Problems) -> smo.Solutions:
        device = resolve_device("cpu", gpu_pays=False)
        solutions = smo.solve(
            training.rows,
            problems,
            training.kernel,
            tol=float(self.tol),
            max_iter=int(self.max_iter),
            cache_size=self.cache_size,
            device=device,
            verbose=bool(self.verbose),
            precomputed=training.matrix,
        )
        self.fit_status_ = int(not solutions.converged.all())
        log_ran(self, "fit", device)
        return solutions

    def _store(
        self,
        training: Training,
        support: np.ndarray,
        dual_coef: np.ndarray,
        n_support: np.ndarray,
        intercept: np.ndarray,
        n_iter: np.ndarray,
    ) -> None:
        """Set what predictions read, in LIBSVM's signs; scikit-learn turns those of two classes round in public."""
        if not (np.isfinite(intercept).all() and np.isfinite(dual_coef).all()):
            raise ValueError(NOT_FINITE)
        self.support_ = support.astype(np.int32, copy=False)
        self.support_vectors_ = training.support_vectors(self.support_)
        self._n_support = n_support.astype(np.int32, copy=False)
        self._dual_coef_ = self.dual_coef_ = _sparse_rows(dual_coef) if self._sparse else dual_coef
        self.intercept_ = intercept
        self._intercept_ = intercept.copy()
        self._num_iter = np.minimum(n_iter, np.iinfo(np.intc).max).astype(np.intc)
        self._probA = self._probB = np.empty(0)

    def _warn_if_stopped(self) -> None:
        if self.fit_status_:
            warnings.warn(
                f"Solver terminated early (max_iter={self.max_iter}).  Consider pre-processing your data with "
                "StandardScaler or MinMaxScaler.",
                ConvergenceWarning,
                stacklevel=4,
            )

    # Prediction: scikit-learn's hooks

    def _validate_for_predict(self, X: Any) -> Any:
        """X as the kernels take it; as it is for a callable kernel."""
        check_is_fitted(self)
        if self._is_callable():
            return X
        X = check_X_y(self, X, reset=False, finite=True, large_sparse=False)
        if sparse.issparse(X) and not self._sparse:
            raise ValueError(f"cannot use sparse input in {type(self).__name__!r} trained on dense data")
        if self._sparse and not sparse.issparse(X):
            X = sparse.csr_array(X)
        if self.kernel == "precomputed" and X.shape[1] != self.shape_fit_[0]:
            raise ValueError(_wrong_number_of_columns(X, self.shape_fit_[0]))
        # A length that does not fit the support vectors, as in a pickle tampered with.
        if not self._has_kernel_matrix() and self.n_support_.sum() != self.support_vectors_.shape[0]:
            raise ValueError(f"The internal representation of {type(self).__name__} was altered")
        return for_kernels(X, "cpu")

    def _expansions(self, X: Any, n_support: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of X's rows, each with its kernel values times the dual coefficients, summed up by segments of so
        many support vectors."""
        dual_coef = self._dense_dual_coef()
        starts = np.concatenate([[0], np.cumsum(n_support)]).astype(np.int64)
        kernel = self._kernel_function()
        if kernel is None:
            K = self._checked_matrix(self._compute_kernel(X))
            return matrix_expansions(K, self.support_, dual_coef, starts)
        device = resolve_device("cpu", gpu_pays=False)
        dtype = np.dtype(np.float32 if self._predicts_single(X, kernel, dual_coef) else np.float64)
        # Few support vectors are made dense, as few training rows are, and with them the rows to predict, by blocks.
        dense = is_small_and_sparse(self.support_vectors_)
        prepared = self._kept_layout.prepare(self.support_vectors_, kernel, dtype, X.shape[0], dense, device)
        coef = np.require(dual_coef, dtype, ["C", "A"])
        return kernel_expansions(X, prepared, kernel, coef, starts, dense, device)

    def _predicts_single(self, X: Any, kernel: KernelFunction, dual_coef: np.ndarray) -> bool:
        """Whether float32's rounding of kernel values, relative to their size, is lost in a decision value.

        Values of an RBF kernel are at most 1. Those of others grow with the rows, and cancel out: with 3,000 added to
        iris, a linear kernel in float32 decides four rows in ten wrongly.
        """
        if not self._single_precision or X.dtype != np.float32 or kernel.name != "rbf":
            return False
        return bool(np.abs(dual_coef).max(initial=0.0) <= MAX_SINGLE_PRECISION_COEF)

    def _checked_matrix(self, K: np.ndarray) -> np.ndarray:
        if not self._is_callable():  # checked as X
            return K.astype(np.float64, order="C", copy=False)
        K = check_array(K, dtype=np.float64, order="C", accept_large_sparse=False)
        if K.shape[1] != self.shape_fit_[0]:
            raise ValueError(_wrong_number_of_columns(K, self.shape_fit_[0]))
        return K

    def _dense_dual_coef(self) -> np.ndarray:
        return self._dual_coef_.toarray() if self._sparse else self._dual_coef_


class SingleFunction(KernelMachine):
    """Mixin of the estimators with one decision function: regression and one class."""

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        X, y = self._check_training_data(X, y)
        y = self._validate_targets(y)
        weights = self._check_weights(sample_weight, X)
        training = self._training(X)
        if training.matrix is not None:
            weights = weights[: len(training.matrix)]
        rows = self._weighted_rows(weights)
        problem = self._problem(rows, y[rows], weights[rows])
        solution = self._solve(training, problem)
        coef = self._coefficients(solution.alpha)
        is_support = coef != 0
        n_support = np.count_nonzero(is_support)
        self._store(
            training,
            support=rows[is_support],
            dual_coef=coef[is_support].reshape(1, -1),
            n_support=np.array([n_support, n_support]),
            intercept=-solution.rho,
            n_iter=solution.n_iter,
        )
        self.n_iter_ = self._num_iter.item()

    def _validate_targets(self, y: Any) -> np.ndarray:
        """scikit-learn's, which checks y's shape a second time, where a callable kernel let y pass unchecked."""
        if self._is_callable():
            return super()._validate_targets(y)
        return y.astype(np.float64, copy=False)

    def _values(self, X: Any) -> np.ndarray:
        """The decision function of every row."""
        values = np.empty(_num_samples(X))
        for rows, sums in self._expansions(X, np.array([len(self.support_)])):
            values[rows] = sums[:, 0, 0]
        return values + self._intercept_[0]

    def _decision_function(self, X):
        return self._values(self._validate_for_predict(X)).reshape(-1, 1)

    def _dense_predict(self, X):
        return self._values(X)

    _sparse_predict = _dense_predict


def with_own_fit(estimator: type) -> type:
    """Class decorator: ``fit`` as inherited, under the estimator's name, as errors about its arguments give it."""
    inherited: Any = estimator.fit.__wrapped__  # type: ignore[attr-defined]
    own = FunctionType(
        inherited.__code__,
        inherited.__globals__,
        inherited.__name__,
        inherited.__defaults__,
        inherited.__closure__,
    )
    own.__doc__, own.__module__ = inherited.__doc__, estimator.__module__
    own.__qualname__ = f"{estimator.__qualname__}.fit"
    estimator.fit = _fit_context(prefer_skip_nested_validation=True)(own)  # type: ignore[attr-defined]
    return estimator


def with_compiled_kernels(estimator: type) -> dict[str, Any]:
    """The estimator's parameter constraints, and ``fastml.Kernel``, which their messages do not name."""
    constraints = estimator._parameter_constraints
    return {**constraints, "kernel": [*constraints["kernel"], Hidden(Kernel)]}


def _check_range(largest: float) -> None:
    """LIBSVM holds kernel values in float32: scikit-learn's error where the largest of them is beyond its range.

    In float64 such a fit might take for ever: with values of 1e300, C = 1 is as good as none, which only separable data
    can do without.
    """
    if not largest <= MAX_KERNEL_VALUE:
        raise ValueError(NOT_FINITE)


def _wrong_number_of_columns(X: Any, n_train: int) -> str:
    return f"X.shape[1] = {X.shape[1]} should be equal to {n_train}, the number of samples at training time"


def _sparse_rows(dual_coef: np.ndarray) -> Any:
    """As scikit-learn has them after a fit on sparse input: zeros stored too."""
    n_rows, n_support = dual_coef.shape
    if not n_support:
        return _align_api_if_sparse(sparse.csr_array([[]]))
    indices = np.tile(np.arange(n_support), n_rows)
    indptr = np.arange(n_rows + 1) * n_support
    return _align_api_if_sparse(sparse.csr_array((dual_coef.ravel(), indices, indptr), dual_coef.shape))
