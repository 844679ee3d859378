"""Models: Sequential ones."""

from fastml.keras.models._sequential import Model, Sequential

__all__ = ["Model", "Sequential"]
