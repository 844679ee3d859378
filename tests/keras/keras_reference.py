"""A small model with weights and data that are formulas, so that numbers from Keras can be written down."""

import numpy as np

SHAPE = (6, 5, 2)
N = 23


def values(shape, phase):
    """Numbers between -0.5 and 0.5, the same everywhere."""
    return (0.5 * np.sin(1.7 * np.arange(np.prod(shape)) + phase)).reshape(shape).astype("float32")


def data():
    """Images, labels of three classes, and three values per sample."""
    return 3 * values((N, *SHAPE), 0.3), np.arange(N) * 7 % 5 % 3, values((N, 3), 0.9)


def small_cnn(keras, activation="softmax"):
    """Built by either package."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D((2, 1)),
            layers.BatchNormalization(),
            layers.Conv2D(3, 2, padding="same", activation="tanh", kernel_regularizer="l2"),
            layers.LayerNormalization(),
            layers.Flatten(),
            layers.Dense(6, activation="gelu"),
            layers.Dense(3, activation=activation, bias_regularizer=keras.regularizers.L1(0.01)),
        ]
    )
    model.set_weights(
        [values(w.shape, i) + (1 if "variance" in w.name else 0) for i, w in enumerate(model.weights)]
    )
    return model


def train(
    keras, optimizer, loss="sparse_categorical_crossentropy", activation="softmax", targets=None, **fit
):
    """The loss of three epochs in order, and the sum of squares of all weights afterwards."""
    X, labels, _ = data()
    model = small_cnn(keras, activation)
    model.compile(optimizer, loss)
    history = model.fit(
        X, labels if targets is None else targets, 8, epochs=3, shuffle=False, verbose=0, **fit
    )
    squares = sum(float(np.sum(np.square(w, dtype="float64"))) for w in model.get_weights())
    return [*map(float, history.history["loss"]), squares]


def targets(kind, units):
    """Labels; 0 or 1 in every place; or rows that sum to 1."""
    if kind == "labels":
        return np.arange(N) * 5 % 7 % units
    if kind == "bits":
        return (values((N, units), 1.1) > 0).astype("float32")
    rows = 0.6 + values((N, units), 2.1)
    return rows / rows.sum(axis=1, keepdims=True)


def train_dense(keras, loss, kind, activation, units):
    """The loss before training and in three epochs, and the sum of squares of all weights afterwards."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation=activation)])
    model.set_weights([3 * values(w.shape, i) for i, w in enumerate(model.weights)])
    model.compile(keras.optimizers.SGD(0.5), loss)
    X, y = 4 * values((N, 4), 0.3), targets(kind, units)
    before = model.evaluate(X, y, verbose=0)
    history = model.fit(X, y, 8, epochs=3, shuffle=False, verbose=0).history["loss"]
    squares = sum(float(np.sum(np.square(w, dtype="float64"))) for w in model.get_weights())
    return [float(before), *map(float, history), squares]


def few_steps(keras, optimizer, epochs=2, finish=True, **of_layer):
    """All weights of a dense layer after five steps an epoch; not ``finish``: taken batch by batch, without ``fit``."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, **of_layer)])
    model.set_weights([3 * values(w.shape, i) for i, w in enumerate(model.weights)])
    model.compile(optimizer, "mse")
    X, y = 4 * values((N, 3), 0.3), 2 * values((N, 2), 0.9)
    if finish:
        model.fit(X, y, 5, epochs=epochs, shuffle=False, verbose=0)
    else:
        for first in range(0, N, 5):
            model.train_on_batch(X[first : first + 5], y[first : first + 5])
    return [float(w) for w in np.concatenate([w.ravel() for w in model.get_weights()])]
