"""The one-class SVM, trained by stochastic gradient descent."""

import numpy as np
from sklearn.base import _fit_context
from sklearn.linear_model._stochastic_gradient import SGDOneClassSVM as _SklearnSGDOneClassSVM
from sklearn.utils import check_random_state

from fastml._device_input import device_of
from fastml._validation import check_sparse, check_X_y, unchanged_on_error
from fastml.linear_model._device_prediction import device_scores
from fastml.linear_model._sgd import StochasticGradientDescent, single_start


class SGDOneClassSVM(StochasticGradientDescent, _SklearnSGDOneClassSVM):
    """Linear one-class SVM: which points lie apart from most.

    scikit-learn's estimator of this name, with its parameters, attributes and results.

    Parameters
    ----------
    nu : float, default=0.5
        Upper bound on the share of outliers in the training data, in (0, 1].
    fit_intercept : bool, default=True
    max_iter : int, default=1000
    tol : float or None, default=1e-3
    shuffle : bool, default=True
    verbose : int, default=0
    random_state : int, RandomState or None, default=None
    learning_rate : {"constant", "optimal", "invscaling", "adaptive"}, default="optimal"
    eta0 : float, default=0.01
    power_t : float, default=0.5
    warm_start : bool, default=False
    average : bool or int, default=False

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,), dtype of X
    offset_ : ndarray of shape (1,)
        The decision is ``X @ coef_ - offset_``, positive for inliers.
    n_iter_ : int
    t_ : float
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    References
    ----------
    B. Schölkopf et al., "Estimating the Support of a High-Dimensional Distribution", Neural Computation 13(7), 2001.
    """

    def _objective(self):
        return self.nu, self.loss, self.learning_rate

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, coef_init=None, offset_init=None, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : ignored
        coef_init : array-like of shape (n_features,), optional
            Weights to start from.
        offset_init : array-like of shape (1,), optional
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, or weights that overflow.
        """
        self._more_validate_params()
        with unchanged_on_error(self):
            warm = self.warm_start and getattr(self, "coef_", None) is not None
            X = check_X_y(self, X, reset=not warm)
            if warm:
                coef_init = self.coef_ if coef_init is None else coef_init
                offset_init = self.offset_ if offset_init is None else offset_init
            start = single_start(X.shape[1], X.dtype, coef_init, offset_init)
            self.t_, self.coef_ = 1.0, None
            # The solver's intercept is 1 - offset.
            self._learn(X, sample_weight, start._replace(intercept=1.0 - start.intercept), self.max_iter)
        self._warn_after_fit()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Run one epoch over the given rows, from where the last call stopped.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object
        """
        first_call = getattr(self, "coef_", None) is None
        if first_call:
            self._more_validate_params(for_partial_fit=True)
        with unchanged_on_error(self):
            X = check_X_y(self, X, reset=first_call)
            if first_call:
                start = single_start(X.shape[1], X.dtype, None, None)
                start = start._replace(intercept=1.0 - start.intercept)
            else:
                start = self._continued(X, 1, 1.0 - self.offset_)
            self._learn(X, sample_weight, start, max_iter=1)
        return self

    def _learn(self, X, sample_weight, start, max_iter):
        solution = self._solve(
            X,
            np.ones(X.shape[0]),
            self._sample_weight(sample_weight, X),
            [self._hyperparameters()],
            start,
            max_iter,
            self._permutation_seed(check_random_state(self.random_state)),
            one_class=True,
        )
        coef, intercept = self._chosen_weights(solution)
        self._store_coef(coef.ravel())
        self.offset_ = 1.0 - intercept

    def decision_function(self, X):
        """Signed distance to the hyperplane, times the norm of its weights: positive for inliers.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,)
            Of the kind that X is.
        """
        if device_of(X) == "cpu":
            check_sparse(X)
            return super().decision_function(X)
        return device_scores(self, X, -self.offset_).ravel()

    def predict(self, X):
        """1 for inliers, -1 for outliers.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of int of shape (n_samples,)
            Of the kind that X is.
        """
        if device_of(X) == "cpu":
            return super().predict(X)
        return (self.decision_function(X) >= 0).astype("int32") * 2 - 1
