"""Kernel support vector classification."""

import numpy as np
from sklearn.svm import _classes as _sklearn

from fastml.svm import _problems
from fastml.svm._base import NOT_FINITE, with_compiled_kernels, with_own_fit
from fastml.svm._classifier import KernelClassifier
from fastml.svm._one_vs_one import pair_indices


@with_own_fit
class SVC(KernelClassifier, _sklearn.SVC):
    """C-support vector classification, one-vs-one.

    scikit-learn's estimator of this name, with its parameters, attributes and results.

    Parameters
    ----------
    C : float, default=1.0
        Bound on a support vector's weight: smaller values regularise more.
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"}, callable or fastml.Kernel, default="rbf"
        A callable takes two matrices and returns their kernel matrix; a ``fastml.Kernel`` is compiled into the kernels.
    degree : int, default=3
    gamma : {"scale", "auto"} or float, default="scale"
    coef0 : float, default=0.0
    shrinking : bool, default=True
        Without effect: it would cost more than it spares.
    probability : bool, default="deprecated"
        Whether to fit sigmoids on 5 folds for ``predict_proba``. What is trained on four of them starts from the
        solution of all rows and ends by the same ``tol``: it depends on the rows held out as far as ``tol`` lets
        solutions differ, no further.
    tol : float, default=1e-3
    cache_size : float, default=200
        Megabytes of kernel values kept during ``fit``.
    class_weight : dict or "balanced", default=None
    verbose : bool, default=False
        Whether to show a progress bar with the violation of optimality.
    max_iter : int, default=-1
        Pair updates of one problem at most; -1 sets no limit.
    decision_function_shape : {"ovr", "ovo"}, default="ovr"
    break_ties : bool, default=False
    random_state : int, RandomState or None, default=None
        Of the folds.

    Attributes
    ----------
    support_ : ndarray of int32, shape (n_SV,)
        Rows of the training data.
    support_vectors_ : ndarray of float64 or CSR matrix, shape (n_SV, n_features)
    n_support_ : ndarray of int32, shape (n_classes,)
    dual_coef_ : ndarray of float64 or CSR matrix, shape (n_classes - 1, n_SV)
    coef_ : ndarray or CSR matrix of shape (n_classes * (n_classes - 1) / 2, n_features)
        With a linear kernel.
    intercept_ : ndarray of shape (n_classes * (n_classes - 1) / 2,)
    classes_ : ndarray of shape (n_classes,)
    class_weight_ : ndarray of shape (n_classes,)
    n_iter_ : ndarray of int32, shape (n_classes * (n_classes - 1) / 2,)
        Pair updates.
    fit_status_ : int
        1 where ``max_iter`` ended the fit, else 0.
    shape_fit_ : tuple of int
    probA_, probB_ : ndarray of shape (n_classes * (n_classes - 1) / 2,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    References
    ----------
    C.-C. Chang, C.-J. Lin, "LIBSVM: A Library for Support Vector Machines", ACM TIST 2(3), 2011.
    J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
    """

    _parameter_constraints = with_compiled_kernels(_sklearn.SVC)
    _limited = ("C",)

    def _bounds(self, labels, weights):
        if not (self.class_weight_ > 0).all():  # LIBSVM's intercept becomes infinite
            raise ValueError(NOT_FINITE)
        return weights * (self.C * self.class_weight_)[labels]

    def _problems(self, rows, y, C, starts):
        return _problems.c_svc(rows, y, C, starts)

    def _group(self, labels, weights):
        classes = super()._group(labels, weights)
        if np.count_nonzero(classes.sizes) == 1:
            raise ValueError("Invalid input - all samples with positive weights belong to the same class.")
        return classes


@with_own_fit
class NuSVC(KernelClassifier, _sklearn.NuSVC):
    """nu-support vector classification, one-vs-one: ``SVC`` with a share of support vectors instead of C.

    scikit-learn's estimator of this name, with its parameters, attributes and results.

    Parameters
    ----------
    nu : float, default=0.5
        Upper bound on the share of margin errors and lower bound on that of support vectors, in (0, 1].
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"}, callable or fastml.Kernel, default="rbf"
    degree : int, default=3
    gamma : {"scale", "auto"} or float, default="scale"
    coef0 : float, default=0.0
    shrinking : bool, default=True
        Without effect: it would cost more than it spares.
    probability : bool, default="deprecated"
    tol : float, default=1e-3
    cache_size : float, default=200
        In megabytes.
    class_weight : dict or "balanced", default=None
        Stored in ``class_weight_``, but without effect, as in LIBSVM.
    verbose : bool, default=False
    max_iter : int, default=-1
    decision_function_shape : {"ovr", "ovo"}, default="ovr"
    break_ties : bool, default=False
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    support_, support_vectors_, n_support_, dual_coef_, coef_, intercept_, classes_, class_weight_, n_iter_
        As in `SVC`.
    fit_status_, shape_fit_, probA_, probB_, n_features_in_, feature_names_in_
        As in `SVC`.

    References
    ----------
    B. Schölkopf, A. Smola, R. Williamson, P. Bartlett, "New Support Vector Algorithms", Neural Computation 12, 2000.
    """

    _parameter_constraints = with_compiled_kernels(_sklearn.NuSVC)
    _limited = ("nu",)

    def _bounds(self, labels, weights):
        return weights

    def _problems(self, rows, y, C, starts):
        return _problems.nu_svc(rows, y, C, starts, self.nu)

    def _group(self, labels, weights):
        # Negative weights count, and so do zero ones, as in LIBSVM's check.
        sums = np.bincount(labels.astype(np.intp, copy=False), weights, minlength=len(self.classes_))
        first, second = (sums[of_pair] for of_pair in pair_indices(len(sums)))
        if (self.nu * (first + second) / 2 > np.minimum(first, second)).any():
            raise ValueError("specified nu is infeasible")
        return super()._group(labels, weights)
