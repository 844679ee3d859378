"""Models of all layers, that either package builds: see saved/make.py."""

import numpy as np

IMAGES, SEQUENCES, ROWS = (9, 8, 4), (10, 4), (6,)


def _images(keras):
    layers = keras.layers
    return [
        layers.Rescaling(1 / 2, 0.1),
        layers.Conv2D(6, (3, 2), strides=(2, 1), padding="same", groups=2, activation="relu"),
        layers.BatchNormalization(scale=False),
        layers.SeparableConv2D(4, 3, padding="same", depth_multiplier=2, activation="gelu"),
        layers.MaxPooling2D((2, 3), strides=1, padding="same"),
        layers.DepthwiseConv2D(2, depth_multiplier=2, dilation_rate=2, use_bias=False),
        layers.LayerNormalization(axis=[-2, -1]),
        layers.LeakyReLU(0.1),
        layers.ZeroPadding2D(((1, 0), (0, 2))),
        layers.UpSampling2D((2, 1), interpolation="bilinear"),
        layers.AveragePooling2D(3, strides=2, padding="same"),
        layers.Cropping2D(((1, 0), (0, 1))),
        layers.Conv2D(3, 1, dilation_rate=2, kernel_regularizer="l2", activation=layers.Softmax()),
        layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.1),
        layers.Dropout(0.3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ]


def _sequences(keras):
    layers = keras.layers
    return [
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2),
        layers.ELU(0.5),
        layers.MaxPooling1D(3, 2, padding="same"),
        layers.AveragePooling1D(2, 1),
        layers.Softmax(axis=1),
        layers.Permute((2, 1)),
        layers.Reshape((2, 2, -1)),
        layers.UpSampling2D(2),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.Activation("selu"),
        layers.Flatten(),
        layers.Dense(2, use_bias=False, activation="tanh"),
    ]


def _nested(keras):
    layers = keras.layers
    return [
        keras.Sequential([layers.Dense(4, activation=layers.ELU(0.5)), layers.Dropout(0.5)]),
        layers.BatchNormalization(axis=1),
        keras.Sequential([layers.Dense(2), layers.Dense(1, activation="hard_sigmoid")]),
    ]


def models(keras):
    """Name, a trained model, and inputs to predict for."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)
    Adam, RMSprop, SGD = keras.optimizers.Adam, keras.optimizers.RMSprop, keras.optimizers.SGD
    for name, make, shape, optimizer, loss, n_outputs in [
        ("images", _images, IMAGES, SGD(schedule, momentum=0.9), "categorical_crossentropy", 3),
        ("sequences", _sequences, SEQUENCES, RMSprop(0.01, centered=True), keras.losses.Huber(0.5), 2),
        ("nested", _nested, ROWS, Adam(0.02, amsgrad=True, clipnorm=1.0), "mse", 1),
    ]:
        model = keras.Sequential([keras.Input(shape), *make(keras)])
        model.compile(optimizer, loss, metrics=["mae", keras.metrics.MeanSquaredError(name="squares")])
        rng = np.random.default_rng(0)
        X = rng.normal(size=(4, *shape)).astype("float32")
        model.fit(X, rng.dirichlet(np.ones(n_outputs), 4), epochs=2, verbose=0)
        yield name, model, X
