"""Gradients of whole networks against central differences, in float64."""

import numpy as np
import pytest
from backprop_networks import batch_normalization, conv, dense, layer_normalization, relu, weights

from fastml.solvers.backprop import (
    Activation,
    AveragePool,
    Conv,
    Crop,
    Data,
    Dense,
    Dropout,
    ElasticNet,
    Formula,
    GatedLinear,
    Interpolate,
    MaxPool,
    Network,
    Objective,
    Orthogonal,
    OutputPenalty,
    Permute,
    Repeat,
    Rescale,
    Reshape,
    RowActivation,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Targets,
    Window,
    ZeroPad,
    formulas,
)

DEVICE = "cpu"
STEP = 1e-6


def classify(network, rng, n=5):
    """Labels, and what compares them with the network's output."""
    labels = rng.integers(0, network.output_shape[-1], (n, *network.output_shape[:-1])).astype(np.int32)
    return labels, Objective(SoftmaxCrossEntropy(), Targets(labels.shape[1:], True), None)


def regress(network, rng, n=5):
    target = rng.standard_normal((n, *network.output_shape))
    return target, Objective(Formula(formulas.mean_squared_error), Targets(target.shape[1:], False), None)


def check_gradients(network, X, targets, objective, factors=None, n_checked=40):
    """Some elements of every parameter, by differences of the loss and by the backward pass."""
    program = network.training(len(X), None, objective, None)
    data = Data(X, targets, factors)

    def loss():
        program.load(data)
        program.run()
        return program.loss + program.penalty

    loss()
    analytic = [parameter.gradient.copy() for parameter in network.trained]
    rng = np.random.default_rng(0)
    for parameter, gradient in zip(network.trained, analytic):
        flat, expected = parameter.value.reshape(-1), gradient.reshape(-1)
        for i in rng.permutation(flat.size)[:n_checked]:
            before = flat[i]
            flat[i] = before + STEP
            above = loss()
            flat[i] = before - STEP
            below = loss()
            flat[i] = before
            np.testing.assert_allclose(expected[i], (above - below) / (2 * STEP), rtol=2e-5, atol=2e-8)


