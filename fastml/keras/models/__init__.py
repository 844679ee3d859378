"""Models: Sequential ones."""

from fastml.keras.models._cloning import clone_model
from fastml.keras.models._sequential import Model, Sequential
from fastml.keras.saving import load_model, model_from_json, save_model

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
