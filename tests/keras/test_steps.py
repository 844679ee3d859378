"""Batches, steps and epochs: how many, which, and what is no number of them."""

from pathlib import Path

import numpy as np
import pytest
from three_classes import classifier, flat_weights, problem, quietly

from fastml import keras


def test_results_of_single_batches_are_of_nothing_else():
    X, y = problem()
    model = classifier(optimizer=keras.optimizers.SGD(0.0))
    expected = model.evaluate(X[:5], y[:5], verbose=0)
    for before in (
        lambda: quietly(model, X, y, validation_data=(X[10:], y[10:])),
        lambda: model.evaluate(X, y, verbose=0),
        lambda: model.train_on_batch(X[5:], y[5:]),
        lambda: model.test_on_batch(X[5:], y[5:]),
    ):
        for use in (model.train_on_batch, model.test_on_batch):
            before()
            assert use(X[:5], y[:5]) == pytest.approx(expected, rel=1e-6)
            assert list(model.get_metrics_result().values()) == pytest.approx(expected[::-1], rel=1e-6)


class Pairs:
    """Batches of five that can be iterated again and again."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.X) // 5

    def __getitem__(self, i):
        if i >= len(self):
            raise IndexError
        return self.X[5 * i : 5 * i + 5], self.y[5 * i : 5 * i + 5]


@pytest.mark.parametrize("steps", [1, 3, 4, 6])
@pytest.mark.parametrize("kind", ["arrays", "split", "batches"])
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_validation_steps_are_the_same_batches_in_each_epoch(kind, steps):
    X, y = (values[:40] for values in problem())
    held_out = X[20:], y[20:]
    model = classifier(optimizer=keras.optimizers.SGD(0.0))
    arguments = {
        "arrays": {"validation_data": held_out},
        "split": {"validation_split": 0.5},
        "batches": {"validation_data": Pairs(*held_out)},
    }[kind]
    history = quietly(model, X, y, batch_size=5, epochs=4, validation_steps=steps, **arguments).history
    taken = 5 * min(steps, 4)
    loss, accuracy = model.evaluate(*(values[:taken] for values in held_out), verbose=0)
    assert history["val_loss"] == pytest.approx([loss] * 4, rel=1e-6)
    assert history["val_accuracy"] == pytest.approx([accuracy] * 4, rel=1e-6)


@pytest.mark.parametrize("steps", [1, 3, 4, 6])
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_steps_of_evaluate_and_predict_are_the_first_batches(steps):
    X, y = (values[:20] for values in problem())
    model = classifier()
    taken = 5 * min(steps, 4)
    for _ in range(2):
        expected = model.evaluate(X[:taken], y[:taken], verbose=0)
        assert model.evaluate(X, y, batch_size=5, steps=steps, verbose=0) == pytest.approx(expected, rel=1e-6)
        np.testing.assert_array_equal(
            model.predict(X, batch_size=5, steps=steps, verbose=0), model.predict(X, verbose=0)[:taken]
        )


def test_data_that_end_within_an_epoch_end_it():
    """Keras: of four batches and three steps an epoch, the second has one batch, and the third is the first again."""
    X, y = (values[:20] for values in problem())
    model, seen = classifier(optimizer=keras.optimizers.SGD(0.0)), []

    class Steps(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    with pytest.warns(UserWarning, match="ran out of data"):
        history = quietly(
            model, X, y, batch_size=5, epochs=3, steps_per_epoch=3, shuffle=False, callbacks=[Steps()]
        ).history
    assert seen == [0, 1, 2, 0, 0, 1, 2]
    first, last = (model.evaluate(X[part], y[part], verbose=0)[0] for part in (slice(15), slice(15, 20)))
    assert history["loss"] == pytest.approx([first, last, first], rel=1e-6)


@pytest.mark.parametrize("steps", [None, 2])
def test_a_spent_generator_ends_training(steps):
    """An epoch of no batches has no loss, of 0 for one, that callbacks could take for the best."""
    X, y = problem()
    batches = ((X[i : i + 5], y[i : i + 5]) for i in (0, 5, 10, 15))
    with pytest.warns(UserWarning, match="ran out of data; interrupting training"):
        history = quietly(classifier(), batches, epochs=9, steps_per_epoch=steps)
    done = 1 if steps is None else 2
    assert history.epoch == list(range(done))
    assert len(history.history["loss"]) == done
    assert min(history.history["loss"]) > 0


def test_the_warning_names_the_line_of_the_caller():
    X, y = problem()
    calls = [
        lambda: quietly(classifier(), iter([(X, y)]), epochs=2),
        lambda: quietly(classifier(), iter([(X, y)]), steps_per_epoch=2),
        lambda: classifier().evaluate(iter([(X, y)]), steps=2, verbose=0),
    ]
    for call in calls:
        with pytest.warns(UserWarning, match="ran out of data") as warned:
            call()
        package = str(Path(keras.__file__).parent)
        assert not any(warning.filename.startswith(package) for warning in warned)


def test_spent_validation_data_measure_nothing():
    X, y = problem()
    stopping = keras.callbacks.EarlyStopping(restore_best_weights=True, patience=1)
    validation = iter([(X[:5], y[:5])])
    with pytest.warns(UserWarning, match="ran out of data; nothing is measured") as warned:
        history = quietly(
            classifier(), X, y, epochs=3, validation_data=validation, callbacks=[stopping]
        ).history
    messages = [str(warning.message) for warning in warned]
    assert sum("ran out of data" in message for message in messages) == 2
    assert sum("metric `val_loss` which is not available" in message for message in messages) == 2
    assert [len(history[name]) for name in ("loss", "val_loss")] == [3, 1]
    assert stopping.best > 0


NO_COUNTS = [-1, 0, 1.5, 2.0, "8", False]


@pytest.mark.parametrize("value", NO_COUNTS)
@pytest.mark.parametrize(
    "name", ["batch_size", "validation_batch_size", "steps_per_epoch", "validation_steps", "steps"]
)
def test_numbers_that_count_nothing(name, value):
    X, y = problem()
    model = classifier()
    before = flat_weights(model)
    uses = {
        "batch_size": [quietly, evaluated, predicted],
        "steps": [evaluated, predicted],
    }.get(name, [validated])
    for use in uses:
        with pytest.raises(
            ValueError, match=f"`{name}` must be an integer of at least 1 or None.*{name}={value!r}"
        ):
            use(model, X, y, **{name: value})
    np.testing.assert_array_equal(flat_weights(model), before)


def evaluated(model, X, y, **arguments):
    return model.evaluate(X, y, verbose=0, **arguments)


def predicted(model, X, y, **arguments):
    return model.predict(X, verbose=0, **arguments)


def validated(model, X, y, **arguments):
    return quietly(model, X, y, validation_data=(X, y), **arguments)


@pytest.mark.parametrize("value", [-1, 1.5, 2.0, "2", None])
@pytest.mark.parametrize("name", ["epochs", "initial_epoch"])
def test_numbers_that_are_no_epoch(name, value):
    with pytest.raises(
        ValueError, match=f"`{name}` must be an integer of at least 0. Received: {name}={value!r}"
    ):
        quietly(classifier(), *problem(), **{name: value})


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_numbers_of_numpy_and_epochs_that_are_done():
    X, y = problem()
    sizes = {"batch_size": np.int64(20), "steps_per_epoch": np.array(2), "epochs": np.int32(2)}
    assert len(quietly(classifier(), X, y, **sizes).history["loss"]) == 2
    for epochs in ({"epochs": 0}, {"epochs": 2, "initial_epoch": 2}, {"epochs": 2, "initial_epoch": 3}):
        assert quietly(classifier(), X, y, **epochs).history == {}


@pytest.mark.parametrize("value", [-0.5, 1.5, 2, float("nan"), "0.5", [0.5]])
def test_a_share_that_is_none(value):
    with pytest.raises(ValueError, match="`validation_split` must be a number between 0 and 1"):
        quietly(classifier(), *problem(), validation_split=value)


@pytest.mark.parametrize("value", [1, 1.0, 0.9999])
def test_a_share_that_leaves_nothing(value):
    with pytest.raises(ValueError, match="not sufficient to split it"):
        quietly(classifier(), *problem(), validation_split=value)


@pytest.mark.parametrize("value", [0, -1, False, 1.5, "2", None, {1}])
def test_frequencies_that_are_none(value):
    model = classifier()
    before = flat_weights(model)
    with pytest.raises(ValueError, match="`validation_freq`"):
        validated(model, *problem(), validation_freq=value)
    np.testing.assert_array_equal(flat_weights(model), before)
    quietly(model, *problem(), validation_freq=value)  # without data to measure it is not looked at
