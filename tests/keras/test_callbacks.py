"""Callbacks, and the lines that are printed."""

import csv
import re

import numpy as np
import pytest

from fastml import keras
from fastml.keras import callbacks, layers


def model_and_data(optimizer="sgd", n=24):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, 3)).astype("float32"), rng.standard_normal((n, 1)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model, X, y


class Scripted(callbacks.Callback):
    """Replaces ``val_loss`` by given numbers, as the first callback of all."""

    def __init__(self, values):
        super().__init__()
        self.values = values
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.values[epoch]
        self.weights.append(self.model.get_weights())


def run(callback, values, epochs=None, **fit):
    model, X, y = model_and_data()
    script = Scripted(values)
    given = [script, *(callback if isinstance(callback, list) else [callback])]
    history = model.fit(X, y, epochs=epochs or len(values), verbose=0, callbacks=given, **fit)
    return model, history, script


def test_early_stopping():
    model, history, script = run(callbacks.EarlyStopping(patience=2), [5, 4, 4.5, 4.2, 3, 2])
    assert history.epoch == [0, 1, 2, 3]
    np.testing.assert_array_equal(model.get_weights()[0], script.weights[3][0])


def test_early_stopping_restores_the_best_weights(capsys):
    callback = callbacks.EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    model, history, script = run(callback, [5, 4, 4.5, 4.2, 3, 2])
    np.testing.assert_array_equal(model.get_weights()[0], script.weights[1][0])
    printed = capsys.readouterr().out
    assert "Epoch 4: early stopping" in printed
    assert "Restoring model weights from the end of the best epoch: 2." in printed
    assert history.epoch[-1] == 3


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        ({"patience": 1, "min_delta": 0.5}, 2),
        ({"patience": 1, "start_from_epoch": 3}, 4),
        ({"patience": 1, "baseline": 1.0}, 4),
        ({"patience": 1, "mode": "max"}, 1),
    ],
)
def test_early_stopping_options(arguments, last):
    _, history, _ = run(callbacks.EarlyStopping(**arguments), [5.0, 4.0, 3.9, 3.8, 3.9, 3.95, 4.0])
    assert history.epoch[-1] == last


def test_early_stopping_without_its_number_warns():
    model, X, y = model_and_data()
    with pytest.warns(UserWarning, match="conditioned on metric `val_loss` which is not available"):
        model.fit(X, y, verbose=0, callbacks=callbacks.EarlyStopping())


def test_a_direction_that_is_not_known_is_asked_for():
    with pytest.raises(ValueError, match="Pass `mode='max'`"):
        run(callbacks.EarlyStopping(monitor="val_luck"), [1.0])


def test_reduce_lr_on_plateau():
    callback = callbacks.ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.004)
    _, history, _ = run(callback, [5, 4, 4, 4, 4, 4, 4, 4, 4])
    rates = history.history["learning_rate"]
    np.testing.assert_allclose(rates, [0.01] * 4 + [0.005] * 2 + [0.004] * 3, rtol=1e-6)
    with pytest.raises(ValueError, match=r"does not support a factor >= 1\.0"):
        callbacks.ReduceLROnPlateau(factor=1.0)


def test_learning_rate_scheduler():
    for schedule in (lambda epoch, rate: rate * 0.5, lambda epoch: 0.01 * 0.5 ** (epoch + 1)):
        _, history, _ = run(callbacks.LearningRateScheduler(schedule), [1, 1, 1])
        np.testing.assert_allclose(history.history["learning_rate"], [0.005, 0.0025, 0.00125], rtol=1e-6)
    with pytest.raises(ValueError, match="should be a float"):
        run(callbacks.LearningRateScheduler(lambda epoch: 1), [1])


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    run(callbacks.CSVLogger(path), [3, 2])
    run(callbacks.CSVLogger(path, append=True), [1])
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "0"]
    assert [row["val_loss"] for row in rows] == ["3", "2", "1"]
    assert set(rows[0]) == {"epoch", "loss", "mae", "val_loss"}


def test_terminate_on_nan(capsys):
    model, X, y = model_and_data()
    X[10] = np.nan
    history = model.fit(X, y, 8, epochs=3, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert history.epoch == [0]
    assert "Batch 1: Invalid loss, terminating training" in capsys.readouterr().out
    model, _, _ = model_and_data()
    with pytest.raises(RuntimeError, match="at batch 1"):
        model.fit(X, y, 8, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN(raise_error=True)])


def test_lambda_callback_and_the_order_of_calls():
    calls = []
    hooks = {
        name: (lambda *args, name=name: calls.append((name, *[a for a in args if isinstance(a, int)])))
        for name in ("on_epoch_begin", "on_epoch_end", "on_train_begin", "on_train_end", "on_train_batch_end")
    }
    hooks["on_test_begin"] = lambda logs=None: calls.append(("on_test_begin",))
    model, X, y = model_and_data()
    model.fit(X, y, 12, verbose=0, validation_data=(X, y), callbacks=[callbacks.LambdaCallback(**hooks)])
    assert calls == [
        ("on_train_begin",),
        ("on_epoch_begin", 0),
        ("on_train_batch_end", 0),
        ("on_train_batch_end", 1),
        ("on_test_begin",),
        ("on_epoch_end", 0),
        ("on_train_end",),
    ]


