"""The one-class kernel machine."""

import numpy as np
from sklearn.base import _fit_context
from sklearn.svm import _classes as _sklearn
from sklearn.utils.validation import _num_samples

from fastml._validation import unchanged_on_error
from fastml.svm import _problems
from fastml.svm._base import SingleFunction, with_compiled_kernels


class OneClassSVM(SingleFunction, _sklearn.OneClassSVM):
    """Which points lie apart from most: the support of a distribution.

    scikit-learn's estimator of this name, with its parameters, attributes and results.

    Parameters
    ----------
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"}, callable or fastml.Kernel, default="rbf"
        As in `SVC`.
    degree : int, default=3
    gamma : {"scale", "auto"} or float, default="scale"
    coef0 : float, default=0.0
    tol : float, default=1e-3
    nu : float, default=0.5
        Upper bound on the share of outliers in the training data and lower bound on that of support vectors, in (0, 1].
    shrinking : bool, default=True
    cache_size : float, default=200
        In megabytes.
    verbose : bool, default=False
    max_iter : int, default=-1

    Attributes
    ----------
    support_, support_vectors_, n_support_, dual_coef_, coef_, intercept_, n_iter_, fit_status_, shape_fit_
        As in `SVR`.
    offset_ : ndarray of shape (1,)
        ``decision_function`` is ``score_samples`` less this.
    n_features_in_, feature_names_in_
        As in `SVR`.

    References
    ----------
    B. Schölkopf et al., "Estimating the Support of a High-Dimensional Distribution", Neural Computation 13(7), 2001.
    """

    _parameter_constraints = with_compiled_kernels(_sklearn.OneClassSVM)
    _limited = ("nu",)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or (n_samples, n_samples) if precomputed
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional
            Rows of weight zero, or less, take no part.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input.
        """
        with unchanged_on_error(self):
            self._fit(X, np.ones(_num_samples(X)), sample_weight)
            self.offset_ = -self._intercept_
        self._warn_if_stopped()
        return self

    def _problem(self, rows, target, weights):
        return _problems.one_class(rows, weights, self.nu)

    def _coefficients(self, alpha):
        return alpha

    def _dense_predict(self, X):
        return np.where(self._values(X) > 0, 1, -1)

    _sparse_predict = _dense_predict
