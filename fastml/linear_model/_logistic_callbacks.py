"""scikit-learn's callbacks around a fit, and around each of its iterations."""

from collections.abc import Callable
from typing import Any

import numpy as np


class FitCallbacks:
    """Tasks of one fit: the fit itself and, where callbacks are set, one for each iteration.

    An iteration's task begins when the one before it ends; the last one is ended empty (`end`), as scikit-learn's.

    Parameters
    ----------
    estimator : estimator with scikit-learn's ``CallbackSupportMixin``
    attributes : callable
        ``attributes(weights)`` gives coef_ and intercept_ by name.
    """

    def __init__(self, estimator: Any, attributes: Callable[[np.ndarray], dict[str, Any]]):
        self._estimator, self._attributes = estimator, attributes
        self._fit = estimator._init_callback_context(max_subtasks=max(estimator.max_iter, 1) + 1)
        self._data: dict[str, Any] = {}
        self._iteration: Any = None

    def begin(self, X: Any, y: Any, sample_weight: Any) -> None:
        """The fit begins."""
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._data = {"X": X, "y": y, "metadata": metadata}
        self._fit.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def of_iterations(self, start: np.ndarray) -> Callable[[np.ndarray], None] | None:
        """What the solver calls after each iteration; None if nobody listens."""
        if not hasattr(self._estimator, "_skl_callbacks"):
            return None
        self._begin_iteration(start)
        return self._after_iteration

    def _begin_iteration(self, weights: np.ndarray) -> None:
        self._iteration = self._fit.subcontext(task_name="lbfgs-iter")
        self._iteration.call_on_fit_task_begin(
            estimator=self._estimator, **self._data, reconstruction_attributes=self._attributes(weights)
        )

    def _after_iteration(self, weights: np.ndarray) -> None:
        self._iteration.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes=self._attributes(weights)
        )
        self._begin_iteration(weights)

    def end(self) -> None:
        """The fit has ended."""
        if self._iteration is not None:
            self._iteration.call_on_fit_task_end(estimator=self._estimator)
        self._fit.call_on_fit_task_end(estimator=self._estimator, **self._data, reconstruction_attributes={})
