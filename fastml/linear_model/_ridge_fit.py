"""Ridge regressions of several targets over the same rows: which solver, and its call."""

import warnings
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastml._config import get_config, resolve_device
from fastml._csr import CSR
from fastml._device_input import device_of
from fastml.kernels.glm_data import Rule, new_models
from fastml.solvers import _passes, gradient_descent, least_squares, sag
from fastml.solvers._objective import CentredObjective
from fastml.solvers.least_squares import Rows

# Solvers that scikit-learn does not have: gradient descent, and Nesterov's accelerated one.
DESCENT_SOLVERS = ("gd", "agd")

MAX_SEED = np.iinfo(np.int32).max

# Past the function that warns, fit, and the wrapper that validates parameters.
_LEVEL = 5

# Where scikit-learn has no default of its own.
MAX_ITER = {"sag": 1000, "saga": 1000, "gd": 1000, "agd": 1000}

# Dense rows that "sag" and "saga" centre in a copy.
SMALL_BYTES = 2**24

# Reciprocal condition number from which on float32 products of rows leave too few digits.
ILL_CONDITIONED = 1e-6


class Settings(NamedTuple):
    """A fit's parameters.

    Attributes
    ----------
    alphas : ndarray of shape (n_targets,)
    seed : int
        Of "sag" and "saga".
    """

    solver: str
    alphas: np.ndarray
    tol: float
    max_iter: int | None
    positive: bool
    seed: int


class Fitted(NamedTuple):
    """What a fit has found.

    Attributes
    ----------
    coef, intercept : ndarray of shape (n_targets, n_features), (n_targets,)
    solver : str
        The one that ran.
    n_iter : ndarray of int32, shape (n_targets,), or None
    unconverged : str or None
        The warning's text.
    loss_histories : list of ndarray
    """

    coef: np.ndarray
    intercept: np.ndarray
    solver: str
    n_iter: np.ndarray | None = None
    unconverged: str | None = None
    loss_histories: Any = ()


def chosen_solver(estimator: Any, X: Any) -> str:
    """The solver that scikit-learn would choose for the parameters and X.

    Raises
    ------
    ValueError, TypeError
        With scikit-learn's wording, where the solver cannot do with ``positive``, or with a sparse X.
    """
    solver, is_sparse = estimator.solver, sparse.issparse(X)
    if solver == "lbfgs" and not estimator.positive:
        raise ValueError("'lbfgs' solver can be used only when positive=True. Please use another solver.")
    if estimator.positive:
        if solver not in ("auto", "lbfgs", *DESCENT_SOLVERS):
            raise ValueError(
                f"solver='{solver}' does not support positive fitting. Please set the solver to 'auto' or 'lbfgs', or "
                "set `positive=False`"
            )
        return "lbfgs" if solver == "auto" else solver
    if is_sparse and estimator.fit_intercept:
        if solver in ("svd", "cholesky", "saga"):
            raise ValueError(
                f"solver='{solver}' does not support fitting the intercept on sparse data. Please set the solver to "
                "'auto' or 'lsqr', 'sparse_cg', 'sag', 'lbfgs' or set `fit_intercept=False`"
            )
        if solver == "sag" and estimator.max_iter is None and estimator.tol > 1e-4:
            warnings.warn(
                '"sag" solver requires many iterations to fit an intercept with sparse inputs. Either set the solver '
                'to "auto" or "sparse_cg", or set a low "tol" and a high "max_iter" (especially if inputs are not '
                "standardized).",
                UserWarning,
                stacklevel=_LEVEL,
            )
            return "sag"
        if solver == "sag":
            # As in scikit-learn, whose `solver_` then says so.
            return "sparse_cg"
    if is_sparse and solver == "svd":
        raise TypeError("SVD solver does not support sparse inputs currently")
    if solver == "auto":
        return "sparse_cg" if is_sparse else "cholesky"
    return solver


def checked_alphas(alpha: Any, n_targets: int, dtype: Any) -> np.ndarray:
    """A penalty for each target.

    Raises
    ------
    ValueError
        With scikit-learn's wording, if there are as many neither as targets nor as one; or if one is NaN.
    """
    alphas = np.asarray(alpha, dtype=dtype).astype(np.float64).ravel()
    if np.isnan(alphas).any():
        raise ValueError(f"alpha must not be NaN; got {alpha!r}.")
    if len(alphas) not in (1, n_targets):
        raise ValueError(
            f"Number of targets and number of penalties do not correspond: {len(alphas)} != {n_targets}"
        )
    return np.repeat(alphas, n_targets) if len(alphas) == 1 else alphas


def ridge_device(estimator: Any, solver: str, X: Any) -> str:
    """Where a fit runs: what has no kernel for a GPU runs on the CPU, and fetches X.

    Raises
    ------
    RuntimeError
        If the device is CUDA by configuration, and the solver has none: it is not quietly overruled.
    """
    on_device = solver in DESCENT_SOLVERS or (solver == "cholesky" and X.shape[1] < X.shape[0])
    if on_device and not sparse.issparse(X):
        return resolve_device(device_of(X), gpu_pays=False)
    if get_config()["device"] == "cuda":
        raise RuntimeError(
            f"{type(estimator).__name__} with solver={solver!r} on X of shape {X.shape} runs on the CPU only. Dense X "
            "with more rows than columns can be fitted on a GPU by 'cholesky', 'gd' and 'agd'; or set "
            "fastml.set_config(device='auto')."
        )
    return "cpu"


