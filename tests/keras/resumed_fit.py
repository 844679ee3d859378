"""``python resumed_fit.py FOLDER straight|killed|resumed [NAME]``: trainings that are killed, and go on.

Each scenario of ``SCENARIOS`` by itself in ``FOLDER``: all of them without a kill, or from their backups on; or the one
of a NAME, which does not come back. What came of it is written as ``NAME-straight.npz`` and ``NAME-resumed.npz``.
"""

import os
import random
import signal
import sys
from pathlib import Path

import numpy as np

from fastml import keras
from fastml.keras import callbacks, layers

N, EPOCHS = 48, 5


class Kill(callbacks.Callback):
    """Kills the process, in a step or while it writes the backup of that step."""

    def __init__(self, epoch, batch, in_writing=False):
        super().__init__()
        self.at, self.epoch, self.in_writing = (epoch, batch), 0, in_writing

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            if self.in_writing:
                os.fsync = lambda descriptor: kill()
            else:
                kill()


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class Noise(callbacks.Callback):
    """Draws from Python's and NumPy's own generators and from Keras', with effect."""

    def on_epoch_begin(self, epoch, logs=None):
        weights = self.model.layers[-1].kernel
        weights.assign_add(np.float32(0.01 * np.random.rand() + 0.01 * random.random()))  # noqa: NPY002
        weights.assign_add(keras.random.normal(weights.shape, stddev=0.01))


def batches(X, y):
    """A generator that goes on for ever."""
    while True:
        for i in range(0, N, 8):
            yield X[i : i + 8], y[i : i + 8]


class Batched(keras.utils.PyDataset):
    """Batches that threads fetch, in an order of their own in each epoch."""

    def __init__(self, X, y):
        super().__init__(workers=2, max_queue_size=3)
        self.X, self.y = X, y

    def __len__(self):
        return N // 8

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return self.X[rows], self.y[rows]


# Arguments of the backup, of the kill, and of fit.
SCENARIOS = {
    "epochs": ({}, (3, 2), {}),
    "batches": ({"save_freq": 3}, (2, 2), {}),
    "writing": ({"save_freq": 1, "double_checkpoint": True}, (1, 3, True), {"shuffle": "batch"}),
    "stream": ({"save_freq": 2}, (2, 2), {"steps_per_epoch": 3}),
    "generator": ({}, (2, 1), {"steps_per_epoch": 4, "x": batches}),
    "dataset": ({"save_freq": 1}, (2, 3), {"x": Batched}),
}


def train(folder, name, killed):
    """Train as the scenario says; the model, and logs of the epochs."""
    backup, kill_at, fit = SCENARIOS[name]
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(N, 6, 5, 2)).astype("float32"), rng.integers(0, 3, N)
    model = keras.Sequential(
        [
            keras.Input((6, 5, 2)),
            layers.Conv2D(4, 2, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    told = [
        callbacks.BackupAndRestore(folder / name, **backup),
        Noise(),
        callbacks.ReduceLROnPlateau("loss", patience=1, factor=0.7, min_delta=0.05),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        callbacks.EarlyStopping("loss", patience=3, restore_best_weights=True),
    ]
    if killed:
        told.append(Kill(*kill_at))
    data = {"x": X, "y": y}
    if "x" in fit:
        data = {"x": fit["x"](X, y)}
    fit = {key: value for key, value in fit.items() if key != "x"}
    return model, model.fit(**data, batch_size=8, epochs=EPOCHS, verbose=0, callbacks=told, **fit)


def outcome(model, history):
    """All that training changed, and the logs of the last epoch."""
    variables = [*model.variables, *model.optimizer.variables]
    logs = {name: values[-1] for name, values in history.history.items()}
    generators = np.random.rand(), random.random(), *keras.random.shuffling_generator().state.value  # noqa: NPY002
    generators += tuple(keras.random.unseeded_generator().state.value)
    arrays = {f"variable_{i}": variable.numpy() for i, variable in enumerate(variables)}
    return {**arrays, **logs, "generators": np.array(generators), "epochs": history.epoch[-1]}


if __name__ == "__main__":
    folder, mode, *names = Path(sys.argv[1]), *sys.argv[2:]
    for name in names or SCENARIOS:
        # A straight training keeps its backups elsewhere.
        trained = train(folder / "straight" if mode == "straight" else folder, name, mode == "killed")
        np.savez(folder / f"{name}-{mode}.npz", **outcome(*trained))
