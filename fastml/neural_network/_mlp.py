"""What MLPClassifier and MLPRegressor share: the fit, and how scikit-learn's methods get predictions.

Parameters, their constraints, tags, the checks of y, initial weights (drawn as scikit-learn draws them) and the
public methods that predict are inherited; the latter call ``_forward_pass_fast``.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.fixes import _get_additional_lbfgs_options_dict
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastml._config import resolve_device
from fastml._log import log_ran
from fastml._progress import progress_bar
from fastml._validation import check_sparse, unchanged_on_error
from fastml.neural_network._mlp_epochs import Epochs, full_objective, packed, unpacked
from fastml.neural_network._mlp_network import MLP, layer_units, predictions
from fastml.neural_network._mlp_updates import new_updates


class Split(NamedTuple):
    """Rows to train on, and those held out or None."""

    X: Any
    y: Any
    sample_weight: Any
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None


class MultilayerPerceptron:
    """Mixin: fit, and predictions."""

    coefs_: list[Any]
    intercepts_: list[Any]

    def _fit(self: Any, X, y, sample_weight=None, incremental=False):
        with unchanged_on_error(self):
            first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
            layer_units(1, self.hidden_layer_sizes, 1)  # before anything else, as in scikit-learn
            check_sparse(X)
            X, y = self._validate_input(X, y, incremental, reset=first)
            if sparse.issparse(X):
                X = X.tocsr()
            if sample_weight is not None:
                sample_weight = _check_sample_weight(sample_weight, X)
            y = y.reshape(len(y), -1)
            self.n_outputs_ = y.shape[1]
            units = layer_units(X.shape[1], self.hidden_layer_sizes, self.n_outputs_)
            self._random_state = check_random_state(self.random_state)
            if first:
                self._initialize(y, units, X.dtype)
            device = resolve_device("cpu", gpu_pays=False)
            if self.solver == "lbfgs":
                self._fit_lbfgs(X, y, sample_weight, device)
            else:
                self._fit_stochastic(X, y, sample_weight, incremental, device)
            if not all(np.isfinite(weights).all() for weights in (*self.coefs_, *self.intercepts_)):
                raise ValueError(
                    "Solver produced non-finite parameter weights. The input data may contain large values and need "
                    "to be preprocessed."
                )
            log_ran(self, "partial_fit" if incremental else "fit", device)
        return self

    # L-BFGS

    def _fit_lbfgs(self: Any, X, y, sample_weight, device):
        # SciPy's vectors are float64, and with them everything scikit-learn computes here.
        X = X.astype(np.float64, copy=False)
        mlp = MLP(self.coefs_, self.intercepts_, self.activation, self.out_activation_, X, device)
        verbose = self.verbose is True or self.verbose >= 1
        result = scipy.optimize.minimize(
            full_objective(mlp, X, y, sample_weight, self.alpha),
            packed([*self.coefs_, *self.intercepts_]),
            method="L-BFGS-B",
            jac=True,
            options={
                "maxfun": self.max_fun,
                "maxiter": self.max_iter,
                "gtol": self.tol,
                **_get_additional_lbfgs_options_dict("iprint", 1 if verbose else -1),
            },
        )
        self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        self.loss_ = result.fun
        weights = unpacked(result.x, mlp)
        self.coefs_, self.intercepts_ = weights[: len(mlp.coefs)], weights[len(mlp.coefs) :]

    def _loss_grad_lbfgs(self: Any, packed_coef_inter, X, y, sample_weight, *buffers):
        """The objective at some weights and its gradient, where scikit-learn's class has them."""
        device = resolve_device("cpu", gpu_pays=False)
        mlp = MLP(self.coefs_, self.intercepts_, self.activation, self.out_activation_, X, device)
        return full_objective(mlp, X, y, sample_weight, self.alpha)(packed_coef_inter)

    # Stochastic solvers

    def _fit_stochastic(self: Any, X, y, sample_weight, incremental, device):
        updates = self._optimizer if incremental and hasattr(self, "_optimizer") else new_updates(self)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        split = self._split(X, y, sample_weight)
        mlp = MLP(self.coefs_, self.intercepts_, self.activation, self.out_activation_, split.X, device)
        optimizer = updates.resume(mlp.parameters)
        batch_size = self._effective_batch_size(split.X.shape[0])
        epochs = Epochs(mlp, split.X, split.y, split.sample_weight, self.alpha, batch_size, optimizer)
        self._optimizer = updates
        self.coefs_, self.intercepts_ = mlp.weights()
        self.loss_curve_ = list(self.loss_curve_)
        if self.early_stopping:
            self.validation_scores_ = list(self.validation_scores_)
        try:
            self._run_epochs(epochs, mlp, split, updates, incremental)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        self.coefs_, self.intercepts_ = mlp.weights()
        updates.keep(optimizer, mlp.parameters)
        if self.early_stopping:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts
        else:
            self.coefs_ = [coef.copy() for coef in self.coefs_]
            self.intercepts_ = [intercept.copy() for intercept in self.intercepts_]

    def _split(self: Any, X, y, sample_weight) -> Split:
        if not self.early_stopping:
            return Split(X, y, sample_weight)
        # Several labels at once have no classes to stratify by.
        stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
        parts = train_test_split(
            *((X, y) if sample_weight is None else (X, y, sample_weight)),
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=stratify,
        )
        X, X_val, y, y_val, weight, weight_val = [*parts, None, None][:6]
        if X_val.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        if is_classifier(self):
            y_val = self._label_binarizer.inverse_transform(y_val)
        return Split(X, y, weight, X_val, y_val, weight_val)

    def _effective_batch_size(self: Any, n_samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                stacklevel=5,
            )
        return min(self.batch_size, n_samples)

    def _run_epochs(self: Any, epochs: Epochs, mlp: MLP, split: Split, updates, incremental) -> None:
        n_samples = split.X.shape[0]
        order = np.arange(n_samples)
        self.n_iter_ = 0
        with progress_bar(1 if incremental else self.max_iter, type(self).__name__, "epoch") as bar:
            for _ in range(self.max_iter):
                if self.shuffle:
                    order = order[self._permutation(n_samples)]
                self.loss_ = epochs.run(order, updates.step_size())
                # For the epoch's score.
                self.coefs_, self.intercepts_ = mlp.weights()
                self._end_epoch(n_samples, split)
                updates.epoch_ends(self.t_)
                bar.update()
                if self._no_improvement_count > self.n_iter_no_change:
                    if updates.stops(self._why_to_stop(), self.verbose):
                        break
                    self._no_improvement_count = 0
                if incremental:
                    break
                if self.n_iter_ == self.max_iter:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                        "hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=6,
                    )

    def _permutation(self: Any, n_samples: int) -> np.ndarray:
        """The one that ``sklearn.utils.shuffle`` draws."""
        permutation = np.arange(n_samples)
        self._random_state.shuffle(permutation)
        return permutation

    def _end_epoch(self: Any, n_samples: int, split: Split) -> None:
        self.n_iter_ += 1
        self.t_ += n_samples
        self.loss_curve_.append(self.loss_)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
        self._update_no_improvement_count(
            self.early_stopping, split.X_val, split.y_val, split.sample_weight_val
        )

    def _why_to_stop(self: Any) -> str:
        what = "Validation score" if self.early_stopping else "Training loss"
        return f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."

    # Predictions

    def _forward_pass_fast(self: Any, X, check_input=True):
        if check_input:
            check_sparse(X)
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        if sparse.issparse(X):
            X = X.tocsr()
        device = resolve_device("cpu", gpu_pays=False)
        return predictions(X, self.coefs_, self.intercepts_, self.activation, self.out_activation_, device)
