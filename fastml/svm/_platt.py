"""Probabilities from decision values: a sigmoid for every pair of classes, and their coupling.

References
----------
J. Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized Likelihood Methods", 1999:
the sigmoid, its targets, and decision values from cross-validation to fit it to.
H.-T. Lin, C.-J. Lin, R. C. Weng, "A Note on Platt's Probabilistic Outputs for Support Vector Machines", Machine
Learning 68, 2007: how to fit it.
T.-F. Wu, C.-J. Lin, R. C. Weng, "Probability Estimates for Multi-class Classification by Pairwise Coupling", JMLR 5,
2004: the second method.
"""

import numpy as np
from scipy.special import expit

from fastml.svm._one_vs_one import pair_indices

N_FOLDS = 5
# Of the pairwise probabilities, whose coupling would be singular at 0 and 1.
MIN_PROBABILITY = 1e-7
# Newton steps of a sigmoid's fit at most, in LIBSVM too.
MAX_STEPS = 100


def draw_folds(sizes, random_state):
    """The fold, 0 to 4, in which each row of each pair of classes is held out.

    Parameters
    ----------
    sizes : ndarray of int, shape (n_pairs,)
        Rows of each pair: those of its folds differ by at most one.
    random_state : RandomState

    Returns
    -------
    ndarray of int, shape (sizes.sum(),)
    """
    starts = np.cumsum(sizes) - sizes
    place = np.arange(sizes.sum()) - np.repeat(starts, sizes)
    shuffled = [start + random_state.permutation(n) for start, n in zip(starts.tolist(), sizes.tolist())]
    folds = np.empty(len(place), np.intp)
    # A fold ends where, of n rows, k n // 5 are before.
    folds[np.concatenate(shuffled)] = (N_FOLDS * (place + 1) - 1) // np.repeat(sizes, sizes)
    return folds


def fit_sigmoids(values, positive, pair, n_pairs):
    """A and B of P(positive | value) = 1 / (1 + exp(A value + B)), of each pair, by Newton steps with backtracking.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Decision values of rows that were not trained on.
    positive : ndarray of bool, shape (n,)
    pair : ndarray of int, shape (n,)
    n_pairs : int

    Returns
    -------
    A, B : ndarray of float64, shape (n_pairs,)

    References
    ----------
    Lin, Lin, Weng 2007, algorithm 1 and appendix C, constants included.
    """
    n_positive = np.bincount(pair, positive, n_pairs)
    n_negative = np.bincount(pair, ~positive, n_pairs)
    # Platt's targets: the posterior means under a uniform prior, not 1 and 0.
    target = np.where(
        positive, ((n_positive + 1.0) / (n_positive + 2.0))[pair], (1.0 / (n_negative + 2.0))[pair]
    )
    A, B = np.zeros(n_pairs), np.log((n_negative + 1.0) / (n_positive + 1.0))
    loss = _cross_entropy(A, B, values, target, pair)
    left = np.arange(n_pairs)  # pairs whose sigmoid still moves; values, target and pair are theirs alone
    for _ in range(MAX_STEPS):
        p = expit(-(A[left[pair]] * values + B[left[pair]]))
        slope, curvature = target - p, p * (1.0 - p)
        weighted = values * curvature
        terms = values * slope, slope, values * weighted, weighted, curvature
        gradient_A, gradient_B, h_AA, h_AB, h_BB = np.array(
            [np.bincount(pair, term, len(left)) for term in terms]
        )
        # A small multiple of the identity makes the Hessian positive definite in floating point too.
        h_AA += 1e-12
        h_BB += 1e-12
        determinant = h_AA * h_BB - h_AB * h_AB
        step_A = (h_AB * gradient_B - h_BB * gradient_A) / determinant
        step_B = (h_AB * gradient_A - h_AA * gradient_B) / determinant
        descent = gradient_A * step_A + gradient_B * step_B
        searching = ~((np.abs(gradient_A) < 1e-5) & (np.abs(gradient_B) < 1e-5))
        size, moved = np.ones(len(left)), np.zeros(len(left), bool)
        while searching.any():
            own = searching[pair]
            new_A, new_B = A[left] + size * step_A, B[left] + size * step_B
            new_loss = _cross_entropy(new_A, new_B, values[own], target[own], pair[own])
            enough = searching & (new_loss < loss[left] + 1e-4 * size * descent)
            for of_pairs, new in ((A, new_A), (B, new_B), (loss, new_loss)):
                of_pairs[left[enough]] = new[enough]
            moved |= enough
            size[searching] /= 2.0
            searching &= ~enough & (size >= 1e-10)
        if not moved.all():
            own = moved[pair]
            values, target, pair = values[own], target[own], (np.cumsum(moved) - 1)[pair[own]]
            left = left[moved]
            if not len(left):
                break
    return A, B


def _cross_entropy(A, B, values, target, pair):
    """Of the probabilities 1 / (1 + exp(A value + B)), without overflow for a value of either sign; by pairs."""
    z = A[pair] * values + B[pair]
    return np.bincount(pair, target * z + np.logaddexp(0.0, -z), len(A))


def couple(decision, A, B, n_classes):
    """Class probabilities from pairwise decision values.

    They minimise the sum over pairs of (r_ji p_i - r_ij p_j)^2, where r_ij estimates P(i | i or j), among the p that
    sum to one. The minimum is the solution of one linear system (Wu, Lin, Weng 2004, eq. 21) and never negative
    (theorem 2); LIBSVM comes within 0.005 / n_classes of its equations by iteration.

    Parameters
    ----------
    decision : ndarray of shape (n_rows, n_classes * (n_classes - 1) / 2), float64
    A, B : ndarray of shape (n_pairs,)
        The pairs' sigmoids.
    n_classes : int

    Returns
    -------
    ndarray of shape (n_rows, n_classes), float64
    """
    r = np.clip(expit(-(decision * A + B)), MIN_PROBABILITY, 1.0 - MIN_PROBABILITY)
    if n_classes == 2:
        return np.hstack([r, 1.0 - r])
    n_rows = len(decision)
    first, second = pair_indices(n_classes)
    # The system of eq. 21: Q's diagonal holds sums of r_ji^2, the rest is -r_ji r_ij; bordered by the constraint.
    system = np.ones((n_rows, n_classes + 1, n_classes + 1))
    system[:, :-1, :-1] = 0.0
    system[:, -1, -1] = 0.0
    system[:, first, second] = system[:, second, first] = -r * (1.0 - r)
    opposed = np.zeros((n_rows, n_classes, n_classes))  # r_ji, in row i
    opposed[:, first, second], opposed[:, second, first] = 1.0 - r, r
    diagonal = np.arange(n_classes)
    system[:, diagonal, diagonal] = np.square(opposed).sum(axis=2)
    constants = np.zeros((n_rows, n_classes + 1, 1))
    constants[:, -1] = 1.0
    # Clipped, where a zero comes out negative by rounding.
    p = np.linalg.solve(system, constants)[:, :-1, 0].clip(np.finfo(np.float64).tiny)
    return p / p.sum(axis=1, keepdims=True)
