"""Linear models under scikit-learn's names."""

from fastml.linear_model._glm import GeneralizedLinearClassifier, GeneralizedLinearRegressor
from fastml.linear_model._linear_regression import LinearRegression
from fastml.linear_model._logistic import LogisticRegression
from fastml.linear_model._logistic_cv import LogisticRegressionCV
from fastml.linear_model._passive_aggressive import PassiveAggressiveClassifier, PassiveAggressiveRegressor
from fastml.linear_model._perceptron import Perceptron
from fastml.linear_model._ridge import Ridge, RidgeClassifier
from fastml.linear_model._ridge_cv import RidgeClassifierCV, RidgeCV
from fastml.linear_model._sgd_classifier import SGDClassifier
from fastml.linear_model._sgd_one_class import SGDOneClassSVM
from fastml.linear_model._sgd_regressor import SGDRegressor

__all__ = [
    "GeneralizedLinearClassifier",
    "GeneralizedLinearRegressor",
    "LinearRegression",
    "LogisticRegression",
    "LogisticRegressionCV",
    "PassiveAggressiveClassifier",
    "PassiveAggressiveRegressor",
    "Perceptron",
    "Ridge",
    "RidgeCV",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "SGDClassifier",
    "SGDOneClassSVM",
    "SGDRegressor",
]
