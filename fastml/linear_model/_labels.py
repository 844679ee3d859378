"""Class labels and their codes."""

import numpy as np
from sklearn.utils.multiclass import check_classification_targets


def distinct_labels(y: np.ndarray) -> np.ndarray:
    """Sorted distinct labels.

    scikit-learn's check of targets, which sorts y twice more, is left to labels that may fail it or make it warn.

    Raises
    ------
    ValueError
        With scikit-learn's wording, if the labels are values of a regression.
    """
    if y.dtype == bool:  # a million of them in a millisecond, which np.unique would sort for 30
        return np.array([False, True])[[not y.all(), bool(y.any())]]
    classes = np.unique(y)
    is_plain = y.dtype.kind in "iuUS" or (y.dtype.kind == "f" and (classes % 1.0 == 0.0).all())
    if not is_plain or 2 * len(classes) > len(y):
        check_classification_targets(y)
    return classes


def label_codes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Position of each label in ``classes``, which holds it, as int32."""
    if len(classes) == 2:
        return (y == classes[1]).astype(np.int32)
    return np.searchsorted(classes, y).astype(np.int32)
