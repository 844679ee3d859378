"""A small problem of three classes, and a model for it."""

import numpy as np

from fastml import keras
from fastml.keras import layers


def problem(n=60, n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, n_features)).astype("float32")
    return X, (X @ rng.standard_normal((n_features, 3))).argmax(axis=1)


def classifier(
    loss="sparse_categorical_crossentropy", optimizer="adam", metrics=("accuracy",), **compile_arguments
):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, activation="relu", name="hidden"),
            layers.Dense(3, activation="softmax", name="scores"),
        ]
    )
    model.compile(optimizer, loss, metrics=list(metrics), **compile_arguments)
    return model


def flat_weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


def quietly(model, *args, **kwargs):
    return model.fit(*args, verbose=0, **kwargs)
