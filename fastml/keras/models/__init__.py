"""Models: Sequential ones."""

from fastml.keras.models._sequential import Model, Sequential
from fastml.keras.saving import load_model, save_model

__all__ = ["Model", "Sequential", "load_model", "save_model"]
