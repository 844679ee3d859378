"""fit, evaluate, predict."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastml.keras._locks import exclusive
from fastml.keras.callbacks import CallbackList
from fastml.keras.models._arguments import (
    check_counts,
    check_validation_freq,
    check_validation_split,
    is_due,
)
from fastml.keras.models._data import (
    ArrayBatches,
    Epochs,
    Samples,
    batch_of,
    is_batches,
    samples_and_batches,
    train_validation_split,
    unpack_x_y_sample_weight,
    warn_of_no_data,
    weighted,
)
from fastml.keras.models._feed import Feed
from fastml.keras.models._feeding import Feeding
from fastml.keras.saving._state import restore_epoch, restore_training


@dataclass
class Progress:
    """How far training has come.

    Attributes
    ----------
    epoch, step : int
        Epochs completed, and steps of the one under way.
    epochs : Epochs or None
    callbacks : CallbackList or None
        Those of the last ``fit``.
    """

    epoch: int = 0
    step: int = 0
    epochs: Epochs | None = None
    callbacks: CallbackList | None = None


class Trainer(Feeding):
    """What a model does with data.

    It may predict in several threads at a time, and while another one trains it, with the weights of that moment. What
    trains or measures waits for its turn.

    Attributes
    ----------
    stop_training : bool
        Callbacks set it to end training after the batch at hand.
    history : History
        Of the last ``fit``.
    progress : Progress
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: Any = None
        self.progress = Progress()
        self._saved: tuple[dict[str, Any], str] | None = None

    # Training

    @exclusive
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Train.

        Parameters
        ----------
        x : array, or generator, iterable or `utils.PyDataset` of batches ``(x, y)`` or ``(x, y, sample_weight)``
        y : array
        batch_size : int, default=32
        epochs : int, default=1
            The number of the last epoch: ``initial_epoch`` are taken as done.
        verbose : {"auto", 0, 1, 2}
            Silent, a bar per epoch ("auto"), a line per epoch.
        callbacks : list of Callback
        validation_split : float, default=0
            The share of samples, the last ones, that is not trained on.
        validation_data : tuple or iterable of batches
        shuffle : bool or "batch"
        class_weight : dict of int to float
        sample_weight : array
        initial_epoch : int, default=0
        steps_per_epoch, validation_steps : int
        validation_batch_size : int
        validation_freq : int or list of int
            Every so many epochs, or after these.

        Returns
        -------
        History

        Notes
        -----
        On an interrupt the weights are those of the last completed step.
        """
        self._assert_compiled()
        check_counts(batch_size=batch_size, validation_batch_size=validation_batch_size)
        check_counts(steps_per_epoch=steps_per_epoch, validation_steps=validation_steps)
        check_counts(least=0, optional=False, epochs=epochs, initial_epoch=initial_epoch)
        check_validation_split(validation_split)
        if validation_split and validation_data is None:
            first, last = train_validation_split(Samples(x, y, sample_weight), validation_split)
            (x, y, sample_weight), validation_data = first, last
        samples, batches = samples_and_batches(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
        )
        feed = self._feed("fit", samples, isinstance(batches, ArrayBatches))
        epochs_of_batches = Epochs(batches, steps_per_epoch)
        validation = None
        if validation_data is not None:
            check_validation_freq(validation_freq)
            size = validation_batch_size or batch_size
            validation = self._validation(validation_data, size, validation_steps)
        callbacks = self._callback_list(callbacks, verbose, epochs, epochs_of_batches.num_batches, fit=True)
        self.stop_training = False
        self.progress = Progress(initial_epoch, 0, epochs_of_batches, callbacks)
        self._saved = None
        with closing(epochs_of_batches):
            self._train(feed, epochs, callbacks, validation, validation_freq)
        return self.history

    def _train(
        self,
        feed: Feed,
        epochs: int,
        callbacks: CallbackList,
        validation: tuple[Feed, Epochs] | None,
        validation_freq: Any,
    ) -> None:
        callbacks.on_train_begin()
        self._resume()
        logs: dict[str, Any] | None = None
        while self.progress.epoch < epochs and not self.stop_training:
            epoch = self.progress.epoch
            self.reset_metrics()
            self._begin_epoch(callbacks)
            self._run_epoch(feed, callbacks)
            if not self.progress.step:
                warn_of_no_data("interrupting training")
                break
            self.progress.epoch, self.progress.step = epoch + 1, 0
            logs = self.get_metrics_result()
            if validation is not None and is_due(epoch, validation_freq):
                measured = self._measure(*validation, callbacks)
                logs = dict(
                    sorted((logs | {f"val_{name}": value for name, value in measured.items()}).items())
                )
            callbacks.on_epoch_end(epoch, logs)
        if epochs > 0:
            self.optimizer.finalize_variable_values(self.trainable_weights)  # type: ignore[attr-defined]
        callbacks.on_train_end(logs)

    def resume_from(self, state: dict[str, Any], path: str) -> None:
        """Have the ``fit`` that has just begun go on from a state: see `saving`.

        It is restored once all callbacks have begun, as they forget what they knew then.
        """
        self._saved = state, path

    def _resume(self) -> None:
        if self._saved is not None:
            restore_training(self, *self._saved)

    def _begin_epoch(self, callbacks: CallbackList) -> None:
        """Tell callbacks; if training goes on within the epoch, then undo what they do for the second time."""
        saved, self._saved = self._saved, None
        if saved is None or not self.progress.step:
            callbacks.on_epoch_begin(self.progress.epoch)
            return
        variables = [*self.weights, *self.optimizer.variables]  # type: ignore[attr-defined]
        values = [variable.numpy() for variable in variables]
        callbacks.on_epoch_begin(self.progress.epoch)
        for variable, value in zip(variables, values):
            variable.assign(value)
        restore_epoch(self, *saved)

    def _run_epoch(self, feed: Feed, callbacks: CallbackList) -> None:
        progress = self.progress
        assert progress.epochs is not None
        for step, batch in enumerate(progress.epochs, progress.step):
            callbacks.call("on_train_batch_begin", step)
            self._take_in(feed, feed.train(self._adapted_batch(batch)))
            progress.step = step + 1
            callbacks.batch_end("on_train_batch_end", step, self.get_metrics_result)
            if self.stop_training:
                break

    def _take_in(self, feed: Feed, outcome: Any) -> None:
        self._loss_tracker.add(outcome.loss * outcome.n, outcome.n)
        if self._metrics is not None and self._metrics.all:
            self._metrics.update(outcome.y, outcome.predictions, outcome.sample_weight)

    def _callback_list(self, callbacks: Any, verbose: Any, epochs: int, steps: int | None, fit: bool) -> Any:
        if isinstance(callbacks, CallbackList):
            return callbacks
        return CallbackList(
            callbacks,
            add_history=fit,
            add_progbar=verbose != 0,
            model=self,
            verbose=verbose,
            epochs=epochs,
            steps=steps,
        )

    # Measuring

    def _validation(self, data: Any, batch_size: int | None, steps: int | None) -> tuple[Feed, Epochs]:
        x, y, sample_weight = (data, None, None) if is_batches(data) else unpack_x_y_sample_weight(data)
        samples, batches = samples_and_batches(x, y, sample_weight, batch_size, steps)
        feed = self._feed("evaluate", samples, isinstance(batches, ArrayBatches))
        return feed, Epochs(batches, steps, restarts=True)

    def _measure(self, feed: Feed, batches: Epochs, callbacks: CallbackList) -> dict[str, Any]:
        callbacks.on_test_begin()
        self.reset_metrics()
        step = -1
        with closing(batches):
            for step, batch in enumerate(batches):
                callbacks.call("on_test_batch_begin", step)
                self._take_in(feed, feed.run(self._adapted_batch(batch)))
                callbacks.batch_end("on_test_batch_end", step, self.get_metrics_result)
        if step < 0:
            warn_of_no_data("nothing is measured")
        logs = self.get_metrics_result() if step >= 0 else {}
        callbacks.on_test_end(logs)
        return logs

    @exclusive
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics on data; arguments as for ``fit``.

        Returns
        -------
        float, list of float, or dict of str to float
            The loss if there are no metrics; a dict if ``return_dict``.
        """
        self._assert_compiled()
        check_counts(batch_size=batch_size, steps=steps)
        data = x if is_batches(x) else Samples(x, y, sample_weight)
        feed, batches = self._validation(data, batch_size, steps)
        self._measure(
            feed, batches, self._callback_list(callbacks, verbose, 1, batches.num_batches, fit=False)
        )
        return self._results(return_dict)

    # Predicting

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """The output for samples, of an array or of batches."""
        check_counts(batch_size=batch_size, steps=steps)
        samples, batches = samples_and_batches(x, None, None, batch_size, steps)
        feed = self._feed("predict", samples, isinstance(batches, ArrayBatches))
        epoch = Epochs(batches, steps)
        callbacks = self._callback_list(callbacks, verbose, 1, epoch.num_batches, fit=False)
        callbacks.on_predict_begin()
        outputs: list[np.ndarray] = []
        with closing(epoch):
            for step, batch in enumerate(epoch):
                callbacks.call("on_predict_batch_begin", step)
                outputs.append(feed.predict(self._adapted_batch(batch)))
                callbacks.batch_end("on_predict_batch_end", step, lambda: {"outputs": outputs[-1]})
        callbacks.on_predict_end()
        return np.concatenate(outputs)

    # One batch

    @exclusive
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch. Results are the batch's, before the step."""
        self._assert_compiled()
        self.reset_metrics()
        samples = weighted(batch_of(x, y, sample_weight), class_weight)
        feed = self._batch_feed("train_on_batch", samples)
        self._take_in(feed, feed.train(self._adapted_batch(samples)))
        return self._results(return_dict)

    @exclusive
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch."""
        self._assert_compiled()
        self.reset_metrics()
        samples = batch_of(x, y, sample_weight)
        feed = self._batch_feed("test_on_batch", samples)
        self._take_in(feed, feed.run(self._adapted_batch(samples)))
        return self._results(return_dict)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """The output for one batch."""
        samples = batch_of(x, None, None)
        feed = self._batch_feed("predict_on_batch", samples)
        return feed.predict(self._adapted_batch(samples))
