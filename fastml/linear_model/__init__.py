"""Linear models under scikit-learn's names."""

from fastml.linear_model._glm import GeneralizedLinearClassifier, GeneralizedLinearRegressor
from fastml.linear_model._logistic import LogisticRegression
from fastml.linear_model._logistic_cv import LogisticRegressionCV
from fastml.linear_model._passive_aggressive import PassiveAggressiveClassifier, PassiveAggressiveRegressor
from fastml.linear_model._perceptron import Perceptron
from fastml.linear_model._sgd_classifier import SGDClassifier
from fastml.linear_model._sgd_one_class import SGDOneClassSVM
from fastml.linear_model._sgd_regressor import SGDRegressor

__all__ = [
    "GeneralizedLinearClassifier",
    "GeneralizedLinearRegressor",
    "LogisticRegression",
    "LogisticRegressionCV",
    "PassiveAggressiveClassifier",
    "PassiveAggressiveRegressor",
    "Perceptron",
    "SGDClassifier",
    "SGDOneClassSVM",
    "SGDRegressor",
]
