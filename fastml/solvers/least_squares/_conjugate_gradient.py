"""Conjugate gradients on the normal equations.

Reference
---------
M. R. Hestenes, E. Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", Journal of Research of the
National Bureau of Standards 49, 1952. The error in the energy norm falls by (sqrt(k) - 1) / (sqrt(k) + 1) an iteration
at least, k the condition number.
"""

from collections.abc import Generator
from functools import partial
from typing import Any

import numpy as np

from fastml._csr import CSR
from fastml.kernels.glm_data import Rule
from fastml.solvers import _passes
from fastml.solvers._errors import overflow_error
from fastml.solvers.least_squares._rows import Rows


def _search(
    right: np.ndarray, alpha: float, tol: float, max_iter: int | None
) -> Generator[np.ndarray, np.ndarray, np.ndarray]:
    """Solve (A + alpha) x = right: yields vectors, and is sent their products with A."""
    x, residual = np.zeros_like(right), right.copy()
    direction, square = residual.copy(), float(residual @ residual)
    goal = tol * np.sqrt(square)
    for _ in range(10 * len(right) if max_iter is None else max_iter):
        if square == 0.0 or np.sqrt(square) < goal:
            break
        product = yield direction
        product = product + alpha * direction
        curvature = float(direction @ product)
        if not np.isfinite(curvature):
            raise overflow_error()
        if curvature <= 0.0:  # the rest is rounding
            break
        step = square / curvature
        x += step * direction
        residual -= step * product
        before, square = square, float(residual @ residual)
        direction = residual + (square / before) * direction
    return x


def solve(
    matrix: np.ndarray, right: np.ndarray, alphas: np.ndarray, tol: float, max_iter: int | None
) -> np.ndarray:
    """Solutions for each row of ``right``.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        Positive semi-definite.
    right : ndarray of shape (n_targets, n)
    alphas : ndarray of shape (n_targets,)
    tol : float
        A solution is found where the residual's norm is below ``tol`` times that of the right-hand side.
    max_iter : int or None
        None: ten times n.

    Returns
    -------
    ndarray of shape (n_targets, n)
    """
    out = np.empty(right.shape)
    for k, alpha in enumerate(alphas):
        search = _search(right[k], float(alpha), tol, max_iter)
        vector = _advance(search, None)
        while not isinstance(vector, _Found):
            vector = _advance(search, matrix @ vector)
        out[k] = vector.solution
    return out


class _Found:
    def __init__(self, solution: np.ndarray):
        self.solution = solution


def _advance(search: Any, answer: np.ndarray | None) -> Any:
    try:
        return search.send(answer)
    except StopIteration as end:
        return _Found(end.value)


def solve_passes(
    rows: Rows, problems: list[tuple[int, int, float]], tol: float, max_iter: int | None
) -> np.ndarray:
    """Solutions of several problems over the same rows, whose products share passes over X.

    Parameters
    ----------
    rows : Rows
    problems : list of (target, weighting, alpha)
        Rows of ``Data.target`` and ``Data.weight`` (-1: none); of codes, the class.
    tol, max_iter
        As for `solve`.

    Returns
    -------
    ndarray of shape (len(problems), n_features + 1)
        Intercepts last.
    """
    coded = rows.data.target.dtype == np.int32
    models = []
    for target, weighting, alpha in problems:
        positive = target if rows.n_targets > 1 else 1
        search = partial(_over_rows, rows.shape[1], rows.fit_intercept, alpha, tol, max_iter)
        models.append(_passes.Model(search, positive, 0 if coded else target, weighting))
    # A float32 residual of dense rows is no better than float32: these come here in CSR, whose passes are in float64.
    assert isinstance(rows.data.X, CSR)
    found = _passes.run(
        rows.data,
        Rule("squared_error"),
        models,
        bytes_per_search=8 * 8 * (rows.shape[1] + 1),
        device=rows.device,
        description="conjugate gradients",
    )
    return np.array(found).reshape(len(problems), rows.shape[1] + 1)


def _over_rows(n_features: int, fit_intercept: bool, alpha: float, tol: float, max_iter: int | None) -> Any:
    """Of centred rows, of which the mean is taken off products: (X - 1 m')' (X - 1 m') v."""
    vector = np.zeros((1, n_features + 1))
    mean, total = np.zeros(n_features), 1.0
    if fit_intercept:
        mean, total = yield from _passes.means(n_features)
    loss, gradient = yield _passes.Evaluate(np.zeros((1, n_features + 1)))
    if not np.isfinite(loss):
        raise overflow_error()
    right = mean * gradient[0, -1] - gradient[0, :-1]
    search = _search(right, alpha, tol, max_iter)
    asked = _advance(search, None)
    while not isinstance(asked, _Found):
        vector[0, :-1] = asked
        vector[0, -1] = -(mean @ asked)
        product = yield _passes.Product(vector)
        asked = _advance(search, product[0, :-1] - mean * product[0, -1])
    coef = asked.solution
    intercept = -gradient[0, -1] / total - mean @ coef if fit_intercept else 0.0
    return np.append(coef, intercept)
