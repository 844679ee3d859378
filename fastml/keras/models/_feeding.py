"""What a model's methods run: its network, made for what is trained, with data made fit for it."""

import warnings
from typing import Any

import numpy as np

from fastml.keras.models._compilable import Compilable
from fastml.keras.models._compiled import Comparison, resolved_loss
from fastml.keras.models._data import Samples
from fastml.keras.models._feed import Feed
from fastml.keras.models._trainability import Trainability
from fastml.solvers.backprop import Activation, Network, RowActivation

TRAINING, PREDICTING = ("fit", "train_on_batch"), ("predict", "predict_on_batch")


class Feeding(Compilable):
    """The feed of a data set, or of batches that come one by one, for each method that a model has for data."""

    def _feed(self, use: str, samples: Samples, in_memory: bool) -> Feed:
        """Something that runs batches for a method, ``use``."""
        x = self.adapted(samples.x)  # type: ignore[attr-defined]
        network = self._network_for_use(use, x.shape[1:])
        comparison = None
        if use not in PREDICTING:
            comparison = self._ensure_comparison(samples, network)
        optimizer = None
        if use in TRAINING:
            optimizer = self.optimizer
            if optimizer is None:
                raise ValueError("The model was compiled without an optimizer.")
            trained = self._first_used[use].trained
            if not trained:
                warnings.warn("The model does not have any trainable weights.", stacklevel=4)
            optimizer.build(trained)
        return Feed(network, comparison, optimizer, samples._replace(x=x) if in_memory else None)

    def _batch_feed(self, use: str, samples: Samples) -> Feed:
        """The feed for single batches: its programs are kept for the next one."""
        x_shape = self.adapted(samples.x).shape[1:]  # type: ignore[attr-defined]
        network = self._network_for_use(use, x_shape)
        feed = getattr(self._batch_feeds, use, None)
        if feed is None or feed.network is not network:
            feed = self._feed(use, samples, in_memory=False)
            setattr(self._batch_feeds, use, feed)
        return feed

    def _network_for_use(self, use: str, sample_shape: tuple[int, ...]) -> Network:
        """That of the first use since ``compile``: what has been frozen since is trained on, as in Keras."""
        trainability = None
        if use not in PREDICTING:
            now = Trainability.of(self)
            trainability = self._first_used.get(use)
            if trainability is None or not trainability.is_of_what(now):
                trainability = self._first_used[use] = now
        return self.network(sample_shape, use in TRAINING, trainability)  # type: ignore[attr-defined]

    def _ensure_comparison(self, samples: Samples, network: Any) -> Comparison:
        if samples.y is None:
            raise ValueError("Targets are needed to compute the loss: y is None.")
        y_shape, output_shape = np.shape(samples.y)[1:], network.output_shape
        assert self._metrics is not None
        self._metrics.build(y_shape, output_shape)
        if self._comparison is None or self._comparison.output_shape != tuple(output_shape):
            loss = resolved_loss(self.loss, y_shape, output_shape)
            if loss is None:
                raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
            last = network.nodes[-1] if network.nodes else None
            name = last.name if isinstance(last, Activation | RowActivation) else None
            layer = self.layers[-1].name  # type: ignore[attr-defined]
            self._comparison = Comparison(loss, output_shape, name, layer, network.dtype)
        return self._comparison

    def _adapted_batch(self, batch: Any) -> Any:
        """Rows as they are; samples with inputs of the model's shape."""
        if isinstance(batch, Samples):
            return batch._replace(x=self.adapted(batch.x))  # type: ignore[attr-defined]
        return batch
