"""Kernel support vector regression."""

from sklearn.base import _fit_context
from sklearn.svm import _classes as _sklearn
from sklearn.utils import check_random_state

from fastml._validation import unchanged_on_error
from fastml.svm import _problems
from fastml.svm._base import MAX_SEED, SingleFunction, with_compiled_kernels, with_own_fit


class KernelRegressor(SingleFunction):
    """Mixin: the fit of both regressors."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or (n_samples, n_samples) if precomputed
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Multiplies C; rows of weight zero, or less, take no part.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input.
        """
        check_random_state(self.random_state).randint(MAX_SEED)
        with unchanged_on_error(self):
            self._fit(X, y, sample_weight)
        self._warn_if_stopped()
        return self

    def _coefficients(self, alpha):
        return _problems.regression_coefficients(alpha)


@with_own_fit
class SVR(KernelRegressor, _sklearn.SVR):
    """Epsilon-support vector regression.

    scikit-learn's estimator of this name, with its parameters, attributes and results.

    Parameters
    ----------
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"}, callable or fastml.Kernel, default="rbf"
        As in `SVC`.
    degree : int, default=3
    gamma : {"scale", "auto"} or float, default="scale"
    coef0 : float, default=0.0
    tol : float, default=1e-3
    C : float, default=1.0
    epsilon : float, default=0.1
        Residuals up to this size cost nothing.
    shrinking : bool, default=True
    cache_size : float, default=200
        In megabytes.
    verbose : bool, default=False
    max_iter : int, default=-1

    Attributes
    ----------
    support_, support_vectors_, coef_, fit_status_, shape_fit_, n_features_in_, feature_names_in_
        As in `SVC`.
    n_support_ : ndarray of int32, shape (1,)
    dual_coef_ : ndarray of float64 or CSR matrix, shape (1, n_SV)
    intercept_ : ndarray of shape (1,)
    n_iter_ : int

    References
    ----------
    A. Smola, B. Schölkopf, "A Tutorial on Support Vector Regression", Statistics and Computing 14, 2004.
    """

    _parameter_constraints = with_compiled_kernels(_sklearn.SVR)
    _limited = ("C", "epsilon")

    def _problem(self, rows, target, weights):
        return _problems.epsilon_svr(rows, target, self.C * weights, self.epsilon)


@with_own_fit
class NuSVR(KernelRegressor, _sklearn.NuSVR):
    """nu-support vector regression: ``SVR`` whose tube is as wide as a share of support vectors asks for.

    scikit-learn's estimator of this name, with its parameters, attributes and results.

    Parameters
    ----------
    nu : float, default=0.5
        Upper bound on the share of rows outside the tube and lower bound on that of support vectors, in (0, 1].
    C : float, default=1.0
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"}, callable or fastml.Kernel, default="rbf"
    degree : int, default=3
    gamma : {"scale", "auto"} or float, default="scale"
    coef0 : float, default=0.0
    shrinking : bool, default=True
    tol : float, default=1e-3
    cache_size : float, default=200
        In megabytes.
    verbose : bool, default=False
    max_iter : int, default=-1

    Attributes
    ----------
    support_, support_vectors_, n_support_, dual_coef_, coef_, intercept_, n_iter_, fit_status_, shape_fit_
        As in `SVR`.
    n_features_in_, feature_names_in_
        As in `SVR`.

    References
    ----------
    B. Schölkopf, A. Smola, R. Williamson, P. Bartlett, "New Support Vector Algorithms", Neural Computation 12, 2000.
    """

    _parameter_constraints = with_compiled_kernels(_sklearn.NuSVR)
    _limited = ("C", "nu")

    def _problem(self, rows, target, weights):
        return _problems.nu_svr(rows, target, self.C * weights, self.nu)
