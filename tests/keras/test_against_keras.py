"""Training against Keras: numbers that Keras 3.15.1 gave on TensorFlow 2.21.0.

They are what ``keras_reference.train(keras, ...)`` returns with ``import keras``, rounded to six digits: losses of
three epochs, and the sum of squares of all weights.
"""

import numpy as np
import pytest
from keras_reference import N, data, train

from fastml import keras
from fastml.keras import optimizers
from fastml.keras.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

X, LABELS, REAL = data()
ONE_HOT = np.eye(3)[LABELS]

# Of two computations in float32 whose sums have other orders.
RTOL = 1e-3

OPTIMIZERS = [
    (lambda: SGD(0.05), [1.17854, 1.15293, 1.14981, 38.0045]),
    (lambda: SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01), [1.17199, 1.15794, 1.13389, 37.2639]),
    (lambda: RMSprop(0.01, centered=True, momentum=0.5), [1.17781, 1.12175, 1.10609, 35.3296]),
    (lambda: Adagrad(0.05), [1.16999, 1.16702, 1.1435, 37.5815]),
    (lambda: Adam(0.01), [1.18463, 1.13659, 1.12557, 36.3609]),
    (lambda: Adam(0.01, amsgrad=True, clipnorm=0.1), [1.18375, 1.13178, 1.12038, 36.3018]),
    (lambda: Adam(0.01, clipvalue=0.01), [1.18275, 1.13116, 1.12101, 36.5441]),
    (lambda: AdamW(0.01, global_clipnorm=0.2), [1.18396, 1.1322, 1.1205, 36.2998]),
    (lambda: Adam(optimizers.schedules.ExponentialDecay(0.05, 3, 0.5)), [1.1759, 1.11716, 1.11012, 36.9861]),
]


@pytest.mark.parametrize(("make", "expected"), OPTIMIZERS, ids=range(len(OPTIMIZERS)))
def test_optimizers(make, expected):
    assert train(keras, make()) == pytest.approx(expected, rel=RTOL)


LOSSES = [
    ("mean_squared_error", "linear", REAL, [0.334248, 0.196434, 0.188485, 37.3011]),
    ("huber", "tanh", REAL, [0.189594, 0.127745, 0.120479, 36.7574]),
    ("binary_crossentropy", "sigmoid", ONE_HOT, [0.772169, 0.737371, 0.71713, 36.4545]),
    ("categorical_crossentropy", "softmax", ONE_HOT, [1.18463, 1.13659, 1.12557, 36.3609]),
    ("categorical_hinge", "linear", ONE_HOT, [1.28166, 1.13892, 1.08168, 37.0266]),
    ("kl_divergence", "softmax", ONE_HOT, [1.18463, 1.13659, 1.12558, 36.3564]),
    ("poisson", "exponential", REAL**2, [1.21762, 1.05583, 0.945091, 38.3097]),
    ("log_cosh", "linear", REAL, [0.188739, 0.125797, 0.118311, 36.6631]),
]


@pytest.mark.parametrize(
    ("loss", "activation", "targets", "expected"), LOSSES, ids=[case[0] for case in LOSSES]
)
def test_losses(loss, activation, targets, expected):
    assert train(keras, Adam(0.01), loss, activation, targets) == pytest.approx(expected, rel=RTOL)


def test_weights_of_samples():
    weighted = train(keras, Adam(0.01), sample_weight=np.linspace(0, 2, N))
    assert weighted == pytest.approx([1.17449, 1.13221, 1.11659, 36.4472], rel=RTOL)
    by_class = train(keras, Adam(0.01), class_weight={0: 1.0, 1: 3.0, 2: 0.5})
    assert by_class == pytest.approx([1.59552, 1.39061, 1.34444, 38.7197], rel=RTOL)
