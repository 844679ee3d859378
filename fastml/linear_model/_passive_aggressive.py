"""The passive-aggressive estimators, deprecated in scikit-learn 1.8 in favour of the "pa1" and "pa2" schedules."""

from sklearn.base import _fit_context
from sklearn.linear_model._passive_aggressive import (
    PassiveAggressiveClassifier as _SklearnPassiveAggressiveClassifier,
)
from sklearn.linear_model._passive_aggressive import (
    PassiveAggressiveRegressor as _SklearnPassiveAggressiveRegressor,
)

from fastml.linear_model._sgd_classifier import ClassifierFit
from fastml.linear_model._sgd_regressor import RegressorFit

# alpha has no part in these schedules; scikit-learn passes 1.
_UNUSED_ALPHA = 1.0


class PassiveAggressiveClassifier(ClassifierFit, _SklearnPassiveAggressiveClassifier):
    """Classifier that makes the smallest step that corrects each mistake.

    Deprecated by scikit-learn in 1.8: use ``SGDClassifier(loss="hinge", penalty=None, learning_rate="pa1", eta0=C)``,
    or "pa2" for the squared hinge.

    Parameters
    ----------
    C : float, default=1.0
        Aggressiveness: the largest step.
    fit_intercept, max_iter, tol, early_stopping, validation_fraction, n_iter_no_change, shuffle, verbose
        As ``SGDClassifier``'s.
    loss : {"hinge", "squared_hinge"}, default="hinge"
        Crammer et al.'s PA-I and PA-II.
    n_jobs, random_state, warm_start, class_weight, average
        As ``SGDClassifier``'s.

    Attributes
    ----------
    coef_, intercept_, n_iter_, classes_, t_, n_features_in_, feature_names_in_
        As ``SGDClassifier``'s.

    References
    ----------
    K. Crammer et al., "Online Passive-Aggressive Algorithms", JMLR 7, 2006.
    """

    def _objective(self):
        return _UNUSED_ALPHA, "hinge", "pa1" if self.loss == "hinge" else "pa2"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, coef_init=None, intercept_init=None):
        """Fit the model; parameters, result and errors as for ``SGDClassifier.fit``."""
        return self._fit(X, y, coef_init, intercept_init)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None):
        """Run one epoch over the given rows; as ``SGDClassifier.partial_fit``."""
        if not hasattr(self, "classes_") and self.class_weight == "balanced":
            self._more_validate_params(for_partial_fit=True)
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. For 'balanced' weights, use "
                "`sklearn.utils.compute_class_weight` with `class_weight='balanced'`. In place of y you can use a "
                "large enough subset of the full training set target to properly estimate the class frequency "
                "distributions. Pass the resulting weights as the class_weight parameter."
            )
        return self._partial_fit(X, y, classes)


class PassiveAggressiveRegressor(RegressorFit, _SklearnPassiveAggressiveRegressor):
    """Regressor that makes the smallest step that brings each error within epsilon.

    Deprecated by scikit-learn in 1.8: use
    ``SGDRegressor(loss="epsilon_insensitive", penalty=None, learning_rate="pa1", eta0=C)``, or "pa2" for the squared
    loss.

    Parameters
    ----------
    C : float, default=1.0
        Aggressiveness: the largest step.
    fit_intercept, max_iter, tol, early_stopping, validation_fraction, n_iter_no_change, shuffle, verbose
        As ``SGDRegressor``'s.
    loss : {"epsilon_insensitive", "squared_epsilon_insensitive"}, default="epsilon_insensitive"
        Crammer et al.'s PA-I and PA-II.
    epsilon : float, default=0.1
        Errors up to this are none.
    random_state, warm_start, average
        As ``SGDRegressor``'s.

    Attributes
    ----------
    coef_, intercept_, n_iter_, t_, n_features_in_, feature_names_in_
        As ``SGDRegressor``'s.

    References
    ----------
    K. Crammer et al., "Online Passive-Aggressive Algorithms", JMLR 7, 2006.
    """

    def _objective(self):
        return _UNUSED_ALPHA, "epsilon_insensitive", "pa1" if self.loss == "epsilon_insensitive" else "pa2"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, coef_init=None, intercept_init=None):
        """Fit the model; parameters, result and errors as for ``SGDRegressor.fit``."""
        return self._fit(X, y, coef_init, intercept_init)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y):
        """Run one epoch over the given rows; as ``SGDRegressor.partial_fit``."""
        return self._partial_fit(X, y)
