"""Gram blocks on the GPU: a working set against all training rows, beside the CPU path and PyTorch.

Random data of MNIST's shape (dense) and of wide text's (CSR), rbf kernel, float32. Reported are milliseconds per
block, its arrays on the device before and after. PyTorch does what its best user would: one fused multiply-add of the
norms into the matrix product, exp in place; it has no such kernel for sparse rows.
"""

import time

import numpy as np

from fastml._csr import CSR
from fastml._kernel import KernelFunction

N_ROWS, N_BLOCK, N_FEATURES = 60_000, 1_024, 784
WIDE_ROWS, WIDE_FEATURES, WIDE_NON_ZEROS = 20_000, 1_000_000, 100
REPEATS = 5


def run():
    """Returns a dict for dense rows and one for sparse rows: milliseconds of each contender."""
    rng = np.random.default_rng(0)
    X = rng.random((N_ROWS, N_FEATURES), dtype=np.float32)
    kernel = KernelFunction("rbf", 1.0 / N_FEATURES)
    dense = {
        "benchmark": f"gram rbf, {N_BLOCK} x {N_ROWS} rows of {N_FEATURES}, float32",
        "unit": "ms",
        "ours": _ms(_our_block("cuda", X, X[:N_BLOCK], kernel)),
        "cpu": _ms(_our_block("cpu", X, X[:N_BLOCK], kernel)),
        "torch": _ms(_torch_block(X, X[:N_BLOCK], kernel.gamma)),
    }
    X = _wide(rng)
    A = CSR(X.data, X.indices, X.indptr[: N_BLOCK + 1], (N_BLOCK, WIDE_FEATURES))
    n = int(A.indptr[-1])
    A = A._replace(data=A.data[:n], indices=A.indices[:n])
    wide = {
        "benchmark": f"gram rbf, {N_BLOCK} x {WIDE_ROWS} CSR rows of {WIDE_NON_ZEROS} in {WIDE_FEATURES}",
        "unit": "ms",
        "ours": _ms(_our_block("cuda", X, A, kernel)),
        "cpu": _ms(_our_block("cpu", X, A, kernel)),
    }
    return [dense, wide]


def _ms(block):
    block()  # compiles, warms up
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        block()
        seconds.append(time.perf_counter() - start)
    return round(min(seconds) * 1e3, 3)


def _our_block(device, B, A, kernel):
    """A function that computes the block and waits for it."""
    if device == "cuda":
        from fastml.kernels.cuda import arrays, gram
    else:
        from fastml.kernels.cpu import arrays, gram
    A, prepared = arrays.send(A), gram.prepare(arrays.send(B), kernel)
    out = arrays.empty((A.shape[0], B.shape[0]), np.float32)

    def block():
        gram.gram(A, prepared, kernel, out)
        arrays.fetch(out[-1:, -1:])

    return block


def _torch_block(B, A, gamma):
    import torch

    A, B = torch.from_numpy(A).cuda(), torch.from_numpy(B).cuda()
    squares_b = B.square().sum(dim=1)

    def block():
        norms = A.square().sum(dim=1).unsqueeze(1) + squares_b
        values = torch.addmm(norms, A, B.T, beta=-gamma, alpha=2.0 * gamma)
        values.clamp_(max=0.0).exp_()
        torch.cuda.synchronize()

    return block


def _wide(rng):
    columns = np.sort(rng.integers(0, WIDE_FEATURES // WIDE_NON_ZEROS, (WIDE_ROWS, WIDE_NON_ZEROS)), axis=1)
    columns += np.arange(WIDE_NON_ZEROS) * (WIDE_FEATURES // WIDE_NON_ZEROS)  # increasing, none twice
    indptr = np.arange(0, columns.size + 1, WIDE_NON_ZEROS, dtype=np.int32)
    data = rng.random(columns.size, dtype=np.float32)
    return CSR(data, columns.ravel().astype(np.int32), indptr, (WIDE_ROWS, WIDE_FEATURES))
