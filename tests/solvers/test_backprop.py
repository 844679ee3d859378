"""Networks: layout, buffers, fusion, programs of several sizes."""

import numpy as np
import pytest
from backprop_networks import batch_normalization, conv, dense, relu

from fastml.solvers.backprop import (
    SGD,
    Adam,
    Clipping,
    Data,
    Dropout,
    ElasticNet,
    GatedLinear,
    MaxPool,
    Network,
    Objective,
    Rescale,
    Reshape,
    RowActivation,
    Runner,
    SoftmaxCrossEntropy,
    Targets,
    Window,
    batches,
)
from fastml.solvers.backprop._dense import Conv, ConvMaxPool
from fastml.solvers.backprop._fusion import fuse

DEVICE = "cpu"
OBJECTIVE = Objective(SoftmaxCrossEntropy(), Targets((), True), None)


def classifier(rng, n_inputs=4, dtype=np.float64):
    nodes = [dense(rng, n_inputs, 5), relu(), dense(rng, 5, 3), RowActivation("softmax")]
    return Network(nodes, (n_inputs,), dtype, DEVICE)


def samples(rng, n=20, n_inputs=4, dtype=np.float64):
    return Data(rng.standard_normal((n, n_inputs)).astype(dtype), rng.integers(0, 3, n).astype(np.int32))


def test_parameters_lie_in_one_vector_at_cache_lines():
    network = classifier(np.random.default_rng(0), dtype=np.float32)
    assert network.weights.ctypes.data % 64 == network.gradients.ctypes.data % 64 == 0
    for parameter in network.trained:
        assert np.shares_memory(parameter.value, network.weights)
        assert np.shares_memory(parameter.gradient, network.gradients)
        assert parameter.value.ctypes.data % 64 == 0
    values = np.concatenate([parameter.value.ravel() for parameter in network.trained])
    assert np.count_nonzero(network.weights) == len(values) == 20 + 5 + 15 + 3


def test_a_network_keeps_the_values_of_its_parameters():
    rng = np.random.default_rng(1)
    node = dense(rng, 3, 2)
    before = node.weights.value.copy()
    first = Network([node], (3,), np.float64, DEVICE)
    np.testing.assert_array_equal(node.weights.value, before)
    node.weights.value += 1
    second = Network([node], (3,), np.float64, DEVICE)
    np.testing.assert_array_equal(node.weights.value, before + 1)
    assert second.is_current
    assert not first.is_current


def test_a_network_that_does_not_train_leaves_parameters_where_they_are():
    network = classifier(np.random.default_rng(1))
    rng = np.random.default_rng(2)
    data, program = samples(rng), network.training(20, None, OBJECTIVE, SGD())
    program.load(data)
    reader = Network(network.nodes, (4,), np.float64, DEVICE, train=False).inference(20)
    reader.load(data)
    reader.run()
    program.run()
    np.testing.assert_array_equal(reader.predictions, program.predictions)
    assert network.is_current
    assert network.trained[0].value.base is not None


def test_shorter_batches_share_the_buffers_of_the_longest():
    rng = np.random.default_rng(2)
    network, data = classifier(rng), samples(rng)
    long, short = (network.training(n, data, OBJECTIVE, None) for n in (16, 4))
    assert np.shares_memory(long.input, short.input)
    assert np.shares_memory(long.predictions, short.predictions)
    short.rows[:] = [3, 1, 4, 1]
    short.run()
    alone = classifier(np.random.default_rng(2)).training(4, data, OBJECTIVE, None)
    alone.rows[:] = [3, 1, 4, 1]
    alone.run()
    np.testing.assert_array_equal(short.predictions, alone.predictions)
    assert short.loss == alone.loss


def test_a_program_outlives_one_with_longer_batches():
    rng = np.random.default_rng(3)
    network, data = classifier(rng), samples(rng)
    program = network.inference(2, data)
    program.rows[:] = [5, 6]
    program.run()
    before = program.predictions.copy()
    network.inference(20, data).run()
    program.run()
    np.testing.assert_array_equal(program.predictions, before)


