"""What the six estimators trained by stochastic gradient descent share.

Each is scikit-learn's class of its name with ``fit`` and ``partial_fit`` of our own: parameters, their constraints,
tags, probabilities and the sparsifying of ``coef_`` are inherited.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from fastml._config import resolve_device
from fastml._device_input import device_of
from fastml._log import log_ran
from fastml._validation import check_sample_weight, for_kernels, raise_if_not_finite
from fastml.kernels.sgd_state import SPARSE_INTERCEPT_DECAY, Rule
from fastml.solvers import sgd

MAX_SEED = np.iinfo(np.int32).max


class Start(NamedTuple):
    """Where a run begins: arrays of shape (n_models, n_features) and (n_models,)."""

    coef: np.ndarray
    intercept: np.ndarray
    average_coef: np.ndarray | None = None
    average_intercept: np.ndarray | None = None


class StochasticGradientDescent:
    """Mixin: from an estimator's parameters to a call of the solver, and from its solution to the attributes."""

    # None until there are weights.
    coef_: Any
    _average_coef: Any

    def _objective(self) -> tuple[float, Any, str]:
        """alpha, loss and learning rate schedule."""
        return self.alpha, self.loss, self.learning_rate

    def _rule(self, X: Any, one_class: bool) -> Rule:
        _, loss, schedule = self._objective()
        tracks_objective = self.tol is not None and not self.early_stopping
        return Rule(
            loss=loss,
            penalty=self.penalty or "none",
            schedule=schedule,
            average=int(self.average),
            fit_intercept=bool(self.fit_intercept),
            one_class=one_class,
            intercept_decay=SPARSE_INTERCEPT_DECAY if sparse.issparse(X) else 1.0,
            record=bool(tracks_objective or self.verbose),
        )

    def _hyperparameters(self, **model: float) -> dict[str, float]:
        alpha, _, _ = self._objective()
        return {
            "alpha": alpha,
            "l1_ratio": self._get_l1_ratio(),
            "eta0": self.eta0,
            "power_t": self.power_t,
            "epsilon": self.epsilon,
            **model,
        }

    def _solve(
        self,
        X: Any,
        target: np.ndarray,
        sample_weight: np.ndarray | None,
        hyperparameters: list[dict[str, float]],
        start: Start,
        max_iter: int,
        seed: int | None,
        validation: sgd.Validation | None = None,
        n_classes: int = 1,
        one_class: bool = False,
    ) -> sgd.Solution:
        """Run the solver, and store what it found but for coef_ and intercept_, whose shapes differ."""
        device = resolve_device(device_of(X), gpu_pays=False)
        rule = self._rule(X, one_class)
        models = sgd.make_models(rule, hyperparameters)
        state = sgd.initial_state(rule, models, *start, t=getattr(self, "t_", 1.0))
        stopping = sgd.Stopping(
            max_iter, -np.inf if self.tol is None else self.tol, int(self.n_iter_no_change)
        )
        if validation is not None:  # the rows held out are not seen by the kernels
            raise_if_not_finite(self, X)
        solution = sgd.solve(
            for_kernels(X, device),
            target,
            sample_weight,
            state,
            rule,
            stopping,
            seed=seed,
            n_classes=n_classes,
            validation=validation,
            check_X=lambda: raise_if_not_finite(self, X),
            device=device,
            verbose=self.verbose,
        )
        self.n_iter_ = int(solution.n_iter.max())
        self.t_ = getattr(self, "t_", 1.0) + self.n_iter_ * X.shape[0]
        log_ran(self, "fit", device)
        return solution

    def _chosen_weights(self, solution: sgd.Solution) -> tuple[Any, np.ndarray]:
        """The weights to predict with: averaged ones once there are any; both kinds are kept for partial_fit."""
        if not self.average:
            return solution.coef, solution.intercept
        self._standard_coef, self._standard_intercept = solution.coef, solution.intercept
        self._average_coef, self._average_intercept = solution.average_coef, solution.average_intercept
        if self.average <= self.t_ - 1.0:
            return solution.average_coef, solution.average_intercept
        return solution.coef, solution.intercept

    def _continued(self, X: Any, n_models: int, intercept: np.ndarray) -> Start:
        """Start where the last call of partial_fit stopped."""
        coef = np.atleast_2d(self.coef_)
        if coef.shape[1] != X.shape[1]:
            raise ValueError(f"Number of features {X.shape[1]} does not match previous data {coef.shape[1]}.")
        if len(coef) != n_models:
            raise ValueError(
                f"coef_ holds the weights of {len(coef)} models; {n_models} are to be continued."
            )
        if not self.average or getattr(self, "_average_coef", None) is None:
            return Start(coef.astype(X.dtype), intercept)
        return Start(
            np.atleast_2d(self._standard_coef).astype(X.dtype),
            self._standard_intercept,
            np.atleast_2d(self._average_coef).astype(X.dtype),
            self._average_intercept,
        )

    def _sample_weight(self, sample_weight: Any, X: Any) -> np.ndarray | None:
        """Validated weights; None, which stands for all ones, stays None."""
        if sample_weight is None:
            return None
        return check_sample_weight(sample_weight, X, allow_all_zero=bool(self.early_stopping))

    def _permutation_seed(self, random_state: np.random.RandomState) -> int | None:
        """Seed of the permutations; None where rows keep their order."""
        seed = random_state.randint(MAX_SEED)
        return seed if self.shuffle else None

    def _store_coef(self, coef: np.ndarray) -> None:
        """Set coef_: in place after partial_fit, as in scikit-learn, whose callers may hold on to the array."""
        held = getattr(self, "coef_", None)
        if held is not None and held.flags.writeable and (held.shape, held.dtype) == (coef.shape, coef.dtype):
            held[...] = coef
        else:
            self.coef_ = coef

    def _warn_after_fit(self) -> None:
        if self.tol is not None and self.tol > -np.inf and self.n_iter_ == self.max_iter:
            warnings.warn(
                "Maximum number of iteration reached before convergence. Consider increasing max_iter to improve "
                "the fit.",
                ConvergenceWarning,
                stacklevel=3,
            )
        if self.power_t < 0:
            warnings.warn(
                "Negative values for `power_t` are deprecated in version 1.8 and will raise an error in 1.10. "
                "Use values in the range [0.0, inf) instead.",
                FutureWarning,
                stacklevel=3,
            )


def single_start(n_features: int, dtype: np.dtype, coef_init: Any, intercept_init: Any) -> Start:
    """Initial weights of one model, as given to ``fit`` or zero.

    Raises
    ------
    ValueError
        If a given array has another shape.
    """
    coef = np.zeros((1, n_features), dtype)
    intercept = np.zeros(1, dtype)
    if coef_init is not None:
        coef = np.asarray(coef_init, dtype=dtype).reshape(1, -1)
        if coef.shape != (1, n_features):
            raise ValueError("Provided coef_init does not match dataset.")
    if intercept_init is not None:
        intercept = np.asarray(intercept_init, dtype=dtype)
        if intercept.shape not in ((1,), ()):
            raise ValueError("Provided intercept_init does not match dataset.")
        intercept = intercept.reshape(1)
    return Start(coef, intercept)
