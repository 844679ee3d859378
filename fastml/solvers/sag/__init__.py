"""Stochastic average gradient: SAG, and SAGA with a proximal step for l1 penalties."""

from fastml.solvers.sag._solve import Settings, Solution, solve

__all__ = ["Settings", "Solution", "solve"]
