"""What LinearSVC and LinearSVR share: input, the choice of a solver, what is stored."""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm._base import _get_liblinear_solver_type
from sklearn.svm._classes import _validate_dual_parameter
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from fastml._config import get_config
from fastml._log import log_ran
from fastml._validation import for_kernels, raise_if_not_finite
from fastml.kernels import for_device
from fastml.kernels.linear_data import Data
from fastml.solvers._models import Solution
from fastml.svm._base import MAX_SEED
from fastml.svm._limits import check_limits


class LinearFit:
    """Mixin: from an estimator's parameters to the solvers' data, and from their solution to the attributes."""

    # scikit-learn's parameters.
    tol: Any
    C: Any
    dual: Any
    loss: Any
    random_state: Any
    intercept_scaling: Any
    fit_intercept: Any
    max_iter: Any

    def _require_cpu(self, family: str) -> None:
        """An explicit "cuda" is not quietly overruled.

        Parameters
        ----------
        family : {"dual_cd", "newton"}
            Of the kernels that the fit needs.

        Raises
        ------
        RuntimeError
        """
        if get_config()["device"] == "cuda":
            reason = getattr(for_device("reference"), family).LEFT_OUT["cuda"]
            raise RuntimeError(
                f"{type(self).__name__} runs on the CPU only. Its solver, {family}, has no CUDA kernels: {reason}. Use "
                "fastml.set_config(device='auto') or device='cpu'."
            )

    def _check_numbers(self) -> None:
        """What liblinear and scikit-learn ask for where parameters are not validated.

        Raises
        ------
        ValueError
        """
        check_limits(tol=self.tol, C=self.C)
        if self.fit_intercept and self.intercept_scaling <= 0:
            raise ValueError(
                f"Intercept scaling is {self.intercept_scaling!r} but needs to be greater than 0. To disable fitting "
                "an intercept, set fit_intercept=False."
            )

    def _is_dual(self, X: Any, penalty: str, multi_class: str) -> bool:
        """scikit-learn's choice, and its error where no solver takes these parameters."""
        dual = _validate_dual_parameter(self.dual, self.loss, penalty, multi_class, X)
        _get_liblinear_solver_type(multi_class, penalty, self.loss, dual)
        return dual

    def _seed(self) -> int:
        return check_random_state(self.random_state).randint(MAX_SEED)

    def _data(self, X: Any, target: np.ndarray, sample_weight: np.ndarray | None) -> Data:
        raise_if_not_finite(self, X)
        bias = float(self.intercept_scaling) if self.fit_intercept else 0.0
        return Data(for_kernels(X, "cpu"), np.ascontiguousarray(target), sample_weight, bias)

    def _store(self, solution: Solution) -> None:
        """coef_, intercept_ and n_iter_, with scikit-learn's types and its layout by columns."""
        self.coef_ = np.asfortranarray(solution.coef)
        self.intercept_ = self.intercept_scaling * solution.bias_coef if self.fit_intercept else 0.0
        self.n_iter_ = int(solution.n_iter.max())

    def _end_fit(self) -> None:
        log_ran(self, "fit", "cpu")
        if self.n_iter_ >= self.max_iter:
            warnings.warn(
                "Liblinear failed to converge, increase the number of iterations.",
                ConvergenceWarning,
                stacklevel=4,  # past fit and the wrapper that validates parameters
            )


def checked_weights(sample_weight: Any, X: Any) -> np.ndarray | None:
    """Weights in float64, those of 0 or less as 0: such rows are left out. None, all ones, stays None.

    Raises
    ------
    ValueError
        With scikit-learn's wording.
    """
    if sample_weight is None:
        return None
    sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    return np.ascontiguousarray(np.maximum(sample_weight, 0.0))
