"""LinearRegression."""

from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.linear_model._base import LinearRegression as _SklearnLinearRegression

from fastml._config import get_config
from fastml._log import log_ran
from fastml._validation import check_X_y, unchanged_on_error
from fastml.linear_model._glm_data import finite_rows, glm_data, row_weights
from fastml.linear_model._ridge import DeviceRegressorPrediction, centred_in_place, regression_targets
from fastml.solvers import least_squares
from fastml.solvers.least_squares import Rows


class LinearRegression(DeviceRegressorPrediction, _SklearnLinearRegression):
    """Ordinary least squares.

    scikit-learn's estimator of this name, with its parameters and attributes. Dense rows are solved in float64: by the
    normal equations where these have the digits, and where columns are too nearly collinear for that, by LAPACK's gelsd
    as in scikit-learn: from a copy of up to 16 MiB of rows, of more by way of the triangle of an orthogonal
    factorisation block by block, which is as exact.

    Parameters
    ----------
    fit_intercept : bool, default=True
    copy_X : bool, default=True
        X is not copied where it is large. If False, dense X is centred in place, as scikit-learn does then.
    tol : float, default=1e-6
        Dense X: singular values below this share of the largest are taken for 0. Sparse X: LSQR's ``atol`` and
        ``btol``.
    n_jobs : int or None, default=None
        Without effect; ``fastml.set_config(n_threads=...)`` sets the threads.
    positive : bool, default=False
        Coefficients >= 0; dense X only.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    intercept_ : float or ndarray of shape (n_targets,)
    rank_ : int
        Of centred X; dense X only, unless ``positive``.
    singular_ : ndarray of shape (min(n_samples, n_features),)
        Singular values of centred X; dense X only, unless ``positive``.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.

    References
    ----------
    Those of ``fastml.solvers.least_squares``.

    Examples
    --------
    >>> from fastml.linear_model import LinearRegression
    >>> LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).coef_
    array([2.])
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), optional

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For invalid input.
        """
        if get_config()["device"] == "cuda":
            raise RuntimeError(
                "LinearRegression runs on the CPU only. Ridge(alpha=0.0) can be fitted on a GPU; or set "
                "fastml.set_config(device='auto')."
            )
        with unchanged_on_error(self):
            X, y = check_X_y(
                self,
                X,
                y,
                reset=True,
                accept_sparse=False if self.positive else "csr",
                several_targets=True,
                numeric_targets=True,
                numeric_rows=True,
            )
            targets = regression_targets(y)
            weight = row_weights(sample_weight, X)
            with finite_rows(self, X, weight):
                shift = centred_in_place(self, X, weight)
                data = glm_data(X, targets.values, None if weight is None else weight[None], "cpu")
                rows = Rows(data, targets.n_targets, bool(self.fit_intercept), "cpu")
                coef, intercept = self._solve(rows, X.dtype)
            if shift is not None:
                intercept = intercept - coef @ shift
            coef, intercept = coef.astype(X.dtype), intercept.astype(X.dtype)
            self.coef_ = coef[0] if targets.ndim == 1 else coef
            self.intercept_: Any = intercept[0] if targets.ndim == 1 else intercept
            if not self.fit_intercept:
                self.intercept_ = 0.0
        log_ran(self, "fit", "cpu")
        return self

    def _solve(self, rows: Rows, dtype) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and intercepts, by target."""
        for name in ("rank_", "singular_"):
            vars(self).pop(name, None)
        no_penalty = np.zeros(rows.n_targets)
        if not isinstance(rows.data.X, np.ndarray):
            mean, target_mean = rows.means()
            coef, _ = least_squares.solve_lsqr_passes(
                rows, mean, target_mean, no_penalty, self.tol, max_iter=None
            )
            return coef, target_mean - coef @ mean
        if self.positive:
            factored = least_squares.factors(rows)
            coef = least_squares.solve_nnls(rows, factored)
            return coef, factored.target_mean - coef @ factored.mean
        found = least_squares.solve_least_norm(rows, self.tol)
        self.rank_ = int((found.singular > self.tol * found.singular.max(initial=0.0)).sum())
        self.singular_ = found.singular.astype(dtype)
        return found.coef, found.target_mean - found.coef @ found.mean