def test_batch_hooks_get_the_means_so_far():
    logs_of = []
    model, X, y = model_and_data("sgd")
    seen = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: logs_of.append(dict(logs)))
    history = model.fit(X, y, 8, verbose=0, callbacks=[seen])
    assert [sorted(logs) for logs in logs_of] == [["loss", "mae"]] * 3
    assert logs_of[-1]["loss"] == history.history["loss"][0]


def test_callbacks_know_the_run():
    model, X, y = model_and_data()
    callback = callbacks.Callback()
    model.fit(X, y, 10, epochs=2, verbose=0, callbacks=[[callback]])
    assert callback.params == {"verbose": 0, "epochs": 2, "steps": 3}
    assert callback.model is model


class Saving:
    """In place of a model: notes what is saved."""

    compiled_metrics = ()

    def __init__(self):
        self.saved = []

    def save(self, path, overwrite):
        self.saved.append(path)

    save_weights = save


def test_model_checkpoint(tmp_path):
    def checkpoints(name, epochs, **arguments):
        callback, model = callbacks.ModelCheckpoint(tmp_path / name, **arguments), Saving()
        callback.set_model(model)
        for epoch, value in enumerate(epochs):
            callback.on_epoch_begin(epoch)
            for batch in range(3):
                callback.on_train_batch_end(batch, {})
            callback.on_epoch_end(epoch, {"val_loss": value})
        return [path.rpartition("/")[2] for path in model.saved]

    losses = [3.0, 2.0, 2.5, 1.0]
    assert checkpoints("{epoch:02d}-{val_loss:.1f}.keras", losses) == [
        "01-3.0.keras",
        "02-2.0.keras",
        "03-2.5.keras",
        "04-1.0.keras",
    ]
    assert checkpoints("{epoch}.keras", losses, save_best_only=True) == ["1.keras", "2.keras", "4.keras"]
    best = {"save_best_only": True, "initial_value_threshold": 2.2}
    assert checkpoints("{epoch}.keras", losses, **best) == ["2.keras", "4.keras"]
    assert checkpoints("{epoch}-{batch}.weights.h5", losses[:2], save_weights_only=True, save_freq=2) == [
        "1-2.weights.h5",
        "2-1.weights.h5",
        "2-3.weights.h5",
    ]
    with pytest.raises(ValueError, match=r"must end in `\.keras`"):
        callbacks.ModelCheckpoint("model.pkl")
    with pytest.raises(ValueError, match=r"must end in `\.weights\.h5`"):
        callbacks.ModelCheckpoint("model.keras", save_weights_only=True)
    with pytest.raises(KeyError, match="Failed to format"):
        checkpoints("{luck}.keras", losses)


def plain(text):
    """Without colours and movements of the cursor."""
    return re.sub("\x1b\\[\\d+m", "", text).replace("\b", "").replace("\r", "\n")


def test_progress_bars(capsys):
    model, X, y = model_and_data()
    model.fit(X, y, 8, epochs=2, validation_data=(X, y))
    lines = plain(capsys.readouterr().out).splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    last = lines[-1]
    numbers = "".join(rf" - {name}: \d\.\d{{4}}" for name in ("loss", "mae", "val_loss", "val_mae"))
    assert re.fullmatch(r"3/3 ━{20} 0s \d+[um]s/step" + numbers, last.strip()), last
    model.predict(X, 10)
    assert re.fullmatch(
        r"3/3 ━{20} 0s \d+[um]s/step", plain(capsys.readouterr().out).splitlines()[-1].strip()
    )


def test_progress_lines(capsys):
    model, X, y = model_and_data()
    model.fit(X, y, 8, epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0::2] == ["Epoch 1/2", "Epoch 2/2"]
    for line in lines[1::2]:
        assert re.fullmatch(r"3/3 - 0s - \d+[um]s/step - loss: \d\.\d{4} - mae: \d\.\d{4}", line), line
    model.fit(X, y, verbose=0)
    model.evaluate(X, y, verbose=0)
    assert capsys.readouterr().out == ""


def test_progress_of_batches_whose_number_is_not_known(capsys):
    model, X, y = model_and_data()
    model.fit((X[i : i + 8], y[i : i + 8]) for i in (0, 8, 16))
    lines = plain(capsys.readouterr().out).splitlines()
    assert any("1/Unknown" in line for line in lines)
    assert lines[-1].startswith("3/3 ")


def test_summary():
    model, X, y = model_and_data("adam")
    lines = []
    model.summary(print_fn=lines.append, line_length=76)
    before = lines.pop().splitlines()
    assert before[0] == 'Model: "sequential"'
    assert before[1] == "┏" + "━" * 33 + "┳" + "━" * 24 + "┳" + "━" * 15 + "┓"
    assert before[4] == "│ dense (Dense)                   │ (None, 1)              │             4 │"
    assert before[-3:] == [
        " Total params: 4 (16.00 B)",
        " Trainable params: 4 (16.00 B)",
        " Non-trainable params: 0 (0.00 B)",
    ]
    model.fit(X, y, verbose=0)
    model.summary(print_fn=lines.append)
    assert lines[0].splitlines()[-1] == " Optimizer params: 10 (44.00 B)"
    unbuilt = keras.Sequential([layers.Dense(2)])
    unbuilt.summary(print_fn=lines.append, line_length=76)
    assert "│ ?                      │   0 (unbuilt) │" in lines[1]
