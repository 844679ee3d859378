"""The smallest C at which an l1-penalised classifier is not empty."""

from numbers import Real

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import check_array, check_consistent_length

from fastml._validation import check_sparse

# Derivative of the loss by the margin at margin 0, negated: 2 max(0, 1 - m), and 1 / (1 + exp(m)).
_SLOPE_AT_ZERO = {"squared_hinge": 2.0, "log": 0.5}


@validate_params(
    {
        "X": ["array-like", "sparse matrix"],
        "y": ["array-like"],
        "loss": [StrOptions(set(_SLOPE_AT_ZERO))],
        "fit_intercept": ["boolean"],
        "intercept_scaling": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def l1_min_c(X, y, *, loss="squared_hinge", fit_intercept=True, intercept_scaling=1.0):
    """Lowest C above which an l1-penalised classifier has a weight that is not zero.

    At w = 0 the loss of C sum_i loss(y_i w.x_i) has the slope -C loss'(0) sum_i y_i x_ij along feature j, and w = 0 is
    the minimum as long as no slope is steeper than the penalty's, which is 1.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
        Class labels; more than two classes are taken one against the rest.
    loss : {"squared_hinge", "log"}, default="squared_hinge"
    fit_intercept : bool, default=True
        As the model's.
    intercept_scaling : float, default=1.0
        As the model's: the value of the feature whose weight becomes the intercept.

    Returns
    -------
    float
        Valid for models without ``class_weight``.

    Raises
    ------
    ValueError
        If all slopes are zero: then no C is large enough.

    Examples
    --------
    >>> from fastml.svm import l1_min_c
    >>> float(l1_min_c([[0.0, 1.0], [1.0, 0.0]], [0, 1], fit_intercept=False))
    0.5
    """
    check_sparse(X)
    X = check_array(X, accept_sparse="csc")
    check_consistent_length(X, y)
    signs = LabelBinarizer(neg_label=-1).fit_transform(y)
    steepest = np.abs(X.T @ signs).max()
    if fit_intercept:
        steepest = max(steepest, intercept_scaling * np.abs(signs.sum(axis=0)).max())
    if steepest == 0.0:
        raise ValueError(
            "Ill-posed l1_min_c calculation: l1 will always select zero coefficients for this data"
        )
    return 1.0 / (_SLOPE_AT_ZERO[loss] * steepest)
