"""Which solver can minimise which loss with which penalty."""

from typing import Any, NamedTuple

from fastml._loss import Loss
from fastml.solvers.gradient_descent import curvature_bound

SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "gd", "agd", "sag", "saga")

# What a solver cannot do without, or cannot have: one word for each, explained in `_REASONS`.
_NEEDS: dict[str, tuple[str, ...]] = {
    "lbfgs": ("smooth",),
    "newton-cg": ("smooth", "second_derivative"),
    "newton-cholesky": ("smooth", "second_derivative"),
    "gd": (),
    "agd": (),
    "sag": ("smooth", "lipschitz"),
    "saga": ("l1 at most", "lipschitz"),
}
_REASONS = {
    "smooth": "needs a penalty without kinks or bounds (penalty='l2' or None)",
    "l1 at most": "has a proximal step for penalty='l1' and 'elasticnet' only",
    "second_derivative": "needs the loss's second derivative (fastml.Loss(..., second_derivative=...))",
    "lipschitz": "needs a Lipschitz constant of the loss's derivative (fastml.Loss(..., lipschitz=...))",
    "fixed step": "needs a Lipschitz constant of the loss's derivative for its fixed step, or a step_size",
}


class Pair(NamedTuple):
    """A loss and a penalty, as solvers see them.

    Attributes
    ----------
    loss : str or fastml.Loss
    has_l1, is_bounded, is_custom : bool
        Of the penalty; custom is one of the user's own.
    has_fixed_step : bool
        Whether gradient descent is to go without line search, by a step that is not given.
    """

    loss: Any
    has_l1: bool
    is_bounded: bool
    is_custom: bool
    has_fixed_step: bool


def chosen_solver(solver: str, pair: Pair) -> str:
    """The solver asked for, or for "auto" one that can.

    Raises
    ------
    ValueError
        If the solver cannot; it names those that can.
    """
    if solver == "auto":
        solver = "lbfgs" if _lacks("lbfgs", pair) is None else "agd"
    lacking = _lacks(solver, pair)
    if lacking is not None:
        able = [repr(name) for name in SOLVERS if _lacks(name, pair) is None]
        those = (
            f"Solvers that can: {', '.join(able)}."
            if able
            else "No solver can without a line search or a step_size."
        )
        got = _penalty(pair) if lacking in ("smooth", "l1 at most") else f"loss={pair.loss!r}"
        raise ValueError(f"solver={solver!r} {_REASONS[lacking]}; got {got}. {those}")
    return solver


def _penalty(pair: Pair) -> str:
    """What of the penalty solvers may not be able to do with."""
    is_there = {"l1": pair.has_l1, "bounds": pair.is_bounded, "a penalty of your own": pair.is_custom}
    return " and ".join(name for name, there in is_there.items() if there)


def _lacks(solver: str, pair: Pair) -> str | None:
    """The first need of the solver that the pair does not meet."""
    is_given = {
        "smooth": not (pair.has_l1 or pair.is_bounded or pair.is_custom),
        "l1 at most": not (pair.is_bounded or pair.is_custom),
        "second_derivative": not isinstance(pair.loss, Loss) or pair.loss.second_derivative is not None,
        "lipschitz": curvature_bound(pair.loss) is not None,
    }
    for need in _NEEDS[solver]:
        if not is_given[need]:
            return need
    if solver in ("gd", "agd") and pair.has_fixed_step and not is_given["lipschitz"]:
        return "fixed step"
    return None
