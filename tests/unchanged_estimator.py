"""An estimator's attributes before and after a fit that fails."""

import numpy as np
from numpy.testing import assert_array_equal


def snapshot(estimator):
    """The attributes, arrays copied."""
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in vars(estimator).items()
    }


def assert_same_attributes(estimator, before):
    """``before`` is an earlier snapshot."""
    assert vars(estimator).keys() == before.keys()
    for name, value in before.items():
        assert_array_equal(vars(estimator)[name], value, err_msg=name)
