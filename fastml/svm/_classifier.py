"""What SVC and NuSVC share: one-vs-one problems, votes, probabilities."""

import warnings
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state

from fastml._validation import unchanged_on_error
from fastml.solvers import smo
from fastml.svm._base import MAX_SEED, KernelMachine
from fastml.svm._one_vs_one import OneVsOne
from fastml.svm._platt import N_FOLDS, couple, draw_folds, fit_sigmoid


class ClassRows:
    """Numbers of training rows, class by class: those of class c are ``rows[ends[c]:ends[c + 1]]``."""

    def __init__(self, rows: np.ndarray, ends: list[int]):
        self.rows, self.ends = rows, ends

    def __getitem__(self, c: int) -> np.ndarray:
        return self.rows[self.ends[c] : self.ends[c + 1]]

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Every two classes, in LIBSVM's order."""
        return combinations(range(len(self.ends) - 1), 2)


class KernelClassifier(KernelMachine):
    """Mixin: a decision function for every pair of classes, positive for the pair's first one."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or (n_samples, n_samples) if precomputed
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), optional
            Multiplies C; rows of weight zero, or less, take no part.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input.
        """
        seed = check_random_state(self.random_state).randint(MAX_SEED)
        with unchanged_on_error(self):
            self._check_probability()
            self._fit(X, y, sample_weight, seed)
        self._warn_if_stopped()
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, seed: int) -> None:
        X, y = self._check_training_data(X, y)
        labels = self._validate_targets(y)
        weights = self._check_weights(sample_weight, X)
        training = self._training(X)
        if training.matrix is not None:
            weights = weights[: len(training.matrix)]
        classes = self._group(labels[: len(weights)], weights)
        pairs = self._pairs(classes, weights)
        fold_of = []
        if self._effective_probability:
            random_state = np.random.RandomState(seed)
            fold_of = [draw_folds(len(pair.rows), random_state) for pair in pairs]
            pairs = [self._with_folds(*pair) for pair in zip(pairs, fold_of)]
        # All problems in one call: they share kernel rows.
        solved = iter(self._solve(training, [problem for problem in pairs if _both_classes(problem.y)]))
        solutions = [next(solved) if _both_classes(problem.y) else None for problem in pairs]
        self._store_pairs(training, classes, pairs, solutions)
        if self._effective_probability:
            sigmoids = [self._sigmoid(*pair) for pair in zip(pairs, fold_of, solutions)]
            self._probA, self._probB = np.array(sigmoids).T.copy()
        if len(self.classes_) == 2:
            self.intercept_ *= -1
            self.dual_coef_ = -self.dual_coef_
        self.n_iter_ = self._num_iter

    def _check_probability(self) -> None:
        self._effective_probability = self.probability != "deprecated" and bool(self.probability)
        if self.probability != "deprecated":
            name = type(self).__name__
            warnings.warn(
                "The `probability` parameter was deprecated in 1.9 and will be removed in version 1.11. "
                f"Use `CalibratedClassifierCV({name}(), ensemble=False)` instead of `{name}(probability=True)`",
                FutureWarning,
                stacklevel=4,
            )

    def _validate_targets(self, y: Any) -> np.ndarray:
        """Sets ``classes_`` and ``class_weight_``; scikit-learn's, which takes a quarter of a fit on iris, with a way
        around for integer labels of few classes, where none of its checks could complain."""
        if isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "iub" and self.class_weight is None:
            classes, codes = np.unique(y, return_inverse=True)
            if 2 <= len(classes) <= 0.25 * len(y):
                self.class_weight_ = np.ones(len(classes))
                self.classes_ = classes
                return codes
        return super()._validate_targets(y)

    def _group(self, labels: np.ndarray, weights: np.ndarray) -> ClassRows:
        """The rows with weight, class by class."""
        rows = self._weighted_rows(weights)
        labels = labels[rows].astype(np.intp, copy=False)
        ends = np.bincount(labels, minlength=len(self.classes_)).cumsum().tolist()
        return ClassRows(rows[labels.argsort(kind="stable")], [0, *ends])

    def _pairs(self, classes: ClassRows, weights: np.ndarray) -> list[smo.Problem]:
        bounds = [self._bounds(c, weights[classes[c]]) for c in range(len(classes.ends) - 1)]
        problems = []
        for i, j in classes.pairs():
            rows = np.concatenate([classes[i], classes[j]])
            y = np.ones(len(rows))
            y[len(bounds[i]) :] = -1.0
            problems.append(self._problem(rows, y, np.concatenate([bounds[i], bounds[j]])))
        return problems

    def _store_pairs(self, training, classes, pairs, solutions):
        ends = classes.ends
        # For each row of a class a coefficient against each of the other classes.
        coefs = np.zeros((len(ends) - 2, ends[-1]))
        intercept, n_iter = np.empty(len(pairs)), np.zeros(len(pairs))
        for pair, ((i, j), problem, solution) in enumerate(zip(classes.pairs(), pairs, solutions)):
            if solution is None:  # zero weights took all rows of a class: it loses
                intercept[pair] = _constant_decision(problem.y)
                continue
            coef, rho = self._expansion(problem, solution)
            n_first = ends[i + 1] - ends[i]
            coefs[j - 1, ends[i] : ends[i + 1]] = coef[:n_first]
            coefs[i, ends[j] : ends[j + 1]] = coef[n_first:]
            intercept[pair] = -rho
            n_iter[pair] = solution.n_iter
        is_support = (coefs != 0).any(axis=0)
        counts = [np.count_nonzero(is_support[start:end]) for start, end in pairwise(ends)]
        self._store(
            training, classes.rows[is_support], coefs[:, is_support], np.array(counts), intercept, n_iter
        )

    # Probabilities

    def _with_folds(self, pair: smo.Problem, fold_of: np.ndarray) -> smo.Problem:
        """The pair's problem, and those without each fold that there is to solve."""
        folds = [
            self._problem(pair.rows, pair.y, np.where(fold_of == fold, 0.0, pair.C))
            for fold in range(N_FOLDS)
            if _both_classes(pair.y[fold_of != fold])
        ]
        return pair._replace(folds=tuple(folds))

    def _sigmoid(
        self, pair: smo.Problem, fold_of: np.ndarray, solution: smo.Solution | None
    ) -> tuple[float, float]:
        """Platt's A and B, fitted to decision values of rows held out."""
        values = np.empty(len(pair.rows))
        solutions = iter(solution.folds if solution is not None else ())
        for fold in range(N_FOLDS):
            held = fold_of == fold
            y = pair.y[~held]
            if _both_classes(y):
                of_fold = next(solutions)
                with np.errstate(divide="ignore", invalid="ignore"):  # as in _expansion
                    values[held] = (of_fold.decision[held] - of_fold.rho) / of_fold.r
            else:
                values[held] = _constant_decision(y)
        return fit_sigmoid(values, pair.y > 0)

    # Prediction: scikit-learn's hooks

    def _functions_and_sums(self, X):
        """The pairs' functions, and what these make values of, block by block of X's rows."""
        functions = OneVsOne(self._n_support, self._intercept_)
        return functions, (sums for _, sums in self._expansions(X, self._n_support))

    def _dense_predict(self, X):
        functions, blocks = self._functions_and_sums(X)
        return np.concatenate([functions.votes(functions.values(sums)) for sums in blocks])

    def _decision_function(self, X):
        functions, blocks = self._functions_and_sums(self._validate_for_predict(X))
        values = np.concatenate([functions.values(sums) for sums in blocks])
        return -values.ravel() if len(self.classes_) == 2 else values

    def _dense_predict_proba(self, X):
        functions, blocks = self._functions_and_sums(X)
        n_classes = len(self.classes_)
        return np.concatenate(
            [couple(functions.values(sums), self._probA, self._probB, n_classes) for sums in blocks]
        )

    _sparse_predict = _dense_predict
    _sparse_predict_proba = _dense_predict_proba


def _both_classes(y: np.ndarray) -> bool:
    return len(y) > 0 and y.min() < 0 < y.max()


def _constant_decision(y: np.ndarray) -> float:
    """Of a pair that was trained on one class, or on none."""
    return float(y[0]) if len(y) else 0.0