def test_backends_train_alike():
    """The loop and the nodes know of no backend: the same steps by the reference's kernels."""
    data = Data(
        np.random.default_rng(0).standard_normal((20, 6, 6, 1)),
        np.arange(20, dtype=np.int32) % 3,
    )
    trained = []
    for device in (DEVICE, "reference"):
        rng = np.random.default_rng(7)
        pool = MaxPool(Window((2, 2), (2, 2)))
        nodes = [conv(rng, 1, 4), relu(), pool, batch_normalization(rng, 4), Reshape((16,))]
        nodes += [Dropout(0.3, np.array([1, 0], np.uint64)), dense(rng, 16, 3), RowActivation("softmax")]
        network = Network(nodes, (6, 6, 1), np.float64, device)
        optimizer = Adam(clipping=Clipping(global_norm=1.0))
        runner = Runner(network, data, OBJECTIVE, optimizer, training=True)
        losses = [runner.step(rows, 0.01).loss for _ in range(3) for rows in batches(np.arange(20), 8)]
        trained.append((losses, network.weights.copy()))
    (losses, weights), (expected_losses, expected_weights) = trained
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-9)
    np.testing.assert_allclose(weights, expected_weights, rtol=1e-7, atol=1e-10)
    assert losses[-1] < losses[0]


def test_predictions_do_not_depend_on_the_batch():
    rng = np.random.default_rng(4)
    network, data = classifier(rng), samples(rng)
    runner = Runner(network, data)
    parts = [np.array(runner.step(rows).predictions) for rows in batches(np.arange(20), 8)]
    assert [len(part) for part in parts] == [8, 8, 4]
    np.testing.assert_allclose(np.concatenate(parts), runner.step(np.arange(20)).predictions, rtol=1e-12)


def test_rescaling_is_folded_into_the_gather():
    rng = np.random.default_rng(5)
    layer = dense(rng, 6, 2)
    images = rng.integers(0, 256, (7, 2, 3), dtype=np.uint8)
    nodes = [Reshape((6,)), Rescale(1 / 255, -0.5), Rescale(2, 0.25), layer]
    network = Network(nodes, (2, 3), np.float64, DEVICE)
    assert (network.scale, network.offset) == (2 / 255, -0.75)
    assert len(network.nodes) == 2
    program = network.inference(7, Data(images))
    program.rows[:] = np.arange(7)
    program.run()
    expected = (images.reshape(7, 6) / 255 - 0.5) * 2 + 0.25
    np.testing.assert_allclose(
        program.predictions, expected @ layer.weights.value + layer.bias.value, rtol=1e-12
    )


def test_fusion():
    rng = np.random.default_rng(6)
    pool = MaxPool(Window((2, 2), (2, 2)))
    first = [conv(rng, 1, 3), relu(), pool]
    second = [conv(rng, 3, 3), relu(), MaxPool(Window((2, 2), (2, 2)))]
    nodes = [*first, *second, Reshape((3,)), dense(rng, 3, 4), relu()]
    kinds = [type(node).__name__ for node in fuse(nodes, (11, 11, 1))]
    assert kinds == ["ConvMaxPool", "ConvMaxPool", "Reshape", "Dense"]


def test_overlapping_pooling_is_not_fused():
    rng = np.random.default_rng(7)
    nodes = [conv(rng, 1, 3), relu(), MaxPool(Window((3, 3), (2, 2)))]
    assert not any(isinstance(node, ConvMaxPool) for node in fuse(nodes, (9, 9, 1)))


def test_depthwise_convolutions_are_not_fused_with_pooling():
    rng = np.random.default_rng(7)
    for channels, kinds in ((2, [Conv, MaxPool]), (4, [ConvMaxPool])):
        nodes = [conv(rng, channels, 4, groups=2), relu(), MaxPool(Window((2, 2), (2, 2)))]
        assert [type(node) for node in fuse(nodes, (9, 9, channels))] == kinds


def test_training_lowers_the_loss_and_steps_are_counted():
    rng = np.random.default_rng(8)
    network, data = classifier(rng), samples(rng)
    optimizer = Adam()
    runner = Runner(network, data, OBJECTIVE, optimizer, training=True)
    losses = [runner.step(np.arange(20), 0.05).loss for _ in range(60)]
    assert losses[-1] < 0.4 * losses[0]
    assert optimizer.iterations == 60


def test_sgd_takes_the_step_of_the_gradient():
    rng = np.random.default_rng(9)
    network, data = classifier(rng), samples(rng)
    before = network.weights.copy()
    Runner(network, data, OBJECTIVE, SGD(), training=True).step(np.arange(20), 0.1)
    np.testing.assert_allclose(network.weights, before - 0.1 * network.gradients, rtol=1e-12)


@pytest.mark.parametrize("clipping", [Clipping(norm=0.01), Clipping(value=0.003), Clipping(global_norm=0.02)])
def test_clipping(clipping):
    rng = np.random.default_rng(10)
    network, data = classifier(rng), samples(rng)
    plain = network.training(20, data, OBJECTIVE, None)
    plain.rows[:] = np.arange(20)
    plain.run()
    unclipped = [parameter.gradient.copy() for parameter in network.trained]
    Runner(network, data, OBJECTIVE, SGD(clipping=clipping), training=True).step(np.arange(20), 0.0)
    total = np.sqrt(sum(np.sum(g**2) for g in unclipped))
    for parameter, gradient in zip(network.trained, unclipped):
        norm = np.linalg.norm(gradient)
        if clipping.norm:
            expected = gradient * min(1, clipping.norm / norm)
        elif clipping.value:
            expected = np.clip(gradient, -clipping.value, clipping.value)
        else:
            expected = gradient * min(1, clipping.global_norm / total)
        np.testing.assert_allclose(parameter.gradient, expected, rtol=1e-9)


