"""Gradient descent and its accelerated kind, with proximal steps where the penalty has a kink."""

from fastml.solvers.gradient_descent._accelerated import search as accelerated
from fastml.solvers.gradient_descent._lipschitz import curvature_bound, lipschitz
from fastml.solvers.gradient_descent._plain import search as plain
from fastml.solvers.gradient_descent._proximal import L1, Both, Box, Nothing, Penalty

__all__ = ["L1", "Both", "Box", "Nothing", "Penalty", "accelerated", "curvature_bound", "lipschitz", "plain"]
