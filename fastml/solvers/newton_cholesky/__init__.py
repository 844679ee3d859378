"""Newton's method with the whole Hessian."""

from fastml.solvers.newton_cholesky._search import search

__all__ = ["search"]
