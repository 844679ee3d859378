"""The loop over a block of a kernel matrix around a function of the user's, compiled by Numba.

A function of arithmetic is computed for several rows of B at once (``_lanes``). One that needs a row for itself, by a
branch on its elements say, is computed for one pair of rows after the other, some eight times as slowly.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numba
from numba import carray, types
from numba.core import cgutils
from numba.core.errors import NumbaError, TypingError
from numba.extending import intrinsic

from fastml.kernels.cpu._lanes import LANES, Lanes, scalar_of
from fastml.kernels.cpu._lanes_rows import LanesRow
from fastml.kernels.single_precision import in_single_precision
from fastml.kernels.user_kernel import Kernel

# Rows of B that are laid out at a time, to stay in the first-level cache: of so many bytes, but at least a vector's.
GROUP_BYTES = 1 << 14
LARGEST_GROUP = 8 * LANES

# Fused multiply-adds are allowed; a sum over features is added up in its order, which costs no time where vectors run
# across rows. In a loop over single rows it is the features that must be vectorised: terms may be added in any order.
# Neither has "nnan" and "ninf", which would let NaN and infinities vanish.
FUSED = {"contract"}
REORDERED = {"reassoc", "contract", "nsz"}

# A multiply-add of either loop, in those of the built-in kernels.
LANES_WORK = 3
SINGLE_WORK = 8


class Block(NamedTuple):
    """A compiled loop over a block.

    Attributes
    ----------
    address : int
        Of ``int32_t block(const T *a, const T *b, int64_t n_a, int64_t first, int64_t last, int64_t n_features,
        T *out, int64_t out_stride, T *scratch)``: out[i, j] = f(a[i], b[j]) for j in [first, last); not 0 if f
        raised.
    lanes : int
        Rows of B in a vector; 1: single rows.
    work : int
        What a multiply-add costs.
    function : object
        Keeps the machine code.
    """

    address: int | None
    lanes: int
    work: int
    function: Any

    def scratch_bytes(self, n_features: int, itemsize: int) -> int:
        """What ``scratch`` must have."""
        return 0 if self.lanes == 1 else max(GROUP_BYTES, LANES * n_features * itemsize)


@lru_cache(maxsize=64)
def compiled_block(kernel: Kernel, dtype: str) -> Block:
    """The loop around the user's function; compiled once for all kernels that are equal, as those of clones are.

    Parameters
    ----------
    kernel : fastml.Kernel
    dtype : {"float32", "float64"}
        T.

    Raises
    ------
    TypeError
        If the function does not compile as one of two such rows to a float.
    """
    real = getattr(types, dtype)
    f = in_single_precision(kernel.f.py_func) if dtype == "float32" else kernel.f.py_func
    pointer, size = types.CPointer(real), types.int64
    sig = types.int32(pointer, pointer, size, size, size, size, pointer, size, pointer)
    try:
        function = numba.cfunc(sig, error_model="numpy", fastmath=FUSED)(_lanes_loop(f, real))
        return Block(function.address, LANES, LANES_WORK, function)
    except NumbaError:
        # Not for several rows; whether it is wrong altogether, single rows tell.
        pass
    try:
        function = numba.cfunc(sig, error_model="numpy", fastmath=REORDERED)(_single_loop(f))
    except (NumbaError, AttributeError) as error:  # the latter is Numba's for "+=" on a read-only array
        returned = _not_a_number(f, real)
        if returned:
            raise kernel.returns_no_number(dtype, returned) from None
        raise kernel.does_not_compile(dtype, error) from error
    return Block(function.address, 1, SINGLE_WORK, function)


def _not_a_number(f: Any, real: Any) -> str:
    """What the function returns for two rows, if it compiles and that is no real number; else nothing."""
    row = types.Array(real, 1, "C", readonly=True)
    try:
        compiled = numba.njit((row, row), error_model="numpy")(f)
    except (NumbaError, AttributeError):
        return ""
    returned = compiled.nopython_signatures[0].return_type
    if scalar_of(returned) is not None:
        return ""
    return "None" if returned == types.none else str(returned)


def _lanes_loop(f: Any, real: Any) -> Callable[..., int]:
    values_of = numba.njit(error_model="numpy", fastmath=FUSED, forceinline=True)(f)
    values_in_group = GROUP_BYTES // (real.bitwidth // 8)

    @numba.njit(error_model="numpy", fastmath=FUSED)
    def fill(rows_a, rows_b, first, last, out, out_stride, scratch):
        n_features = rows_b.shape[1]
        group = values_in_group // max(1, n_features) // LANES * LANES
        group = max(LANES, min(LARGEST_GROUP, group))
        for start in range(first, last, group):
            end = min(start + group, last)
            lay_out(rows_b, start, end, scratch)
            for i in range(rows_a.shape[0]):
                x = rows_a[i]
                for j in range(start, end, LANES):
                    y = lanes_row(scratch, (j - start) * n_features, n_features)  # type: ignore[call-arg, var-annotated]
                    store(out, i * out_stride + j, min(LANES, end - j), values_of(x, y))

    def block(a, b, n_a, first, last, n_features, out, out_stride, scratch):
        rows_a, rows_b = rows_at(a, n_a, n_features), rows_at(b, last, n_features)
        # Short, as Numba's analysis of a function takes time that grows with what stands under "try".
        try:
            fill(rows_a, rows_b, first, last, out, out_stride, scratch)
        except Exception:
            return 1
        return 0

    return block


@numba.njit
def lay_out(rows_b, start, end, scratch):
    """Rows of B by vectors of the same feature; the last one stands for those that a vector lacks."""
    n_rows, n_features = rows_b.shape
    laid_out = carray(scratch, (LARGEST_GROUP * n_features,))
    for j in range(start, end, LANES):
        for lane in range(LANES):
            row = min(j + lane, n_rows - 1)
            for k in range(n_features):
                laid_out[(j - start) * n_features + k * LANES + lane] = rows_b[row, k]


def _single_loop(f: Any) -> Callable[..., int]:
    value_of = numba.njit(error_model="numpy", fastmath=REORDERED)(f)

    @numba.njit(error_model="numpy", fastmath=REORDERED)
    def fill(rows_a, rows_b, first, last, values):
        for i in range(len(rows_a)):
            for j in range(first, last):
                values[i, j] = value_of(rows_a[i], rows_b[j])

    def block(a, b, n_a, first, last, n_features, out, out_stride, scratch):
        rows_a, rows_b = rows_at(a, n_a, n_features), rows_at(b, last, n_features)
        values = carray(out, (n_a, out_stride))
        try:
            fill(rows_a, rows_b, first, last, values)
        except Exception:
            return 1
        return 0

    return block


@numba.njit
def rows_at(pointer, n_rows, n_features):
    return read_only(carray(pointer, (n_rows, n_features)))  # type: ignore[call-arg, var-annotated]


@intrinsic
def read_only(typingctx, array):
    """The array, of a type that a function which writes to it does not compile for: rows are the user's own X."""

    def emit(context, builder, sig, args):
        return args[0]

    return array.copy(readonly=True)(array), emit


