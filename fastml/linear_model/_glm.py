"""GeneralizedLinearRegressor and GeneralizedLinearClassifier: any loss with any penalty."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fastml._log import log_ran
from fastml._loss import Loss
from fastml._validation import check_sparse, check_X_y, unchanged_on_error
from fastml.kernels.glm_data import BINARY_LOSSES, REGRESSION_LOSSES, Rule
from fastml.linear_model._glm_data import device_for, finite_rows, glm_data, row_weights
from fastml.linear_model._glm_fit import Problem, fit_models, pair_of, penalty_of, warn_if_unconverged
from fastml.linear_model._glm_solvers import SOLVERS, chosen_solver
from fastml.linear_model._labels import distinct_labels, label_codes

MAX_SEED = np.iinfo(np.int32).max


class GeneralizedLinear(SparseCoefMixin, BaseEstimator):
    """What the two estimators share: parameters, and the way to the solvers."""

    _parameter_constraints: dict = {
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), HasMethods(["value", "nearest"]), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "bounds": ["array-like", None],
        "solver": [StrOptions({"auto", *SOLVERS})],
        "step_size": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "line_search": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    coef_: Any
    intercept_: Any

    def __init__(
        self,
        loss,
        penalty="l2",
        alpha=1e-4,
        l1_ratio=0.0,
        bounds=None,
        solver="auto",
        step_size="auto",
        line_search=True,
        max_iter=1000,
        tol=1e-4,
        fit_intercept=True,
        warm_start=False,
        random_state=None,
    ):
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.bounds = bounds
        self.solver = solver
        self.step_size = step_size
        self.line_search = line_search
        self.max_iter = max_iter
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.warm_start = warm_start
        self.random_state = random_state

    def _learn(self, X, target, sample_weight, rule: Rule, n_models: int):
        """Fit models that share X, and store what they have in common."""
        solver = chosen_solver(self.solver, pair_of(self))
        if isinstance(self.loss, Loss):
            self.loss.compile()
            is_label = target.dtype == np.int32
            self.loss.raise_if_inconsistent(
                np.array([-1.0, 1.0])
                if is_label
                else np.unique(np.quantile(target, [0.0, 0.25, 0.5, 0.75, 1.0]))
            )
        weight = row_weights(sample_weight, X)
        device = device_for(self, solver, X)
        l1, l2, penalty = penalty_of(self, X.shape[1])
        problem = Problem(
            solver=solver,
            l1=l1,
            l2=l2,
            penalty=penalty,
            fit_intercept=bool(self.fit_intercept),
            step_size=None if self.step_size == "auto" else float(self.step_size),
            line_search=bool(self.line_search),
            tol=float(self.tol),
            max_iter=int(self.max_iter),
            seed=int(check_random_state(self.random_state).randint(MAX_SEED)),
        )
        starts = np.split(self._start(n_models * rule.n_columns, X.shape[1]), n_models)
        with finite_rows(self, X, weight):
            outcomes = fit_models(
                glm_data(X, target, None if weight is None else weight[None], device),
                rule,
                problem,
                starts,
                total_weight=X.shape[0] if weight is None else weight.sum(),
                device=device,
            )
        self.solver_ = solver
        self.n_iter_ = max(outcome.n_iter for outcome in outcomes)
        histories = [outcome.loss_history for outcome in outcomes]
        if all(histories):
            self.loss_history_ = [np.array(history) for history in histories]
        log_ran(self, "fit", device)
        return outcomes

    def _start(self, n_columns: int, n_features: int) -> np.ndarray:
        start = np.zeros((n_columns, n_features + 1))
        if self.warm_start and hasattr(self, "coef_"):
            coef = self.coef_.toarray() if hasattr(self.coef_, "toarray") else self.coef_
            coef = np.atleast_2d(coef)
            if coef.shape != (n_columns, n_features):
                raise ValueError(
                    f"coef_ of the last fit has shape {coef.shape}; to start there, {(n_columns, n_features)} is "
                    "needed."
                )
            start[:, :-1] = coef
            if self.fit_intercept:
                start[:, -1] = self.intercept_
        return start

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class GeneralizedLinearRegressor(RegressorMixin, GeneralizedLinear):
    """Linear model of a real target: any loss, any penalty, any solver that can do with both.

    Minimises mean_i loss(y_i, w.x_i + b) + penalty(w), the rows weighted.

    Parameters
    ----------
    loss : str or fastml.Loss, default="squared_error"
        "squared_error" (half of it), "huber", "squared_epsilon_insensitive", "poisson" (with logarithmic link), or a
        loss of your own; huber's and the insensitive loss's epsilon is 0.1.
    penalty : {"l2", "l1", "elasticnet"}, object or None, default="l2"
        ``alpha`` times |w|^2 / 2, |w|_1, or ``l1_ratio`` of the one and 1 - ``l1_ratio`` of the other. An object of
        your own has ``value(coef)`` and ``nearest(coef, step)``, its proximal map.
    alpha : float, default=1e-4
    l1_ratio : float, default=0.0
        Share of l1 in "elasticnet".
    bounds : pair or None, default=None
        Lower and upper bounds of the coefficients: numbers, arrays of shape (n_features,), or None. The intercept has
        none.
    solver : str, default="auto"
        "lbfgs", "newton-cg", "newton-cholesky" (penalties without kinks; the latter two need a second derivative),
        "gd", "agd" (all penalties), "sag", "saga" (no bounds; a Lipschitz constant of the loss's derivative; "saga"
        takes l1). "auto": "lbfgs" where it can, else "agd".
    step_size : float or "auto", default="auto"
        Of "gd" and "agd": of the first step; of all without ``line_search``, when "auto" is the inverse of the
        gradient's Lipschitz constant.
    line_search : bool, default=True
        Of "gd" and "agd".
    max_iter : int, default=1000
    tol : float, default=1e-4
        The largest element of the gradient (with l1 or bounds, of the gradient mapping) at which solvers stop; "sag"
        and "saga" stop by the weights' relative change in an epoch.
    fit_intercept : bool, default=True
    warm_start : bool, default=False
    random_state : int, RandomState or None, default=None
        Of "sag" and "saga".

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,), dtype of X
    intercept_ : float
    n_iter_ : int
    solver_ : str
        The solver that ran.
    loss_history_ : list of one ndarray
        The objective at the start and after each iteration; not with "sag" and "saga".
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.

    See Also
    --------
    fastml.Loss : A loss of your own.

    Examples
    --------
    >>> from fastml.linear_model import GeneralizedLinearRegressor
    >>> model = GeneralizedLinearRegressor(alpha=0.0, bounds=(0.0, None))
    >>> model.fit([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]], [0.0, 1.0, 1.5]).coef_.round(3)
    array([0.75, 0.  ])
    """

    _parameter_constraints = {
        **GeneralizedLinear._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES)), Loss],
    }

    def __init__(
        self,
        loss="squared_error",
        penalty="l2",
        alpha=1e-4,
        l1_ratio=0.0,
        bounds=None,
        solver="auto",
        step_size="auto",
        line_search=True,
        max_iter=1000,
        tol=1e-4,
        fit_intercept=True,
        warm_start=False,
        random_state=None,
    ):
        super().__init__(
            loss,
            penalty,
            alpha,
            l1_ratio,
            bounds,
            solver,
            step_size,
            line_search,
            max_iter,
            tol,
            fit_intercept,
            warm_start,
            random_state,
        )

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, or a solver that cannot do with the loss or the penalty; it names those that can.
        """
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True)
            y = np.asarray(y, dtype=np.float64)
            if self.loss == "poisson" and (y < 0.0).any():
                raise ValueError("loss='poisson' needs targets that are not negative.")
            (outcome,) = self._learn(X, y[None], sample_weight, Rule(self.loss), 1)
            self.coef_ = outcome.weights[0, :-1].astype(X.dtype)
            self.intercept_ = float(outcome.weights[0, -1])
        warn_if_unconverged([outcome])
        return self

    def predict(self, X):
        """Predicted values: the margin's exponential for "poisson", its ``inverse_link`` if your loss has one.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        check_sparse(X)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        coef = self.coef_.toarray().ravel() if hasattr(self.coef_, "toarray") else self.coef_
        margins = X @ coef + self.intercept_
        if isinstance(self.loss, Loss):
            return margins if self.loss.inverse_link is None else self.loss.probability(margins)
        return np.exp(margins) if self.loss == "poisson" else margins


class GeneralizedLinearClassifier(LinearClassifierMixin, GeneralizedLinear):
    """Linear classifier: any loss, any penalty, any solver that can do with both.

    Minimises mean_i loss(y_i, w.x_i + b) + penalty(w) with y in {-1, +1}, for each class against the rest where there
    are more than two, all in shared passes over X; or the multinomial loss of all classes at once.

    Parameters
    ----------
    loss : str or fastml.Loss, default="log_loss"
        "log_loss", "squared_hinge", "modified_huber", "multinomial", or a loss of your own.
    penalty : {"l2", "l1", "elasticnet"}, object or None, default="l2"
    alpha : float, default=1e-4
    l1_ratio : float, default=0.0
    bounds : pair or None, default=None
    solver : str, default="auto"
    step_size : float or "auto", default="auto"
    line_search : bool, default=True
    max_iter : int, default=1000
    tol : float, default=1e-4
    fit_intercept : bool, default=True
    warm_start : bool, default=False
    random_state : int, RandomState or None, default=None
        These are as for `GeneralizedLinearRegressor`.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features), dtype of X
    intercept_ : ndarray of shape (1,) or (n_classes,)
    classes_ : ndarray of shape (n_classes,)
    n_iter_ : int
        Of the model that took the most.
    solver_ : str
        The solver that ran.
    loss_history_ : list of ndarray
        Of each model, the objective at the start and after each iteration; not with "sag" and "saga".
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.

    Examples
    --------
    >>> from fastml.linear_model import GeneralizedLinearClassifier
    >>> model = GeneralizedLinearClassifier(loss="squared_hinge", penalty="l1", alpha=0.01)
    >>> model.fit([[-1.0], [-2.0], [1.0], [2.0]], ["a", "a", "b", "b"]).predict([[-0.8]])
    array(['a'], dtype='<U1')
    """

    _parameter_constraints = {
        **GeneralizedLinear._parameter_constraints,
        "loss": [StrOptions({*BINARY_LOSSES, "multinomial"}), Loss],
    }

    def __init__(
        self,
        loss="log_loss",
        penalty="l2",
        alpha=1e-4,
        l1_ratio=0.0,
        bounds=None,
        solver="auto",
        step_size="auto",
        line_search=True,
        max_iter=1000,
        tol=1e-4,
        fit_intercept=True,
        warm_start=False,
        random_state=None,
    ):
        super().__init__(
            loss,
            penalty,
            alpha,
            l1_ratio,
            bounds,
            solver,
            step_size,
            line_search,
            max_iter,
            tol,
            fit_intercept,
            warm_start,
            random_state,
        )

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, fewer than two classes, or a solver that cannot do with the loss or the penalty; it
            names those that can.
        """
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True)
            self.classes_ = distinct_labels(y)
            n_classes = len(self.classes_)
            if n_classes < 2:
                raise ValueError(
                    "This solver needs samples of at least 2 classes in the data, but the data contains only one "
                    f"class: {self.classes_[0]!r}"
                )
            is_joint = self.loss == "multinomial"
            n_models = 1 if is_joint or n_classes == 2 else n_classes
            rule = Rule(self.loss, n_classes if is_joint else 1)
            outcomes = self._learn(X, label_codes(y, self.classes_), sample_weight, rule, n_models)
            weights = np.concatenate([outcome.weights for outcome in outcomes])
            if is_joint and n_classes == 2:  # one decision function, as of every other loss
                weights = weights[1:] - weights[:1]
            self.coef_, self.intercept_ = weights[:, :-1].astype(X.dtype), weights[:, -1].astype(X.dtype)
        warn_if_unconverged(outcomes)
        return self

    def _start(self, n_columns: int, n_features: int) -> np.ndarray:
        if self.loss != "multinomial" or n_columns > 2:
            return super()._start(n_columns, n_features)
        half = 0.5 * super()._start(1, n_features)  # what the two classes differ by is coef_
        return np.concatenate([-half, half])

    def _check_proba(self):
        if self.loss == "squared_hinge" or getattr(self.loss, "inverse_link", self) is None:
            raise AttributeError(f"probability estimates are not available for loss={self.loss!r}")
        return True

    def decision_function(self, X):
        """Margins: for each class, or for two classes those of the second one.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        check_sparse(X)
        return super().decision_function(X)

    @available_if(_check_proba)
    def predict_proba(self, X):
        """Probabilities of the classes: the softmax for "multinomial"; else each class's own, which are normalised.

        For "modified_huber" a class's own is (clip(margin, -1, 1) + 1) / 2 (Zhang, 2004); a loss of your own gives it
        by its ``inverse_link``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        margins = self.decision_function(X)
        if self.loss == "multinomial" and margins.ndim == 2:
            return softmax(margins, axis=1)
        if isinstance(self.loss, Loss):
            own = self.loss.probability(margins)
        elif self.loss == "modified_huber":
            own = 0.5 * (np.clip(margins, -1.0, 1.0) + 1.0)
        else:
            own = expit(margins)
        if own.ndim == 1:
            return np.column_stack([1.0 - own, own])
        total = own.sum(axis=1, keepdims=True)
        return np.where(total > 0.0, own / np.where(total > 0.0, total, 1.0), 1.0 / own.shape[1])

    @available_if(_check_proba)
    def predict_log_proba(self, X):
        """Logarithm of ``predict_proba``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))
