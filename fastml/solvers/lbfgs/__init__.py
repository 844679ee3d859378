"""L-BFGS."""

from fastml.solvers.lbfgs._search import bytes_held, search

__all__ = ["bytes_held", "search"]
