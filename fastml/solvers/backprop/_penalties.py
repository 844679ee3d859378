"""Penalties on parameters and on outputs."""

import numpy as np


class ElasticNet:
    """``l1 * sum |w| + l2 * sum w²``."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1, self.l2 = l1, l2

    def value(self, weights: np.ndarray) -> float:
        value = 0.0
        if self.l1:
            value += self.l1 * float(np.abs(weights).sum(dtype=np.float64))
        if self.l2:
            flat = weights.reshape(-1)
            value += self.l2 * float(flat @ flat)
        return value

    def add_gradient(self, weights: np.ndarray, gradient: np.ndarray) -> None:
        if self.l1:
            gradient += self.l1 * np.sign(weights)
        if self.l2:
            gradient += (2 * self.l2) * weights


class Orthogonal:
    """``factor`` times the mean absolute cosine between two different rows (columns) of a matrix; 0 of a lone one."""

    def __init__(self, factor: float, by_rows: bool):
        self.factor, self.by_rows = factor, by_rows

    def value(self, weights: np.ndarray) -> float:
        cosines, _, _ = self._cosines(weights)
        return self.factor * float(np.abs(cosines).sum()) / self._pairs(cosines) / 2

    def add_gradient(self, weights: np.ndarray, gradient: np.ndarray) -> None:
        cosines, units, norms = self._cosines(weights)
        slope = np.sign(cosines) @ units * (self.factor / self._pairs(cosines))
        slope -= units * np.sum(slope * units, axis=1, keepdims=True)
        slope /= norms
        gradient += slope if self.by_rows else slope.T

    def _cosines(self, weights):
        rows = weights if self.by_rows else weights.T
        norms = np.sqrt(np.maximum(np.sum(rows * rows, axis=1, keepdims=True), 1e-12))
        units = rows / norms
        cosines = units @ units.T
        np.fill_diagonal(cosines, 0)
        return cosines, units, norms

    @staticmethod
    def _pairs(cosines):
        return max(1, len(cosines) * (len(cosines) - 1) // 2)
