"""What fits leave behind: types, pickles, interrupts, errors; and predictions of other types."""

import pickle
import signal
import threading
import time

import numpy as np
import pytest
import sklearn.neural_network
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import fastml
from fastml.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(1)
X = RNG.standard_normal((60, 5))
Y = np.arange(60) % 3


def test_a_pickle_goes_on_as_the_estimator_does():
    model = MLPClassifier(8, random_state=0).partial_fit(X, Y, classes=[0, 1, 2])
    copy = pickle.loads(pickle.dumps(model))
    for each in (model, copy):
        each.partial_fit(X, Y)
    assert_array_equal(model.coefs_[0], copy.coefs_[0])
    assert_array_equal(model.predict_proba(X), copy.predict_proba(X))


def test_threads_do_not_change_results():
    X, y = RNG.standard_normal((400, 300)).astype("f"), RNG.integers(0, 5, 400)
    fits = []
    for n_threads in (1, 2):
        with fastml.config_context(n_threads=n_threads):
            fits.append(MLPClassifier((200, 30), max_iter=3, random_state=0).fit(X, y))
    for one, two in zip(fits[0].coefs_, fits[1].coefs_):
        assert_array_equal(one, two)


@pytest.mark.parametrize("dtype", ["f", "d", "i4", "u1", "f2"])
@pytest.mark.parametrize("trained_on", ["f", "d"])
def test_predictions_have_scikit_learns_type(dtype, trained_on):
    fitted = MLPRegressor(hidden_layer_sizes=8, max_iter=2, random_state=0).fit(X.astype(trained_on), X[:, 0])
    theirs = sklearn.neural_network.MLPRegressor(hidden_layer_sizes=8, max_iter=2, random_state=0).fit(
        X.astype(trained_on), X[:, 0]
    )
    test = (10 * np.abs(X)).astype(dtype)
    ours, expected = fitted.predict(test), theirs.predict(test)
    assert ours.dtype == expected.dtype
    assert_allclose(ours, expected, rtol=1e-4)


def test_predictions_of_many_rows_are_those_of_few():
    model = MLPClassifier((20, 10), max_iter=3, random_state=0).fit(X, Y)
    many = np.asfortranarray(RNG.standard_normal((2500, 5)))
    expected = np.concatenate([model.predict_proba(many[i : i + 100]) for i in range(0, 2500, 100)])
    assert_allclose(model.predict_proba(many), expected, rtol=1e-12)
    assert_allclose(model.predict_proba(sparse.csr_matrix(many)), expected, rtol=1e-12)


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_an_error_leaves_the_estimator_as_it_was(Estimator):
    model = Estimator(hidden_layer_sizes=5, max_iter=3, random_state=0, warm_start=True).fit(X, Y)
    before = {name: pickle.dumps(value) for name, value in vars(model).items()}
    huge = np.full_like(X, np.finfo(float).max)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="non-finite"):
        model.fit(huge, Y)
    assert {name: pickle.dumps(value) for name, value in vars(model).items()} == before
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), Y)
    assert {name: pickle.dumps(value) for name, value in vars(model).items()} == before


def test_an_interrupt_keeps_the_weights_with_a_warning():
    """As in scikit-learn; the signal arrives in the main thread."""
    model = MLPRegressor(
        hidden_layer_sizes=300, max_iter=10**6, tol=0, n_iter_no_change=10**6, random_state=0
    )
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.4, signal.raise_signal, [signal.SIGINT])
    try:
        timer.start()
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(X, X[:, 0])
        stopped = time.monotonic()
    finally:
        timer.join()
        signal.signal(signal.SIGINT, handler)
    assert time.monotonic() - stopped < 1
    assert 0 < model.n_iter_ < 10**6
    assert model.score(X, X[:, 0]) > 0.5
    assert all(coef.base is None for coef in model.coefs_)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_layer_sizes": (5, 0)}, r"hidden_layer_sizes must be > 0, got \[5, 0\]"),
        ({"batch_size": 0}, "batch_size"),
        ({"solver": "newton"}, "solver"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**params).fit(X, Y)


def test_bad_input():
    broken = sparse.csr_matrix(np.abs(X))
    broken.indices[3] = 77
    for data, target in [(X[0], Y), (X, Y[:-1]), (X[:0], Y[:0]), (broken, Y), (X.astype(object) + 1j, Y)]:
        with pytest.raises((ValueError, TypeError)):
            MLPClassifier().fit(data, target)
    with pytest.raises(ValueError, match="features"):
        MLPClassifier(3, max_iter=1).fit(X, Y).predict(X[:, :4])


def test_weights_that_sum_to_zero_in_a_batch_are_refused_as_in_scikit_learn():
    weights = np.r_[np.zeros(30), np.ones(30)]
    with pytest.raises(ZeroDivisionError, match="sum to zero"):
        MLPClassifier(3, batch_size=30, shuffle=False, max_iter=1).fit(X, Y, weights)


def test_verbose_prints_scikit_learns_lines(capsys):
    lines = []
    for Estimator in (MLPClassifier, sklearn.neural_network.MLPClassifier):
        Estimator(4, solver="sgd", learning_rate="adaptive", tol=0.5, n_iter_no_change=1, verbose=True,
                  random_state=0, early_stopping=True).fit(X, Y)  # fmt: skip
        lines.append(capsys.readouterr().out)
    assert lines[0] == lines[1]
    assert "Setting learning rate" in lines[0]
