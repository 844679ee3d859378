"""Ridge and RidgeClassifier."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.linear_model._ridge import Ridge as _SklearnRidge
from sklearn.linear_model._ridge import RidgeClassifier as _SklearnRidgeClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import StrOptions

from fastml._device_input import device_of
from fastml._log import log_ran
from fastml._validation import check_sparse, check_X_y, unchanged_on_error
from fastml.linear_model._device_prediction import DeviceClassifierPrediction, device_scores
from fastml.linear_model._glm_data import finite_rows, glm_data, row_weights
from fastml.linear_model._labels import label_codes
from fastml.linear_model._ridge_fit import (
    DESCENT_SOLVERS,
    Fitted,
    chosen_solver,
    fit_ridge,
    ridge_device,
    settings_of,
    warn_if_unconverged,
)
from fastml.solvers.least_squares import Rows


class Targets(NamedTuple):
    """What is regressed on.

    Attributes
    ----------
    values : ndarray of float64, shape (n_targets, n_rows), or of int32 class codes, shape (n_rows,)
    n_targets : int
    ndim : int
        Of the y that they stand for.
    """

    values: np.ndarray
    n_targets: int
    ndim: int


def regression_targets(y: np.ndarray) -> Targets:
    """Targets of a validated y.

    Raises
    ------
    TypeError
        With scikit-learn's wording, if y is sparse, which its validation of several targets lets through.
    """
    if sparse.issparse(y):
        raise TypeError(
            "Sparse data was passed, but dense data is required. Use '.toarray()' to convert to a dense numpy array."
        )
    if y.ndim == 1:
        return Targets(np.ascontiguousarray(y, dtype=np.float64)[None], 1, 1)
    return Targets(np.ascontiguousarray(y.T, dtype=np.float64), y.shape[1], 2)


class DeviceRegressorPrediction:
    """Mixin before a linear regressor of scikit-learn's: device arrays in, device arrays out."""

    def predict(self, X):
        """Predicted values.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_targets)
            Of the kind that X is.
        """
        if device_of(X) == "cpu":
            check_sparse(X)
            return super().predict(X)
        scores = device_scores(self, X, np.atleast_1d(self.intercept_))
        return scores.ravel() if self.coef_.ndim == 1 else scores


class RidgeFit:
    """What Ridge and RidgeClassifier share."""

    def _learn(self, X, targets: Targets, weight: np.ndarray | None) -> None:
        """Fit, and store what has been found."""
        solver = chosen_solver(self, X)
        settings = settings_of(self, solver, targets.n_targets, X.dtype)
        device = ridge_device(self, solver, X)
        with finite_rows(self, X, weight):
            shift = centred_in_place(self, X, weight)
            rows = Rows(
                glm_data(X, targets.values, None if weight is None else weight[None], device),
                targets.n_targets,
                bool(self.fit_intercept),
                device,
            )
            fitted = fit_ridge(rows, settings)
        store(self, fitted, targets, X.dtype, shift)
        self.n_iter_, self.solver_ = fitted.n_iter, fitted.solver
        vars(self).pop("loss_history_", None)
        if fitted.loss_histories:
            histories = fitted.loss_histories
            self.loss_history_ = histories[0] if len(histories) == 1 else histories
        warn_if_unconverged(fitted)
        log_ran(self, "fit", device)


def centred_in_place(estimator: Any, X: Any, weight: np.ndarray | None) -> np.ndarray | None:
    """With ``copy_X=False``, take the mean off a dense X where it lies, which it is the caller's offer; that mean.

    Only solvers that step from row to row gain by it.
    """
    in_place = not estimator.copy_X and estimator.fit_intercept and isinstance(X, np.ndarray)
    if not in_place or not X.flags.writeable:
        return None
    rows = Rows(
        glm_data(X, np.zeros((1, len(X))), None if weight is None else weight[None], "cpu"), 1, True, "cpu"
    )
    shift = rows.feature_means().astype(X.dtype)
    X -= shift
    return shift.astype(np.float64)


def store(estimator: Any, fitted: Fitted, targets: Targets, dtype: Any, shift: np.ndarray | None) -> None:
    """coef_ and intercept_ in scikit-learn's shapes, and X's dtype."""
    coef, intercept = fitted.coef, fitted.intercept
    if shift is not None:
        intercept = intercept - coef @ shift
    estimator.coef_ = coef.astype(dtype)
    if targets.n_targets == 1:
        estimator.coef_ = estimator.coef_.ravel()
    if not estimator.fit_intercept:
        estimator.intercept_ = 0.0
    else:
        intercept = intercept.astype(dtype)
        estimator.intercept_ = intercept[0] if targets.ndim == 1 else intercept


