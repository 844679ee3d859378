"""LogisticRegressionCV."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import _fit_context
from sklearn.linear_model._logistic import LogisticRegressionCV as _SklearnLogisticRegressionCV
from sklearn.model_selection import check_cv
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metadata_routing import (
    _manual_routing,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)

from fastml._device_input import device_of
from fastml._log import log_ran
from fastml._validation import check_X_y, unchanged_on_error
from fastml.linear_model._device_prediction import DeviceClassifierPrediction
from fastml.linear_model._glm_data import device_for, finite_rows, glm_data
from fastml.linear_model._labels import distinct_labels, label_codes
from fastml.linear_model._logistic import INT32_SOLVERS, class_weighted, class_weights
from fastml.linear_model._logistic_fit import (
    Path,
    fit_paths,
    settings_of,
    warn_if_unconverged,
)
from fastml.linear_model._logistic_liblinear import check_folds_have_both, check_liblinear
from fastml.linear_model._logistic_parameters import DESCENT_SOLVERS, Grid, grid_of, l1_share
from fastml.linear_model._logistic_scores import FoldScorer


class Fitted(NamedTuple):
    """What cross-validation has found, by fold, share of l1, and C.

    Attributes
    ----------
    weights : ndarray of shape (n_folds, n_l1_ratios, n_Cs, n_columns, n_features + 1)
    n_iter : ndarray of int32, shape (n_folds, n_l1_ratios, n_Cs)
    scores : ndarray of shape (n_folds, n_l1_ratios, n_Cs)
    """

    weights: np.ndarray
    n_iter: np.ndarray
    scores: np.ndarray


class LogisticRegressionCV(DeviceClassifierPrediction, _SklearnLogisticRegressionCV):
    """Logistic regression whose penalty is chosen by cross-validation.

    scikit-learn's estimator of this name, with its parameters, attributes and stopping rules. All folds are fitted in
    shared passes over X, of which no copy is made; on each, the search for a C starts at the result for the one before.

    Parameters
    ----------
    Cs : int or array-like of float, default=10
        Inverse strengths of the penalty, or how many from 1e-4 to 1e4.
    l1_ratios : array-like of shape (n_l1_ratios,), default=None
        Shares of l1 to choose from; above 0 for "saga", "gd", "agd" and, at 1, "liblinear" only.
    fit_intercept : bool, default=True
    cv : int or cross-validation generator, default=None
    dual : bool, default=False
        For "liblinear" only.
    penalty : {"l1", "l2", "elasticnet"}
        Deprecated: use ``l1_ratios``.
    scoring : str, callable or None
    solver : {"lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga", "gd", "agd"}, default="lbfgs"
    tol : float, default=1e-4
    max_iter : int, default=100
    class_weight : dict, "balanced" or None, default=None
    n_jobs : int or None, default=None
        Without effect; ``fastml.set_config(n_threads=...)`` sets the threads.
    verbose : int, default=0
        Above 0, shows a progress bar.
    refit : bool, default=True
        Whether to fit all rows with the best C; otherwise the folds' best weights are averaged.
    intercept_scaling : float, default=1
        For "liblinear" only.
    random_state : int, RandomState or None, default=None
    use_legacy_attributes : bool
        Whether fitted attributes are laid out as they were before scikit-learn 1.8, by class.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
    intercept_ : ndarray of shape (1,) or (n_classes,)
    classes_ : ndarray of shape (n_classes,)
    C_, l1_ratio_ : float, or with legacy attributes ndarray of shape (1,) or (n_classes,)
    Cs_, l1_ratios_ : ndarray
    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs, n_classes, n_dof), or by class
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs), or by class
    n_iter_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs), or (1, n_folds, n_Cs[, n_l1_ratios])
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastml.linear_model import LogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegressionCV(
    ...     l1_ratios=(0,), scoring="neg_log_loss", use_legacy_attributes=False, max_iter=1000
    ... )
    >>> model.fit(X, y).predict(X[:2])
    array([0, 0])
    """

    # Laid out by class, or as arrays and numbers: `use_legacy_attributes`.
    C_: Any
    l1_ratio_: Any
    coefs_paths_: Any
    scores_: Any

    _parameter_constraints = {
        **_SklearnLogisticRegressionCV._parameter_constraints,
        "solver": [
            *_SklearnLogisticRegressionCV._parameter_constraints["solver"],
            StrOptions(set(DESCENT_SOLVERS)),
        ],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, **params):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), optional
            Multiplied with the class weights.
        **params : dict
            For the splitter and the scorer.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, fewer than two classes, or a penalty that the solver does not take.
        """
        _raise_for_params(params, self, "fit")
        grid = grid_of(self)
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True, large_sparse=self.solver not in INT32_SOLVERS)
            outcomes = self._cross_validate(X, y, sample_weight, params, grid)
        warn_if_unconverged(outcomes)
        return self

    def _cross_validate(self, X, y, sample_weight, params, grid: Grid):
        self.classes_ = distinct_labels(y)
        n_classes = len(self.classes_)
        if n_classes < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
                f"{self.classes_[0]}."
            )
        if self.solver == "liblinear":
            check_liblinear(self, grid.penalty, n_classes, X)
        routed = self._routed(sample_weight, params)
        rows = X if device_of(X) == "cpu" else np.broadcast_to(np.zeros(1), X.shape)
        folds = list(check_cv(self.cv, y, classifier=True).split(rows, y, **routed.splitter.split))
        weights, codes = self._weightings(X, y, sample_weight, folds)
        if self.solver == "liblinear":
            check_folds_have_both(codes, folds)
        l1_ratios = [None] if grid.l1_ratios is None else grid.l1_ratios
        settings = settings_of(self)
        device = device_for(self, self.solver, X)

        def fit(paths: list[Path]) -> Any:
            with finite_rows(self, X, weights[-1]):
                return fit_paths(
                    data, n_classes, paths, settings, total_weight=weights.sum(axis=1), device=device
                )

        data = glm_data(X, codes, weights, device)
        shares = [l1_share(grid, l1_ratio) for l1_ratio in l1_ratios]
        start = np.zeros((1 if n_classes == 2 else n_classes, X.shape[1] + 1))
        fitted = iter(
            fit([Path(list(grid.Cs), share, start, k) for k in range(len(folds)) for share in shares])
        )
        outcomes = [[next(fitted) for _ in shares] for _ in folds]
        found = self._found(
            outcomes, FoldScorer(self, X, y, sample_weight, folds, routed, grid.scoring), grid
        )
        flat = [outcome for fold in outcomes for path in fold for outcome in path]
        if self.refit:
            i, j = np.unravel_index(np.argmax(found.scores.sum(axis=0).T), found.scores.shape[:0:-1])
            mean = found.weights[:, j, i].mean(axis=0)
            ((outcome,),) = fit([Path([grid.Cs[i]], shares[j], mean, len(folds))])
            flat.append(outcome)
            best, C, l1_ratio = outcome.weights, grid.Cs[i], l1_ratios[j]
        else:
            best, C, l1_ratio = self._mean_of_best(found, grid, l1_ratios)
        self._store(found, best, C, l1_ratio, l1_ratios, grid)
        log_ran(self, "fit", device)
        return flat

    def _routed(self, sample_weight, params):
        if _routing_enabled():
            return process_routing(self, "fit", sample_weight=sample_weight, **params)
        of_score = dict(params) if sample_weight is None else {**params, "sample_weight": sample_weight}
        return _manual_routing({"splitter": {}, "scorer": {"score": of_score}})

    def _weightings(self, X, y, sample_weight, folds):
        """Row weights of each fold, of which rows held out have none, and at last those of all rows; class codes."""
        class_weight = self.class_weight
        if isinstance(class_weight, dict) and not set(class_weight) <= set(self.classes_):
            raise ValueError(
                "The given class_weight dict must have the class labels as keys; "
                f"classes={self.classes_} but key={class_weight.keys()}"
            )
        if class_weight == "balanced":
            of_class = class_weights(class_weight, self.classes_, y, sample_weight)
            class_weight = dict(zip(self.classes_, of_class))
        codes = label_codes(y, self.classes_)
        whole = class_weighted(X, y, codes, self.classes_, class_weight, sample_weight)
        whole = np.ones(len(y)) if whole is None else whole
        weights = np.empty((len(folds) + 1, len(y)))
        for row, (train, _) in zip(weights, folds):
            chosen = np.arange(len(y))[train]  # a mask or indices, repeated ones included
            row[:] = whole * np.bincount(chosen, minlength=len(y))
        weights[-1] = whole
        return weights, codes

    def _found(self, outcomes, scorer: FoldScorer, grid: Grid) -> Fitted:
        n_iter = [[[outcome.n_iter for outcome in path] for path in fold] for fold in outcomes]
        weights = np.array([[[outcome.weights for outcome in path] for path in fold] for fold in outcomes])
        scores = [[scorer.scores(k, path, grid.Cs) for path in of_fold] for k, of_fold in enumerate(weights)]
        return Fitted(weights, np.array(n_iter, dtype=np.int32), np.array(scores))

    def _mean_of_best(self, found: Fitted, grid: Grid, l1_ratios):
        """Means over the folds of their best weights, C and share of l1."""
        scores = found.scores.swapaxes(1, 2)
        of_C, of_l1 = np.unravel_index(scores.reshape(len(scores), -1).argmax(axis=1), scores.shape[1:])
        best = found.weights[np.arange(len(scores)), of_l1, of_C].mean(axis=0)
        l1_ratio = np.mean(np.asarray(l1_ratios)[of_l1]) if grid.penalty == "elasticnet" else 0.0
        return best, np.mean(grid.Cs[of_C]), l1_ratio

    def _store(self, found: Fitted, best, C, l1_ratio, l1_ratios, grid: Grid) -> None:
        """scikit-learn's attributes, in float64."""
        self.coef_, self.intercept_ = best[:, :-1].copy(), best[:, -1].copy()
        self.Cs_, self.l1_ratios_ = grid.Cs, np.asarray(l1_ratios)
        paths = found.weights if self.fit_intercept else found.weights[..., :-1]
        if grid.legacy_attributes:
            self._store_by_class(found, paths, C, l1_ratio, has_l1_ratios=grid.l1_ratios is not None)
            return
        self.coefs_paths_, self.scores_, self.n_iter_ = paths, found.scores, found.n_iter
        self.C_ = float(C)
        if grid.l1_ratios is None:
            l1_ratio = 1.0 if self.penalty == "l1" else 0.0
        self.l1_ratio_ = float(l1_ratio)

    def _store_by_class(self, found: Fitted, paths, C, l1_ratio, has_l1_ratios: bool) -> None:
        columns = slice(None) if has_l1_ratios else 0  # the axis of l1_ratios goes where none were given
        n_columns = len(self.coef_)
        keys = self.classes_[-n_columns:]
        scores = found.scores.swapaxes(1, 2)[:, :, columns]
        self.coefs_paths_ = {
            key: paths[:, :, :, k].swapaxes(1, 2)[:, :, columns] for k, key in enumerate(keys)
        }
        self.scores_ = {key: scores.copy() for key in keys}
        self.n_iter_ = found.n_iter.swapaxes(1, 2)[None, :, :, columns]
        self.C_, self.l1_ratio_ = np.tile([C], n_columns), np.tile([l1_ratio], n_columns)
