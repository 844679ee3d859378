"""Blocks of a kernel matrix on the CPU; the contract is ``fastml.kernels.reference.gram``.

Dense rows go through a packed matrix product (``src_ext/simd/gemm.h``) with the kernel as its epilogue. Sparse rows
stay sparse: against tables of A's rows where features are few, by columns of B where they are many
(``src_ext/gram/table.h``, ``postings.h``).
"""

from fastml.kernels.cpu import _gram, _gram_custom
from fastml.kernels.cpu._gram import take_rows

__all__ = ["gram", "prepare", "take_rows"]


def prepare(B, kernel):
    return _gram_custom.Rows(B) if kernel.name == "custom" else _gram.Prepared(B, kernel)


def gram(A, prepared, kernel, out, n_threads=None):
    if kernel.name == "custom":
        _gram_custom.gram(A, prepared, kernel, out, n_threads)
    else:
        _gram.gram(A, prepared, kernel, out, n_threads)
