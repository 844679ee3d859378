"""Problems for the solvers that pass over X, run on the reference kernels."""

import numpy as np

from fastml.kernels.glm_data import Data, Rule
from fastml.solvers import _passes
from fastml.solvers._objective import Objective, Outcome


def classification(n_classes: int, n_rows: int = 150, n_features: int = 6, seed: int = 0) -> Data:
    """Noisy classes: no plane separates them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features))
    scores = X @ rng.standard_normal((n_features, n_classes)) + 2.0 * rng.standard_normal((n_rows, n_classes))
    return Data(X, scores.argmax(axis=1).astype(np.int32))


def rule_of(n_classes: int) -> Rule:
    return Rule("log_loss") if n_classes == 2 else Rule("multinomial", n_classes)


def objective_of(
    data: Data, rule: Rule, l2: float, fit_intercept: bool = True, scale: float | None = None
) -> Objective:
    n_rows, n_features = data.X.shape
    return Objective(
        1.0 / n_rows if scale is None else scale, l2, rule.n_columns, n_features, fit_intercept, data.X.dtype
    )


def solved(data: Data, rule: Rule, search, weighting: int = -1) -> Outcome:
    """The outcome of a single search, which is given as a generator."""
    return together(data, rule, [_passes.Model(lambda: search, weighting=weighting)])[0]


def together(data: Data, rule: Rule, models: list[_passes.Model], bytes_per_search: int = 1) -> list[Outcome]:
    return _passes.run(
        data, rule, models, bytes_per_search=bytes_per_search, device="reference", description="test"
    )


def evaluated(data: Data, rule: Rule, objective: Objective, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient, by a search that looks at one point."""

    def look():
        return (yield from objective.evaluate(np.ascontiguousarray(weights).ravel()))

    return solved(data, rule, look())
