"""scikit-learn's multi-layer perceptrons, and models of fastml.keras as scikit-learn's estimators."""

from fastml.neural_network._cnn import CNNClassifier
from fastml.neural_network._mlp_classifier import MLPClassifier
from fastml.neural_network._mlp_regressor import MLPRegressor
from fastml.neural_network._sequential import SequentialClassifier, SequentialRegressor

__all__ = ["CNNClassifier", "MLPClassifier", "MLPRegressor", "SequentialClassifier", "SequentialRegressor"]