@intrinsic
def lanes_row(typingctx, pointer, offset, n_features):
    """LANES rows that are laid out at pointer[offset]."""
    row_type = LanesRow(pointer.dtype)

    def emit(context, builder, sig, args):
        row = cgutils.create_struct_proxy(row_type)(context, builder)
        data = builder.gep(args[0], [args[1]])
        row.data = builder.bitcast(data, row.data.type)
        row.size = args[2]
        return row._getvalue()

    return row_type(pointer, types.intp, types.intp), emit


@intrinsic
def store(typingctx, pointer, offset, n, values):
    """Write the first n of the values to pointer[offset] and after it; a number is as many equal ones."""
    if scalar_of(values) is None:
        raise TypingError(f"{values} are not numbers")
    target, alignment = Lanes(pointer.dtype), pointer.dtype.bitwidth // 8

    def emit(context, builder, sig, args):
        place = builder.gep(args[0], [args[1]])
        vector = context.cast(builder, args[3], values, target)
        with builder.if_else(builder.icmp_signed("==", args[2], args[2].type(LANES))) as (whole, part):
            with whole:
                builder.store(
                    vector,
                    builder.bitcast(place, vector.type.as_pointer()),
                    align=alignment,
                )
            with part, cgutils.for_range(builder, args[2]) as loop:
                builder.store(builder.extract_element(vector, loop.index), builder.gep(place, [loop.index]))
        return context.get_dummy_value()

    return types.none(pointer, types.intp, types.intp, values), emit