# Each makes the nodes between a dense or convolutional layer and the output, for samples of a shape.
IMAGE_NETWORKS = {
    "conv": lambda rng: [conv(rng, 4, 3)],
    "conv-relu-pool": lambda rng: [conv(rng, 4, 3), relu(), MaxPool(Window((2, 2), (2, 2)))],
    "conv-same": lambda rng: [conv(rng, 4, 3, padding="same")],
    "conv-same-strided": lambda rng: [conv(rng, 4, 3, padding="same", strides=(2, 3))],
    "conv-dilated": lambda rng: [conv(rng, 4, 3, dilation=(2, 1))],
    "conv-same-dilated": lambda rng: [conv(rng, 4, 3, padding="same", dilation=(2, 3))],
    "conv-groups": lambda rng: [conv(rng, 4, 6, groups=2, strides=(2, 2))],
    "depthwise": lambda rng: [
        Conv(weights(rng, 3, 3, 4, 2), weights(rng, 8), Window((3, 3)), 4, filter_shape=(3, 3, 1, 8))
    ],
    "causal": lambda rng: [conv(rng, 4, 3, size=(1, 3), padding="causal", dilation=(1, 2))],
    "max-overlapping": lambda rng: [MaxPool(Window((3, 2), (1, 2)))],
    "max-same": lambda rng: [MaxPool(Window((3, 3), (2, 2), "same"))],
    "average-same": lambda rng: [AveragePool(Window((3, 3), (2, 2), "same"))],
    "global-average": lambda rng: [AveragePool(Window((6, 7), (6, 7)))],
    "batch-normalization": lambda rng: [batch_normalization(rng, 4)],
    "layer-normalization": lambda rng: [layer_normalization(rng, 7, 4)],
    "pad-crop": lambda rng: [ZeroPad(((1, 0), (2, 1))), Crop(((0, 2), (1, 1)))],
    "repeat": lambda rng: [Repeat((2, 3))],
    "bilinear": lambda rng: [Interpolate((2, 3))],
    "permute": lambda rng: [Permute((2, 0, 1)), Rescale(np.arange(1, 8) / 7, 0.5)],
    "softmax-pixels": lambda rng: [RowActivation("softmax")],
}


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_images(name):
    """Behind a convolution, so that the gradient to the input is needed; and first, where it is not."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((5, 6, 7, 2))
    body = IMAGE_NETWORKS[name](rng)
    shape = (6, 7, 4)
    for node in body:
        shape = node.output_shape(shape)
    n = int(np.prod(shape))
    nodes = [
        conv(rng, 2, 4, padding="same"),
        *body,
        Reshape((n,)),
        dense(rng, n, 3),
        RowActivation("softmax"),
    ]
    network = Network(nodes, (6, 7, 2), np.float64, DEVICE)
    check_gradients(network, X, *classify(network, rng))


def test_fused_convolution_first():
    rng = np.random.default_rng(4)
    nodes = [
        conv(rng, 1, 3),
        relu(),
        MaxPool(Window((2, 2), (2, 2))),
        Reshape((18,)),
        dense(rng, 18, 4),
        relu(),
        dense(rng, 4, 3),
        RowActivation("softmax"),
    ]
    network = Network(nodes, (7, 8, 1), np.float64, DEVICE)
    check_gradients(network, rng.standard_normal((5, 7, 8, 1)), *classify(network, rng))


VECTOR_NETWORKS = {
    "log-softmax": lambda: [RowActivation("log_softmax")],
    "sparsemax": lambda: [RowActivation("sparsemax")],
    "glu": lambda: [GatedLinear()],
    "gelu": lambda: [Activation("gelu")],
    "elu": lambda: [Activation("elu", (0.7,))],
    "penalty-on-outputs": lambda: [OutputPenalty(ElasticNet(0.1, 0.2))],
}


@pytest.mark.parametrize("name", VECTOR_NETWORKS)
def test_vectors(name):
    rng = np.random.default_rng(5)
    nodes = [dense(rng, 4, 6), *VECTOR_NETWORKS[name]()]
    network = Network(nodes, (4,), np.float64, DEVICE)
    check_gradients(network, rng.standard_normal((5, 4)), *regress(network, rng))


def test_dense_over_the_last_axis_of_images():
    rng = np.random.default_rng(6)
    network = Network([dense(rng, 2, 3), relu(), dense(rng, 3, 2)], (3, 4, 2), np.float64, DEVICE)
    check_gradients(network, rng.standard_normal((5, 3, 4, 2)), *regress(network, rng))


def test_dropout_takes_the_gradient_where_it_let_values_through():
    rng = np.random.default_rng(7)
    state = np.array([3, 0], np.uint64)
    network = Network([dense(rng, 4, 50), Dropout(0.4, state), dense(rng, 50, 2)], (4,), np.float64, DEVICE)
    target, objective = regress(network, rng)
    program = network.training(5, None, objective, None)
    program.load(Data(rng.standard_normal((5, 4)), target))

    def gradient():
        state[:] = 3, 0  # the same elements each time
        program.run()
        return program.loss

    gradient()
    bias = network.trained[1]
    expected = bias.gradient.copy()
    assert np.count_nonzero(expected) > 25
    for i in range(50):
        bias.value[i] += STEP
        above = gradient()
        bias.value[i] -= 2 * STEP
        below = gradient()
        bias.value[i] += STEP
        np.testing.assert_allclose(expected[i], (above - below) / (2 * STEP), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "penalty", [ElasticNet(0.3, 0.0), ElasticNet(0.1, 0.2), Orthogonal(0.5, True), Orthogonal(0.5, False)]
)
def test_penalties(penalty):
    rng = np.random.default_rng(8)
    kernel = weights(rng, 4, 3)
    kernel.penalty = penalty
    network = Network([Dense(kernel, None)], (4,), np.float64, DEVICE)
    check_gradients(network, rng.standard_normal((5, 4)), *regress(network, rng))


def one_hot(rng, n, k):
    return np.eye(k)[rng.integers(0, k, n)]


def probabilities(rng, n, k):
    values = rng.uniform(0.1, 1, (n, k))
    return values / values.sum(axis=1, keepdims=True)


def positive(rng, n, k):
    return rng.uniform(0.2, 2, (n, k))


def normal(rng, n, k):
    return rng.standard_normal((n, k))


# formula, its options, targets, predictions
FORMULAS = [
    ("mean_squared_error", {}, normal, normal),
    ("mean_absolute_error", {}, normal, normal),
    ("mean_absolute_percentage_error", {}, normal, normal),
    ("mean_squared_logarithmic_error", {}, positive, positive),
    ("huber", {"delta": 0.7}, normal, normal),
    ("log_cosh", {}, normal, normal),
    ("poisson", {}, positive, positive),
    ("cosine_similarity", {}, normal, normal),
    ("kl_divergence", {}, probabilities, probabilities),
    ("hinge", {}, one_hot, normal),
    ("squared_hinge", {}, one_hot, normal),
    ("categorical_hinge", {}, one_hot, normal),
    ("binary_crossentropy", {"label_smoothing": 0.1}, one_hot, probabilities),
    ("binary_crossentropy_of_logits", {"label_smoothing": 0.1}, one_hot, normal),
    ("binary_focal_crossentropy", {"gamma": 1.5, "apply_class_balancing": True}, one_hot, probabilities),
    (
        "binary_focal_crossentropy_of_logits",
        {"gamma": 1.5, "apply_class_balancing": True, "label_smoothing": 0.1},
        one_hot,
        normal,
    ),
    ("categorical_crossentropy", {"label_smoothing": 0.1}, one_hot, positive),
    ("categorical_crossentropy_of_logits", {}, probabilities, normal),
    ("categorical_focal_crossentropy", {"gamma": 1.5, "label_smoothing": 0.1}, one_hot, positive),
    ("categorical_focal_crossentropy_of_logits", {"gamma": 1.5, "label_smoothing": 0.1}, one_hot, normal),
    ("dice", {}, one_hot, probabilities),
    ("dice", {"axis": -1}, one_hot, probabilities),
    ("tversky", {"alpha": 0.3, "beta": 0.6}, one_hot, probabilities),
]


@pytest.mark.parametrize(("name", "options", "targets", "predictions"), FORMULAS)
def test_formulas(name, options, targets, predictions):
    """The gradient of each value with respect to the prediction."""
    rng = np.random.default_rng(9)
    target, prediction = targets(rng, 6, 4), predictions(rng, 6, 4)
    _check_formula(lambda p: getattr(formulas, name)(target, p, **options), prediction)


@pytest.mark.parametrize(
    ("name", "options", "predictions"),
    [
        ("sparse_categorical_crossentropy", {}, probabilities),
        ("sparse_categorical_crossentropy_of_logits", {}, normal),
        ("categorical_generalized_cross_entropy", {"q": 0.4}, probabilities),
    ],
)
def test_formulas_of_labels(name, options, predictions):
    rng = np.random.default_rng(10)
    labels, prediction = rng.integers(0, 4, 6), predictions(rng, 6, 4)
    _check_formula(lambda p: getattr(formulas, name)(labels, p, **options), prediction)


def test_equal_outputs_share_the_gradient_of_a_largest_one():
    _, gradient = formulas.categorical_hinge(np.array([[0.0, 1.0, 0.0, 0.0]]), np.zeros((1, 4)))
    np.testing.assert_array_equal(gradient, [[0.25, -1.0, 0.25, 0.25]])


def test_a_categorical_hinge_of_nan_has_no_gradient_either():
    target, prediction = np.eye(3)[[0, 1]], np.array([[0.0, np.nan, 1.0], [0.0, 1.0, 0.5]])
    values, gradient = formulas.categorical_hinge(target, prediction)
    np.testing.assert_array_equal(values, [np.nan, 0.5])
    np.testing.assert_array_equal(gradient, [[np.nan] * 3, [0.0, -1.0, 1.0]])


@pytest.mark.parametrize("size", [0.0, 2e-9, 2e-7, 2e-6])
def test_cosines_of_small_predictions(size):
    """Norms below 1e-7 are taken for that."""
    prediction = size * np.array([[3.0, -4.0]])
    values, gradient = formulas.cosine_similarity(np.array([[0.6, 0.8]]), prediction)
    norm = max(5 * size, 1e-7)
    assert values == pytest.approx([size * 1.4 / norm], abs=1e-12)
    along = 0.0 if 5 * size < 1e-7 else -0.28
    expected = (along * np.array([0.6, -0.8]) - np.array([0.6, 0.8])) / norm
    np.testing.assert_allclose(gradient, [expected], rtol=1e-6)


def _check_formula(formula, prediction):
    values, gradient = formula(prediction)
    for index in np.ndindex(prediction.shape):
        moved = [prediction.copy(), prediction.copy()]
        moved[0][index] += STEP
        moved[1][index] -= STEP
        above, below = (formula(p)[0] for p in moved)
        difference = np.sum(above - below) / (2 * STEP)
        np.testing.assert_allclose(gradient[index], difference, rtol=2e-6, atol=1e-8)
    assert values.shape in ((), prediction.shape[:-1])


def test_the_fused_softmax_is_the_formula():
    """Labels in one pass, distributions by NumPy, a loss on probabilities: one gradient."""
    rng = np.random.default_rng(11)
    X, labels = rng.standard_normal((6, 4)), rng.integers(0, 3, 6).astype(np.int32)
    nodes = [dense(rng, 4, 3), RowActivation("softmax")]
    network = Network(nodes, (4,), np.float64, DEVICE)
    distributions = Formula(formulas.categorical_crossentropy)
    gradients = []
    for loss, targets, shape in (
        (SoftmaxCrossEntropy(), labels, ()),
        (SoftmaxCrossEntropy(), np.eye(3)[labels], (3,)),
        (distributions, np.eye(3)[labels], (3,)),
    ):
        program = network.training(6, None, Objective(loss, Targets(shape, shape == ()), None), None)
        program.load(Data(X, targets))
        program.run()
        gradients.append((program.loss, network.gradients.copy(), np.array(program.predictions)))
    for loss, gradient, predictions in gradients[1:]:
        assert loss == pytest.approx(gradients[0][0], rel=1e-6)
        np.testing.assert_allclose(gradient, gradients[0][1], rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(predictions, gradients[0][2], rtol=1e-12)


def test_the_fused_sigmoid():
    rng = np.random.default_rng(12)
    network = Network([dense(rng, 4, 2), Activation("sigmoid")], (4,), np.float64, DEVICE)
    targets = rng.integers(0, 2, (5, 2)).astype(float)
    objective = Objective(SigmoidCrossEntropy(), Targets((2,), False), None)
    check_gradients(network, rng.standard_normal((5, 4)), targets, objective)


@pytest.mark.parametrize("reduction", ["mean", "sum", "weighted_mean"])
@pytest.mark.parametrize("with_labels", [True, False])
def test_weights_of_samples(reduction, with_labels):
    rng = np.random.default_rng(13)
    network = Network([dense(rng, 4, 3), RowActivation("softmax")], (4,), np.float64, DEVICE)
    labels = rng.integers(0, 3, 5).astype(np.int32)
    factors = rng.uniform(0, 2, 5)
    targets = labels if with_labels else np.eye(3)[labels]
    objective = Objective(SoftmaxCrossEntropy(), Targets(targets.shape[1:], with_labels), (), reduction)
    X = rng.standard_normal((5, 4))
    check_gradients(network, X, targets, objective, factors)

    program = network.inference(5, None, objective)
    program.load(Data(X, targets, factors))
    program.run()
    losses = -np.log(program.predictions[np.arange(5), labels])
    divisor = {"mean": 5, "sum": 1, "weighted_mean": factors.sum()}[reduction]
    assert program.loss == pytest.approx(np.sum(losses * factors) / divisor, rel=1e-9)
