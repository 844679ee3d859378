"""save, load_weights, to_json, export: a model's methods for files."""

import json
from typing import Any

from fastml.keras import saving
from fastml.keras._serialization import serialize_keras_object
from fastml.keras.export import export_model


class Persistent:
    """What of a model goes to files."""

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None) -> None:
        """Write the model to a ``.keras`` file: see `saving.save_model`."""
        saving.save_model(self, filepath, overwrite, zipped)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights to a ``.weights.h5`` file: see `saving.save_weights`."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Set the weights from a ``.weights.h5`` or ``.keras`` file: see `saving.load_weights`."""
        saving.load_weights(self, filepath, skip_mismatch)

    def to_json(self, **kwargs: Any) -> str:
        """The configuration, and how the model is compiled, for `models.model_from_json`; weights are not in it.

        Parameters
        ----------
        **kwargs
            For ``json.dumps``.

        Raises
        ------
        TypeError
            If a layer, a loss or a metric is none of this package's.
        """
        return json.dumps(serialize_keras_object(self), **kwargs)

    def export(self, filepath: Any, format: str = "tf_saved_model", verbose: Any = None) -> None:
        """Write the model for other programs to predict with: see `export.export_model`."""
        export_model(self, filepath, format, verbose)
