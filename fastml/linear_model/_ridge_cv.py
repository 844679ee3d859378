"""RidgeCV and RidgeClassifierCV."""

import numbers
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context, is_classifier
from sklearn.linear_model._ridge import RidgeClassifierCV as _SklearnRidgeClassifierCV
from sklearn.linear_model._ridge import RidgeCV as _SklearnRidgeCV
from sklearn.linear_model._ridge import _check_gcv_mode
from sklearn.utils import check_scalar
from sklearn.utils.metadata_routing import (
    _manual_routing,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)

from fastml._config import get_config
from fastml._log import log_ran
from fastml._validation import check_X_y, unchanged_on_error
from fastml.linear_model._device_prediction import DeviceClassifierPrediction
from fastml.linear_model._glm_data import finite_rows, glm_data, row_weights
from fastml.linear_model._ridge import (
    DeviceRegressorPrediction,
    Ridge,
    RidgeClassifier,
    Targets,
    classification_targets,
    classification_weights,
    regression_targets,
    store,
)
from fastml.linear_model._ridge_fit import Fitted
from fastml.linear_model._ridge_folds import cross_validate
from fastml.linear_model._ridge_scores import FoldScorer, Truth, scorer_takes_weights
from fastml.solvers import least_squares
from fastml.solvers.least_squares import Rows


