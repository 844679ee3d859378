"""The kernels of SMO, for the compile check that needs no GPU (``tools/compile_cuda.py``)."""

from numba import types

from fastml.kernels.cuda._smo_arrays import (
    add_moves_function,
    add_rows_function,
    gather_function,
    pack_function,
)
from fastml.kernels.cuda._smo_kernel import solve_function

_INDEX, _OFFSETS, _VECTOR = (types.Array(t, 1, "C") for t in (types.int32, types.int64, types.float64))
_MATRIX = types.Array(types.float64, 2, "C")


def kernels_to_compile():
    """Yields (name, Python function, signature): every kernel, for both dtypes of kernel values."""
    for number in (types.float32, types.float64):
        packed = types.Array(number, 1, "C")
        for nu in (False, True):
            for in_shared in (False, True):
                name = f"smo_solve {number}{' nu' if nu else ''}{' shared' if in_shared else ' global'}"
                signature = types.void(
                    packed, _OFFSETS, _OFFSETS, _MATRIX, types.float64, types.int64, _MATRIX
                )
                yield name, solve_function(nu, in_shared), signature
        # Whole matrices are contiguous, parts of a workspace are not.
        for layout in "CA":
            K = types.Array(number, 2, layout)
            described = f"{number} {layout}"
            yield f"smo_gather {described}", gather_function(), types.void(K, _INDEX, _INDEX, K)
            yield f"smo_add_rows {described}", add_rows_function(), types.void(_VECTOR, K, _INDEX, _VECTOR)
            signature = types.void(K, _INDEX, _OFFSETS, _OFFSETS, packed)
            yield f"smo_pack {described}", pack_function(), signature
            signature = types.void(K, _INDEX, _OFFSETS, _VECTOR, _VECTOR)
            yield f"smo_add_moves {described}", add_moves_function(), signature
