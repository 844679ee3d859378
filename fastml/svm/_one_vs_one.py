"""The pairwise decision functions of all classes, from sums of kernel values by classes of support vectors; votes."""

from functools import lru_cache

import numpy as np

from fastml.kernels import for_device


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
        self.n_classes, self.intercept = len(n_support), intercept
        self._gram = for_device("cpu").gram

    def values(self, sums):
        """Decision values of shape (n_rows, n_pairs).

        Parameters
        ----------
        sums : ndarray of shape (n_rows, n_classes, n_classes - 1)
            What the support vectors of each class say of it and each of the others.
        """
        values = np.empty((len(sums), len(self.intercept)))
        self._gram.pair_values(sums, self.intercept, values)
        return values

    def votes(self, values):
        """The class that wins most pairs, the first of several: its number, for every row of decision values."""
        return self._gram.pair_votes(values, self.n_classes)


@lru_cache(maxsize=16)
def pair_indices(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second class of every pair, in LIBSVM's order."""
    return np.triu_indices(n_classes, 1)
