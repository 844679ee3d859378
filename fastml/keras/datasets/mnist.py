"""The MNIST handwritten digits."""

import numpy as np

from fastml._idx import load_mnist_arrays

__all__ = ["load_data"]

_Xy = tuple[np.ndarray, np.ndarray]


def load_data(path: str = "mnist.npz") -> tuple[_Xy, _Xy]:
    """Images and labels, of training and test.

    Parameters
    ----------
    path : str
        Accepted as Keras does, and without meaning: see `fastml.datasets.load_mnist` for where the files are.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : arrays of uint8
        Of shapes (60000, 28, 28), (60000,), (10000, 28, 28) and (10000,).
    """
    mnist = load_mnist_arrays()
    return (mnist.train_images, mnist.train_labels), (mnist.test_images, mnist.test_labels)
