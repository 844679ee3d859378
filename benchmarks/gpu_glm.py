"""Passes for generalised linear models on the GPU, beside the CPU path and PyTorch, and whole L-BFGS searches.

A pass gives losses and gradients of all models. Random data of MNIST's shape (ten classes: one model, and the fifty of
a cross-validation's 5 folds and 10 penalties), of a wide table's (one column of weights), and sparse; float32. Reported
are milliseconds a pass, arrays on the device before and after, weights and gradients included. PyTorch does what its
best user would: softmax in place, then the product from the left, without autograd; it has no such pass over sparse
rows.
"""

import time

import numpy as np

from fastml._csr import CSR
from fastml.kernels.glm_data import Data, Rule, new_models
from fastml.solvers import _passes, lbfgs
from fastml.solvers._objective import Objective

IMAGES, TALL = (60_000, 784), (1_000_000, 100)
SPARSE_ROWS, SPARSE_FEATURES, NON_ZEROS = 200_000, 100_000, 27
N_CLASSES, N_MODELS = 10, 50
ITERATIONS = 50
REPEATS = 5


def run():
    """Returns a dict per shape of the data, and one for a search."""
    rng = np.random.default_rng(0)
    images = rng.random(IMAGES, dtype=np.float32)
    classes = rng.integers(0, N_CLASSES, len(images)).astype(np.int32)
    tall = rng.standard_normal(TALL, dtype=np.float32)
    halves = rng.integers(0, 2, len(tall)).astype(np.int32)
    results = []
    for X, codes, rule, n_models in (
        (images, classes, Rule("multinomial", N_CLASSES), 1),
        (images, classes, Rule("multinomial", N_CLASSES), N_MODELS),
        (tall, halves, Rule("log_loss"), 1),
    ):
        row = {
            "benchmark": f"glm, {rule.loss}, {n_models * rule.n_columns} columns, {X.shape[0]} x {X.shape[1]}",
            "unit": "ms",
        }
        for name, device in (("ours", "cuda"), ("cpu", "cpu")):
            row[name] = _ms(_pass(device, Data(X, codes), rule, n_models))
        results.append({**row, "torch": _ms(_torch_pass(X, codes, rule, n_models))})
    data = Data(_sparse(rng), rng.integers(0, 2, SPARSE_ROWS).astype(np.int32))
    results.append(
        {
            "benchmark": f"glm, log_loss, {SPARSE_ROWS} CSR rows of {NON_ZEROS} in {SPARSE_FEATURES}",
            "unit": "ms",
            "ours": _ms(_pass("cuda", data, Rule("log_loss"), 1)),
            "cpu": _ms(_pass("cpu", data, Rule("log_loss"), 1)),
        }
    )
    results.append(
        {
            "benchmark": f"L-BFGS, {ITERATIONS} iterations, ten classes, {IMAGES[0]} x {IMAGES[1]}",
            "unit": "ms",
            "ours": _ms(_search("cuda", Data(images, classes))),
            "cpu": _ms(_search("cpu", Data(images, classes))),
        }
    )
    return results


def _ms(call):
    call()  # compiles, warms up
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return round(min(seconds) * 1e3, 3)


def _backend(device):
    if device == "cuda":
        from fastml.kernels.cuda import arrays, glm
    else:
        from fastml.kernels.cpu import arrays, glm
    return arrays, glm


def _sent(data, arrays):
    return Data(arrays.send(data.X), arrays.send(data.target))


def _pass(device, data, rule, n_models):
    """A function that passes over X and waits for the gradient."""
    arrays, glm = _backend(device)
    data, models = _sent(data, arrays), new_models(n_models)
    shape = (n_models * rule.n_columns, data.X.shape[1] + 1)
    weights = arrays.send(np.random.default_rng(0).standard_normal(shape) / 100.0)
    value, gradient = arrays.empty(n_models, np.float64), arrays.empty(shape, np.float64)

    def call():
        glm.evaluate(data, rule, models, weights, value, gradient)
        arrays.fetch(gradient[-1:])

    return call


def _torch_pass(X, codes, rule, n_models):
    import torch

    n_columns = n_models * rule.n_columns
    X = torch.from_numpy(X).cuda()
    rng = np.random.default_rng(0)
    weights = torch.from_numpy(rng.standard_normal((n_columns, X.shape[1]), dtype=np.float32) / 100).cuda()
    codes = torch.from_numpy(codes.astype(np.int64)).cuda()
    rows = torch.arange(len(codes), device="cuda")

    def binary():
        margins = (X @ weights.T).squeeze(1)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(margins, target, reduction="sum")
        gradient = margins.sigmoid_().sub_(target) @ X
        return losses, gradient

    def multinomial():
        logarithms = (X @ weights.T).view(-1, n_models, rule.n_columns).log_softmax(dim=2)
        losses = -logarithms[rows, :, codes].sum(dim=0)
        slopes = logarithms.exp_()
        slopes[rows, :, codes] -= 1.0
        return losses, slopes.view(-1, n_columns).T @ X

    target = codes.to(torch.float32)
    compute = multinomial if rule.loss == "multinomial" else binary

    def call():
        compute()
        torch.cuda.synchronize()

    return call


def _search(device, data):
    """A function that finds weights from zeros on, in as many iterations; sending X is part of it."""
    arrays, _ = _backend(device)
    n, n_features = data.X.shape
    objective = Objective(1.0 / n, 1.0 / n, N_CLASSES, n_features, True, data.X.dtype)
    start = np.zeros(objective.shape)

    def call():
        model = _passes.Model(lambda: lbfgs.search(objective, start, tol=0.0, max_iter=ITERATIONS))
        _passes.run(
            _sent(data, arrays),
            Rule("multinomial", N_CLASSES),
            [model],
            bytes_per_search=lbfgs.bytes_held(start.size),
            device=device,
            description="L-BFGS",
        )

    return call


def _sparse(rng):
    span = SPARSE_FEATURES // NON_ZEROS
    columns = rng.integers(0, span, (SPARSE_ROWS, NON_ZEROS)) + np.arange(NON_ZEROS) * span
    indptr = np.arange(0, columns.size + 1, NON_ZEROS, dtype=np.int32)
    values = rng.random(columns.size, dtype=np.float32)
    return CSR(values, columns.ravel().astype(np.int32), indptr, (SPARSE_ROWS, SPARSE_FEATURES))
