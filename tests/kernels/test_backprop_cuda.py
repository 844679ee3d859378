"""Networks on CUDA: every node, loss and optimizer trains as on the reference; models of both kinds of names.

Here, and not beside the solvers' other tests, since the simulator is only switched on for this folder.
"""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning

from fastml import config_context, keras
from fastml._cuda_available import simulated
from fastml.neural_network import MLPClassifier, MLPRegressor
from fastml.solvers.backprop import (
    SGD,
    Activation,
    Adagrad,
    Adam,
    AveragePool,
    Averaging,
    BatchNormalization,
    Clipping,
    Conv,
    Crop,
    Data,
    Dense,
    Dropout,
    ElasticNet,
    Formula,
    GatedLinear,
    Interpolate,
    LayerNormalization,
    MaxPool,
    Network,
    Objective,
    Orthogonal,
    OutputPenalty,
    Parameter,
    Permute,
    Repeat,
    Rescale,
    Reshape,
    Ridge,
    RMSprop,
    RowActivation,
    Runner,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Targets,
    Window,
    ZeroPad,
    formulas,
)


@pytest.fixture(autouse=True)
def arrays_that_do_not_mix(cuda, monkeypatch):
    """The simulator's arrays, which are NumPy's, refuse host arrays as CuPy's do."""
    if not simulated():
        return
    from fastml.kernels.cuda._device import _SimulatedArray

    def is_host(value):
        return type(value) is np.ndarray and value.ndim > 0

    def plain(value):
        return value.view(np.ndarray) if isinstance(value, np.ndarray) else value

    def apply(self, ufunc, method, *inputs, out=(), **kwargs):
        if any(is_host(value) for value in (*inputs, *out)):
            raise TypeError(f"{ufunc.__name__} of the device's and the host's arrays")
        if out:
            kwargs["out"] = tuple(plain(value) for value in out)
        result = getattr(ufunc, method)(*(plain(value) for value in inputs), **kwargs)
        if out:
            return out[0]
        return result.view(_SimulatedArray) if isinstance(result, np.ndarray) else result

    def set_item(self, key, value):
        if is_host(value):
            raise TypeError("the device's array set to the host's")
        self.view(np.ndarray)[key] = plain(value)

    monkeypatch.setattr(_SimulatedArray, "__array_ufunc__", apply, raising=False)
    monkeypatch.setattr(_SimulatedArray, "__setitem__", set_item, raising=False)


def weights(rng, *shape, penalty=None, trainable=True):
    return Parameter(rng.standard_normal(shape) / 2, trainable, penalty)


def dense(rng, n, m, penalty=None):
    return Dense(weights(rng, n, m, penalty=penalty), weights(rng, m))


