"""Blocks of a kernel matrix on the CPU, by BLAS; the contract is ``fastml.kernels.reference.gram``."""

import numpy as np

from fastml.kernels.reference.gram import Prepared, _dense, take_rows

__all__ = ["gram", "prepare", "take_rows"]


def prepare(B, kernel):
    prepared = Prepared(B)
    prepared.squares = np.einsum("ij,ij->i", prepared.rows, prepared.rows, dtype=np.float64)
    return prepared


def gram(A, prepared, kernel, out, n_threads=None):
    A, B = _dense(A), prepared.rows
    products = A @ B.T
    match kernel.name:
        case "linear":
            out[...] = products
        case "poly":
            out[...] = (kernel.gamma * products + kernel.coef0) ** kernel.degree
        case "sigmoid":
            out[...] = np.tanh(kernel.gamma * products + kernel.coef0)
        case "rbf":
            squares = np.einsum("ij,ij->i", A, A, dtype=np.float64)[:, None] + prepared.squares
            distances = np.maximum(squares - 2.0 * products, 0.0)
            out[...] = np.exp(-kernel.gamma * distances)
        case "custom":
            function = kernel.function.f.py_func
            out[...] = np.array([[function(a, b) for b in B] for a in A]).reshape(out.shape)
