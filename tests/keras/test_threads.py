"""One model in several Python threads, and in a child of a fork."""

import copy
import multiprocessing
import pickle
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastml import keras
from fastml.keras import layers

N_THREADS = 4
RNG = np.random.default_rng(0)
INPUTS = [RNG.standard_normal((300 + i, 16)).astype("f") for i in range(8)]
LABELS = [RNG.integers(0, 3, len(x)) for x in INPUTS]


@pytest.fixture
def _often():
    """Python changes threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def compiled():
    model = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Dense(32, activation="tanh", activity_regularizer="l2", kernel_regularizer="l2"),
            layers.Dense(32, activation="gelu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


USES = {
    "predict": lambda model, i: model.predict(INPUTS[i], verbose=0),
    "predict_on_batch": lambda model, i: model.predict_on_batch(INPUTS[i]),
    "call": lambda model, i: model(INPUTS[i]),
    "evaluate": lambda model, i: model.evaluate(INPUTS[i], LABELS[i], verbose=0),
}


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("use", USES)
def test_threads_get_what_one_thread_gets(use):
    model = compiled()
    expected = [USES[use](model, i) for i in range(8)]
    with ThreadPoolExecutor(N_THREADS) as threads:
        got = list(threads.map(lambda i: USES[use](model, i % 8), range(160)))
    for i, values in enumerate(got):
        np.testing.assert_array_equal(values, expected[i % 8])


@pytest.mark.usefixtures("_often")
def test_all_uses_at_a_time_and_a_penalty_on_outputs():
    model = compiled()
    expected = {use: [call(model, i) for i in range(8)] for use, call in USES.items()}
    jobs = [(use, i) for i in range(8) for use in USES] * 4
    with ThreadPoolExecutor(N_THREADS) as threads:
        got = list(threads.map(lambda job: USES[job[0]](model, job[1]), jobs))
    for (use, i), values in zip(jobs, got):
        np.testing.assert_array_equal(values, expected[use][i])


def test_programs_of_two_threads_have_no_memory_in_common():
    network = compiled().network((16,))
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(network.inference, 10).result()
    assert not np.shares_memory(network.inference(10).predictions, other.predictions)


@pytest.mark.usefixtures("_often")
def test_the_first_use_in_several_threads_builds_once():
    for _ in range(10):
        model = keras.Sequential([layers.Dense(8), layers.Dense(3)])
        with ThreadPoolExecutor(N_THREADS) as threads:
            got = list(threads.map(lambda _, model=model: model(INPUTS[0]), range(N_THREADS)))
        for values in got:
            np.testing.assert_array_equal(values, model(INPUTS[0]))


def test_predicting_does_not_wait_for_training():
    """A callback may wait for another thread's predictions, which are by the weights at hand."""
    model, got = compiled(), []

    class Asks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            with ThreadPoolExecutor(1) as thread:
                asked = thread.submit(model.predict, INPUTS[1], verbose=0).result(timeout=30)
            got.append((asked, model.predict(INPUTS[1], verbose=0)))

    model.fit(INPUTS[0], LABELS[0], epochs=2, batch_size=100, verbose=0, callbacks=[Asks()])
    assert len(got) == 6
    for asked, own in got:
        np.testing.assert_array_equal(asked, own)
    assert (got[0][0] != got[-1][0]).any()


def test_predictions_of_other_threads_leave_training_as_it_is():
    alone, beside = compiled(), compiled()
    beside.set_weights(alone.get_weights())
    done = threading.Event()

    def predict_on():
        while not done.is_set():
            beside.predict(INPUTS[1], verbose=0)

    with ThreadPoolExecutor(2) as threads:
        predicting = [threads.submit(predict_on) for _ in range(2)]
        try:
            beside.fit(INPUTS[0], LABELS[0], epochs=5, shuffle=False, verbose=0)
        finally:
            done.set()
        for each in predicting:
            each.result()
    alone.fit(INPUTS[0], LABELS[0], epochs=5, shuffle=False, verbose=0)
    for own, expected in zip(beside.get_weights(), alone.get_weights()):
        np.testing.assert_array_equal(own, expected)


