"""SGDClassifier, and the fit that Perceptron and PassiveAggressiveClassifier share with it."""

import numpy as np
from sklearn.base import _fit_context
from sklearn.linear_model._stochastic_gradient import SGDClassifier as _SklearnSGDClassifier
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, unique_labels

from fastml._loss import Loss
from fastml._validation import check_X_y, rows_on_host, unchanged_on_error
from fastml.linear_model._device_prediction import DeviceClassifierPrediction
from fastml.linear_model._sgd import MAX_SEED, Start, StochasticGradientDescent, single_start
from fastml.solvers import sgd


class ClassifierFit(DeviceClassifierPrediction, StochasticGradientDescent):
    """fit and partial_fit of the classifiers: one model, or one per class against the rest."""

    def _fit(self, X, y, coef_init=None, intercept_init=None, sample_weight=None):
        self._more_validate_params()
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True)
            self.classes_ = unique_labels(_distinct(y))
            if self.warm_start and getattr(self, "coef_", None) is not None:
                coef_init = self.coef_ if coef_init is None else coef_init
                intercept_init = self.intercept_ if intercept_init is None else intercept_init
            start = self._start(X, coef_init, intercept_init)
            self.t_, self.coef_ = 1.0, None
            self._learn(X, y, sample_weight, start, self.max_iter)
        self._warn_after_fit()
        return self

    def _partial_fit(self, X, y, classes=None, sample_weight=None):
        if not hasattr(self, "classes_"):
            self._more_validate_params(for_partial_fit=True)
            if self.class_weight == "balanced":
                raise ValueError(
                    "class_weight 'balanced' is not supported for partial_fit. In order to use 'balanced' weights, "
                    "use compute_class_weight('balanced', classes=classes, y=y). In place of y you can use a large "
                    "enough sample of the full training set target to properly estimate the class frequency "
                    "distributions. Pass the resulting weights as the class_weight parameter."
                )
        with unchanged_on_error(self):
            first_call = not hasattr(self, "classes_")
            X, y = check_X_y(self, X, y, reset=first_call)
            _check_partial_fit_first_call(self, classes)
            if getattr(self, "coef_", None) is None:
                start = self._start(X, None, None)
            else:
                start = self._continued(
                    X, 1 if len(self.classes_) == 2 else len(self.classes_), self.intercept_
                )
            self._learn(X, y, sample_weight, start, max_iter=1)
        return self

    def _start(self, X, coef_init, intercept_init):
        n_classes, n_features, dtype = len(self.classes_), X.shape[1], X.dtype
        if n_classes <= 2:
            return single_start(n_features, dtype, coef_init, intercept_init)
        coef = np.zeros((n_classes, n_features), dtype)
        intercept = np.zeros(n_classes, dtype)
        if coef_init is not None:
            coef = np.asarray(coef_init, dtype=dtype)
            if coef.shape != (n_classes, n_features):
                raise ValueError("Provided ``coef_`` does not match dataset. ")
        if intercept_init is not None:
            intercept = np.asarray(intercept_init, dtype=dtype)
            if intercept.shape != (n_classes,):
                raise ValueError("Provided intercept_init does not match dataset.")
        return Start(coef, intercept)

    def _learn(self, X, y, sample_weight, start, max_iter):
        n_classes = len(self.classes_)
        if n_classes < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {n_classes} class")
        if n_classes > 2 and self.n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        labels = self._encode(y)
        class_weight = (
            np.ones(n_classes)
            if self.class_weight is None
            else compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        )
        sample_weight = self._sample_weight(sample_weight, X)
        if n_classes == 2:
            weights = [{"positive_class": 1, "weight_pos": class_weight[1], "weight_neg": class_weight[0]}]
        else:
            weights = [{"positive_class": k, "weight_pos": class_weight[k]} for k in range(n_classes)]
        seed, validation = self._draw(X, y, labels, sample_weight, n_classes)
        hyperparameters = [self._hyperparameters(**model) for model in weights]
        solution = self._solve(
            X, labels, sample_weight, hyperparameters, start, max_iter, seed, validation, n_classes
        )
        coef, intercept = self._chosen_weights(solution)
        self._store_coef(coef)
        # scikit-learn's dtypes: a binary intercept that is not averaged is a C double, others are X's.
        is_double = n_classes == 2 and intercept is solution.intercept
        self.intercept_ = intercept if is_double else intercept.astype(X.dtype)

    def _encode(self, y):
        """Position of each label in classes_, as int32."""
        if len(self.classes_) == 2:
            labels = np.asarray(y == self.classes_[1], dtype=np.int32)
            known = labels.astype(bool) | (y == self.classes_[0])
        else:
            labels = np.searchsorted(self.classes_, y).astype(np.int32)
            labels[labels == len(self.classes_)] = 0
            known = self.classes_[labels] == y
        if not np.all(known):
            raise ValueError(
                f"y contains labels that are not in classes: {np.unique(y[~known])!r}; the classes are "
                f"{self.classes_!r}."
            )
        return labels

    def _draw(self, X, y, labels, sample_weight, n_classes):
        """Seed of the permutations, and rows to hold out: drawn in the order in which scikit-learn draws."""
        random_state = check_random_state(self.random_state)
        if n_classes == 2:
            random_state.randint(1, MAX_SEED)  # scikit-learn's data set takes one
            validation = self._validation(X, y, labels, sample_weight, n_classes)
        else:
            validation = self._validation(X, y, labels, sample_weight, n_classes)
            # scikit-learn seeds each one-vs-rest problem; all of ours share the first one's permutations.
            random_state = np.random.RandomState(random_state.randint(MAX_SEED, size=n_classes)[0])
            random_state.randint(1, MAX_SEED)
        return self._permutation_seed(random_state), validation

    def _validation(self, X, y, labels, sample_weight, n_classes):
        if not self.early_stopping:
            return None
        mask = np.ones(X.shape[0], bool) if sample_weight is None else sample_weight > 0
        try:
            held_out = self._make_validation_split(labels, sample_mask=mask)
        except ValueError:  # again, so that it names the class that has too few rows and not its code
            self._make_validation_split(y, sample_mask=mask)
            raise
        X_val, labels_val = rows_on_host(X, held_out), labels[held_out]
        weights = None if sample_weight is None else sample_weight[held_out]

        def accuracy(k, coef, intercept):
            predicted = safe_sparse_dot(X_val, coef) + intercept > 0
            actual = labels_val == (1 if n_classes == 2 else k)
            # scikit-learn encodes log_loss' targets as {0, 1} and compares them with predictions in {-1, 1}:
            # only hits among the positive count. Stopping at its epochs takes its score.
            hits = predicted & actual if self.loss == "log_loss" else predicted == actual
            return np.average(hits, weights=weights)

        return sgd.Validation(held_out, accuracy)


