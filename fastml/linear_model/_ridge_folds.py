"""Ridge regressions of all folds of a cross-validation, for all penalties, from one pass over X.

A fold's training rows are all rows but those it holds out: its moments are sums of the others' (of few folds) or what
is left of the total's (of many), each about one common shift. With more features than rows the same is done with the
products of rows, of which a fold takes its own, and centres them. Sparse rows of many features are left to conjugate
gradients, all models' in the same passes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastml._csr import CSR
from fastml.linear_model._ridge_scores import FoldScorer
from fastml.solvers import least_squares
from fastml.solvers.least_squares import Moments, Rows

# Folds whose moments are all kept.
MOST_TABLES = 20

# scikit-learn's, of the solver that it takes for sparse X.
TOL = 1e-4

Solve = Callable[[float], tuple[np.ndarray, np.ndarray]]


def cross_validate(rows: Rows, folds: FoldScorer, alphas: np.ndarray) -> tuple[np.ndarray, Solve]:
    """Scores of each fold and penalty, and the fit to all rows for a penalty.

    Parameters
    ----------
    rows : Rows
    folds : FoldScorer
    alphas : ndarray of float64

    Returns
    -------
    scores : ndarray of shape (n_folds, n_alphas)
    solve : callable
        Coefficients and intercepts for a penalty.
    """
    if isinstance(rows.data.X, CSR) and rows.shape[1] > least_squares.MOST_SPARSE_FEATURES:
        return _by_passes(rows, folds, alphas)
    return (_by_moments if rows.is_tall else _by_products)(rows, folds, alphas)


def _by_moments(rows: Rows, folds: FoldScorer, alphas: np.ndarray) -> tuple[np.ndarray, Solve]:
    shift = least_squares.sample_mean(rows)
    training = _TrainingTables(rows, folds.folds, shift)
    scores = []
    for k in range(len(folds.folds)):
        taken = least_squares.centred(rows, training.table(k), shift)
        fits = [_solved(rows, taken, alpha) for alpha in alphas]
        coefs, intercepts = (np.array(part) for part in zip(*fits, strict=True))
        scores.append(folds.scores(k, rows, coefs, intercepts))
    whole = least_squares.centred(rows, training.total, shift)
    return np.array(scores), lambda alpha: _solved(rows, whole, alpha)


def _solved(rows: Rows, taken: Moments, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    strengths = np.full(rows.n_targets, alpha)
    epsilon = float(np.finfo(rows.data.X.dtype).eps)
    coef = least_squares.solve_primal(taken, strengths, epsilon)
    if coef is None:
        coef = least_squares.pseudo_inverse(taken.gram, taken.cross, strengths, epsilon)
    return coef, taken.target_mean - coef @ taken.mean


class _TrainingTables:
    """Raw moments of each fold's training rows."""

    def __init__(self, rows: Rows, folds: list, shift: np.ndarray):
        self._rows, self._folds, self._shift = rows, folds, shift
        n = rows.shape[0]
        self._tables: list[np.ndarray] = []
        self._are_complements = all(_is_complement(train, test, n) for train, test in folds)
        each_once = (np.bincount(np.concatenate([test for _, test in folds]), minlength=n) == 1).all()
        if self._are_complements and each_once and len(folds) <= MOST_TABLES:
            self._tables = [self._of(test) for _, test in folds]
            self.total = sum(self._tables[1:], start=self._tables[0])
        else:
            self.total = least_squares.raw_moments(rows, shift)

    def _of(self, chosen: np.ndarray) -> np.ndarray:
        return least_squares.raw_moments(
            self._rows, self._shift, np.ascontiguousarray(chosen, dtype=np.int64)
        )

    def table(self, k: int) -> np.ndarray:
        train, test = self._folds[k]
        if len(self._tables) > 1:
            others = self._tables[:k] + self._tables[k + 1 :]
            return sum(others[1:], start=others[0])
        if self._are_complements and len(test) < len(train):
            return self.total - self._of(test)
        return self._of(train)


def _is_complement(train: np.ndarray, test: np.ndarray, n: int) -> bool:
    count = np.bincount(train, minlength=n) + np.bincount(test, minlength=n)
    return len(count) == n and bool((count == 1).all())


