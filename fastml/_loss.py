"""Losses of the user's own: scalar functions that the kernels compile into their loops."""

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastml._user_functions import UserFunctions, check_compiled

if TYPE_CHECKING:
    import numpy as np

# Not at 0 and +-1, where many losses have a kink.
MARGINS_TRIED = (-2.3, -0.7, -0.1, 0.2, 0.9, 3.1)


class Loss(UserFunctions):
    """A loss given by plain scalar functions, compiled into the same loop as the built-in ones.

    Parameters
    ----------
    value : numba.njit function
        ``f(y, margin) -> float``: the loss of one sample. y is -1 or +1 for classifiers, and as given for
        regressors.
    derivative : numba.njit function
        ``f(y, margin) -> float``: its derivative by the margin.
    second_derivative : numba.njit function, optional
        ``f(y, margin) -> float``, for the solvers that use curvature.
    inverse_link : numba.njit function, optional
        ``f(margin) -> float``: the probability of the class +1; with it, classifiers have ``predict_proba``.
    lipschitz : float, optional
        A Lipschitz constant of ``derivative`` in the margin, for the solvers that take a fixed step.

    Raises
    ------
    TypeError
        If a function is not decorated with ``numba.njit``.
    ValueError
        If ``lipschitz`` is not positive.

    Notes
    -----
    ``value``, ``derivative`` and ``inverse_link`` are compiled with ``error_model="numpy"``: a division by
    zero gives inf or NaN, as in the built-in losses, and ends the fit with the error for overflow. So does an
    exception, which stands for NaN: no loop over samples could pass it on.

    Examples
    --------
    >>> from numba import njit
    >>> from fastml import Loss
    >>> @njit
    ... def value(y, margin):
    ...     return max(0.0, 1.0 - y * margin)
    >>> @njit
    ... def derivative(y, margin):
    ...     return -y if y * margin <= 1.0 else 0.0
    >>> hinge = Loss(value, derivative)
    """

    def __init__(
        self,
        value: Any,
        derivative: Any,
        *,
        second_derivative: Any = None,
        inverse_link: Any = None,
        lipschitz: float | None = None,
    ):
        for name, function, required in (
            ("value", value, True),
            ("derivative", derivative, True),
            ("second_derivative", second_derivative, False),
            ("inverse_link", inverse_link, False),
        ):
            if required or function is not None:
                check_compiled(name, function)
        if lipschitz is not None and not lipschitz > 0:
            raise ValueError(f"lipschitz must be a positive number or None; got {lipschitz!r}.")
        self.value = value
        self.derivative = derivative
        self.second_derivative = second_derivative
        self.inverse_link = inverse_link
        self.lipschitz = lipschitz

    def _functions(self) -> tuple[Any, ...]:
        return self.value, self.derivative, self.second_derivative, self.inverse_link

    def _numbers(self) -> tuple[Any, ...]:
        return (self.lipschitz,)

    def __repr__(self) -> str:
        return f"Loss({self.value.__name__}, {self.derivative.__name__})"

    @cached_property
    def _compiled_value(self) -> Any:
        return _compile_scalar("value", self.value)

    @cached_property
    def _compiled_derivative(self) -> Any:
        return _compile_scalar("derivative", self.derivative)

    @cached_property
    def _compiled_second_derivative(self) -> Any:
        return _compile_scalar("second_derivative", self.second_derivative)

    def compile(self) -> None:
        """Compile both functions now.

        Raises
        ------
        TypeError
            Naming the function that is not one of two float64 to a float64.
        """
        _ = self._compiled_value, self._compiled_derivative

    def raise_if_inconsistent(self, targets: "np.ndarray") -> None:
        """Raise if a function is not the derivative of the one before it, which line searches rely on.

        Parameters
        ----------
        targets : ndarray of float64
            Values of y to try.

        Raises
        ------
        ValueError
            If difference quotients contradict at most of the margins tried; kinks and the ends of a domain are few.
        """
        pairs = [("derivative", "value", self._compiled_derivative.ctypes, self._compiled_value.ctypes)]
        if self.second_derivative is not None:
            pairs.append(
                (
                    "second_derivative",
                    "derivative",
                    self._compiled_second_derivative.ctypes,
                    self._compiled_derivative.ctypes,
                )
            )
        for name, of, slope, function in pairs:
            wrong = [found for y in targets for found in _contradictions(slope, function, float(y))]
            if 2 * len(wrong) > len(targets) * len(MARGINS_TRIED):
                y, margin, given, quotient = wrong[0]
                raise ValueError(
                    f"{name} is not the derivative of {of}: at y={y:g} and margin={margin:g} it is {given:g}, and the "
                    f"difference quotient of {of} is {quotient:g}."
                )

    def probability(self, margins: "np.ndarray") -> "np.ndarray":
        """``inverse_link`` of every margin, in float64.

        Parameters
        ----------
        margins : ndarray of float

        Returns
        -------
        ndarray of float64, of the shape of ``margins``
        """
        return self._compiled_probability(margins.astype("float64"))

    @cached_property
    def _compiled_probability(self) -> Any:
        return _compile_elementwise("inverse_link", self.inverse_link)

    @property
    def value_address(self) -> int:
        """Address of ``double value(double y, double margin)``, compiled."""
        return self._compiled_value.address

    @property
    def derivative_address(self) -> int:
        """Address of ``double derivative(double y, double margin)``, compiled."""
        return self._compiled_derivative.address

    @property
    def second_derivative_address(self) -> int:
        """Address of ``double second_derivative(double y, double margin)``, compiled."""
        return self._compiled_second_derivative.address


def _contradictions(slope: Any, function: Any, y: float) -> list[tuple[float, float, float, float]]:
    """Margins at which ``slope`` differs from the central difference quotient by more than a tenth.

    Returns
    -------
    list of (y, margin, slope, quotient)
    """
    found = []
    for margin in MARGINS_TRIED:
        step = 1e-4 * max(1.0, abs(margin))
        given, quotient = (
            slope(y, margin),
            (function(y, margin + step) - function(y, margin - step)) / (2 * step),
        )
        size = max(abs(given), abs(quotient))
        # Of a loss that hardly changes, the quotient is rounding alone.
        rounding = 1e-12 * abs(function(y, margin)) / step
        if math.isfinite(size) and abs(given - quotient) > 0.1 * size + rounding:
            found.append((y, margin, given, quotient))
    return found


def _compile_scalar(name: str, function: Any) -> Any:
    import numba
    import numpy as np

    inner = numba.njit(error_model="numpy")(function.py_func)

    def scalar(y, margin):
        try:
            return inner(y, margin)
        except Exception:  # which a C function has no way to pass on; NaN ends the fit
            return np.nan

    try:
        return numba.cfunc("float64(float64, float64)", error_model="numpy")(scalar)
    except numba.core.errors.NumbaError as error:
        raise TypeError(
            f"{name} must compile as a function of two float64 that returns a float64: {error}"
        ) from error


def _compile_elementwise(name: str, function: Any) -> Any:
    import numba
    import numpy as np

    inner = numba.njit(error_model="numpy")(function.py_func)

    @numba.njit(error_model="numpy")
    def elementwise(values):
        results = np.empty(values.shape, np.float64)
        for i in np.ndindex(values.shape):
            results[i] = inner(values[i])
        return results

    try:
        elementwise(np.zeros(1))
    except numba.core.errors.NumbaError as error:
        raise TypeError(
            f"{name} must compile as a function of a float64 that returns a float64: {error}"
        ) from error
    return elementwise
