"""What SVC and NuSVC share: one-vs-one problems, votes, probabilities."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state

from fastml._validation import unchanged_on_error
from fastml.solvers import smo
from fastml.svm._base import MAX_SEED, KernelMachine
from fastml.svm._one_vs_one import OneVsOne, pair_indices
from fastml.svm._platt import N_FOLDS, couple, draw_folds, fit_sigmoids


class ClassRows:
    """Training rows, class by class: class c's are those of the numbers ``rows[starts[c]:starts[c + 1]]``."""

    def __init__(self, rows: np.ndarray, sizes: np.ndarray):
        self.rows, self.sizes = rows, sizes
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.labels = np.repeat(np.arange(len(sizes)), sizes)


class Pairs:
    """The rows of every two classes, in LIBSVM's order: of one pair after another, the first class's, the second's.

    Attributes
    ----------
    places : ndarray of int, shape (n_variables,)
        Of each row among the classes' rows.
    y : ndarray of float64, shape (n_variables,)
        1 for the pair's first class, -1 for its second.
    opponent : ndarray of int, shape (n_variables,)
        Which of the rows of ``dual_coef_`` holds the row's coefficient.
    starts : ndarray of int, shape (n_pairs + 1,)
    of_row : ndarray of int, shape (n_variables,)
        The pair's number.
    left_to : ndarray of float64, shape (n_pairs,)
        The decision where zero weights took all rows of a class, which loses: 1 or -1; 0, where both have some or none.
    is_trained : ndarray of bool, shape (n_pairs,)
        Whether both classes have rows.
    """

    def __init__(self, classes: ClassRows):
        halves, opponents = _pair_halves(len(classes.sizes))
        n_pairs = len(halves) // 2
        self.places, starts = smo.variables_of(classes.starts, halves)
        sizes = starts[1:] - starts[:-1]
        self.y = np.repeat(np.tile([1.0, -1.0], n_pairs), sizes)
        self.opponent = np.repeat(opponents, sizes)
        self.starts = starts[::2]
        self.of_row = np.repeat(np.arange(n_pairs), sizes[::2] + sizes[1::2])
        has_first, has_second = sizes[::2] > 0, sizes[1::2] > 0
        self.left_to = has_first.astype(float) - has_second
        self.is_trained = has_first & has_second


def _pair_halves(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The class of each pair's two halves, pair by pair, and the row of ``dual_coef_`` where the other one counts."""
    first, second = pair_indices(n_classes)
    return np.column_stack([first, second]).ravel(), np.column_stack([second - 1, first]).ravel()


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
        pairs = Pairs(classes)
        problems, fold_of = self._pair_problems(classes, pairs, weights), None
        if self._effective_probability:
            fold_of = draw_folds(np.diff(pairs.starts), np.random.RandomState(seed))
            problems = self._with_folds(problems, fold_of)
        # All problems in one call: they share kernel rows.
        solutions = self._solve(training, problems.some(np.flatnonzero(pairs.is_trained)))
        self._store_pairs(training, classes, pairs, solutions)
        if fold_of is not None:
            values = self._held_out_values(pairs, fold_of, solutions)
            self._probA, self._probB = fit_sigmoids(values, pairs.y > 0, pairs.of_row, len(pairs.left_to))
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
        sizes = np.bincount(labels, minlength=len(self.classes_))
        return ClassRows(rows[labels.argsort(kind="stable")], sizes)

    def _pair_problems(self, classes: ClassRows, pairs: Pairs, weights: np.ndarray) -> smo.Problems:
        bounds = self._bounds(classes.labels, weights[classes.rows])
        return self._problems(classes.rows[pairs.places], pairs.y, bounds[pairs.places], pairs.starts)

    def _store_pairs(self, training, classes, pairs, solutions):
        own = pairs.is_trained[pairs.of_row]
        places, intercept, n_iter = pairs.places[own], pairs.left_to.copy(), np.zeros(len(pairs.left_to))
        # For each row of a class a coefficient against each of the other classes.
        coefs = np.zeros((len(classes.sizes) - 1, len(classes.rows)))
        with np.errstate(divide="ignore", invalid="ignore"):  # the fit's end looks for what is not finite
            signed = pairs.y[own] * solutions.alpha / np.repeat(solutions.r, solutions.sizes)
            intercept[pairs.is_trained] = -solutions.rho / solutions.r
        coefs[pairs.opponent[own], places] = signed
        n_iter[pairs.is_trained] = solutions.n_iter
        is_support = (coefs != 0).any(axis=0)
        counts = np.bincount(classes.labels[is_support], minlength=len(classes.sizes))
        dual_coef = coefs.compress(is_support, axis=1)
        self._store(training, classes.rows[is_support], dual_coef, counts, intercept, n_iter)

    # Probabilities

    def _with_folds(self, problems: smo.Problems, fold_of: np.ndarray) -> smo.Problems:
        """The problems, and those without each fold."""
        folds = [
            self._problems(
                problems.rows, problems.y, np.where(fold_of == fold, 0.0, problems.C), problems.starts
            )
            for fold in range(N_FOLDS)
        ]
        return problems._replace(folds=tuple(folds))

    def _held_out_values(self, pairs: Pairs, fold_of: np.ndarray, solutions: smo.Solutions) -> np.ndarray:
        """Decision values of all pairs' rows, by what was trained without them."""
        n_pairs = len(pairs.left_to)
        # Of each pair and fold: which classes have rows outside the fold.
        shape = n_pairs, 2, N_FOLDS
        held_out = np.bincount(
            (2 * pairs.of_row + (pairs.y < 0)) * N_FOLDS + fold_of, minlength=int(np.prod(shape))
        ).reshape(shape)
        has_first, has_second = (held_out.sum(axis=2, keepdims=True) > held_out).transpose(1, 0, 2)
        values = (has_first.astype(float) - has_second)[pairs.of_row, fold_of]
        own, sizes = pairs.is_trained[pairs.of_row], solutions.sizes
        trained = (has_first & has_second)[pairs.of_row, fold_of]
        for fold, solved in enumerate(solutions.folds):
            with np.errstate(divide="ignore", invalid="ignore"):  # as in _store_pairs
                of_fold = (solved.decision - np.repeat(solved.rho, sizes)) / np.repeat(solved.r, sizes)
            predicted = trained & (fold_of == fold)
            values[predicted] = of_fold[predicted[own]]
        return values

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
