"""Searches that pass over X on CUDA: from host arrays to weights, beside the reference.

Here, and not beside the solvers' other tests, since the simulator is only switched on for this folder.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastml.kernels.glm_data import Data, Rule
from fastml.solvers import _passes, gradient_descent, lbfgs, newton_cg, newton_cholesky
from fastml.solvers._objective import Objective

SEARCHES = {
    "lbfgs": lbfgs.search,
    "newton-cg": newton_cg.search,
    "newton-cholesky": newton_cholesky.search,
    "agd": gradient_descent.accelerated,
}


@pytest.mark.parametrize("name", SEARCHES)
def test_two_folds_take_the_references_way(cuda, name):
    rng = np.random.default_rng(0)
    X, codes = rng.standard_normal((12, 2)), rng.integers(0, 3, 12).astype(np.int32)
    folds = np.ascontiguousarray((np.arange(2)[:, None] != np.arange(12) % 3).astype(float))
    rule = Rule("multinomial", 3)
    objective = Objective(1.0 / 8.0, 0.1, 3, 2, True, X.dtype)

    def outcomes(device, arrays):
        data = Data(arrays.send(X), arrays.send(codes), arrays.send(folds))
        models = [
            _passes.Model(
                lambda: SEARCHES[name](objective, np.zeros(objective.shape), tol=1e-3, max_iter=4),
                weighting=k,
            )
            for k in range(2)
        ]
        return _passes.run(data, rule, models, bytes_per_search=1, device=device, description="test")

    from fastml.kernels.reference import arrays as host

    for ours, expected in zip(outcomes("cuda", cuda.arrays), outcomes("reference", host), strict=True):
        assert ours.n_iter == expected.n_iter
        assert type(ours.weights) is np.ndarray
        assert_allclose(ours.weights, expected.weights, rtol=1e-6, atol=1e-9)
