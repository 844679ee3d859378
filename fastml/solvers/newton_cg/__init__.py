"""Newton's method with conjugate gradients for its steps."""

from fastml.solvers.newton_cg._search import search

__all__ = ["search"]
