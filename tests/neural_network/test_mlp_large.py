"""Rows so large that squares, or sums, overflow: scikit-learn's outcome."""

import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.datasets import load_iris

from fastml import neural_network as ours

X, Y = load_iris(return_X_y=True)
X = X - X.mean(axis=0)
SCALES = [(1e155, np.float64), (1e300, np.float64), (1e30, np.float32)]
pytestmark = pytest.mark.filterwarnings("ignore")


def outcome(package, name, target, rows, **parameters):
    """What came of a fit: the error, or predictions and whether the loss is a number."""
    model = getattr(package, name)(hidden_layer_sizes=(8,), max_iter=5, random_state=0, **parameters)
    try:
        model.fit(rows, target)
    except ValueError as error:
        return str(error)
    return model.predict(rows), np.isfinite(model.loss_)


@pytest.mark.parametrize(("scale", "dtype"), SCALES)
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize(
    ("solver", "activation"),
    [
        ("sgd", "relu"),
        ("sgd", "identity"),
        ("sgd", "tanh"),
        ("sgd", "logistic"),
        ("adam", "tanh"),
        ("adam", "logistic"),
    ],
)
def test_outcomes(name, solver, activation, scale, dtype):
    rows, target = (X * scale).astype(dtype), Y if name == "MLPClassifier" else X[:, 0]
    expected = outcome(theirs, name, target, rows, solver=solver, activation=activation)
    got = outcome(ours, name, target, rows, solver=solver, activation=activation)
    if isinstance(expected, str):
        assert got == expected
        assert "Solver produced non-finite parameter weights" in got
        return
    assert got[1] == expected[1]
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-4)


@pytest.mark.parametrize(("scale", "dtype"), SCALES)
def test_squares_of_gradients_that_overflow_are_refused(scale, dtype):
    """Adam's second moments are infinite: scikit-learn's weights then stay as they were drawn."""
    got = outcome(ours, "MLPClassifier", Y, (X * scale).astype(dtype), solver="adam", activation="relu")
    assert "Solver produced non-finite parameter weights" in got
