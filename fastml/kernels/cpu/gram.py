"""Blocks of a kernel matrix on the CPU; the contract is ``fastml.kernels.reference.gram``."""

from fastml.kernels.cpu import _gram
from fastml.kernels.cpu._gram import take_rows

__all__ = ["gram", "prepare", "take_rows"]


def prepare(B, kernel):
    return _gram.Prepared(B, kernel)


def gram(A, prepared, kernel, out, n_threads=None):
    _gram.gram(A, prepared, kernel, out, n_threads)
