"""Many linear models over one X: a grid of settings, trained in shared passes."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite, check_scalar

from fastml._config import resolve_device
from fastml._device_input import device_of
from fastml._loss import Loss
from fastml._validation import check_matrix, for_kernels
from fastml.kernels.sgd_state import LOSSES, PENALTIES, SCHEDULES, SPARSE_INTERCEPT_DECAY, Rule
from fastml.solvers.sgd._solve import Solution, Stopping, initial_state, make_models, solve


class Fitted(NamedTuple):
    """One setting's models, as ``fit_many`` gives them.

    Attributes
    ----------
    coef : ndarray of shape (n_outputs, n_features), dtype of X
    intercept : ndarray of shape (n_outputs,)
    n_iter : int
    """

    coef: np.ndarray
    intercept: np.ndarray
    n_iter: int


# SGDClassifier's defaults; what a setting may name.
_DEFAULTS = {
    "loss": "hinge",
    "penalty": "l2",
    "learning_rate": "optimal",
    "alpha": 1e-4,
    "l1_ratio": 0.15,
    "eta0": 0.01,
    "power_t": 0.5,
    "epsilon": 0.1,
}

# From so many models on, the GPU's time per row (about a microsecond, whatever their number) is less than the
# CPU's. An estimate, to be replaced by a measured number.
MIN_MODELS_FOR_GPU = 64

MAX_SEED = 2**32 - 1

# Where they may lie.
_NUMBERS = {
    "alpha": (0.0, np.inf),
    "l1_ratio": (0.0, 1.0),
    "eta0": (0.0, np.inf),
    "power_t": (-np.inf, np.inf),
    "epsilon": (0.0, np.inf),
}


def fit_many(
    X: Any,
    y: Any,
    models: Sequence[dict[str, Any]],
    *,
    n_classes: int | None = None,
    sample_weight: Any = None,
    fit_intercept: bool = True,
    average: int = 0,
    max_iter: int = 5,
    tol: float | None = None,
    n_iter_no_change: int = 5,
    shuffle: bool = True,
    random_state: int = 0,
) -> list[Fitted]:
    """Train many linear models over one X, in shared passes.

    Settings of one loss, penalty and schedule advance together, row by row: on the CPU a row is read once for all
    of them and threads share the models; on a GPU each model has a thread block.

    Parameters
    ----------
    X : ndarray of float32 or float64 in C order, sparse matrix, or device array; shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
        Class indices 0 .. n_classes - 1, or values where ``n_classes`` is None.
    models : sequence of dict
        Settings by ``SGDClassifier``'s names: loss, penalty, learning_rate, alpha, l1_ratio, eta0, power_t, epsilon.
        Those not named have its defaults.
    n_classes : int or None
        None for regression; 2 gives one output per setting, more give one per class.
    sample_weight : array-like of shape (n_samples,), optional
    fit_intercept : bool
    average : int
        0, or the step from which weights are averaged.
    max_iter : int
    tol : float or None
        None runs all epochs.
    n_iter_no_change : int
    shuffle : bool
    random_state : int
        Seed of the permutations, which all models share; 0 <= random_state < 2**32.

    Returns
    -------
    list of Fitted
        In the order of ``models``.

    Raises
    ------
    ValueError
        For invalid arrays, labels outside [0, n_classes), a setting's unknown name or an argument out of its range,
        or weights that overflow.
    TypeError
        For an argument or a setting of another type.
    """
    check_scalar(max_iter, "max_iter", Integral, min_val=1)
    check_scalar(n_iter_no_change, "n_iter_no_change", Integral, min_val=1)
    check_scalar(average, "average", Integral, min_val=0)
    check_scalar(random_state, "random_state", Integral, min_val=0, max_val=MAX_SEED)
    if tol is not None:
        check_scalar(tol, "tol", Real, min_val=0.0)
    X = check_matrix(X)
    target = _targets(X, y, n_classes)
    if sample_weight is not None:
        sample_weight = np.ascontiguousarray(sample_weight, dtype=np.float64)
        if sample_weight.shape != target.shape:
            raise ValueError(f"sample_weight has shape {sample_weight.shape}; expected {target.shape}.")
        assert_all_finite(sample_weight, input_name="sample_weight")
    settings = [_setting(given) for given in models]
    outputs = [1] if n_classes in (None, 2) else list(range(n_classes))
    device = resolve_device(device_of(X), gpu_pays=len(settings) * len(outputs) >= MIN_MODELS_FOR_GPU)
    stopping = Stopping(max_iter, -np.inf if tol is None else tol, n_iter_no_change)
    decay = SPARSE_INTERCEPT_DECAY if sparse.issparse(X) else 1.0

    rows = for_kernels(X, device)

    fitted: dict[int, Fitted] = {}
    for (loss, penalty, schedule), members in _grouped(settings).items():
        rule = Rule(
            loss, penalty or "none", schedule, int(average), fit_intercept, False, decay, tol is not None
        )
        hyperparameters = [
            {"positive_class": k} | {name: settings[i][name] for name in _NUMBERS}
            for i in members
            for k in outputs
        ]
        table = make_models(rule, hyperparameters)
        zeros = np.zeros((len(table), X.shape[1]), X.dtype), np.zeros(len(table))
        solution = solve(
            rows,
            target,
            sample_weight,
            initial_state(rule, table, *zeros),
            rule,
            stopping,
            seed=random_state if shuffle else None,
            n_classes=len(outputs),
            device=device,
        )
        for position, i in enumerate(members):
            own = slice(position * len(outputs), (position + 1) * len(outputs))
            fitted[i] = _fitted(solution, own, average, X.shape[0])
    return [fitted[i] for i in range(len(settings))]


def _fitted(solution: Solution, own: slice, average: int, n_samples: int) -> Fitted:
    n_iter = int(solution.n_iter[own].max())
    if average and solution.average_coef is not None and average <= n_iter * n_samples:
        return Fitted(solution.average_coef[own], solution.average_intercept[own], n_iter)
    return Fitted(solution.coef[own], solution.intercept[own], n_iter)


def _setting(given: dict[str, Any]) -> dict[str, Any]:
    unknown = given.keys() - _DEFAULTS.keys()
    if unknown:
        raise ValueError(f"a model's settings are among {tuple(_DEFAULTS)}; got {sorted(unknown)} too.")
    setting: dict[str, Any] = _DEFAULTS | given
    for name, (lowest, highest) in _NUMBERS.items():
        check_scalar(setting[name], name, Real)
        if not (lowest <= setting[name] <= highest and np.isfinite(setting[name])):
            raise ValueError(
                f"{name} must be finite and in [{lowest:g}, {highest:g}]; got {setting[name]!r}."
            )
    for name, allowed in (("loss", LOSSES), ("penalty", (*PENALTIES, None)), ("learning_rate", SCHEDULES)):
        if setting[name] not in allowed and not isinstance(setting[name], Loss):
            raise ValueError(f"{name} must be among {allowed}; got {setting[name]!r}.")
    if setting["learning_rate"] in ("pa1", "pa2") and setting["loss"] not in ("hinge", "epsilon_insensitive"):
        raise ValueError(
            "the schedules 'pa1' and 'pa2' go with the losses 'hinge' and 'epsilon_insensitive' alone."
        )
    if setting["learning_rate"] == "optimal" and setting["alpha"] == 0:
        raise ValueError("alpha must be > 0 for learning_rate 'optimal', which is computed from it.")
    return setting


def _grouped(settings: list[dict[str, Any]]) -> dict[Any, list[int]]:
    """Positions of the settings that one run can serve."""
    groups: dict[Any, list[int]] = {}
    for i, setting in enumerate(settings):
        groups.setdefault((setting["loss"], setting["penalty"], setting["learning_rate"]), []).append(i)
    return groups


def _targets(X: Any, y: Any, n_classes: int | None) -> np.ndarray:
    y = np.asarray(y)
    if y.shape != (X.shape[0],):
        raise ValueError(f"y has shape {y.shape}; expected {(X.shape[0],)}.")
    if n_classes is None:
        y = np.ascontiguousarray(y, dtype=np.float64)
        assert_all_finite(y, input_name="y")
        return y
    if n_classes < 2 or y.dtype.kind not in "iub" or y.min() < 0 or y.max() >= n_classes:
        raise ValueError(f"with n_classes={n_classes}, at least 2, y must hold integers in [0, n_classes).")
    return np.ascontiguousarray(y, dtype=np.int32)