def test_weight_decay_leaves_excluded_parameters_alone():
    rng = np.random.default_rng(11)
    network, data = classifier(rng), samples(rng)
    for parameter in network.trained:
        parameter.decays = len(parameter.shape) == 2
        parameter.value += 1
    optimizer = SGD(weight_decay=0.5)
    optimizer.attach(network)
    program = network.training(20, data, OBJECTIVE, optimizer)
    before = [parameter.value.copy() for parameter in network.trained]
    optimizer.begin_step(0.1)
    program.run()
    for parameter, value in zip(network.trained, before):
        kept = value * (0.95 if parameter.decays else 1.0)
        np.testing.assert_allclose(parameter.value, kept - 0.1 * parameter.gradient, rtol=1e-12)


def test_an_optimizer_keeps_its_state_in_another_network_of_the_same_parameters():
    rng = np.random.default_rng(12)
    network, data = classifier(rng), samples(rng)
    optimizer = SGD(momentum=0.9)
    Runner(network, data, OBJECTIVE, optimizer, training=True).step(np.arange(20), 0.1)
    weights = network.trained[0]
    momentum = optimizer.state_of("momentum", weights).copy()
    assert np.abs(momentum).max() > 0
    optimizer.attach(Network(network.nodes[:3], (4,), np.float64, DEVICE))
    np.testing.assert_array_equal(optimizer.state_of("momentum", weights), momentum)


def test_parameters_that_are_not_trained_stay():
    rng = np.random.default_rng(13)
    first, second = dense(rng, 4, 5), dense(rng, 5, 3)
    for parameter in first.parameters:
        parameter.trainable = False
    nodes = [first, relu(), batch_normalization(rng, 5), second, RowActivation("softmax")]
    network = Network(nodes, (4,), np.float64, DEVICE)
    before = [parameter.value.copy() for parameter in first.parameters]
    runner = Runner(network, samples(rng), OBJECTIVE, Adam(), training=True)
    for _ in range(3):
        runner.step(np.arange(20), 0.1)
    for parameter, value in zip(first.parameters, before):
        np.testing.assert_array_equal(parameter.value, value)
    assert len(network.trained) == 4


def test_a_network_without_anything_to_train_measures_its_loss():
    rng = np.random.default_rng(14)
    layer = dense(rng, 4, 3)
    for parameter in layer.parameters:
        parameter.trainable = False
    network = Network([layer, RowActivation("softmax")], (4,), np.float64, DEVICE)
    data = samples(rng)
    trained = Runner(network, data, OBJECTIVE, Adam(), training=True).step(np.arange(20), 0.1).loss
    assert trained == Runner(network, data, OBJECTIVE).step(np.arange(20)).loss


def test_the_penalty_is_that_of_the_weights_before_the_step():
    rng = np.random.default_rng(15)
    network, data = classifier(rng), samples(rng)
    network.trained[0].penalty = ElasticNet(0.1, 0.2)
    expected = network.trained[0].penalty.value(network.trained[0].value.copy())
    program = Runner(network, data, OBJECTIVE, SGD(), training=True).step(np.arange(20), 0.5)
    assert program.penalty == pytest.approx(expected, rel=1e-12)


def test_dropout_is_for_training():
    rng = np.random.default_rng(16)
    network = Network([Dropout(0.5, np.array([1, 0], np.uint64))], (1000,), np.float64, DEVICE)
    x = np.ones((2, 1000))
    for as_in_training, expected in ((False, [1.0]), (True, [0.0, 2.0])):
        program = network.inference(2, as_in_training=as_in_training)
        program.load(Data(x))
        program.run()
        assert sorted(set(np.array(program.predictions).ravel())) == expected
    del rng


def test_labels_out_of_range_give_no_number():
    rng = np.random.default_rng(17)
    network, data = classifier(rng), samples(rng)
    program = network.inference(20, None, OBJECTIVE)
    program.load(data._replace(targets=np.full(20, 3, np.int32)))
    program.run()
    assert np.isnan(program.loss)


def test_nodes_check_shapes_when_the_network_is_made():
    with pytest.raises(ValueError, match="must be even"):
        Network([GatedLinear()], (3,), np.float64, DEVICE)