def conv(rng, c, m, size=(2, 2), groups=1, **window):
    return Conv(weights(rng, *size, c // groups, m), weights(rng, m), Window(size, **window), groups)


def batch_normalization(rng, c, frozen=False):
    moving = Parameter(rng.standard_normal(c), False), Parameter(0.5 + rng.random(c), False)
    return BatchNormalization(weights(rng, c), weights(rng, c), *moving, 0.9, 1e-3, frozen)


IMAGES = {
    "conv-relu": lambda rng: [conv(rng, 2, 3), Activation("relu")],
    "conv-relu-pool": lambda rng: [conv(rng, 2, 3), Activation("relu"), MaxPool(Window((2, 2), (2, 2)))],
    "conv-strided-groups": lambda rng: [conv(rng, 2, 4, groups=2, padding="same", strides=(2, 1))],
    "max-pool": lambda rng: [MaxPool(Window((2, 2), (1, 2), "same"))],
    "average-pool": lambda rng: [AveragePool(Window((2, 3), (2, 2), "same"))],
    "batch-normalization": lambda rng: [batch_normalization(rng, 2)],
    "frozen-batch-normalization": lambda rng: [batch_normalization(rng, 2, frozen=True)],
    "layer-normalization": lambda rng: [LayerNormalization(weights(rng, 2), weights(rng, 2), 1, 1e-3)],
    "pad-crop": lambda rng: [ZeroPad(((1, 0), (0, 1))), Crop(((0, 2), (1, 0)))],
    "repeat": lambda rng: [Repeat((1, 2))],
    "bilinear": lambda rng: [Interpolate((2, 1))],
    "permute": lambda rng: [Permute((2, 0, 1)), Rescale(np.arange(1, 4) / 3, 0.5)],
    "softmax-pixels": lambda rng: [RowActivation("softmax")],
}
VECTORS = {
    "log-softmax": lambda rng: [RowActivation("log_softmax")],
    "sparsemax": lambda rng: [RowActivation("sparsemax")],
    "glu": lambda rng: [GatedLinear()],
    "gelu": lambda rng: [Activation("gelu")],
    "relu": lambda rng: [Activation("relu")],
    "dropout": lambda rng: [Dropout(0.4, np.array([5, 3], np.uint64))],
    "penalty-on-outputs": lambda rng: [OutputPenalty(ElasticNet(0.1, 0.2))],
    "not-trained": lambda rng: [Dense(weights(rng, 4, 3, trainable=False), None)],
}


def outcome(device, make, X, targets, objective_of, optimizer_of, factors=None):
    """What two steps of training leave, and predictions afterwards."""
    nodes = make(np.random.default_rng(1))
    network = Network(nodes, X.shape[1:], X.dtype, device)
    objective = objective_of(network)
    data = Data(X, targets, factors)
    runner = Runner(network, data, objective, optimizer_of(), training=True)
    losses = []
    for rows in (np.arange(len(X)), np.array([1, 0])):
        program = runner.step(rows, 0.1)
        losses.append(program.loss + program.penalty)
    fetch = network.kernels.arrays.fetch
    everything = [p for node in nodes for p in (*node.parameters, *node.statistics)]
    predicted = Runner(network, data, None).step(np.arange(len(X))).predictions
    return [np.array(losses), fetch(predicted), *(parameter.numpy() for parameter in everything)]


def assert_same(*arguments, **keywords):
    for ours, expected in zip(
        outcome("cuda", *arguments, **keywords), outcome("reference", *arguments, **keywords), strict=True
    ):
        assert type(ours) is np.ndarray
        assert_allclose(ours, expected, rtol=1e-9, atol=1e-11)


def classify(network):
    return Objective(SoftmaxCrossEntropy(), Targets((), True), None)


@pytest.mark.parametrize("name", IMAGES)
def test_nodes_of_images(name):
    """Behind another layer, so that the gradient to the input is needed."""

    def make(rng):
        first, body = conv(rng, 1, 2, size=(1, 1)), IMAGES[name](rng)
        shape = (3, 3, 2)
        for node in body:
            shape = node.output_shape(shape)
        n = int(np.prod(shape))
        return [first, *body, Reshape((n,)), dense(rng, n, 3), RowActivation("softmax")]

    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((3, 3, 3, 1)), rng.integers(0, 3, 3).astype(np.int32)
    assert_same(make, X, labels, classify, Adam)


def test_the_first_convolution_with_pooling():
    """The kernel that leaves out what comes before pooling; pixels are rescaled as they are gathered."""

    def make(rng):
        pooled = [conv(rng, 1, 2), Activation("relu"), MaxPool(Window((2, 2), (2, 2)))]
        return [Rescale(1 / 255, 0.0), *pooled, Reshape((4,)), dense(rng, 4, 3), RowActivation("softmax")]

    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (3, 6, 4, 1)), np.array([0, 2, 1], np.int32)
    assert_same(make, images.astype(np.float64), labels, classify, Adam)


@pytest.mark.parametrize("name", VECTORS)
def test_nodes_of_vectors(name):
    def make(rng):
        return [dense(rng, 2, 4), *VECTORS[name](rng)]

    def regress(network):
        return Objective(Formula(formulas.mean_squared_error), Targets(network.output_shape, False), None)

    rng = np.random.default_rng(0)
    width = make(rng)[-1].output_shape((4,))[0]
    X, targets = rng.standard_normal((3, 2)), rng.standard_normal((3, width))
    assert_same(make, X, targets, regress, SGD)


@pytest.mark.parametrize(
    "optimizer_of",
    [
        lambda: SGD(0.9, True, weight_decay=0.01),
        lambda: RMSprop(momentum=0.5, centered=True),
        lambda: Adagrad(clipping=Clipping(value=0.01)),
        lambda: Adam(amsgrad=True, clipping=Clipping(global_norm=0.1)),
        lambda: Adam(clipping=Clipping(norm=0.1)),
        lambda: SGD(0.9, averaging=Averaging(0.7, 2)),
        lambda: Adam(accumulation=2, averaging=Averaging(0.7), clipping=Clipping(value=0.01)),
    ],
)
def test_optimizers(optimizer_of):
    """With penalties on weights, a constraint, and weighted samples."""
    parameters = []

    def make(rng):
        parameters[:] = dense(rng, 2, 3, ElasticNet(0.01, 0.02)), dense(rng, 3, 2, Orthogonal(0.1, True))
        parameters[1].weights.constraint = lambda w: np.clip(w, -0.5, 0.5)
        return [parameters[0], Activation("tanh"), parameters[1], Activation("sigmoid")]

    def objective_of(network):
        ridge = Ridge([parameters[0].weights], 0.3)
        return Objective(SigmoidCrossEntropy(0.1), Targets((2,), False), (), "weighted_mean", ridge)

    rng = np.random.default_rng(0)
    X, targets = rng.standard_normal((3, 2)), rng.integers(0, 2, (3, 2)).astype(np.float64)
    assert_same(make, X, targets, objective_of, optimizer_of, factors=rng.random(3))


def test_parameters_follow_networks_from_device_to_device():
    """Optimizer state, too: a step on each device is as two on one."""
    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((3, 2)), np.array([0, 2, 1], np.int32)

    def trained(devices):
        first = np.random.default_rng(1)
        node, optimizer = dense(first, 2, 3), Adam()
        optimizer.state_of("momentum", node.weights)[...] = 0.5
        for device in devices:
            network = Network([node, RowActivation("softmax")], (2,), np.float64, device)
            runner = Runner(network, Data(X, labels), classify(network), optimizer, training=True)
            runner.step(np.arange(3), 0.1)
        return node.weights.numpy()

    expected = trained(["reference"] * 3)
    for devices in (("cpu", "cuda", "cpu"), ("cuda", "cpu", "cuda")):
        assert_allclose(trained(devices), expected, rtol=1e-9)


def small_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((4, 4, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_a_model_fits_where_the_configuration_says(cuda, tmp_path):
    """And predicts, is saved, loaded and trained on there and elsewhere."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (5, 4, 4, 1)).astype(np.uint8), rng.integers(0, 3, 5)
    models, histories = {}, {}
    for device in ("cpu", "cuda"):
        with config_context(device=device):
            models[device] = model = small_model()
            history = model.fit(X, y, batch_size=3, verbose=0, validation_data=(X[:3], y[:3]))
            histories[device] = history.history
    model = models["cuda"]
    assert cuda.arrays.is_own(model.layers[1].kernel.parameter.value)
    for name, values in histories["cpu"].items():
        assert_allclose(histories["cuda"][name], values, rtol=1e-4, atol=1e-5)
    for ours, expected in zip(model.get_weights(), models["cpu"].get_weights(), strict=True):
        assert type(ours) is np.ndarray
        assert_allclose(ours, expected, rtol=1e-3, atol=1e-5)

    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    for variable, same in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        assert_array_equal(variable.numpy(), same.numpy())
    with config_context(device="cuda"):
        predicted = model.predict(X, verbose=0)
        assert_array_equal(loaded.predict(X, verbose=0), predicted)
        loaded.layers[-1].set_weights([np.zeros((8, 3)), np.zeros(3)])
        assert_allclose(loaded.predict(X, verbose=0), 1 / 3, rtol=1e-6)
    with config_context(device="cpu"):
        assert_allclose(model.predict(X, verbose=0), predicted, rtol=1e-5)
        model.fit(X, y, batch_size=3, verbose=0)
    assert type(model.layers[1].kernel.parameter.value) is np.ndarray


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (MLPClassifier, {}),
        (MLPClassifier, {"solver": "sgd", "early_stopping": True, "validation_fraction": 0.4}),
        (MLPRegressor, {"solver": "lbfgs", "activation": "tanh"}),
    ],
)
@pytest.mark.parametrize("kept", [np.asarray, csr_matrix])
def test_perceptrons(kind, settings, kept):
    rng = np.random.default_rng(0)
    X, y = kept(rng.standard_normal((6, 3))), np.array([0, 1, 0, 0, 1, 1])

    def fitted(device):
        with config_context(device=device), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = kind(hidden_layer_sizes=(3,), max_iter=2, random_state=0, **settings).fit(X, y)
            predict = model.predict if kind is MLPRegressor else model.predict_proba
            return [*model.coefs_, *model.intercepts_, predict(X)]

    for ours, expected in zip(fitted("cuda"), fitted("cpu"), strict=True):
        assert type(ours) is np.ndarray
        assert_allclose(ours, expected, rtol=1e-8)