def settings_of(estimator: Any, solver: str, n_targets: int, dtype: Any) -> Settings:
    """An estimator's parameters; one number is drawn from its ``random_state`` where the solver is random."""
    seed = 0
    if solver in ("sag", "saga"):
        seed = int(check_random_state(estimator.random_state).randint(MAX_SEED))
    alphas = checked_alphas(estimator.alpha, n_targets, dtype)
    return Settings(solver, alphas, float(estimator.tol), estimator.max_iter, bool(estimator.positive), seed)


def fit_ridge(rows: Rows, settings: Settings) -> Fitted:
    """Fit all targets.

    Raises
    ------
    ValueError
        If a sum over the rows is not finite.
    """
    match settings.solver:
        case "cholesky":
            return _cholesky(rows, settings)
        case "svd":
            return _svd(rows, settings)
        case "lsqr":
            return _lsqr(rows, settings)
        case "sparse_cg":
            return _sparse_cg(rows, settings)
        case "lbfgs":
            return _lbfgs(rows, settings)
        case "sag" | "saga":
            return _sag(rows, settings)
    return _descent(rows, settings)


def _cholesky(rows: Rows, settings: Settings) -> Fitted:
    epsilon = float(np.finfo(rows.data.X.dtype).eps)
    exact = float(np.finfo(np.float64).eps)
    is_sparse = isinstance(rows.data.X, CSR)
    if rows.is_tall:
        taken = least_squares.moments(rows)
        coef = least_squares.solve_primal(taken, settings.alphas, epsilon)
        if coef is None and (is_sparse or rows.device == "cuda"):
            coef = least_squares.pseudo_inverse(taken.gram, taken.cross, settings.alphas, epsilon)
        if coef is None:
            return _svd(rows, settings)
        return _about(coef, taken.mean, taken.target_mean, "cholesky")
    products = least_squares.products(rows)
    in_float32 = products.dtype == np.float32
    dual = least_squares.solve_dual(products, settings.alphas, ILL_CONDITIONED if in_float32 else exact)
    if dual is None and in_float32:
        products = least_squares.products(rows, exact=True)
        dual = least_squares.solve_dual(products, settings.alphas, exact)
    if dual is None:
        warnings.warn(
            "Singular matrix in solving dual problem. Using least-squares solution instead.",
            UserWarning,
            stacklevel=_LEVEL + 2,
        )
        if not is_sparse:
            return _svd(rows, settings)._replace(solver="cholesky")
        dual = least_squares.pseudo_inverse(products.gram, products.target, settings.alphas, exact)
    return _of_dual(rows, products, dual, "cholesky")


def _of_dual(rows: Rows, products: least_squares.Products, dual: np.ndarray, solver: str) -> Fitted:
    coef = least_squares.dual_coefficients(rows, products.mean, dual, products.dtype)
    return _about(coef, products.mean, products.target_mean, solver)


def _about(coef: np.ndarray, mean: np.ndarray, target_mean: np.ndarray, solver: str, **more: Any) -> Fitted:
    return Fitted(coef, target_mean - coef @ mean, solver, **more)


def _svd(rows: Rows, settings: Settings) -> Fitted:
    factored = least_squares.few_factors(rows)
    cutoff = np.finfo(np.float64).eps * max(rows.shape)
    coef, _ = least_squares.solve_svd(rows, factored, settings.alphas, cutoff)
    return _about(coef, factored.mean, factored.target_mean, "svd")


def _lsqr(rows: Rows, settings: Settings) -> Fitted:
    if least_squares.passes_pay(rows):
        mean, target_mean = rows.means()
        coef, n_iter = least_squares.solve_lsqr_passes(
            rows, mean, target_mean, settings.alphas, settings.tol, settings.max_iter
        )
        return _about(coef, mean, target_mean, "lsqr", n_iter=n_iter)
    factored = least_squares.factors(rows)
    coef, n_iter = least_squares.solve_lsqr(rows, factored, settings.alphas, settings.tol, settings.max_iter)
    return _about(coef, factored.mean, factored.target_mean, "lsqr", n_iter=n_iter)


def _sparse_cg(rows: Rows, settings: Settings) -> Fitted:
    if isinstance(rows.data.X, CSR):
        problems = [(k, rows.weighting, float(alpha)) for k, alpha in enumerate(settings.alphas)]
        found = least_squares.solve_passes(rows, problems, settings.tol, settings.max_iter)
        return Fitted(found[:, :-1], found[:, -1], "sparse_cg")
    solve = partial(
        least_squares.conjugate_gradient, alphas=settings.alphas, tol=settings.tol, max_iter=settings.max_iter
    )
    if rows.is_tall:
        taken = least_squares.moments(rows)
        return _about(solve(taken.gram, taken.cross), taken.mean, taken.target_mean, "sparse_cg")
    products = least_squares.products(rows)
    return _of_dual(rows, products, solve(products.gram, products.target, max_iter=None), "sparse_cg")


