"""SGDRegressor, and the fit that PassiveAggressiveRegressor shares with it."""

import numpy as np
from sklearn.base import _fit_context
from sklearn.linear_model._stochastic_gradient import SGDRegressor as _SklearnSGDRegressor
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot

from fastml._device_input import device_of
from fastml._loss import Loss
from fastml._validation import check_sparse, check_X_y, rows_on_host, unchanged_on_error
from fastml.linear_model._device_prediction import device_scores
from fastml.linear_model._sgd import MAX_SEED, StochasticGradientDescent, single_start
from fastml.solvers import sgd


class RegressorFit(StochasticGradientDescent):
    """fit, partial_fit and predict of the regressors."""

    def _fit(self, X, y, coef_init=None, intercept_init=None, sample_weight=None):
        self._more_validate_params()
        with unchanged_on_error(self):
            warm = self.warm_start and getattr(self, "coef_", None) is not None
            X, y = check_X_y(self, X, y, reset=not warm)
            if warm and coef_init is None and intercept_init is None:
                # With averaging, from the weights behind the averages, as in scikit-learn.
                start = self._continued(X, 1, self.intercept_)
            else:
                if warm:
                    coef_init = self.coef_ if coef_init is None else coef_init
                    intercept_init = self.intercept_ if intercept_init is None else intercept_init
                start = single_start(X.shape[1], X.dtype, coef_init, intercept_init)
            self.t_, self.coef_ = 1.0, None
            self._learn(X, y, sample_weight, start, self.max_iter)
        self._warn_after_fit()
        return self

    def _partial_fit(self, X, y, sample_weight=None):
        first_call = getattr(self, "coef_", None) is None
        if first_call:
            self._more_validate_params(for_partial_fit=True)
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=first_call)
            if first_call:
                start = single_start(X.shape[1], X.dtype, None, None)
            else:
                start = self._continued(X, 1, self.intercept_)
            self._learn(X, y, sample_weight, start, max_iter=1)
        return self

    def _learn(self, X, y, sample_weight, start, max_iter):
        # Rounded to X's precision, as scikit-learn's targets are.
        y = y.astype(X.dtype, copy=False).astype(np.float64, copy=False)
        sample_weight = self._sample_weight(sample_weight, X)
        validation = self._validation(X, y, sample_weight)
        random_state = check_random_state(self.random_state)
        seed = self._permutation_seed(random_state)
        random_state.randint(1, MAX_SEED)  # scikit-learn's data set takes one
        solution = self._solve(
            X,
            np.ascontiguousarray(y),
            sample_weight,
            [self._hyperparameters()],
            start,
            max_iter,
            seed,
            validation,
        )
        coef, self.intercept_ = self._chosen_weights(solution)
        self._store_coef(coef.ravel())

    def _validation(self, X, y, sample_weight):
        if not self.early_stopping:
            return None
        mask = np.ones(X.shape[0], bool) if sample_weight is None else sample_weight > 0
        held_out = self._make_validation_split(y, sample_mask=mask)
        X_val, y_val = rows_on_host(X, held_out), y[held_out]
        weights = None if sample_weight is None else sample_weight[held_out]

        def r2(k, coef, intercept):
            return r2_score(y_val, safe_sparse_dot(X_val, coef) + intercept, sample_weight=weights)

        return sgd.Validation(held_out, r2)

    def predict(self, X):
        """Predicted values.

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
            return super().predict(X)
        return device_scores(self, X, self.intercept_).ravel()


class SGDRegressor(RegressorFit, _SklearnSGDRegressor):
    """Linear regression trained by stochastic gradient descent.

    scikit-learn's estimator of this name, with its parameters, attributes and results.

    Parameters
    ----------
    loss : str or fastml.Loss, default="squared_error"
        "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive", or a loss of your own.
    penalty : {"l2", "l1", "elasticnet"} or None, default="l2"
    alpha : float, default=0.0001
        Strength of the penalty.
    l1_ratio : float or None, default=0.15
        Share of l1 in "elasticnet".
    fit_intercept : bool, default=True
    max_iter : int, default=1000
    tol : float or None, default=1e-3
    shuffle : bool, default=True
    verbose : int, default=0
    epsilon : float, default=0.1
        Of the huber and epsilon-insensitive losses.
    random_state : int, RandomState or None, default=None
        The rows are visited in the order in which scikit-learn visits them.
    learning_rate : {"constant", "optimal", "invscaling", "adaptive", "pa1", "pa2"}, default="invscaling"
    eta0 : float, default=0.01
    power_t : float, default=0.25
    early_stopping : bool, default=False
        Whether to stop by R² on ``validation_fraction`` of the rows, which are held out.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=5
    warm_start : bool, default=False
    average : bool or int, default=False

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,), dtype of X
    intercept_ : ndarray of shape (1,)
    n_iter_ : int
    t_ : float
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    References
    ----------
    L. Bottou, "Stochastic Gradient Descent Tricks", Neural Networks: Tricks of the Trade, 2012.
    """

    _parameter_constraints = {
        **_SklearnSGDRegressor._parameter_constraints,
        "loss": [*_SklearnSGDRegressor._parameter_constraints["loss"], Loss],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, coef_init=None, intercept_init=None, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,)
        coef_init : array-like of shape (n_features,), optional
            Weights to start from.
        intercept_init : array-like of shape (1,), optional
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, or weights that overflow.
        """
        return self._fit(X, y, coef_init, intercept_init, sample_weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Run one epoch over the given rows, from where the last call stopped.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, sample_weight)
