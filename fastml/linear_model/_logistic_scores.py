"""Scores of cross-validated models on the rows held out."""

import inspect
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer, make_scorer
from sklearn.utils.validation import _check_method_params, _check_sample_weight

from fastml._validation import rows_on_host
from fastml.linear_model._logistic import LogisticRegression


class FoldScorer:
    """The scorer that LogisticRegressionCV was asked for; accuracy if none.

    Parameters
    ----------
    estimator : LogisticRegressionCV
        With its ``classes_``.
    X, y : array or sparse matrix, ndarray
        Validated.
    sample_weight : array-like or None
    folds : list of (train, test)
    routed : Bunch
        What scikit-learn's metadata routing gives to the scorer.
    scoring : str, callable or None
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: np.ndarray,
        sample_weight: Any,
        folds: list,
        routed: Any,
        scoring: Any,
    ):
        self._X, self._y, self._folds = X, y, folds
        self._estimator, self._parameters = estimator, routed.scorer.score
        self._sample_weight = None if sample_weight is None else _check_sample_weight(sample_weight, y)
        self._scorer = _knowing_classes(get_scorer(scoring), estimator.classes_)

    def scores(self, fold: int, weights: np.ndarray, Cs: np.ndarray) -> list[float]:
        """Scores of models that a fold has given.

        Parameters
        ----------
        fold : int
        weights : ndarray of shape (n_Cs, n_columns, n_features + 1)
        Cs : ndarray of shape (n_Cs,)
        """
        test = self._folds[fold][1]
        X, y = rows_on_host(self._X, test), self._y[test]
        if self._scorer is None:
            given = None if self._sample_weight is None else self._sample_weight[test]
            return [self._model(w, C).score(X, y, sample_weight=given) for w, C in zip(weights, Cs)]
        parameters = _check_method_params(X=self._y, params=self._parameters or {}, indices=test)
        return [self._scorer(self._model(w, C), X, y, **parameters) for w, C in zip(weights, Cs)]

    def _model(self, weights: np.ndarray, C: float) -> LogisticRegression:
        model = LogisticRegression(C=C, solver=self._estimator.solver)
        model.classes_ = self._estimator.classes_
        model.coef_, model.intercept_ = weights[:, :-1], weights[:, -1]
        return model


def _knowing_classes(scorer: Any, classes: np.ndarray) -> Any:
    """The scorer, told of all classes where it asks for labels: a fold may lack some."""
    if not hasattr(scorer, "_score_func"):
        return scorer
    parameters = inspect.signature(scorer._score_func).parameters
    if "labels" not in parameters:
        return scorer
    known = {"labels": classes}
    if len(classes) == 2 and "pos_label" in parameters:
        known["pos_label"] = classes[-1]
    return make_scorer(
        scorer._score_func,
        greater_is_better=scorer._sign == 1,
        response_method=scorer._response_method,
        **known,
        **getattr(scorer, "_kwargs", {}),
    )
