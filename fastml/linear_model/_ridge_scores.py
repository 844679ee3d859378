"""Scores of predictions that are there already: of rows left out, or of folds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics._scorer import _BaseScorer, _PassthroughScorer
from sklearn.model_selection import check_cv
from sklearn.utils.validation import _check_method_params

from fastml._csr import CSR
from fastml.solvers.least_squares import Rows

# Rows whose predictions are made at a time.
PIECE = 8192


class KnownRegressor(RegressorMixin, BaseEstimator):
    """Predicts what it is given."""

    def __init__(self):
        self.fitted_ = True

    def predict(self, predictions):
        return predictions


class KnownClassifier(ClassifierMixin, BaseEstimator):
    """Classifies by the decision values it is given."""

    def __init__(self, classes=None, multilabel=False):
        self.classes, self.multilabel = classes, multilabel
        self.classes_ = classes

    def decision_function(self, scores):
        return scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores

    def predict(self, scores):
        if self.multilabel:
            return (scores > 0).astype(int)
        values = self.decision_function(scores)
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(scores))
        return self.classes_[(values > 0).astype(int) if values.ndim == 1 else values.argmax(axis=1)]


class Truth:
    """What predictions are compared with, and the estimator that stands for those that made them."""

    def __init__(self, estimator: Any, y: np.ndarray, targets: Any):
        self.targets, self.y = targets, y
        self.stand_in: Any = KnownRegressor()
        binarizer = getattr(estimator, "_label_binarizer", None)
        if binarizer is not None:
            multilabel = binarizer.y_type_.startswith("multilabel")
            self.stand_in = KnownClassifier(binarizer.classes_, multilabel)
            if multilabel:
                self.y = (targets.values.T > 0).astype(int)
            elif y.ndim == 2:
                self.y = y.ravel()

    def score(
        self, scorer: Any, predictions: np.ndarray, *, parameters: Any, target: int | None = None
    ) -> Any:
        """The scorer's word on predictions of shape (n_rows, n_targets), or of one target."""
        y = self.y if target is None or self.y.ndim == 1 else self.y[:, target]
        if target is None and self.targets.ndim == 1 and predictions.ndim == 2:
            predictions = predictions[:, 0]
        return scorer(self.stand_in, predictions, y, **(parameters or {}))


def scorer_takes_weights(scorer: Any) -> bool:
    """Whether scikit-learn's grid search, without metadata routing, would hand the scorer sample weights."""
    accepts = getattr(scorer, "_accept_sample_weight", None)
    return bool(accepts()) if accepts is not None else False


class FoldScorer:
    """The folds of a cross-validation, and the scores of coefficients on the rows that each holds out.

    Parameters
    ----------
    estimator : RidgeCV or RidgeClassifierCV
    X, y : array or sparse matrix, ndarray
        Validated.
    truth : Truth
    scorer : callable
    routed : Bunch
        What scikit-learn's metadata routing gives to splitter and scorer.
    classifies : bool
    """

    def __init__(
        self, estimator: Any, X: Any, y: np.ndarray, truth: Truth, scorer: Any, routed: Any, classifies: bool
    ):
        self._estimator, self._X, self._y = estimator, X, y
        self._truth, self._scorer = truth, scorer
        self._parameters = routed.scorer.score
        split = check_cv(estimator.cv, y, classifier=classifies).split(X, y, **routed.splitter.split)
        rows = np.arange(X.shape[0])
        self.folds = [(rows[train], rows[test]) for train, test in split]

    def scores(self, fold: int, rows: Rows, coefs: np.ndarray, intercepts: np.ndarray) -> list[float]:
        """Scores of several models.

        Parameters
        ----------
        fold : int
        rows : Rows
        coefs : ndarray of shape (n_models, n_targets, n_features)
        intercepts : ndarray of shape (n_models, n_targets)
        """
        test = self.folds[fold][1]
        n_models, n_targets, n_features = coefs.shape
        if not isinstance(self._scorer, _BaseScorer | _PassthroughScorer):
            return [self._by_model(test, coef, b) for coef, b in zip(coefs, intercepts, strict=True)]
        predictions = np.empty((len(test), n_models, n_targets))
        stacked = coefs.reshape(-1, n_features).T
        for piece in _pieces(len(test)):
            block = rows.block(test[piece]) if isinstance(rows.data.X, CSR) else rows.data.X[test[piece]]
            predictions[piece] = (block @ stacked).reshape(-1, n_models, n_targets)
        predictions += intercepts
        return [self._score(test, predictions[:, k]) for k in range(n_models)]

    def scores_of(self, fold: int, predictions: np.ndarray) -> list[float]:
        """Scores of predictions of shape (n_models, n_test, n_targets); None is returned where models are asked for."""
        return [self._score(self.folds[fold][1], each) for each in predictions]

    @property
    def wants_models(self) -> bool:
        """Whether the scorer may look at more than predictions."""
        return not isinstance(self._scorer, _BaseScorer | _PassthroughScorer)

    def _score(self, test: np.ndarray, predictions: np.ndarray) -> float:
        parameters = _check_method_params(X=self._y, params=self._parameters or {}, indices=test)
        truth, y = self._truth, self._truth.y[test]
        if truth.targets.ndim == 1:
            predictions = predictions[:, 0]
        if isinstance(self._scorer, _PassthroughScorer):
            return truth.stand_in.score(predictions, y, **parameters)
        return self._scorer(truth.stand_in, predictions, y, **parameters)

    def _by_model(self, test: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> float:
        """Of a scorer of the user's own, which is given an estimator and rows."""
        parameters = _check_method_params(X=self._y, params=self._parameters or {}, indices=test)
        return self._scorer(
            self._estimator._model(coef, intercept), self._X[test], self._y[test], **parameters
        )


def _pieces(n: int) -> Iterator[slice]:
    return (slice(first, min(first + PIECE, n)) for first in range(0, n, PIECE))