class RidgeCVFit:
    """What RidgeCV and RidgeClassifierCV share."""

    def _search(self, X, y, targets: Targets, weight: np.ndarray | None, sample_weight, params) -> None:
        """Choose the penalty, and store what has been found."""
        if get_config()["device"] == "cuda":
            raise RuntimeError(
                f"{type(self).__name__} runs on the CPU only; use Ridge with the penalties in turn, or "
                "fastml.set_config(device='auto')."
            )
        scorer = self._get_scorer()
        alphas = self._checked_alphas()
        if isinstance(sample_weight, numbers.Real):  # folds take rows of it, which a number has not
            sample_weight = np.full(X.shape[0], sample_weight)
        given = params if sample_weight is None else {**params, "sample_weight": sample_weight}
        with finite_rows(self, X, weight):
            data = glm_data(X, targets.values, None if weight is None else weight[None], "cpu")
            rows = Rows(data, targets.n_targets, bool(self.fit_intercept), "cpu")
            truth = Truth(self, y, targets)
            if self.cv is None:
                fitted = self._leave_one_out(X, rows, alphas, scorer, truth, given)
            else:
                fitted = self._cross_validate(X, y, rows, alphas, scorer, truth, given)
        store(self, fitted, targets, X.dtype, None)
        log_ran(self, "fit", "cpu")

    def _checked_alphas(self) -> np.ndarray:
        """The penalties, with scikit-learn's errors: for leave-one-out they must be positive."""
        check = partial(
            check_scalar,
            target_type=numbers.Real,
            min_val=0.0,
            include_boundaries="neither" if self.cv is None else "left",
        )
        alphas = self.alphas
        if isinstance(alphas, np.ndarray | list | tuple) and np.ndim(alphas) > 0:
            if len(alphas) == 0:
                raise ValueError(f"alphas must hold one penalty at least; got {alphas!r}.")
            several = len(alphas) > 1
            for k, alpha in enumerate(alphas):
                check(alpha, f"alphas[{k}]" if several else "alphas")
        return np.atleast_1d(np.asarray(alphas))

    def _leave_one_out(self, X, rows: Rows, alphas, scorer, truth: Truth, given) -> Fitted:
        if _routing_enabled():
            routed = process_routing(self, "fit", **given)
        else:
            weighted = {k: v for k, v in given.items() if k == "sample_weight"}
            routed = _manual_routing({"scorer": {"score": weighted}})
        by_svd = _check_gcv_mode(X, self.gcv_mode) == "svd"
        strengths = alphas.astype(np.float64)
        shared = least_squares.leave_one_out(rows, by_svd, float(strengths.min()))
        by_target = self.alpha_per_target and rows.n_targets > 1
        if self.scoring is None and not self.store_cv_results:
            squares = sum((errors**2).sum(axis=0) for _, errors in shared.errors(strengths))
            scores = -squares / rows.shape[0]
            scores = scores if self.alpha_per_target else scores.mean(axis=0)
        else:
            scores, results = self._scored(rows, shared, strengths, scorer, truth, routed)
            if self.store_cv_results:
                self.cv_results_ = (results if truth.targets.ndim == 2 else results[:, 0]).astype(X.dtype)
        best = _first_best(scores)
        values = np.broadcast_to(strengths[best], (rows.n_targets,))
        if by_target:
            self.alpha_, self.best_score_ = strengths[best], np.max(scores, axis=-1)
        else:
            self.alpha_ = float(strengths[best].ravel()[0])
            score = scores.ravel()[best.ravel()[0]]
            if self.alpha_per_target and truth.targets.ndim == 2:
                score = np.array([score])
            self.best_score_ = score if self.scoring is None or np.ndim(score) else float(score)
        coef = shared.coefficients(values)
        return Fitted(coef, shared.target_mean - coef @ shared.mean, "leave-one-out")

    def _scored(self, rows: Rows, shared, alphas, scorer, truth: Truth, routed):
        """Scores of predictions of the rows left out, by (target and) penalty, and what ``cv_results_`` holds."""
        results = np.empty((rows.shape[0], rows.n_targets, len(alphas)))
        root = rows.root_weights()
        for chosen, errors in shared.errors(alphas):
            if self.scoring is None:
                results[chosen] = errors**2
            else:
                with np.errstate(divide="ignore", invalid="ignore"):
                    results[chosen] = rows.targets(chosen)[:, :, None] - errors / root[chosen, None, None]
        if self.scoring is None:
            scores = -results.mean(axis=0)
            return (scores if self.alpha_per_target else scores.mean(axis=0)), results
        parameters = routed.scorer.score
        score = partial(truth.score, scorer, parameters=parameters)
        if self.alpha_per_target:
            each = [
                [score(results[:, j, a], target=j) for a in range(len(alphas))] for j in range(rows.n_targets)
            ]
            return np.array(each), results
        return np.array([score(results[:, :, a]) for a in range(len(alphas))]), results

    def _cross_validate(self, X, y, rows: Rows, alphas, scorer, truth: Truth, given) -> Fitted:
        if self.store_cv_results:
            raise ValueError("cv!=None and store_cv_results=True are incompatible")
        if self.alpha_per_target:
            raise ValueError("cv!=None and alpha_per_target=True are incompatible")
        if _routing_enabled():
            routed = process_routing(self, "fit", **given)
        else:
            weight = {k: v for k, v in given.items() if k == "sample_weight" and scorer_takes_weights(scorer)}
            groups = {"groups": given.get("groups")}
            routed = _manual_routing({"splitter": {"split": groups}, "scorer": {"score": weight}})
        folds = FoldScorer(self, X, y, truth, scorer, routed, is_classifier(self))
        strengths = alphas.astype(np.float64)
        scores, solve = cross_validate(rows, folds, strengths)
        means = np.mean(scores, axis=0)
        best = int(_first_best(np.where(np.isnan(means), -np.inf, means)).ravel()[0])
        self.alpha_, self.best_score_ = alphas[best], means[best]
        coef, intercept = solve(strengths[best])
        return Fitted(coef, intercept, "sparse_cg" if sparse.issparse(X) else "cholesky")

    def _model(self, coef: np.ndarray, intercept: np.ndarray) -> Any:
        """An estimator with these coefficients."""
        model = RidgeClassifier() if is_classifier(self) else Ridge()
        for name in ("classes_", "_label_binarizer", "n_features_in_"):
            if hasattr(self, name):
                setattr(model, name, getattr(self, name))
        single = len(coef) == 1
        model.coef_ = coef[0] if single else coef
        model.intercept_ = intercept[0] if single and not is_classifier(self) else intercept
        return model


def _first_best(scores: np.ndarray) -> np.ndarray:
    """Along the last axis, the number of the first of the best."""
    return np.asarray(np.argmax(scores, axis=-1))


