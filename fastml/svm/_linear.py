"""LinearSVC and LinearSVR."""

from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.svm._classes import LinearSVC as _SklearnLinearSVC
from sklearn.svm._classes import LinearSVR as _SklearnLinearSVR
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from fastml._validation import check_sparse, check_X_y, unchanged_on_error
from fastml.kernels.linear_data import Data
from fastml.solvers import dual_cd, newton
from fastml.solvers._models import Binary, Solution
from fastml.svm._linear_fit import LinearFit, checked_weights


class LinearSVC(LinearFit, _SklearnLinearSVC):
    """Linear support vector classification.

    scikit-learn's estimator of this name, with its parameters, attributes and stopping rules. Classes are learned on
    several threads; a single primal problem shares its passes over X among them.

    Parameters
    ----------
    penalty : {"l1", "l2"}, default="l2"
    loss : {"hinge", "squared_hinge"}, default="squared_hinge"
        "hinge" goes with ``penalty="l2"`` and the dual only.
    dual : "auto" or bool, default="auto"
        Whether to solve the dual, by coordinate descent with shrinking; the primal is solved by a trust-region Newton
        method, or with ``penalty="l1"`` by coordinate descent. "auto": the dual where there are more features than
        rows, or no primal solver.
    tol : float, default=1e-4
    C : float, default=1.0
        Inverse strength of the penalty.
    multi_class : {"ovr", "crammer_singer"}, default="ovr"
        One class against the rest, or one joint objective, for which ``loss``, ``penalty`` and ``dual`` are ignored,
        and ``max_iter`` but for the warning (up to 100,000 sweeps are made), as in scikit-learn.
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1.0
        Value of the feature whose (penalised) weight, times this value, is the intercept.
    class_weight : dict, "balanced" or None, default=None
        Factors on C. One class against the rest: the rest's is 1.
    verbose : int, default=0
        Above 0, shows a progress bar.
    random_state : int, RandomState or None, default=None
        Of the order of coordinate descent. It is not the order of scikit-learn's.
    max_iter : int, default=1000
        Newton steps, or sweeps over the rows (``penalty="l1"``: the features).

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features), float64
    intercept_ : ndarray of shape (1,) or (n_classes,), or 0.0 without intercept
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.
    n_iter_ : int
        Of the class that took the most.

    References
    ----------
    C.-J. Lin, R. C. Weng, S. S. Keerthi, "Trust Region Newton Method for Large-Scale Logistic Regression", JMLR 9,
    2008.
    C.-J. Hsieh et al., "A Dual Coordinate Descent Method for Large-scale Linear SVM", ICML 2008.
    S. S. Keerthi et al., "A Sequential Dual Method for Large Scale Multi-Class Linear SVMs", KDD 2008.
    G.-X. Yuan et al., "A Comparison of Optimization Methods and Software for Large-scale L1-regularized Linear
    Classification", JMLR 11, 2010.

    Examples
    --------
    >>> from fastml.svm import LinearSVC
    >>> LinearSVC().fit([[-1.0], [-2.0], [1.0], [2.0]], ["a", "a", "b", "b"]).predict([[-0.8]])
    array(['a'], dtype='<U1')
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), optional
            Multiplied with the class weights. Rows of weight 0 are left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, fewer than two classes, or parameters that no solver takes together.
        """
        self._check_numbers()
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True)
            self.classes_ = _classes(y)
            is_dual = self._is_dual(X, self.penalty, self.multi_class)
            self._require_cpu("newton" if self._by_newton(is_dual) else "dual_cd")
            class_weight = self._class_weight(y, sample_weight)
            seed = self._seed()
            data = self._data(X, _codes(y, self.classes_), checked_weights(sample_weight, X))
            _check_rows_left(data)
            self._store(self._solve(data, self.C * class_weight, is_dual, seed))
        self._end_fit()
        return self

    def _by_newton(self, is_dual: bool) -> bool:
        return not is_dual and self.penalty == "l2" and self.multi_class == "ovr"

    def _class_weight(self, y, sample_weight):
        if len(self.classes_) < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
                f"{self.classes_[0]!r}"
            )
        if self.class_weight is None:
            return np.ones(len(self.classes_))
        weights = compute_class_weight(
            self.class_weight, classes=self.classes_, y=y, sample_weight=sample_weight
        )
        # That of a class whose rows weigh nothing, if balanced, is infinite; nothing is multiplied by it.
        return np.where(np.isinf(weights), 1.0, weights) if self.class_weight == "balanced" else weights

    def _solve(self, data: Data, class_cost: np.ndarray, is_dual: bool, seed: int) -> Solution:
        verbose = bool(self.verbose)
        if self.multi_class == "crammer_singer":
            solution = dual_cd.solve_crammer_singer(
                data, class_cost, tol=self.tol, seed=seed, verbose=verbose
            )
            return _difference(solution) if len(class_cost) == 2 else solution
        if self.penalty == "l1":
            problems = self._problems(data, class_cost, by_smaller_class=True)
            return dual_cd.solve_l1(data, problems, max_iter=self.max_iter, seed=seed, verbose=verbose)
        problems = self._problems(data, class_cost, by_smaller_class=not is_dual)
        if self._by_newton(is_dual):
            return newton.solve(data, problems, max_iter=self.max_iter, verbose=verbose)
        return dual_cd.solve_svc(
            data,
            problems,
            squared=self.loss == "squared_hinge",
            max_iter=self.max_iter,
            seed=seed,
            verbose=verbose,
        )

    def _problems(self, data, class_cost, by_smaller_class):
        """The two classes' problem, or each class against the rest, whose weight is then 1.

        In the primal the gradient may stay the larger the smaller the share of the smaller class is (LIBLINEAR's rule).
        """
        counts = np.bincount(
            data.target if data.sample_weight is None else data.target[data.sample_weight > 0.0],
            minlength=len(class_cost),
        )
        tol = np.full(len(class_cost), float(self.tol))
        if by_smaller_class:
            tol *= np.maximum(np.minimum(counts, counts.sum() - counts), 1) / counts.sum()
        if len(class_cost) == 2:
            return [Binary(1, class_cost[1], class_cost[0], tol[1])]
        return [Binary(k, class_cost[k], self.C, tol[k]) for k in range(len(class_cost))]

    def decision_function(self, X):
        """Signed distances, up to the norm of the weights, from the classes' hyperplanes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        check_sparse(X)
        return super().decision_function(X)


class LinearSVR(LinearFit, _SklearnLinearSVR):
    """Linear support vector regression.

    scikit-learn's estimator of this name, with its parameters, attributes and stopping rules.

    Parameters
    ----------
    epsilon : float, default=0.0
        Residuals up to this size have no loss.
    tol : float, default=1e-4
    C : float, default=1.0
        Inverse strength of the penalty.
    loss : {"epsilon_insensitive", "squared_epsilon_insensitive"}, default="epsilon_insensitive"
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1.0
        Value of the feature whose (penalised) weight, times this value, is the intercept.
    dual : "auto" or bool, default="auto"
        Whether to solve the dual, by coordinate descent with shrinking; the primal, for the squared loss only, is
        solved by a trust-region Newton method.
    verbose : int, default=0
        Above 0, shows a progress bar.
    random_state : int, RandomState or None, default=None
    max_iter : int, default=1000
        Newton steps, or sweeps over the rows.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,), float64
    intercept_ : ndarray of shape (1,), or 0.0 without intercept
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.
    n_iter_ : int

    References
    ----------
    C.-H. Ho, C.-J. Lin, "Large-scale Linear Support Vector Regression", JMLR 13, 2012.

    Examples
    --------
    >>> from fastml.svm import LinearSVR
    >>> LinearSVR(C=100.0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).predict([[3.0]]).round(2)
    array([7.])
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Rows of weight 0 are left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, or parameters that no solver takes together.
        """
        self._check_numbers()
        if self.epsilon < 0.0:
            raise ValueError(f"epsilon must not be negative (p < 0); got {self.epsilon!r}.")
        with unchanged_on_error(self):
            X, y = check_X_y(self, X, y, reset=True)
            is_dual = self._is_dual(X, "l2", "ovr")
            self._require_cpu("dual_cd" if is_dual else "newton")
            y = np.asarray(y, dtype=np.float64).ravel()
            seed = self._seed()
            data = self._data(X, y, checked_weights(sample_weight, X))
            _check_rows_left(data)
            self._store(self._solve(data, is_dual, seed))
            self.coef_ = self.coef_.ravel()
        self._end_fit()
        return self

    def _solve(self, data: Data, is_dual: bool, seed: int) -> Solution:
        shared: dict[str, Any] = {
            "epsilon": self.epsilon,
            "max_iter": self.max_iter,
            "verbose": bool(self.verbose),
        }
        if not is_dual:
            return newton.solve(data, [Binary(1, self.C, self.C, self.tol)], **shared)
        squared = self.loss == "squared_epsilon_insensitive"
        return dual_cd.solve_svr(data, self.C, squared=squared, tol=self.tol, seed=seed, **shared)

    def predict(self, X):
        """Predicted values.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_sparse(X)
        return super().predict(X)


def _classes(y):
    """Sorted distinct labels.

    scikit-learn's check of targets, which sorts y twice more, is left to labels that may fail it or make it warn.
    """
    if y.dtype.kind not in "biuUSf":
        check_classification_targets(y)  # which knows what to say of labels that have no order
    classes = np.unique(y)
    is_plain = y.dtype.kind != "f" or (classes % 1.0 == 0.0).all()
    if not is_plain or 2 * len(classes) > len(y):
        check_classification_targets(y)
    return classes


def _codes(y, classes):
    """Position of each label in ``classes``, as int32."""
    if len(classes) == 2:
        return (y == classes[1]).astype(np.int32)
    return np.searchsorted(classes, y).astype(np.int32)


def _check_rows_left(data):
    weight = data.sample_weight
    if weight is not None and not weight.any():
        raise ValueError("Invalid input - all samples have zero or negative weights.")


def _difference(solution):
    """Of two classes' weights, the second less the first: those of one decision function."""
    return solution._replace(
        coef=solution.coef[1:] - solution.coef[:1], bias_coef=solution.bias_coef[1:] - solution.bias_coef[:1]
    )