def _distinct(y):
    """Sorted distinct labels; of a million booleans in a millisecond, which np.unique would sort for 30."""
    if y.dtype != bool:
        return np.unique(y)
    return np.array([False, True])[[not y.all(), y.any()]]


class SGDClassifier(ClassifierFit, _SklearnSGDClassifier):
    """Linear classifier (SVM, logistic regression, ...) trained by stochastic gradient descent.

    scikit-learn's estimator of this name, with its parameters, attributes and results; several classes are learned
    in one pass over X, which threads share.

    Parameters
    ----------
    loss : str or fastml.Loss, default="hinge"
        "hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "squared_error", "huber",
        "epsilon_insensitive", "squared_epsilon_insensitive", or a loss of your own, with y in {-1, +1}.
    penalty : {"l2", "l1", "elasticnet"} or None, default="l2"
    alpha : float, default=0.0001
        Strength of the penalty; also sets the rate of the "optimal" schedule.
    l1_ratio : float or None, default=0.15
        Share of l1 in "elasticnet".
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Epochs at most; ``partial_fit`` always runs one.
    tol : float or None, default=1e-3
        A model stops after ``n_iter_no_change`` epochs that improve its objective by less than this.
    shuffle : bool, default=True
        Whether rows are permuted before each epoch.
    verbose : int, default=0
    epsilon : float, default=0.1
        Of the huber and epsilon-insensitive losses.
    n_jobs : int or None, default=None
        Accepted for compatibility; ``fastml.set_config(n_threads=...)`` sets the threads.
    random_state : int, RandomState or None, default=None
    learning_rate : {"constant", "optimal", "invscaling", "adaptive", "pa1", "pa2"}, default="optimal"
    eta0 : float, default=0.01
    power_t : float, default=0.5
    early_stopping : bool, default=False
        Whether to stop by the accuracy on ``validation_fraction`` of the rows, which are held out.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=5
    class_weight : dict, "balanced" or None, default=None
    warm_start : bool, default=False
    average : bool or int, default=False
        Whether ``coef_`` is the average over all steps (or those from this one on).

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features), dtype of X
    intercept_ : ndarray of shape (1,) or (n_classes,)
    n_iter_ : int
        Epochs of the model that took the most.
    classes_ : ndarray of shape (n_classes,)
    t_ : float
        Steps taken, from 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.

    Notes
    -----
    For two classes and a given ``random_state`` the rows are visited in scikit-learn's order. With more classes
    scikit-learn draws one permutation per class and epoch, while all classes share one here (from 10,000 rows on but
    for its last 1,000 rows, which each class visits from a start of its own): results of the two are then equal in
    distribution only. With ``shuffle=False`` they are equal.

    References
    ----------
    L. Bottou, "Stochastic Gradient Descent Tricks", Neural Networks: Tricks of the Trade, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from fastml.linear_model import SGDClassifier
    >>> X = np.array([[-1.0, -1.0], [-2.0, -1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> SGDClassifier(random_state=0).fit(X, ["a", "a", "b", "b"]).predict([[-0.8, -1.0]])
    array(['a'], dtype='<U1')
    """

    _parameter_constraints = {
        **_SklearnSGDClassifier._parameter_constraints,
        "loss": [*_SklearnSGDClassifier._parameter_constraints["loss"], Loss],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, coef_init=None, intercept_init=None, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,)
            Class labels.
        coef_init : array-like of shape (n_classes, n_features), optional
            Weights to start from.
        intercept_init : array-like of shape (n_classes,), optional
        sample_weight : array-like of shape (n_samples,), optional
            Multiplied with the class weights.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, fewer than two classes, or weights that overflow.
        """
        return self._fit(X, y, coef_init, intercept_init, sample_weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Run one epoch over the given rows, from where the last call stopped.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), optional
            All classes there will be; required in the first call.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, or a label that is not among the classes.
        """
        return self._partial_fit(X, y, classes, sample_weight)

    def _check_proba(self):
        if isinstance(self.loss, str):
            return super()._check_proba()
        if self.loss.inverse_link is None:
            raise AttributeError(
                f"probability estimates are not available for loss={self.loss!r}: no inverse_link"
            )
        return True

    @available_if(_check_proba)
    def predict_proba(self, X):
        """Probabilities of the classes.

        One-vs-rest: those of the models are normalised to sum to one. For ``loss="modified_huber"`` they are
        ``(clip(decision, -1, 1) + 1) / 2`` (Zadrozny and Elkan, 2002); a loss of your own gives them by its
        ``inverse_link``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        if isinstance(self.loss, str):
            return super().predict_proba(X)
        positive = self.loss.probability(self.decision_function(X))
        if positive.ndim == 1:
            return np.column_stack([1.0 - positive, positive])
        total = positive.sum(axis=1, keepdims=True)
        return np.where(total > 0.0, positive / np.where(total > 0.0, total, 1.0), 1.0 / positive.shape[1])

    @available_if(_check_proba)
    def predict_log_proba(self, X):
        """Logarithm of ``predict_proba``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))
