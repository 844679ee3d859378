"""Perceptrons beside scikit-learn's: with one seed they begin alike, see the same batches, and end alike."""

import numpy as np
import pytest
import sklearn.neural_network
from numpy.testing import assert_allclose
from scipy import sparse

from fastml import neural_network

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((97, 7))
WEIGHTS = RNG.random(97)
SQUARES = np.column_stack([X[:, 0] ** 2, X[:, 1] ** 2])
CLASSES = {
    "three": np.clip(np.round(2 * X[:, 0] + X[:, 1]), -1, 1),
    "two": np.where(X[:, 0] > 0, "yes", "no"),
    "labels": (X[:, :3] > 0).astype(int),
}
SMALL = {"hidden_layer_sizes": (9, 5), "max_iter": 8, "batch_size": 20, "random_state": 3}
TOLERANCE = {np.float64: 1e-9, np.float32: 2e-4}


def assert_alike(name, params, X, y, sample_weight=None, tolerance=1e-9):
    ours, theirs = (
        getattr(package, name)(**{**SMALL, **params}).fit(X, y, sample_weight)
        for package in (neural_network, sklearn.neural_network)
    )
    assert_same_state(ours, theirs, tolerance)
    predict = "predict" if name == "MLPRegressor" else "predict_proba"
    assert_allclose(getattr(ours, predict)(X), getattr(theirs, predict)(X), rtol=tolerance, atol=tolerance)
    return ours, theirs


def assert_same_state(ours, theirs, tolerance):
    for ours_, theirs_ in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        assert ours_.dtype == theirs_.dtype
        assert_allclose(ours_, theirs_, rtol=tolerance, atol=tolerance)
    assert (ours.n_iter_, ours.t_, ours.out_activation_) == (
        theirs.n_iter_,
        theirs.t_,
        theirs.out_activation_,
    )
    assert_allclose(ours.loss_, theirs.loss_, rtol=tolerance)
    for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_"):
        expected = getattr(theirs, name, None)
        if expected is None:
            assert getattr(ours, name, None) is None
        else:
            assert_allclose(getattr(ours, name), expected, rtol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_activations(activation, kind, dtype):
    assert_alike(
        "MLPClassifier", {"activation": activation}, X.astype(dtype), CLASSES[kind], None, TOLERANCE[dtype]
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_solvers_and_losses(solver, weights):
    # L-BFGS multiplies differences of rounding from step to step.
    tolerance = 1e-7 if solver == "lbfgs" else 1e-9
    params = {"solver": solver, "learning_rate_init": 1e-3}
    assert_alike("MLPClassifier", params, X, CLASSES["three"], weights, tolerance)
    assert_alike("MLPRegressor", params, X, SQUARES[:, 0], weights, tolerance)
    assert_alike("MLPRegressor", {**params, "loss": "poisson"}, X, SQUARES, weights, tolerance)


@pytest.mark.parametrize(
    "params",
    [
        {"shuffle": False},
        {"alpha": 3.0},
        {"batch_size": "auto"},
        {"hidden_layer_sizes": 4, "batch_size": 1, "max_iter": 2},
        {"early_stopping": True},
        {"early_stopping": True, "validation_fraction": 0.3, "tol": 0.5, "n_iter_no_change": 1},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1, "max_iter": 20},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "momentum": 0.0},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "learning_rate_init": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_parameters(params, weights):
    assert_alike("MLPClassifier", params, X, CLASSES["three"], weights)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_array])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse(container, solver):
    positive = np.maximum(X, 0)
    ours, _ = assert_alike(
        "MLPClassifier", {"solver": solver}, container(positive), CLASSES["three"], None, 1e-7
    )
    dense = neural_network.MLPClassifier(**SMALL, solver=solver).fit(positive, CLASSES["three"])
    assert_allclose(ours.predict_proba(positive), dense.predict_proba(positive), rtol=1e-6)
    assert_alike("MLPRegressor", {"solver": solver}, container(positive), SQUARES, WEIGHTS, 1e-7)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit(solver):
    models = [
        package.MLPClassifier(**SMALL, solver=solver) for package in (neural_network, sklearn.neural_network)
    ]
    y = CLASSES["three"]
    for rows in (slice(0, 40), slice(40, 45), slice(45, 97), slice(0, 97)):
        for model in models:
            model.partial_fit(X[rows], y[rows], classes=np.unique(y))
        assert_same_state(*models, 1e-9)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_warm_start(solver):
    models = [
        package.MLPRegressor(**SMALL, solver=solver, warm_start=True)
        for package in (neural_network, sklearn.neural_network)
    ]
    for _ in range(3):
        for model in models:
            model.fit(X, SQUARES[:, 0])
        assert_same_state(*models, 1e-6)


def test_a_sample_of_weight_zero_is_not_there():
    y = CLASSES["three"]
    weights = np.r_[np.zeros(17), np.ones(80)]
    params = {"solver": "sgd", "batch_size": 97, "max_iter": 5, "momentum": 0.0}
    ours, _ = assert_alike("MLPClassifier", params, X, y, weights)
    without = neural_network.MLPClassifier(**{**SMALL, **params, "batch_size": 80}).fit(X[17:], y[17:])
    for one, other in zip(ours.coefs_, without.coefs_):
        assert_allclose(one, other, rtol=1e-9)
