"""SGD on the GPU: one epoch for many models over one X, beside the CPU path and a PyTorch loop.

Random data of MNIST's shape, hinge loss, l2 penalty, the "optimal" schedule; the models differ in alpha. All
three run the same algorithm, each row's update seen by the next. Reported are microseconds per row, for all
models. PyTorch does what its best user would: all models in one matrix, the steps of ``CHUNK`` rows in one
CUDA graph.
"""

import time

import numpy as np

from fastml.kernels.sgd_state import MODEL, PROGRESS, Rule, State

N_FEATURES = 784
MODEL_COUNTS = (1, 10, 100, 1000)
GPU_ROWS, TORCH_ROWS = 20_000, 2_048
CPU_ROW_MODELS = 200_000  # rows times models, which keeps the CPU to seconds
CHUNK = 64
REPEATS = 3
RULE = Rule("hinge", "l2", "optimal", 0, True, False, 1.0, True)
OPTIMAL_INIT = 1000.0


def run():
    """Returns one dict per number of models: microseconds per row of each contender."""
    rng = np.random.default_rng(0)
    X = rng.random((GPU_ROWS, N_FEATURES), dtype=np.float32)
    target = rng.integers(0, 2, GPU_ROWS, dtype=np.int32)
    results = []
    for n_models in MODEL_COUNTS:
        cpu_rows = min(GPU_ROWS, max(200, CPU_ROW_MODELS // n_models))
        ours = _us_per_row(_our_epoch("cuda", X, target, GPU_ROWS, n_models), GPU_ROWS)
        cpu = _us_per_row(_our_epoch("cpu", X, target, cpu_rows, n_models), cpu_rows)
        torch = _us_per_row(_torch_epoch(X, target, n_models), TORCH_ROWS)
        results.append(
            {
                "benchmark": f"sgd epoch, {n_models} models x {N_FEATURES} features, float32",
                "unit": "us/row",
                "ours": ours,
                "cpu": cpu,
                "torch": torch,
            }
        )
    return results


def _us_per_row(epoch, n_rows):
    epoch()  # compiles, warms up
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
    return round(min(seconds) / n_rows * 1e6, 3)


def _our_epoch(device, X, target, n_rows, n_models):
    """A function that trains ``n_models`` on the first ``n_rows`` rows and waits for the result."""
    if device == "cuda":
        from fastml.kernels.cuda import arrays, sgd
    else:
        from fastml.kernels.cpu import arrays, sgd
    state = State(*(arrays.send(value) for value in vars(_initial_state(n_models)).values()))
    X, target = arrays.send(X[:n_rows]), arrays.send(target[:n_rows])
    order = np.arange(n_rows, dtype=np.int32)

    def epoch():
        sgd.epoch(X, target, None, order, state, RULE)
        arrays.fetch(state.progress)

    return epoch


def _alphas(n_models):
    return np.logspace(-5, -3, n_models)


def _initial_state(n_models):
    models = np.zeros(n_models, MODEL)
    models["positive_class"] = 1
    models["alpha"] = _alphas(n_models)
    models["optimal_init"] = OPTIMAL_INIT
    models["weight_pos"] = models["weight_neg"] = 1.0
    progress = np.zeros(n_models, PROGRESS)
    for name in ("wscale", "t", "average_b"):
        progress[name] = 1.0
    return State(
        coef=np.zeros((n_models, N_FEATURES), np.float32),
        average_coef=None,
        applied_l1=None,
        models=models,
        progress=progress,
        active=np.arange(n_models, dtype=np.int32),
    )


def _torch_epoch(X, target, n_models):
    """The same in PyTorch, on its first ``TORCH_ROWS`` rows."""
    import torch

    X = torch.from_numpy(X[:TORCH_ROWS]).cuda()
    y = torch.from_numpy(2.0 * target[:TORCH_ROWS] - 1.0).float().cuda()
    alpha = torch.from_numpy(_alphas(n_models)).float().cuda()
    W = torch.zeros(n_models, N_FEATURES, device="cuda")
    b = torch.zeros(n_models, device="cuda")
    t = torch.ones((), device="cuda")
    rows, labels = torch.empty_like(X[:CHUNK]), torch.empty_like(y[:CHUNK])

    def chunk():
        for x, label in zip(rows, labels):
            eta = 1.0 / (alpha * (OPTIMAL_INIT + t - 1.0))
            update = eta * label * (label * torch.addmv(b, W, x) <= 1.0)
            W.mul_((1.0 - eta * alpha).unsqueeze(1))
            W.addr_(update, x)
            b.add_(update)
            t.add_(1.0)

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        chunk()  # warms cuBLAS up, which a capture must not do
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        chunk()

    def epoch():
        for start in range(0, TORCH_ROWS, CHUNK):
            rows.copy_(X[start : start + CHUNK])
            labels.copy_(y[start : start + CHUNK])
            graph.replay()
        torch.cuda.synchronize()

    return epoch
