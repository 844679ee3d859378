"""Backups of a training under way, and going on from one."""

import os
import warnings
import zipfile
from io import BytesIO
from typing import Any

from fastml._files import remove_unfinished, replacing
from fastml.keras.callbacks._callback import Callback
from fastml.keras.saving._archive import STATE, WEIGHTS, Archive
from fastml.keras.saving._model_file import read_weights, write_members

_LATEST, _PREVIOUS = "latest.zip", "previous.zip"


class BackupAndRestore(Callback):
    """Keeps a backup of the training, from which the next ``fit`` goes on if this one does not come to its end.

    On the same data with the same arguments, model and number of threads, a training that was killed and goes on gives
    to the last bit what it would have given: weights, the optimizer's state, the generators (Python's and NumPy's, too)
    and what callbacks remember are in one file, which is replaced at once. It is written after all other callbacks.

    Parameters
    ----------
    backup_dir : path
        A folder for this training alone.
    save_freq : "epoch" or int, default="epoch"
        After each epoch, or after so many batches. With a generator for data, all batches up to the backup are drawn
        from it once more.
    double_checkpoint : bool, default=False
        Whether to keep the backup before the last one, for the case that the last one cannot be read.
    delete_checkpoint : bool, default=True
        Whether to delete backups at the end of training.
    """

    is_last = True
    remembered = ("_batches_since_saving",)

    def __init__(
        self,
        backup_dir: Any,
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not backup_dir:
            raise ValueError("Empty `backup_dir` argument passed")
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                f"Invalid value for argument `save_freq`. Received: save_freq={save_freq}. Expected either 'epoch' or "
                "an integer value."
            )
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._batches_since_saving = 0
        self._latest, self._previous = (os.path.join(self.backup_dir, name) for name in (_LATEST, _PREVIOUS))
        if save_freq == "epoch":
            self.on_epoch_end = self._after_epoch  # type: ignore[method-assign]
        elif save_freq:
            # Who listens to batches has metrics computed for each.
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]

    def on_train_begin(self, logs=None):
        self._batches_since_saving = 0
        if os.path.exists(self._latest):
            try:
                self._restore(self._latest)
                return
            except (ValueError, OSError) as error:
                if not os.path.exists(self._previous):
                    raise
                warnings.warn(f"The last backup cannot be used, the one before it is: {error}", stacklevel=2)
        if os.path.exists(self._previous):
            self._restore(self._previous)

    def _restore(self, path: str) -> None:
        with Archive(path) as archive:
            state, weights = archive.json(STATE), archive.read(WEIGHTS)
        read_weights(self.model, BytesIO(weights), path, len(weights))
        self.model.resume_from(state, path)

    def _after_epoch(self, epoch: int, logs: Any = None) -> None:
        self._save()

    def _after_batch(self, batch: int, logs: Any = None) -> None:
        self._batches_since_saving += 1
        if self._batches_since_saving >= self.save_freq:
            self._batches_since_saving = 0
            self._save()

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._latest):
            os.replace(self._latest, self._previous)
        with replacing(self._latest) as file, zipfile.ZipFile(file, "w") as archive:
            write_members(self.model, archive)

    def on_train_end(self, logs=None):
        if not self.delete_checkpoint or not os.path.isdir(self.backup_dir):
            return
        remove_unfinished(self.backup_dir, _LATEST)
        for path in (self._latest, self._previous):
            if os.path.exists(path):
                os.unlink(path)
        if not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)
