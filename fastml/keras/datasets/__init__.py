"""Data sets to try models on."""

from fastml.keras.datasets import mnist

__all__ = ["mnist"]
