"""LogisticRegression."""

import numbers
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.linear_model._logistic import LogisticRegression as _SklearnLogisticRegression
from sklearn.utils import compute_class_weight
from sklearn.utils._param_validation import StrOptions

from fastml._log import log_ran
from fastml._validation import check_X_y, unchanged_on_error
from fastml.linear_model._device_prediction import DeviceClassifierPrediction
from fastml.linear_model._glm_data import device_for, finite_rows, glm_data, row_weights
from fastml.linear_model._labels import distinct_labels, label_codes
from fastml.linear_model._logistic_callbacks import FitCallbacks
from fastml.linear_model._logistic_fit import Path, fit_paths, settings_of, warn_if_unconverged
from fastml.linear_model._logistic_liblinear import check_liblinear
from fastml.linear_model._logistic_parameters import DESCENT_SOLVERS, Penalty, penalty_of, warn_of_n_jobs

# scikit-learn refuses 64-bit indices there.
INT32_SOLVERS = ("liblinear", "sag", "saga")


class LogisticRegression(DeviceClassifierPrediction, _SklearnLogisticRegression):
    """Logistic regression.

    scikit-learn's estimator of this name, with its parameters, attributes and stopping rules.

    Parameters
    ----------
    penalty : {"l1", "l2", "elasticnet", None}
        Deprecated: use ``l1_ratio`` and ``C``.
    C : float, default=1.0
        Inverse strength of the penalty; ``np.inf`` for none.
    l1_ratio : float, default=0.0
        Share of l1 in the penalty; above 0 for "saga", "gd", "agd" and, at 1, "liblinear" only.
    dual : bool, default=False
        Dual formulation, for "liblinear" only.
    tol : float, default=1e-4
        "lbfgs", "newton-cg", "gd", "agd": the largest element of the gradient of the mean loss and the penalty over
        the number of rows. "liblinear": the norm of the gradient, or with l1 the sum of violations, relative to that at
        zero and to the share of the smaller class; with ``dual`` the largest slope along a coordinate.
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1
        For "liblinear" only.
    class_weight : dict, "balanced" or None, default=None
    random_state : int, RandomState or None, default=None
        For "sag", "saga" and "liblinear".
    solver : {"lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga", "gd", "agd"}, default="lbfgs"
        "gd" is gradient descent, "agd" Nesterov's accelerated one, both with a line search. "liblinear", for
        two classes, penalises the intercept too: l2 by trust-region Newton or in the dual, l1 by "newGLMNET".
    max_iter : int, default=100
    verbose : int, default=0
        Above 0, shows a progress bar.
    warm_start : bool, default=False
    n_jobs : int or None, default=None
        Deprecated, and without effect; ``fastml.set_config(n_threads=...)`` sets the threads.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features), dtype of X
    intercept_ : ndarray of shape (1,) or (n_classes,)
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.
    n_iter_ : ndarray of int32, shape (1,)
    loss_history_ : ndarray of shape (n_iter_ + 1,)
        With "gd" and "agd": mean loss and penalty over the number of rows, at the start and after each iteration.

    References
    ----------
    Those of ``fastml.solvers.lbfgs``, ``newton_cg``, ``newton_cholesky``, ``sag``, ``gradient_descent``, and for
    "liblinear" of ``fastml.kernels.reference.newton`` and ``dual_cd``.

    Examples
    --------
    >>> from fastml.linear_model import LogisticRegression
    >>> LogisticRegression().fit([[-1.0], [-2.0], [1.0], [2.0]], ["a", "a", "b", "b"]).predict([[-0.8]])
    array(['a'], dtype='<U1')
    """

    intercept_: Any  # an array; 0.0 where "liblinear" fits none, as in scikit-learn

    _parameter_constraints = {
        **_SklearnLogisticRegression._parameter_constraints,
        "solver": [
            *_SklearnLogisticRegression._parameter_constraints["solver"],
            StrOptions(set(DESCENT_SOLVERS)),
        ],
    }

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
            Multiplied with the class weights. Rows of weight 0 are left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, fewer than two classes, or a penalty that the solver does not take.
        """
        penalty = penalty_of(self)
        warn_of_n_jobs(self)
        callbacks = FitCallbacks(self, self._attributes)
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True, large_sparse=self.solver not in INT32_SOLVERS)
            outcome = self._solve(X, y, sample_weight, penalty, callbacks)
            self._store(outcome, np.float64 if self.solver == "liblinear" else X.dtype)
        callbacks.end()
        warn_if_unconverged([outcome])
        return self

    def _solve(self, X, y, sample_weight, penalty: Penalty, callbacks: FitCallbacks):
        self.classes_ = distinct_labels(y)
        callbacks.begin(X, y, sample_weight)
        n_classes = len(self.classes_)
        if self.solver == "liblinear":
            check_liblinear(self, penalty.name or "l2", n_classes, X)
        elif n_classes < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
                f"{self.classes_[0]!r}"
            )
        codes = label_codes(y, self.classes_)
        weight = class_weighted(X, y, codes, self.classes_, self.class_weight, sample_weight)
        start = self._start(X.shape[1], n_classes)
        path = Path([penalty.C], penalty.l1_ratio, start, -1 if weight is None else 0)
        settings = settings_of(self)
        device = device_for(self, self.solver, X)
        with finite_rows(self, X, weight):
            ((outcome,),) = fit_paths(
                glm_data(X, codes, None if weight is None else weight[None], device),
                n_classes,
                [path],
                settings,
                total_weight=[X.shape[0] if weight is None else weight.sum()],
                device=device,
                callback=callbacks.of_iterations(start),
            )
        log_ran(self, "fit", device)
        return outcome

    def _start(self, n_features: int, n_classes: int) -> np.ndarray:
        """Zeros, or with ``warm_start`` the weights of the last fit."""
        n_columns = 1 if n_classes == 2 else n_classes
        start = np.zeros((n_columns, n_features + 1))
        coef = getattr(self, "coef_", None) if self.warm_start else None
        if coef is None:
            return start
        coef = coef.toarray() if sparse.issparse(coef) else coef
        if coef.shape != (n_columns, n_features):
            n_given = (coef.shape[0], coef.shape[1] + int(self.fit_intercept))
            expected = (n_columns, n_features + int(self.fit_intercept))
            raise ValueError(f"Initialization coef is of shape {n_given}, expected shape {expected}")
        start[:, :-1] = coef
        if self.fit_intercept:
            start[:, -1] = self.intercept_
        return start

    def _attributes(self, weights: np.ndarray, dtype: Any = np.float64) -> dict[str, Any]:
        """coef_ and intercept_ of the solver's weights."""
        return {"coef_": weights[:, :-1].astype(dtype), "intercept_": weights[:, -1].astype(dtype)}

    def _store(self, outcome, dtype) -> None:
        vars(self).update(self._attributes(outcome.weights, dtype))
        if self.solver == "liblinear" and not self.fit_intercept:
            self.intercept_ = 0.0
        self.n_iter_ = np.array([outcome.n_iter], dtype=np.int32)
        vars(self).pop("loss_history_", None)
        if self.solver in DESCENT_SOLVERS:
            self.loss_history_ = np.array(outcome.loss_history)


def class_weighted(X, y, codes, classes, class_weight, sample_weight) -> np.ndarray | None:
    """Sample weights times class weights; None where all are 1."""
    if class_weight is None:
        return row_weights(sample_weight, X, allow_negative=True)  # as in scikit-learn
    if isinstance(sample_weight, numbers.Real):  # "balanced" adds up the classes' rows of it
        sample_weight = np.full(X.shape[0], sample_weight)
    of_class = class_weights(class_weight, classes, y, sample_weight)
    return row_weights(sample_weight, X, of_class[codes], allow_negative=True)


def class_weights(class_weight, classes, y, sample_weight) -> np.ndarray:
    """The weight of each class."""
    if class_weight != "balanced":
        return compute_class_weight(class_weight, classes=classes, y=y, sample_weight=sample_weight)
    with np.errstate(divide="ignore"):
        weights = compute_class_weight(class_weight, classes=classes, y=y, sample_weight=sample_weight)
    # That of a class whose rows weigh nothing is infinite: all that it is multiplied by are zeros.
    return np.where(np.isinf(weights), 1.0, weights)
