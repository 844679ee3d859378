"""Steps of training small networks on the GPU, beside the CPU path and PyTorch.

cnn-mnist (a convolution of 32 filters with relu and max pooling, a dense layer of 128, one of 10) and mlp-mnist (dense
layers of 128 and 10) in batches of 128 of 60,000 images of MNIST's shape, Adam, float32. Reported are milliseconds a
step: rows of the batch come from host memory, nothing is read back before the last step. The data set lies on the
device before. PyTorch does what its best user would without compiling: channels first, a fused Adam, no TF32, as ours.
"""

import time

import numpy as np

from fastml.solvers.backprop import (
    Activation,
    Adam,
    Conv,
    Data,
    Dense,
    MaxPool,
    Network,
    Objective,
    Parameter,
    Rescale,
    Reshape,
    RowActivation,
    Runner,
    SoftmaxCrossEntropy,
    Targets,
    Window,
)

N_IMAGES, N_CLASSES, BATCH = 60_000, 10, 128
STEPS = {"cuda": 400, "torch": 400, "cpu": 60}
RATE = 1e-3
REPEATS = 3


def run():
    """Returns a dict per network."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N_IMAGES, 28, 28, 1)).astype(np.uint8)
    labels = rng.integers(0, N_CLASSES, N_IMAGES).astype(np.int32)
    results = []
    for name, nodes_of in (("cnn-mnist", _convolutional), ("mlp-mnist", _dense_layers)):
        row = {"benchmark": f"{name}, a step of {BATCH}", "unit": "ms"}
        for contender, device in (("ours", "cuda"), ("cpu", "cpu")):
            row[contender] = _ms(_steps(device, nodes_of(rng), images, labels), STEPS[device])
        row["torch"] = _ms(_torch_steps(name, images, labels), STEPS["torch"])
        results.append(row)
    return results


def _ms(steps, n_steps):
    """Of a step; ``steps`` takes that many and waits for the last."""
    order = np.random.default_rng(1).permutation(N_IMAGES)
    batches = [order[i * BATCH : (i + 1) * BATCH] for i in range(n_steps)]
    steps(batches[:3])  # compiles, warms up
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        steps(batches)
        seconds.append(time.perf_counter() - start)
    return round(min(seconds) / n_steps * 1e3, 4)


def _weights(rng, *shape):
    limit = (6.0 / (np.prod(shape[:-1]) + shape[-1])) ** 0.5
    return Parameter(rng.uniform(-limit, limit, shape).astype(np.float32))


def _dense(rng, n, m):
    return Dense(_weights(rng, n, m), Parameter(np.zeros(m, np.float32)))


def _convolutional(rng):
    return [
        Rescale(1 / 255, 0.0),
        Conv(_weights(rng, 3, 3, 1, 32), Parameter(np.zeros(32, np.float32)), Window((3, 3))),
        Activation("relu"),
        MaxPool(Window((2, 2), (2, 2))),
        Reshape((13 * 13 * 32,)),
        _dense(rng, 13 * 13 * 32, 128),
        Activation("relu"),
        _dense(rng, 128, N_CLASSES),
        RowActivation("softmax"),
    ]


def _dense_layers(rng):
    return [
        Rescale(1 / 255, 0.0),
        Reshape((784,)),
        _dense(rng, 784, 128),
        Activation("relu"),
        _dense(rng, 128, N_CLASSES),
        RowActivation("softmax"),
    ]


def _steps(device, nodes, images, labels):
    network = Network(nodes, images.shape[1:], np.float32, device)
    objective = Objective(SoftmaxCrossEntropy(), Targets((), True), None)
    runner = Runner(network, Data(images, labels), objective, Adam(), training=True)

    def steps(batches):
        for rows in batches:
            program = runner.step(rows, RATE)
        return program.loss

    return steps


def _torch_steps(name, images, labels):
    import torch
    from torch import nn

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if name == "cnn-mnist":
        first = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5408, 128)]
    else:
        first = [nn.Flatten(), nn.Linear(784, 128)]
    model = nn.Sequential(*first, nn.ReLU(), nn.Linear(128, N_CLASSES)).cuda()
    X = torch.from_numpy(images).cuda().permute(0, 3, 1, 2).contiguous()
    y = torch.from_numpy(labels.astype(np.int64)).cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)

    def steps(batches):
        for rows in batches:
            chosen = torch.from_numpy(rows).cuda()
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(model(X[chosen] * (1 / 255)), y[chosen])
            loss.backward()
            optimizer.step()
        return loss.item()

    return steps
