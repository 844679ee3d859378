"""The pairwise decision functions of all classes, from sums of kernel values by classes of support vectors; votes."""

from functools import lru_cache

import numpy as np


class OneVsOne:
    """The pairwise decision functions of all classes: positive for the pair's first class.

    A support vector of class c has a coefficient for each of the other classes: n_classes - 1 multiplications a
    kernel value.

    Parameters
    ----------
    n_support : ndarray of shape (n_classes,)
    intercept : ndarray of shape (n_classes * (n_classes - 1) / 2,)
    """

    def __init__(self, n_support, intercept):
        self.n_classes = len(n_support)
        self.intercept = intercept
        first, second = pair_indices(self.n_classes)
        # In LIBSVM's layout a class's coefficients against the others are in the order of these.
        self.of_first = first * (self.n_classes - 1) + second - 1
        self.of_second = second * (self.n_classes - 1) + first

    def values(self, sums):
        """Decision values of shape (n_rows, n_pairs).

        Parameters
        ----------
        sums : ndarray of shape (n_rows, n_classes, n_classes - 1)
            What the support vectors of each class say of it and each of the others.
        """
        flat = sums.reshape(len(sums), -1)
        values = flat.take(self.of_first, axis=1)
        values += flat.take(self.of_second, axis=1)
        values += self.intercept
        return values

    def votes(self, values):
        """The class that wins most pairs, the first of several: its number, for every row of decision values."""
        if self.n_classes == 2:
            return 1 - (values[:, 0] > 0).astype(np.intp)
        # A column a pair, so that all is done on whole arrays; and not by a matrix product, whose BLAS threads go on
        # spinning on processors that the caller's next fit or prediction needs.
        wins = np.ascontiguousarray((values > 0).T).astype(np.int32)
        # A class begins with a vote from each before it, which it loses where that one wins.
        counts = np.repeat(np.arange(self.n_classes, dtype=np.int32)[:, None], len(values), axis=1)
        start = 0
        for first in range(self.n_classes - 1):
            end = start + self.n_classes - 1 - first
            counts[first] += wins[start:end].sum(axis=0, dtype=np.int32)
            counts[first + 1 :] -= wins[start:end]
            start = end
        return counts.argmax(axis=0)


@lru_cache(maxsize=16)
def pair_indices(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second class of every pair, in LIBSVM's order."""
    return np.triu_indices(n_classes, 1)
