"""Activations and their slopes at infinities, zeros of both signs and kinks: what Keras 3.15.1 gave on TensorFlow."""

import numpy as np
import pytest
from numpy import inf, nan

from fastml.keras import activations
from fastml.kernels import for_device
from fastml.kernels.activation_names import PARAMETERS

X = np.array([inf, 1e30, 6, 1, 0.5, 0.0, -0.0, -0.5, -1, -3, -1e30, -inf], np.float32)

# Name, arguments, values, slopes.
KERAS = [
    ("relu", {}, [inf, 1e30, 6, 1, 0.5, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
    (
        "relu",
        {"negative_slope": 0.1},
        [inf, 1e30, 6, 1, 0.5, 0, -0, -0.05, -0.1, -0.3, -1e29, -inf],
        [1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    ),
    (
        "relu",
        {"max_value": 6.0},
        [6, 6, 6, 1, 0.5, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    ),
    (
        "relu",
        {"threshold": 0.7},
        [inf, 1e30, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    ("relu6", {}, [6, 6, 6, 1, 0.5, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
    (
        "leaky_relu",
        {},
        [inf, 1e30, 6, 1, 0.5, 0, -0, -0.1, -0.2, -0.6, -2e29, -inf],
        [1, 1, 1, 1, 1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2],
    ),
    (
        "elu",
        {},
        [inf, 1e30, 6, 1, 0.5, 0, -0, -0.3934693, -0.6321205, -0.950213, -1, -1],
        [1, 1, 1, 1, 1, 1, 1, 0.6065307, 0.3678795, 0.04978704, 0, 0],
    ),
    (
        "elu",
        {"alpha": 1.7},
        [inf, 1e30, 6, 1, 0.5, 0, -0, -0.6688979, -1.074605, -1.615362, -1.7, -1.7],
        [1, 1, 1, 1, 1, 1.7, 1.7, 1.031102, 0.6253951, 0.08463798, 0, 0],
    ),
    (
        "selu",
        {},
        [
            inf,
            1.050701e30,
            6.304206,
            1.050701,
            0.5253505,
            0,
            -0,
            -0.6917582,
            -1.111331,
            -1.670569,
            -1.758099,
            -1.758099,
        ],
        [
            1.050701,
            1.050701,
            1.050701,
            1.050701,
            1.050701,
            1.050701,
            1.050701,
            1.066341,
            0.6467686,
            0.08753061,
            0,
            0,
        ],
    ),
    (
        "celu",
        {"alpha": 0.5},
        [inf, 1e30, 6, 1, 0.5, 0, 0, -0.3160603, -0.4323324, -0.4987606, -0.5, -0.5],
        [1, 1, 1, 1, 1, 2, 2, 0.3678795, 0.1353353, 0.002478752, 0, 0],
    ),
    (
        "gelu",
        {"approximate": False},
        [inf, 1e30, 6, 0.8413447, 0.3457312, 0, -0, -0.1542688, -0.1586553, -0.004049696, -0, nan],
        [nan, 1, 1, 1.083315, 0.8674951, 0.5, 0.5, 0.1325049, -0.08331549, -0.01194565, 0, nan],
    ),
    (
        "gelu",
        {"approximate": True},
        [inf, 1e30, 6, 0.841192, 0.345714, 0, -0, -0.154286, -0.158808, -0.003637433, -0, nan],
        [nan, nan, 1, 1.082964, 0.8673699, 0.5, 0.5, 0.1326301, -0.08296409, -0.01158424, nan, nan],
    ),
    (
        "silu",
        {},
        [inf, 1e30, 5.985164, 0.7310585, 0.3112297, 0, -0, -0.1887703, -0.2689414, -0.1422776, -0, nan],
        [nan, 1, 1.012326, 0.9276704, 0.7399612, 0.5, 0.5, 0.2600388, 0.07232948, -0.0881041, -0, nan],
    ),
    (
        "softplus",
        {},
        [
            inf,
            1e30,
            6.002476,
            1.313262,
            0.9740769,
            0.6931472,
            0.6931472,
            0.474077,
            0.3132617,
            0.04858735,
            0,
            0,
        ],
        [1, 1, 0.9975274, 0.7310585, 0.6224594, 0.5, 0.5, 0.3775407, 0.2689414, 0.04742587, 0, 0],
    ),
    (
        "sigmoid",
        {},
        [1, 1, 0.9975274, 0.7310585, 0.6224594, 0.5, 0.5, 0.3775407, 0.2689414, 0.04742587, 0, 0],
        [0, 0, 0.002466525, 0.196612, 0.2350037, 0.25, 0.25, 0.2350037, 0.1966119, 0.04517666, 0, 0],
    ),
    (
        "tanh",
        {},
        [1, 1, 0.9999877, 0.7615942, 0.4621171, 0, -0, -0.4621171, -0.7615942, -0.9950547, -1, -1],
        [0, 0, 2.455711e-05, 0.4199743, 0.7864478, 1, 1, 0.7864478, 0.4199743, 0.009866118, 0, 0],
    ),
    (
        "softsign",
        {},
        [nan, 1, 0.8571429, 0.5, 0.3333333, 0, -0, -0.3333333, -0.5, -0.75, -1, nan],
        [0, 0, 0.02040816, 0.25, 0.4444444, 1, 1, 0.4444444, 0.25, 0.0625, 0, 0],
    ),
    ("hard_tanh", {}, [1, 1, 1, 1, 0.5, 0, -0, -0.5, -1, -1, -1, -1], [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0]),
    (
        "hard_sigmoid",
        {},
        [1, 1, 1, 0.6666667, 0.5833333, 0.5, 0.5, 0.4166667, 0.3333333, 0, 0, 0],
        [0, 0, 0, 0.1666667, 0.1666667, 0.1666667, 0.1666667, 0.1666667, 0.1666667, 0, 0, 0],
    ),
    (
        "hard_silu",
        {},
        [inf, 1e30, 6, 0.6666667, 0.2916667, 0, -0, -0.2083333, -0.3333333, -0, -0, nan],
        [nan, 1, 1, 0.8333334, 0.6666666, 0.5, 0.5, 0.3333333, 0.1666667, 0, 0, nan],
    ),
    (
        "hard_shrink",
        {},
        [inf, 1e30, 6, 1, 0, 0, 0, 0, -1, -3, -1e30, -inf],
        [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1],
    ),
    (
        "soft_shrink",
        {},
        [inf, 1e30, 5.5, 0.5, 0, 0, 0, 0, -0.5, -2.5, -1e30, -inf],
        [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1],
    ),
    (
        "tanh_shrink",
        {},
        [inf, 1e30, 5.000012, 0.2384058, 0.03788286, 0, 0, -0.03788286, -0.2384058, -2.004945, -1e30, -inf],
        [1, 1, 0.9999754, 0.5800257, 0.2135522, 0, 0, 0.2135522, 0.5800257, 0.9901339, 1, 1],
    ),
    (
        "sparse_plus",
        {},
        [inf, 1e30, 6, 1, 0.5625, 0.25, 0.25, 0.0625, 0, 0, 0, 0],
        [nan, 1, 1, 1, 0.75, 0.5, 0.5, 0.25, 0, 0, 0, nan],
    ),
    (
        "sparse_sigmoid",
        {},
        [1, 1, 1, 1, 0.75, 0.5, 0.5, 0.25, 0, 0, 0, 0],
        [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0],
    ),
    (
        "squareplus",
        {},
        [inf, inf, 6.162278, 1.618034, 1.280776, 1, 1, 0.7807764, 0.618034, 0.3027756, inf, nan],
        [nan, 0.5, 0.9743416, 0.7236068, 0.6212678, 0.5, 0.5, 0.3787322, 0.2763932, 0.08397484, 0.5, nan],
    ),
    (
        "mish",
        {},
        [inf, 1e30, 5.999927, 0.8650984, 0.3752452, 0, -0, -0.2207438, -0.3034015, -0.1456475, -0, nan],
        [nan, 1, 1.000133, 1.049036, 0.8864244, 0.6, 0.6, 0.2895107, 0.05921678, -0.09339312, 0, nan],
    ),
    (
        "log_sigmoid",
        {},
        [
            -0,
            -0,
            -0.002475685,
            -0.3132617,
            -0.474077,
            -0.6931472,
            -0.6931472,
            -0.9740769,
            -1.313262,
            -3.048587,
            -1e30,
            -inf,
        ],
        [0, 0, 0.002472623, 0.2689414, 0.3775407, 0.5, 0.5, 0.6224594, 0.7310586, 0.9525741, 1, 1],
    ),
    (
        "exponential",
        {},
        [inf, inf, 403.4288, 2.718282, 1.648721, 1, 1, 0.6065307, 0.3678795, 0.04978707, 0, 0],
        [inf, inf, 403.4288, 2.718282, 1.648721, 1, 1, 0.6065307, 0.3678795, 0.04978707, 0, 0],
    ),
    (
        "threshold",
        {"threshold": 0.3, "default_value": -1.0},
        [inf, 1e30, 6, 1, 0.5, -1, -1, -1, -1, -1, -1, -1],
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    ),
]

# Where Keras' formulas overflow, or are 0 times infinity, there are the limits here; and the slope of celu at 0 is one,
# not the sum of both sides.
VALUES_OF_OUR_OWN = {"squareplus": {1: 1e30, 10: 1e-30, 11: 0.0}}
SLOPES_OF_OUR_OWN = {
    "celu": {5: 1.0, 6: 1.0},
    "hard_silu": {0: 1.0, 11: 0.0},
    "sparse_plus": {0: 1.0, 11: 0.0},
    "squareplus": {1: 1.0, 10: 0.0},
}

each = pytest.mark.parametrize(("name", "arguments", "values", "slopes"), KERAS)


def with_own(numbers, own):
    numbers = np.array(numbers, np.float32)
    for i, number in own.items():
        numbers[i] = number
    return numbers


@each
def test_values(name, arguments, values, slopes):
    with np.errstate(all="ignore"):
        got = getattr(activations, name)(X, **arguments)
    expected = with_own(values, VALUES_OF_OUR_OWN.get(name, {}))
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


@each
def test_slopes(name, arguments, values, slopes):
    kernels = for_device("cpu").activation
    defaults = PARAMETERS.get(name, {})
    parameters = tuple(float(arguments.get(key, default)) for key, default in defaults.items())
    out, dX = np.empty_like(X), np.empty_like(X)
    kernels.forward(X, out, name, parameters)
    kernels.gradient(X, out, np.ones_like(X), dX, name, parameters)
    expected = with_own(slopes, SLOPES_OF_OUR_OWN.get(name, {}))
    np.testing.assert_allclose(dX, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("arguments", [{}, {"max_value": 6.0}, {"threshold": 0.7}])
def test_relu_has_no_negative_zeros(arguments):
    assert not np.signbit(activations.relu(X, **arguments)).any()


def test_soft_shrink_has_no_negative_zeros():
    assert not np.signbit(activations.soft_shrink(X[4:8])).any()


@pytest.mark.parametrize("name", [name for name in sorted(PARAMETERS) if name != "threshold"])
def test_a_nan_stays_one(name):
    """Keras' hard_shrink, soft_shrink and threshold make a number of it, as its relu does with a threshold."""
    assert np.isnan(getattr(activations, name)(np.float32([nan, 1.0])))[0]
