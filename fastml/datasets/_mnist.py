"""MNIST as estimators want it: one row per image."""

from typing import TYPE_CHECKING

import numpy as np

from fastml._idx import load_mnist_arrays

if TYPE_CHECKING:
    from sklearn.utils import Bunch

_Xy = tuple[np.ndarray, np.ndarray]


def load_mnist(
    *, normalize: bool = True, return_X_y: bool = False, download_if_missing: bool = True
) -> "Bunch | tuple[_Xy, _Xy]":
    """Load the MNIST handwritten digits.

    =================   =============================
    Classes                                        10
    Training images                            60,000
    Test images                                10,000
    Features            784 (28 × 28 pixels, in rows)
    =================   =============================

    The files are taken from the directory that the environment variable ``FASTML_DATA`` names: from its
    folder ``mnist``, or directly from it. Where the variable is not set or empty they are taken from the
    cache (``FASTML_CACHE``, else ``$XDG_CACHE_HOME/fastml``, else ``~/.cache/fastml``), which is filled from
    a public mirror at first need. Their content is checked against its SHA-256 every time.

    Parameters
    ----------
    normalize : bool, default=True
        If True, the features are float32 in [0, 1]: the pixels divided by 255. If False, they are the pixels
        themselves, uint8 in 0..255.
    return_X_y : bool, default=False
        If True, return ``((X_train, y_train), (X_test, y_test))`` instead of a Bunch.
    download_if_missing : bool, default=True
        If False, raise where the cache lacks a file instead of downloading it.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        X_train : ndarray of shape (60000, 784), float32 or uint8, C-contiguous
        y_train : ndarray of shape (60000,), int64, the digits 0..9
        X_test : ndarray of shape (10000, 784), of X_train's dtype
        y_test : ndarray of shape (10000,), int64
        source : str
            Where the files were found: "FASTML_DATA", "cache" or "download".

    (X_train, y_train), (X_test, y_test) : tuple of two tuples of ndarray
        If `return_X_y` is True.

    Raises
    ------
    FileNotFoundError
        If ``FASTML_DATA`` is set and one of the files is not there.
    ValueError
        If a file is truncated, corrupted, or not the MNIST file of its name. The message names it.
    fastml.exceptions.DatasetUnavailableError
        If the cache lacks a file and it cannot be downloaded, or `download_if_missing` is False.

    References
    ----------
    Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits", 1998.

    Examples
    --------
    >>> from fastml.datasets import load_mnist
    >>> mnist = load_mnist()  # doctest: +SKIP
    >>> mnist.X_train.shape, mnist.X_train.dtype  # doctest: +SKIP
    ((60000, 784), dtype('float32'))
    """
    arrays = load_mnist_arrays(download_if_missing=download_if_missing)
    X_train, X_test = (_to_rows(images, normalize) for images in (arrays.train_images, arrays.test_images))
    y_train, y_test = (labels.astype(np.int64) for labels in (arrays.train_labels, arrays.test_labels))
    if return_X_y:
        return (X_train, y_train), (X_test, y_test)

    from sklearn.utils import Bunch

    return Bunch(X_train=X_train, y_train=y_train, X_test=X_test, y_test=y_test, source=arrays.source)


def _to_rows(images: np.ndarray, normalize: bool) -> np.ndarray:
    rows = images.reshape(len(images), -1)
    if not normalize:
        return rows
    X = rows.astype(np.float32)
    X /= 255
    return X
