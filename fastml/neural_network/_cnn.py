"""CNNClassifier: a convolutional network for images, without writing one."""

from typing import Any

import numpy as np

from fastml import keras
from fastml.neural_network._sequential import SequentialClassifier

layers = keras.layers


class CNNClassifier(SequentialClassifier):
    """A small convolutional network for images.

    Convolutions with relu, each followed by max pooling, then dense layers with relu, then softmax.

    Parameters
    ----------
    filters : sequence of int, default=(32,)
        Of each convolution.
    kernel_size : int, default=3
    pool_size : int, default=2
        1 leaves pooling out.
    hidden_layer_sizes : sequence of int, default=(128,)
        Units of the dense layers.
    image_shape : tuple of int or None, default=None
        (height, width) or (height, width, channels) of images that come as flat rows.
    optimizer : str or Optimizer, default="adam"
    epochs : int, default=10
    batch_size : int, default=32
    validation_fraction : float, default=0
    callbacks : sequence of Callback, default=()
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    model_, history_, classes_, n_features_in_
        As for ``SequentialClassifier``.

    Notes
    -----
    X has shape (n, height, width[, channels]), or is flat and ``image_shape`` is given. Bytes are divided by 255 as
    they are read, so that no copy of the data set is made; other types are taken as they are.
    """

    def __init__(
        self,
        filters=(32,),
        kernel_size=3,
        pool_size=2,
        hidden_layer_sizes=(128,),
        image_shape=None,
        optimizer="adam",
        epochs=10,
        batch_size=32,
        validation_fraction=0,
        callbacks=(),
        random_state=None,
    ):
        self.filters = filters
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.image_shape = image_shape
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.random_state = random_state

    loss = None

    def _model_parameters(self) -> dict[str, Any]:
        return {}

    def _check_X(self, X: Any, reset: bool) -> np.ndarray:
        X = super()._check_X(X, reset)
        if reset:
            self._is_bytes = X.dtype == np.uint8
        elif self._is_bytes != (X.dtype == np.uint8):
            raise ValueError(f"X is {X.dtype}, and was {'' if self._is_bytes else 'not '}uint8 in fit.")
        if X.ndim == 2:
            if self.image_shape is None:
                raise ValueError(f"X of shape {X.shape} holds no images: pass image_shape=(height, width).")
            if X.shape[1] != np.prod(self.image_shape):
                raise ValueError(f"Rows of {X.shape[1]} values are no images of shape {self.image_shape}.")
            X = X.reshape(len(X), *self.image_shape)
        if X.ndim not in (3, 4):
            raise ValueError(f"X must have shape (n, height, width[, channels]); got {X.shape}.")
        return X if X.ndim == 4 else X[..., None]

    def _make_model(self, sample_shape: tuple[int, ...], n_outputs: int) -> keras.Sequential:
        model = keras.Sequential([layers.Input(shape=sample_shape)])
        if self._is_bytes:
            model.add(layers.Rescaling(1 / 255))
        for filters in self.filters:
            model.add(layers.Conv2D(filters, self.kernel_size, activation="relu"))
            if self.pool_size > 1:
                model.add(layers.MaxPooling2D(self.pool_size))
        model.add(layers.Flatten())
        for units in self.hidden_layer_sizes:
            model.add(layers.Dense(units, activation="relu"))
        model.add(layers.Dense(max(2, n_outputs), activation="softmax"))
        return model
