"""The perceptron."""

from sklearn.base import _fit_context
from sklearn.linear_model._perceptron import Perceptron as _SklearnPerceptron

from fastml.linear_model._sgd_classifier import ClassifierFit


class Perceptron(ClassifierFit, _SklearnPerceptron):
    """Linear classifier that learns from its mistakes alone, by a constant step.

    ``SGDClassifier(loss="perceptron", eta0=1, learning_rate="constant", penalty=None)``, with scikit-learn's
    parameters and attributes for it.

    Parameters
    ----------
    penalty : {"l2", "l1", "elasticnet"} or None, default=None
    alpha : float, default=0.0001
        Strength of the penalty.
    l1_ratio : float, default=0.15
    fit_intercept : bool, default=True
    max_iter : int, default=1000
    tol : float or None, default=1e-3
    shuffle : bool, default=True
    verbose : int, default=0
    eta0 : float, default=1
        Length of the steps.
    n_jobs : int or None, default=None
        Accepted for compatibility; ``fastml.set_config(n_threads=...)`` sets the threads.
    random_state : int, RandomState or None, default=0
    early_stopping : bool, default=False
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=5
    class_weight : dict, "balanced" or None, default=None
    warm_start : bool, default=False

    Attributes
    ----------
    coef_, intercept_, n_iter_, classes_, t_, n_features_in_, feature_names_in_
        As ``SGDClassifier``'s.

    References
    ----------
    F. Rosenblatt, "The Perceptron", Psychological Review 65(6), 1958.
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, coef_init=None, intercept_init=None, sample_weight=None):
        """Fit the model; parameters, result and errors as for ``SGDClassifier.fit``."""
        return self._fit(X, y, coef_init, intercept_init, sample_weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Run one epoch over the given rows; as ``SGDClassifier.partial_fit``."""
        return self._partial_fit(X, y, classes, sample_weight)
