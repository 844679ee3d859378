"""compile, and what it keeps."""

import threading
from typing import Any

from fastml.keras import metrics as metrics_module
from fastml.keras import optimizers
from fastml.keras._locks import ForkSafeLock, exclusive
from fastml.keras._serialization import deserialize_keras_object, serialize_keras_object
from fastml.keras.models._compiled import Comparison, CompiledMetrics
from fastml.keras.models._trainability import Trainability


class Compilable:
    """What ``compile`` gives a model: an optimizer, a loss, metrics.

    Attributes
    ----------
    optimizer : Optimizer or None
    loss : object
        As given to ``compile``.
    """

    def __init__(self) -> None:
        self.compiled = False
        self.optimizer: Any = None
        self.loss: Any = None
        self._loss_tracker = metrics_module.Mean(name="loss")
        self._metrics: CompiledMetrics | None = None
        self._comparison: Comparison | None = None
        self._compile_config: dict[str, Any] = {}
        self.stop_training = False
        # What was trainable when fit, evaluate and the like were first called.
        self._first_used: dict[str, Trainability] = {}
        # Taken by what changes the optimizer, the metrics or the weights.
        self._lock = ForkSafeLock()
        # For single batches, in each thread its own: see Feeding.
        self._batch_feeds = threading.local()

    # Compiling

    @exclusive
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how to train and what to measure.

        What is trained is what is ``trainable`` when ``fit`` (or ``train_on_batch``) is first called, until the next
        ``compile``. That may leave out the loss, or all metrics, which then stay.

        Parameters
        ----------
        optimizer : str or Optimizer, default="rmsprop"
        loss : str, function, Loss or fastml.Loss
        loss_weights : not supported
        metrics, weighted_metrics : list of str, function or Metric
            The latter take the weights of samples into account.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            Accepted, and without effect.
        """
        if loss_weights is not None:
            raise ValueError("loss_weights is not supported: a Sequential model has one loss.")
        self.optimizer = optimizers.get(optimizer)
        if loss is not None:
            self.loss = loss
        if self._metrics is None or metrics is not None or weighted_metrics is not None:
            self._metrics = CompiledMetrics(metrics, weighted_metrics)
        self._loss_tracker = metrics_module.Mean(name="loss")
        self._comparison = None
        self.stop_training = False
        self._first_used = {}
        self._batch_feeds = threading.local()
        self.compiled = True
        self._compile_config = {
            "optimizer": self.optimizer,
            "loss": loss,
            "loss_weights": None,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": False if jit_compile == "auto" else jit_compile,
        }

    def get_compile_config(self) -> dict[str, Any] | None:
        return serialize_keras_object(self._compile_config) if self.compiled else None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**deserialize_keras_object(config))
        if self.built and self.optimizer is not None:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_weights)  # type: ignore[attr-defined]

    @property
    def compiled_metrics(self) -> list[metrics_module.Metric]:
        """Those given to ``compile``; there once data have come."""
        return [] if self._metrics is None else self._metrics.all

    @property
    def metrics(self) -> list[metrics_module.Metric]:
        return [self._loss_tracker, *self.compiled_metrics] if self.compiled else []

    @property
    def metrics_names(self) -> list[str]:
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The loss and all metrics, by name in alphabetical order."""
        results = {"loss": float(self._loss_tracker.result())}
        if self._metrics is not None:
            results |= self._metrics.results()
        return dict(sorted(results.items()))

    def _results(self, return_dict: bool) -> Any:
        """The loss, or a list of it and the metrics in the order of ``compile``; or a dictionary."""
        logs = self.get_metrics_result()
        if return_dict:
            return logs
        names = ["loss", *(self._metrics.results() if self._metrics is not None else ())]
        return logs["loss"] if len(names) == 1 else [logs[name] for name in names]

    def _assert_compiled(self) -> None:
        if not self.compiled:
            raise ValueError("You must call `compile()` before using the model.")
