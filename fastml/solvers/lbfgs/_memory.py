"""The last steps and changes of the gradient, and the inverse Hessian that they make."""

import numpy as np
from scipy.linalg.lapack import dtrtrs

from fastml.solvers._vectors import combination, dot, rows_times


class Memory:
    """L-BFGS' inverse Hessian in its compact form: H = gamma I + (S, gamma Y) M (S, gamma Y)'.

    Two products of a thin matrix with a vector an iteration, where the two-loop recursion takes four vector operations
    for each pair in turn: products with a change of the gradient are differences of products with gradients.

    Parameters
    ----------
    n : int
        Length of the vectors.
    n_pairs : int
        Pairs kept; a new one takes the place of the oldest.

    References
    ----------
    R. H. Byrd, J. Nocedal, R. B. Schnabel, "Representations of Quasi-Newton Matrices and Their Use in Limited Memory
    Methods", Mathematical Programming 63, 1994, theorem 2.2 and section 3.2.
    """

    def __init__(self, n: int, n_pairs: int):
        self._capacity = n_pairs
        # Steps, then changes of the gradient; a pair's row in each half is its place.
        self._pairs = np.zeros((2 * n_pairs, n))
        self._products = np.zeros((n_pairs, n_pairs))  # s_i . y_j, by places
        self._changes = np.zeros((n_pairs, n_pairs))  # y_i . y_j
        self._order: list[int] = []  # places, oldest first
        self._gamma = 1.0
        self._of_gradient = np.zeros(2 * n_pairs)  # products of the pairs with the gradient last met
        self._gradient: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._order)

    def forget(self) -> None:
        """Leave the identity."""
        self._order, self._gamma = [], 1.0

    def add(self, step: np.ndarray, change: np.ndarray, curvature: float, gradient: np.ndarray) -> None:
        """Take a step from where ``direction`` was last asked for.

        Parameters
        ----------
        step : ndarray
        change : ndarray
            The gradient's, along the step.
        curvature : float
            Their inner product, which is positive.
        gradient : ndarray
            At the step's end, where the next direction will be asked for.
        """
        m, before = self._capacity, self._of_gradient
        place = len(self._order) if len(self._order) < m else self._order.pop(0)
        self._order.append(place)
        self._pairs[place], self._pairs[m + place] = step, change
        self._of_gradient = rows_times(self._pairs, gradient)
        products = self._of_gradient - before
        products[place], products[m + place] = curvature, dot(change, change)
        self._products[:, place] = products[:m]
        self._changes[:, place] = self._changes[place] = products[m:]
        # s_new . y_old belongs to the lower triangle, which the formula does not read.
        self._gamma = curvature / self._changes[place, place]
        self._gradient = gradient

    def direction(self, gradient: np.ndarray) -> np.ndarray:
        """- H times the gradient."""
        if gradient is not self._gradient:
            self._of_gradient = rows_times(self._pairs, gradient)
            self._gradient = gradient
        if not self._order:
            return -gradient
        gamma, m, order = self._gamma, self._capacity, self._order
        products = self._of_gradient
        places = np.array(order)
        in_order = places[:, None], places
        of_steps, of_changes = products[places], products[m + places]
        R = np.asfortranarray(self._products[in_order])  # of which LAPACK reads the upper triangle
        p, _ = dtrtrs(R, of_steps)
        q = R.diagonal() * p + gamma * (self._changes[in_order].dot(p) - of_changes)
        q, _ = dtrtrs(R, q, trans=1)
        factors = np.zeros(2 * m)
        factors[places], factors[m + places] = -q, gamma * p
        return combination(factors, self._pairs) - gamma * gradient