class RidgeCV(RidgeCVFit, DeviceRegressorPrediction, _SklearnRidgeCV):
    """Ridge regression whose penalty is chosen by cross-validation.

    scikit-learn's estimator of this name, with its parameters and attributes. Leave-one-out errors for all penalties
    come from one decomposition and one pass over X that makes errors; folds from sums of each fold's products of
    features, for which X is read once, and which all penalties share.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,) or float, default=(0.1, 1.0, 10.0)
        Above 0 for leave-one-out.
    fit_intercept : bool, default=True
    scoring : str, callable or None, default=None
        None: the mean squared error for leave-one-out, else R^2.
    cv : int, cross-validation generator, iterable or None, default=None
        None: leave-one-out.
    gcv_mode : {"auto", "svd", "eigen"} or None, default=None
        "svd" decomposes a triangular factor of X instead of products of features: slower, and exact for nearly
        collinear columns and penalties near 0. The others do so for dense X whose products have not the digits.
    store_cv_results : bool, default=False
    alpha_per_target : bool, default=False

    Attributes
    ----------
    cv_results_ : ndarray of shape (n_samples, n_alphas) or (n_samples, n_targets, n_alphas)
        With ``store_cv_results``: squared errors, or with ``scoring`` predictions, of the rows left out.
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    intercept_ : float or ndarray of shape (n_targets,)
    alpha_ : float or ndarray of shape (n_targets,)
    best_score_ : float or ndarray of shape (n_targets,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.

    References
    ----------
    R. M. Rifkin, R. A. Lippert, "Notes on Regularized Least Squares", MIT-CSAIL-TR-2007-025, 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastml.linear_model import RidgeCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> RidgeCV(alphas=[1e-3, 1e-2, 1e-1, 1]).fit(X, y).alpha_
    0.01
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, **params):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), optional
        **params : dict
            For the scorer and the splitter, with scikit-learn's metadata routing enabled.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For invalid input.
        """
        _raise_for_params(params, self, "fit")
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True, several_targets=True, numeric_targets=True)
            vars(self).pop("cv_results_", None)
            weight = row_weights(sample_weight, X)
            self._search(X, y, regression_targets(y), weight, sample_weight, params)
        return self


class RidgeClassifierCV(RidgeCVFit, DeviceClassifierPrediction, _SklearnRidgeClassifierCV):
    """Classifier by ridge regression on -1 and +1, whose penalty is chosen by cross-validation.

    scikit-learn's estimator of this name, with its parameters and attributes; as `RidgeCV`.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,) or float, default=(0.1, 1.0, 10.0)
    fit_intercept : bool, default=True
    scoring : str, callable or None, default=None
        None: the mean squared error for leave-one-out, else accuracy.
    cv : int, cross-validation generator, iterable or None, default=None
    class_weight : dict, "balanced" or None, default=None
    store_cv_results : bool, default=False

    Attributes
    ----------
    cv_results_ : ndarray of shape (n_samples, n_targets, n_alphas)
        With ``store_cv_results``.
    coef_ : ndarray of shape (n_features,) or (n_classes, n_features)
    intercept_ : ndarray of shape (1,) or (n_classes,)
    alpha_, best_score_ : float
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastml.linear_model import RidgeClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> RidgeClassifierCV(alphas=[1e-2, 1.0, 100.0]).fit(X, y).predict(X[:2])
    array([0, 0])
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, **params):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : float or array-like of shape (n_samples,), optional
            Multiplied with the class weights.
        **params : dict
            For the scorer and the splitter, with scikit-learn's metadata routing enabled.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For invalid input.
        """
        _raise_for_params(params, self, "fit")
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True, several_targets=True, numeric_rows=True)
            vars(self).pop("cv_results_", None)
            targets = classification_targets(self, y)
            weight = classification_weights(self, X, y, sample_weight)
            # scikit-learn's gives its scorer weights whether it was given some or not.
            given = np.ones(X.shape[0]) if weight is None else weight
            self._search(X, y, targets, weight, given, params)
        return self
