"""Data sets to try the estimators on."""

from fastml.datasets._mnist import load_mnist

__all__ = ["load_mnist"]
