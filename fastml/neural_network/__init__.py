"""scikit-learn's multi-layer perceptrons, trained by kernels of our own."""

from fastml.neural_network._mlp_classifier import MLPClassifier
from fastml.neural_network._mlp_regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
