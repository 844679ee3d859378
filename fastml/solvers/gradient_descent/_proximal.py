"""Penalties without a gradient, by their proximal maps: argmin_u 1/2 |u - w|^2 + step penalty(u).

A new one is a class with these two methods (Parikh and Boyd, "Proximal Algorithms", Foundations and Trends in
Optimization 1, 2014).
"""

from typing import Protocol

import numpy as np


class Penalty(Protocol):
    """Of the coefficients, an array of shape (n_columns, n_features); intercepts have none."""

    def value(self, coef: np.ndarray) -> float:
        """The penalty; inf where it forbids ``coef``."""

    def nearest(self, coef: np.ndarray, step: float) -> np.ndarray:
        """The proximal map for a step."""


class Nothing:
    """No penalty but the objective's own l2."""

    def value(self, coef: np.ndarray) -> float:
        return 0.0

    def nearest(self, coef: np.ndarray, step: float) -> np.ndarray:
        return coef


class L1:
    """``strength`` |coef|_1; with the objective's l2, the elastic net."""

    def __init__(self, strength: float):
        self.strength = strength

    def value(self, coef: np.ndarray) -> float:
        return self.strength * float(np.abs(coef).sum())

    def nearest(self, coef: np.ndarray, step: float) -> np.ndarray:
        return np.sign(coef) * np.maximum(np.abs(coef) - step * self.strength, 0.0) + 0.0  # no -0.0


class Box:
    """Bounds: scalars, or arrays that broadcast against the coefficients."""

    def __init__(self, lower: float | np.ndarray, upper: float | np.ndarray):
        self.lower, self.upper = lower, upper

    def value(self, coef: np.ndarray) -> float:
        return 0.0 if ((coef >= self.lower) & (coef <= self.upper)).all() else np.inf

    def nearest(self, coef: np.ndarray, step: float) -> np.ndarray:
        return np.clip(coef, self.lower, self.upper)


class Both:
    """A penalty inside bounds: of a sum over coefficients, the bounds' projection of the map is the sum's own map."""

    def __init__(self, penalty: Penalty, box: Box):
        self.penalty, self.box = penalty, box

    def value(self, coef: np.ndarray) -> float:
        return self.penalty.value(coef) + self.box.value(coef)

    def nearest(self, coef: np.ndarray, step: float) -> np.ndarray:
        return self.box.nearest(self.penalty.nearest(coef, step), step)
