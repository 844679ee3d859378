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


def draw_folds(n, random_state):
    """The fold, 0 to 4, in which each of n rows is held out: sizes differ by at most one."""
    ends = np.arange(N_FOLDS + 1) * n // N_FOLDS
    folds = np.empty(n, np.intp)
    folds[random_state.permutation(n)] = np.repeat(np.arange(N_FOLDS), np.diff(ends))
    return folds


def fit_sigmoid(values, positive):
    """A and B of P(positive | value) = 1 / (1 + exp(A value + B)), by Newton steps with backtracking.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Decision values of rows that were not trained on.
    positive : ndarray of bool, shape (n,)

    Returns
    -------
    A, B : float

    References
    ----------
    Lin, Lin, Weng 2007, algorithm 1 and appendix C, constants included.
    """
    n_positive = np.count_nonzero(positive)
    n_negative = len(values) - n_positive
    # Platt's targets: the posterior means under a uniform prior, not 1 and 0.
    target = np.where(positive, (n_positive + 1.0) / (n_positive + 2.0), 1.0 / (n_negative + 2.0))
    A, B = 0.0, np.log((n_negative + 1.0) / (n_positive + 1.0))
    loss = _cross_entropy(A * values + B, target)
    for _ in range(MAX_STEPS):
        p = expit(-(A * values + B))
        slope = target - p
        gradient_A, gradient_B = values @ slope, slope.sum()
        if abs(gradient_A) < 1e-5 and abs(gradient_B) < 1e-5:
            break
        curvature = p * (1.0 - p)
        weighted = values * curvature
        # A small multiple of the identity makes the Hessian positive definite in floating point too.
        h_AA, h_AB, h_BB = values @ weighted + 1e-12, weighted.sum(), curvature.sum() + 1e-12
        determinant = h_AA * h_BB - h_AB * h_AB
        step_A = (h_AB * gradient_B - h_BB * gradient_A) / determinant
        step_B = (h_AB * gradient_A - h_AA * gradient_B) / determinant
        descent = gradient_A * step_A + gradient_B * step_B
        size = 1.0
        while size >= 1e-10:
            new_loss = _cross_entropy((A + size * step_A) * values + (B + size * step_B), target)
            if new_loss < loss + 1e-4 * size * descent:
                break
            size /= 2.0
        else:
            break
        A, B, loss = A + size * step_A, B + size * step_B, new_loss
    return float(A), float(B)


def _cross_entropy(z, target):
    """Of the probabilities 1 / (1 + exp(z)), without overflow for z of either sign."""
    return target @ z + np.logaddexp(0.0, -z).sum()


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
    for pair, (i, j) in enumerate(zip(first, second)):
        system[:, i, i] += (1.0 - r[:, pair]) ** 2
        system[:, j, j] += r[:, pair] ** 2
    constants = np.zeros((n_rows, n_classes + 1, 1))
    constants[:, -1] = 1.0
    # Clipped, where a zero comes out negative by rounding.
    p = np.linalg.solve(system, constants)[:, :-1, 0].clip(np.finfo(np.float64).tiny)
    return p / p.sum(axis=1, keepdims=True)