def _lbfgs(rows: Rows, settings: Settings) -> Fitted:
    coef, intercept, converged = least_squares.solve_positive(
        rows, settings.alphas, settings.tol, settings.max_iter
    )
    message = None
    if not converged:
        message = (
            "The lbfgs solver did not converge. Try increasing max_iter or tol. Currently: "
            f"max_iter={settings.max_iter} and tol={settings.tol}"
        )
    return Fitted(coef, intercept, "lbfgs", unconverged=message)


def _models_of(rows: Rows) -> np.ndarray:
    models = new_models(rows.n_targets)
    coded = rows.data.target.dtype == np.int32
    models["weighting"] = rows.weighting
    models["target"] = 0 if coded else np.arange(rows.n_targets)
    models["positive_class"] = np.arange(rows.n_targets) if coded and rows.n_targets > 1 else 1
    return models


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is looked for by the solver
def _centred_copy(rows: Rows) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Small dense rows less their mean, which stochastic steps take many epochs to find; the means."""
    mean, target_mean = rows.means()
    X = rows.data.X - mean.astype(rows.data.X.dtype)
    data = rows.data._replace(X=X, target=np.ascontiguousarray((rows.targets() - target_mean).T))
    return rows._replace(data=data, fit_intercept=False), mean, target_mean


def _sag(rows: Rows, settings: Settings) -> Fitted:
    X = rows.data.X
    if rows.fit_intercept and isinstance(X, np.ndarray) and X.nbytes <= SMALL_BYTES:
        centred, mean, target_mean = _centred_copy(rows)
        fitted = _sag(centred, settings)
        return fitted._replace(intercept=target_mean - fitted.coef @ mean)
    weights = np.zeros((rows.n_targets, rows.shape[1] + 1))
    if rows.fit_intercept:
        weights[:, -1] = rows.target_means()
    solution = sag.solve(
        rows.data,
        Rule("squared_error"),
        _models_of(rows),
        sag.Settings(
            method=settings.solver,
            alpha=settings.alphas / rows.shape[0],
            beta=np.zeros(rows.n_targets),
            fit_intercept=rows.fit_intercept,
            max_iter=settings.max_iter or MAX_ITER[settings.solver],
            tol=settings.tol,
        ),
        weights,
        seed=settings.seed,
    )
    message = None
    if not solution.converged.all():
        message = "The max_iter was reached which means the coef_ did not converge"
    n_iter = solution.n_iter.astype(np.int32)
    return Fitted(weights[:, :-1], weights[:, -1], settings.solver, n_iter, message)


def _descent(rows: Rows, settings: Settings) -> Fitted:
    weight = rows.data.weight
    total = float(rows.shape[0] if weight is None else weight.sum())
    descend = gradient_descent.plain if settings.solver == "gd" else gradient_descent.accelerated
    penalty = gradient_descent.Box(0.0, np.inf) if settings.positive else None
    models = []
    for record, alpha in zip(_models_of(rows), settings.alphas, strict=True):
        search = partial(
            _centred_search,
            partial(descend, penalty=penalty),
            (1.0 / total, alpha / total, 1, rows.shape[1], rows.fit_intercept, rows.data.X.dtype),
            tol=settings.tol,
            max_iter=settings.max_iter or MAX_ITER[settings.solver],
        )
        numbers = [int(record[name]) for name in ("positive_class", "target", "weighting")]
        models.append(_passes.Model(search, *numbers))
    outcomes = _passes.run(
        rows.data,
        Rule("squared_error"),
        models,
        bytes_per_search=10 * 8 * (rows.shape[1] + 1),
        device=rows.device,
        description=settings.solver,
    )
    weights = np.concatenate([outcome.weights for outcome in outcomes])
    messages = dict.fromkeys(outcome.message for outcome in outcomes if not outcome.converged)
    return Fitted(
        weights[:, :-1],
        weights[:, -1],
        settings.solver,
        np.array([outcome.n_iter for outcome in outcomes], dtype=np.int32),
        "\n".join(messages) or None,
        [np.array(outcome.loss_history) for outcome in outcomes],
    )


def _centred_search(descend: Any, parameters: tuple, **stopping: Any) -> Any:
    """Gradient descent on rows less their mean: with means far from 0 it would crawl."""
    n_features, fit_intercept = parameters[3:5]
    mean = (yield from _passes.means(n_features))[0] if fit_intercept else np.zeros(n_features)
    objective = CentredObjective(mean, *parameters)
    outcome = yield from descend(objective, np.zeros(objective.shape), **stopping)
    return outcome._replace(weights=objective.weights(outcome.weights))


def warn_if_unconverged(fitted: Fitted) -> None:
    """ConvergenceWarning, where a search has ended before it should."""
    if fitted.unconverged is not None:
        warnings.warn(fitted.unconverged, ConvergenceWarning, stacklevel=_LEVEL - 1)