def test_steps_of_several_threads_come_one_after_another():
    """SGD's two steps on one batch do not ask which thread takes which."""
    one, two = compiled(), compiled()
    two.set_weights(one.get_weights())
    for model in (one, two):
        model.compile("sgd", "sparse_categorical_crossentropy")
    for _ in range(12):
        one.train_on_batch(INPUTS[0], LABELS[0])
    with ThreadPoolExecutor(N_THREADS) as threads:
        list(threads.map(lambda _: two.train_on_batch(INPUTS[0], LABELS[0]), range(12)))
    assert int(two.optimizer.iterations) == 12
    for own, expected in zip(two.get_weights(), one.get_weights()):
        np.testing.assert_array_equal(own, expected)


def test_models_that_share_layers():
    shared = layers.Dense(8, activation="tanh")
    models = [keras.Sequential([keras.Input((16,)), shared, layers.Dense(3)]) for _ in range(2)]
    expected = [[model(x) for x in INPUTS] for model in models]
    with ThreadPoolExecutor(N_THREADS) as threads:
        got = list(threads.map(lambda job: models[job % 2](INPUTS[job % 8]), range(64)))
    for job, values in enumerate(got):
        np.testing.assert_array_equal(values, expected[job % 2][job % 8])


def _evaluated(model, results):
    results.put(model.evaluate(INPUTS[0], LABELS[0], verbose=0))


def test_a_child_of_a_fork_does_not_wait_for_a_thread_that_it_does_not_have():
    model = compiled()
    expected = model.evaluate(INPUTS[0], LABELS[0], verbose=0)
    inside, done = threading.Event(), threading.Event()

    class Holds(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            inside.set()
            done.wait(60)

    context = multiprocessing.get_context("fork")
    with ThreadPoolExecutor(1) as thread:
        held = thread.submit(model.evaluate, INPUTS[1], LABELS[1], verbose=0, callbacks=[Holds()])
        assert inside.wait(60)
        results = context.Queue()
        child = context.Process(target=_evaluated, args=(model, results))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Python's: there are threads
                child.start()
            assert results.get(timeout=60) == expected
        finally:
            done.set()
            child.join(10)
        held.result()
    assert model.evaluate(INPUTS[0], LABELS[0], verbose=0) == expected


def test_a_model_in_use_is_copied_and_pickled():
    model, copies = compiled(), []

    class Copies(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            copies.extend([copy.deepcopy(model), pickle.loads(pickle.dumps(model))])

    model.fit(INPUTS[0], LABELS[0], batch_size=300, verbose=0, callbacks=[Copies()])
    for each in copies:
        each.evaluate(INPUTS[0], LABELS[0], verbose=0)
        assert each.predict(INPUTS[0], verbose=0).shape == (300, 3)


def test_names_are_given_once():
    with ThreadPoolExecutor(N_THREADS) as threads:
        names = list(threads.map(lambda _: layers.Flatten().name, range(400)))
    assert len(set(names)) == 400


def test_a_block_s_draws_are_its_own():
    def draws(seed):
        with keras.random.seeded(seed):
            first = keras.initializers.GlorotUniform()((3, 3))
            return first, keras.random.shuffling_generator().generator().random(3)

    expected = [draws(seed) for seed in range(8)]
    np.random.seed(3)  # noqa: NPY002
    with ThreadPoolExecutor(N_THREADS) as threads:
        got = list(threads.map(draws, list(range(8)) * 10))
    for i, drawn in enumerate(got):
        for own, other in zip(drawn, expected[i % 8]):
            np.testing.assert_array_equal(own, other)
    assert np.random.rand() == np.random.RandomState(3).rand()  # noqa: NPY002
