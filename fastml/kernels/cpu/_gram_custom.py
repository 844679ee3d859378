"""Blocks of a kernel matrix by a function of the user's: ``fastml.Kernel`` over dense rows, on threads of our own."""

from fastml._csr import CSR
from fastml.kernels.cpu import _gram

# Of sparse rows that are dense at a time, of A and of B each.
BLOCK_BYTES = 1 << 22


class Rows:
    """B as it is; see ``fastml.kernels.reference.gram.Prepared``."""

    nbytes = 0

    def __init__(self, B):
        self.rows, self.shape, self.dtype = B, B.shape, B.dtype


def gram(A, prepared, kernel, out, n_threads):
    B, function = prepared.rows, kernel.function
    if not isinstance(B, CSR):
        _dense_gram(A, B, function, out, n_threads)
        return
    n_rows = max(1, BLOCK_BYTES // max(1, B.shape[1] * B.dtype.itemsize))
    for i in range(0, A.shape[0], n_rows):
        rows_a = A.between(i, i + n_rows).toarray()
        for j in range(0, B.shape[0], n_rows):
            block = out[i : i + n_rows, j : j + n_rows]
            _dense_gram(rows_a, B.between(j, j + n_rows).toarray(), function, block, n_threads)


def _dense_gram(A, B, function, out, n_threads):
    # Numba takes half a second to import.
    from fastml.kernels.cpu._gram_custom_block import compiled_block

    block = compiled_block(function, B.dtype.name)
    scratch_bytes = block.scratch_bytes(B.shape[1], B.dtype.itemsize)
    if _gram.custom(A, B, block.address, block.lanes, block.work, scratch_bytes, out, n_threads):
        return
    # Once more, where an exception has a caller to go to.
    for a in A:
        for b in B:
            if function.f(a, b) is None:
                raise function.returns_no_number(B.dtype.name, "None")
    raise RuntimeError(f"{function!r} raised an exception that it does not raise when called by itself.")
