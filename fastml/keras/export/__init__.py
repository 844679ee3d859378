"""Models for other programs to predict with."""

from typing import Any

from fastml.keras.export._onnx import export_onnx

__all__ = ["export_model"]


def export_model(model: Any, filepath: Any, format: str = "tf_saved_model", verbose: Any = None) -> None:
    """Write what a model computes in prediction to a file that needs neither Keras nor fastml.

    Parameters
    ----------
    model : Sequential
        Built, all sizes of its input but the batch's known.
    filepath : path
    format : str
        "onnx". Keras' default, a TensorFlow SavedModel, is not one: it holds TensorFlow's operations.
    verbose : bool, default=None
        Whether to print where the file is.

    Raises
    ------
    ValueError
        For other formats, or a model that is not built.
    ImportError
        If the package onnx is not installed.
    """
    if format != "onnx":
        raise ValueError(
            f'fastml.keras exports models to ONNX: give format="onnx". Received: format={format}. A file that '
            "TensorFlow can read is one that `save` writes: keras.models.load_model reads it."
        )
    export_onnx(model, filepath)
    if verbose:
        print(f"Saved artifact at '{filepath}'.")
