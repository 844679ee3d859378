"""Callbacks that write files."""

import csv
import os
import warnings
from collections.abc import Iterable
from typing import Any

from fastml.keras.callbacks._callback import Callback, MonitorCallback


class CSVLogger(Callback):
    """Writes the logs of each epoch as a line.

    Parameters
    ----------
    filename : path
    separator : str, default=","
    append : bool, default=False
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        self._file: Any = None
        self._writer: Any = None

    def on_train_begin(self, logs=None):
        has_header = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115
        self._writer, self.keys, self._has_header = None, None, has_header

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if self._writer is None:
            keys = sorted(logs)
            if not any(key.startswith("val_") for key in keys):
                # Epochs to come may have them.
                keys += [f"val_{key}" for key in keys]
            self.keys = keys
            self._writer = csv.DictWriter(self._file, ["epoch", *keys], delimiter=self.sep)
            if not self._has_header:
                self._writer.writeheader()
        self._writer.writerow(
            {"epoch": epoch, **{key: _cell(logs.get(key, "NA")) for key in self.keys or ()}}
        )
        self._file.flush()

    def on_train_end(self, logs=None):
        self._file.close()
        self._writer = None


def _cell(value: Any) -> Any:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return f'"[{", ".join(map(str, value))}]"'
    return value


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after each epoch or some batches.

    Parameters
    ----------
    filepath : path
        Ends in ".keras", or for weights alone in ".weights.h5"; ``{epoch:02d}`` and names of the logs are filled in.
    monitor : str, default="val_loss"
    verbose : {0, 1}, default=0
    save_best_only : bool, default=False
        Whether only where ``monitor`` got better.
    save_weights_only : bool, default=False
    mode : {"auto", "min", "max"}
    save_freq : "epoch" or int, default="epoch"
        After each epoch, or after so many batches.
    initial_value_threshold : float, default=None
        What has to be better than that.
    """

    remembered = ("best", "_batches_since_saving")

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq="epoch",
        initial_value_threshold=None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.verbose, self.filepath = verbose, os.fspath(filepath)
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq = save_freq
        self._batches_since_saving = 0
        self._epoch = 0
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                f"Unrecognized save_freq: {save_freq}. Expected save_freq are 'epoch' or integer values"
            )
        if save_weights_only and not self.filepath.endswith(".weights.h5"):
            raise ValueError(
                "When using `save_weights_only=True` in `ModelCheckpoint`, the filepath provided must end in "
                f"`.weights.h5` (Keras weights format). Received: filepath={self.filepath}"
            )
        if not save_weights_only and not self.filepath.endswith(".keras"):
            raise ValueError(
                "The filepath provided must end in `.keras` (Keras model format). Received: "
                f"filepath={self.filepath}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq == "epoch":
            return
        self._batches_since_saving += 1
        if self._batches_since_saving >= self.save_freq:
            self._batches_since_saving = 0
            self._save_model(self._epoch, batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.ensure_direction()
        if self.save_freq == "epoch":
            self._save_model(epoch, None, logs)

    def _save_model(self, epoch: int, batch: int | None, logs: Any) -> None:
        logs = logs or {}
        path = self._path(epoch, batch, logs)
        if not self._is_wanted(epoch, logs, path):
            return
        directory = os.path.dirname(path)
        if directory:
            os.makedirs(directory, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        values = {"epoch": epoch + 1, **logs}
        if batch is not None:
            values.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(**values)
        except KeyError as error:
            raise KeyError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}'
            ) from error

    def _is_wanted(self, epoch: int, logs: dict[str, Any], path: str) -> bool:
        if not self.save_best_only:
            self._say(f"\nEpoch {epoch + 1}: saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(f"Can save best model only with {self.monitor} available.", stacklevel=2)
            return True
        self.ensure_direction()
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self.is_improvement(current, self.best):
            self._say(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        self._say(
            f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {current:.5f}, saving model to {path}"
        )
        self.best = current
        return True

    def _say(self, text: str) -> None:
        if self.verbose > 0:
            print(text)