def _by_products(rows: Rows, folds: FoldScorer, alphas: np.ndarray) -> tuple[np.ndarray, Solve]:
    unweighted = rows._replace(data=rows.data._replace(weight=None))
    taken = least_squares.products(unweighted, exact=True)
    mean, products = taken.mean, taken.gram
    weight = np.ones(rows.shape[0]) if rows.data.weight is None else rows.data.weight[0]
    targets = rows.targets()
    scores = []
    for k, (train, test) in enumerate(folds.folds):
        dual, means, of_targets = _dual_fit(rows, products, targets, weight, train, alphas)
        if folds.wants_models:
            coefs = np.array([_primal(unweighted, mean, train, each) for each in dual])
            intercepts = of_targets - coefs @ (mean + _mean_of(unweighted, mean, train, means))
            scores.append(folds.scores(k, rows, coefs, intercepts))
            continue
        beside = products[np.ix_(test, train)]
        beside = beside - means @ products[np.ix_(train, train)]
        scores.append(folds.scores_of(k, (beside @ dual.swapaxes(1, 2)) + of_targets))

    def solve(alpha: float) -> tuple[np.ndarray, np.ndarray]:
        every = np.arange(rows.shape[0])
        dual, means, of_targets = _dual_fit(rows, products, targets, weight, every, np.array([alpha]))
        coef = _primal(unweighted, mean, every, dual[0])
        return coef, of_targets - coef @ (mean + _mean_of(unweighted, mean, every, means))

    return np.array(scores), solve


def _dual_fit(
    rows: Rows, products, targets, weight, train, alphas
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of the rows in ``train``, by penalty and target; shares of the rows in the mean; targets' means.

    A feature vector's margin is its product with these rows, less the means' product, times the coefficients.
    """
    own, w, y = products[np.ix_(train, train)], weight[train], targets[train]
    means = w / w.sum() if rows.fit_intercept else np.zeros(len(train))
    of_targets = means @ y
    centring = np.eye(len(train)) - np.outer(np.ones(len(train)), means)
    root = np.sqrt(w)[:, None]
    values, vectors = np.linalg.eigh(root * (centring @ own @ centring.T) * root.T)
    kept = values > np.finfo(np.float64).eps * len(values) * values.max(initial=0.0)
    projected = vectors[:, kept].T @ (root * (y - of_targets))
    solved = projected / (values[kept, None] + alphas[:, None, None])
    dual = root * (vectors[:, kept] @ solved)
    # The mean is taken off the rows that the coefficients multiply: sum_i c_i (x_i - m) = sum_i (c_i - means_i C) x_i.
    return (dual - means[:, None] * dual.sum(axis=1, keepdims=True)).swapaxes(1, 2), means, of_targets


def _primal(rows: Rows, mean: np.ndarray, train: np.ndarray, dual: np.ndarray) -> np.ndarray:
    spread = np.zeros((rows.shape[0], len(dual)))
    np.add.at(spread, train, dual.T)  # a row may have been drawn more than once
    return least_squares.dual_coefficients(rows, mean, spread.T)


def _mean_of(rows: Rows, mean: np.ndarray, train: np.ndarray, means: np.ndarray) -> np.ndarray:
    return _primal(rows, mean, train, means[None])[0]


def _by_passes(rows: Rows, folds: FoldScorer, alphas: np.ndarray) -> tuple[np.ndarray, Solve]:
    n = rows.shape[0]
    weight = np.ones(n) if rows.data.weight is None else rows.data.weight[0]
    table = np.array([*(weight * np.bincount(train, minlength=n) for train, _ in folds.folds), weight])
    shared = rows._replace(data=rows.data._replace(weight=table))
    problems = [
        (target, fold, float(alpha))
        for fold in range(len(folds.folds))
        for alpha in alphas
        for target in range(rows.n_targets)
    ]
    found: Any = least_squares.solve_passes(shared, problems, TOL, None)
    found = found.reshape(len(folds.folds), len(alphas), rows.n_targets, -1)
    scores = [folds.scores(k, rows, each[..., :-1], each[..., -1]) for k, each in enumerate(found)]

    def solve(alpha: float) -> tuple[np.ndarray, np.ndarray]:
        whole = [(target, len(folds.folds), alpha) for target in range(rows.n_targets)]
        weights = least_squares.solve_passes(shared, whole, TOL, None)
        return weights[:, :-1], weights[:, -1]

    return np.array(scores), solve