class Ridge(DeviceRegressorPrediction, RidgeFit, _SklearnRidge):
    """Least squares with an l2 penalty.

    scikit-learn's estimator of this name, with its parameters, attributes and stopping rules. Minimises
    sum_i weight_i (y_i - w.x_i - b)^2 + alpha |w|^2.

    Parameters
    ----------
    alpha : float or array-like of shape (n_targets,), default=1.0
        Strength of the penalty; an array has one for each target.
    fit_intercept : bool, default=True
    copy_X : bool, default=True
        X is not copied, but for "sag" and "saga", which converge sooner on centred rows, where it is dense and has
        16 MB at most. If False, dense X is centred in place, as scikit-learn does then.
    max_iter : int, default=None
        1000 for "sag", "saga", "gd", "agd"; SciPy's default for "lsqr", "sparse_cg", "lbfgs".
    tol : float, default=1e-4
        "sparse_cg": the residual's norm over the right-hand side's; "lsqr": its ``atol`` and ``btol``; "sag", "saga":
        the largest weight's relative change in an epoch; "lbfgs": its ``ftol`` and ``gtol``; "gd", "agd": the largest
        element of the gradient of mean loss (half the square) and penalty over the total weight.
    solver : {"auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs", "gd", "agd"}, default="auto"
        "cholesky" sums up products of features in one pass over X, and solves the normal equations; where their matrix
        is singular to X's precision, "svd" takes over, and ``solver_`` says so. "svd" works on a triangular
        factor of X made block by block, "lsqr" on X itself, on a copy of up to 16 MiB in float64, or for many targets
        on that factor. "gd" is gradient descent, "agd" Nesterov's, both with a line search. "auto" is "cholesky",
        "sparse_cg" for sparse X, "lbfgs" for positive coefficients.
    positive : bool, default=False
        Coefficients >= 0, by "lbfgs", "gd" or "agd".
    random_state : int, RandomState or None, default=None
        For "sag" and "saga".

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features), dtype of X
    intercept_ : float or ndarray of shape (n_targets,)
    n_iter_ : ndarray of int32, shape (n_targets,), or None
        Of "sag", "saga", "lsqr", "gd", "agd".
    solver_ : str
        The solver that ran.
    loss_history_ : ndarray, or list of one for each target
        With "gd" and "agd": half the mean square and the penalty over twice the total weight, at the start and after
        each iteration.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.

    References
    ----------
    A. E. Hoerl, R. W. Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems", Technometrics 12,
    1970.
    Those of ``fastml.solvers.least_squares``, ``sag`` and ``gradient_descent``.

    Examples
    --------
    >>> from fastml.linear_model import Ridge
    >>> Ridge(alpha=1.0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]).coef_
    array([0.66666667])
    """

    _parameter_constraints = {
        **_SklearnRidge._parameter_constraints,
        "solver": [*_SklearnRidge._parameter_constraints["solver"], StrOptions(set(DESCENT_SOLVERS))],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), optional
            Rows of weight 0 are left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For invalid input, or a solver that cannot do with it.
        """
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True, several_targets=True, numeric_targets=True)
            self._learn(X, regression_targets(y), row_weights(sample_weight, X))
        return self


def classification_targets(estimator: Any, y: np.ndarray) -> Targets:
    """Targets of -1 and +1, with ``classes_`` and scikit-learn's ``_label_binarizer`` set.

    Codes stand for them where y is one column of labels that are plainly that; matrices of labels, and what may be no
    labels at all, are scikit-learn's LabelBinarizer's to judge.

    Raises
    ------
    ValueError
        With scikit-learn's wording, if y has no class labels.
    """
    binarizer = LabelBinarizer(pos_label=1, neg_label=-1)
    estimator._label_binarizer = binarizer
    classes = np.unique(y) if y.ndim == 1 and y.dtype.kind in "biufSU" else np.empty(0)
    if classes.dtype.kind in "SU":  # no wider than the longest label, as scikit-learn's
        classes = np.array(classes.tolist())
    is_plain = classes.dtype.kind in "biuSU" or (classes % 1.0 == 0.0).all()
    if is_plain and len(classes) >= 2 and 2 * len(classes) <= len(y):
        binarizer.y_type_ = "binary" if len(classes) == 2 else "multiclass"
        binarizer.sparse_input_, binarizer.classes_ = False, classes
        estimator.classes_ = classes
        return Targets(label_codes(y, classes), 1 if len(classes) == 2 else len(classes), 2)
    Y = binarizer.fit_transform(y)
    estimator.classes_ = binarizer.classes_
    if not binarizer.y_type_.startswith("multilabel"):
        column_or_1d(y, warn=True)
    return regression_targets(np.asarray(Y, dtype=np.float64))


def classification_weights(estimator: Any, X: Any, y: np.ndarray, sample_weight: Any) -> np.ndarray | None:
    """Sample weights times class weights; None where all are 1."""
    factors = compute_sample_weight(estimator.class_weight, y) if estimator.class_weight else None
    return row_weights(sample_weight, X, factors)


class RidgeClassifier(DeviceClassifierPrediction, RidgeFit, _SklearnRidgeClassifier):
    """Classifier by ridge regression on -1 and +1, for each class against the rest.

    scikit-learn's estimator of this name, with its parameters, attributes and stopping rules.

    Parameters
    ----------
    alpha : float, default=1.0
    fit_intercept : bool, default=True
    copy_X : bool, default=True
    max_iter : int, default=None
    tol : float, default=1e-4
    class_weight : dict, "balanced" or None, default=None
    solver : {"auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs", "gd", "agd"}, default="auto"
    positive : bool, default=False
    random_state : int, RandomState or None, default=None
        These are as for `Ridge`.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_classes, n_features), dtype of X
    intercept_ : ndarray of shape (1,) or (n_classes,)
    classes_ : ndarray of shape (n_classes,)
    n_iter_, solver_, loss_history_, n_features_in_, feature_names_in_
        As of `Ridge`.

    Examples
    --------
    >>> from fastml.linear_model import RidgeClassifier
    >>> RidgeClassifier().fit([[-1.0], [-2.0], [1.0], [2.0]], ["a", "a", "b", "b"]).predict([[-0.8]])
    array(['a'], dtype='<U1')
    """

    _parameter_constraints = {
        **_SklearnRidgeClassifier._parameter_constraints,
        "solver": Ridge._parameter_constraints["solver"],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or for each label whether a row has it.
        sample_weight : float or array-like of shape (n_samples,), optional
            Multiplied with the class weights. Rows of weight 0 are left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For invalid input, or a solver that cannot do with it.
        """
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True, several_targets=True, numeric_rows=True)
            targets = classification_targets(self, y)
            self._learn(X, targets, classification_weights(self, X, y, sample_weight))
        return self
