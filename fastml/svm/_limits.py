"""Numbers that an optimisation has no meaning with: refused where scikit-learn's parameters are not validated, too."""

from typing import Any

# As LIBSVM and liblinear say it: the parameter, what they call it, whether it may be zero, and the largest value.
_LIMITS: dict[str, tuple[str, bool, float]] = {
    "tol": ("eps", False, float("inf")),
    "C": ("C", False, float("inf")),
    "cache_size": ("cache_size", False, float("inf")),
    "epsilon": ("epsilon", True, float("inf")),
    "gamma": ("gamma", True, float("inf")),
    "nu": ("nu", False, 1.0),
}


def check_limits(**parameters: Any) -> None:
    """Raise a ValueError for a parameter out of its range.

    ``sklearn.config_context(skip_parameter_validation=True)`` turns scikit-learn's own check off, but not this one,
    which is LIBSVM's.

    Parameters
    ----------
    **parameters : numbers
        Named as the estimators' parameters are.
    """
    for name, value in parameters.items():
        called, may_be_zero, highest = _LIMITS[name]
        if (value < 0 if may_be_zero else value <= 0) or value > highest:
            bound = f"{called} {'<' if may_be_zero else '<='} 0"
            raise ValueError(bound if highest == float("inf") else f"{bound} or {called} > {highest:g}")
