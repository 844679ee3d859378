"""Functions of Python, ``math`` and NumPy on lanes: ``exp`` and ``tanh`` by vectors, others as LLVM has them.

What LLVM has no vector instructions for (``log``, ``sin``, a power that is no whole number) it makes a call for each
lane of: as fast as a loop over single rows.
"""

import math
import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

from fastml.kernels.cpu._lanes import (
    LANES,
    Lanes,
    constant,
    lower_binary,
    lower_unary,
    real_result,
    types_as_of_scalars,
    vector,
)

DOUBLES, FLOATS = vector(ir.DoubleType()), vector(ir.FloatType())
BITS = vector(ir.IntType(64))


def intrinsic(name):
    """An emitter of an LLVM intrinsic of vectors."""

    def emit(builder, *args):
        type_ = args[0].type
        suffix = f"v{LANES}f{64 if type_ == DOUBLES else 32}"
        function_type = ir.FunctionType(type_, [type_] * len(args))
        return builder.call(
            builder.module.declare_intrinsic(f"llvm.{name}.{suffix}", (), function_type), args
        )

    return emit


UNARY: dict[str, tuple[Any, ...]] = {
    "fabs": (abs, math.fabs, np.abs, np.fabs),
    "sqrt": (math.sqrt, np.sqrt),
    "floor": (np.floor,),
    "ceil": (np.ceil,),
    "log": (math.log, np.log),
    "log2": (np.log2,),
    "log10": (math.log10, np.log10),
    "sin": (math.sin, np.sin),
    "cos": (math.cos, np.cos),
}
for _name, _functions in UNARY.items():
    types_as_of_scalars(*_functions)
    lower_unary(intrinsic(_name), *_functions)

types_as_of_scalars(np.square)
lower_unary(lambda builder, value: builder.fmul(value, value), np.square)


class _Arithmetic:
    """Of doubles in a function whose value must not depend on the fast-math flags of what it is compiled into.

    Numba gives its flags to instructions that have none of their own. These may be fused, and nothing else: rounding
    by adding and subtracting a large number would otherwise be simplified away.
    """

    def __init__(self, builder):
        self.builder = builder

    def add(self, left, right):
        return self.builder.fadd(left, right, flags=("contract",))

    def sub(self, left, right):
        return self.builder.fsub(left, right, flags=("contract",))

    def mul(self, left, right):
        return self.builder.fmul(left, right, flags=("contract",))

    def div(self, left, right):
        return self.builder.fdiv(left, right, flags=("contract",))

    def select(self, symbol, left, right, if_true, if_false):
        """False for a NaN."""
        chosen = self.builder.fcmp_ordered(symbol, left, right, flags=("contract",))
        return self.builder.select(chosen, if_true, if_false)


def _number(value):
    return constant(DOUBLES, value)


# As src_ext/simd/exp.h has them, with their source and their error.
ROUNDER = 6755399441055744.0
LOG2_E = 1.44269504088896341
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
LOWEST, HIGHEST = -746.0, 710.0
TANH_HIGHEST = 20.0
SERIES = (
    2.510038549551032e-08,
    2.7620088445409746e-07,
    2.7557268459997064e-06,
    2.4801521295954376e-05,
    0.00019841269863053618,
    0.0013888888917213717,
    0.0083333333333300615,
    0.041666666666624129,
    0.16666666666666669,
    0.50000000000000011,
)


def _less_one(do, x):
    """e^r - 1 and n with x = r + n ln 2, |r| <= ln(2) / 2."""
    n = do.sub(do.add(do.mul(x, _number(LOG2_E)), _number(ROUNDER)), _number(ROUNDER))
    r = do.sub(do.sub(x, do.mul(n, _number(LN2_HIGH))), do.mul(n, _number(LN2_LOW)))
    q = _number(SERIES[0])
    for coefficient in SERIES[1:]:
        q = do.add(do.mul(q, r), _number(coefficient))
    return do.add(do.mul(do.mul(r, r), q), r), n


def _power_of_two(do, n):
    """2^n for whole n in the range of normal numbers."""
    biased = do.add(n, _number(ROUNDER + 1023.0))
    bits = do.builder.shl(do.builder.bitcast(biased, BITS), constant(BITS, 52))
    return do.builder.bitcast(bits, DOUBLES)


def _exp(builder, x):
    do = _Arithmetic(builder)
    x = do.select("<", x, _number(LOWEST), _number(LOWEST), x)
    x = do.select(">", x, _number(HIGHEST), _number(HIGHEST), x)
    less_one, n = _less_one(do, x)
    half = do.sub(do.add(do.mul(n, _number(0.5)), _number(ROUNDER)), _number(ROUNDER))
    value = do.mul(do.add(less_one, _number(1.0)), _power_of_two(do, half))
    return do.mul(value, _power_of_two(do, do.sub(n, half)))


def _tanh(builder, x):
    do = _Arithmetic(builder)
    magnitude = intrinsic("fabs")(builder, x)
    doubled = do.add(magnitude, magnitude)
    doubled = do.select(">", doubled, _number(2.0 * TANH_HIGHEST), _number(2.0 * TANH_HIGHEST), doubled)
    less_one, n = _less_one(do, doubled)
    scale = _power_of_two(do, n)
    e = do.add(do.mul(scale, less_one), do.sub(scale, _number(1.0)))
    return intrinsic("copysign")(builder, do.div(e, do.add(e, _number(2.0))), x)


def _in_doubles(emit):
    """float32 by way of float64, of which few values are computed."""

    def emit_any(builder, x):
        if x.type == DOUBLES:
            return emit(builder, x)
        return builder.fptrunc(emit(builder, builder.fpext(x, DOUBLES)), FLOATS)

    return emit_any


types_as_of_scalars(math.exp, np.exp, math.tanh, np.tanh)
lower_unary(_in_doubles(_exp), math.exp, np.exp)
lower_unary(_in_doubles(_tanh), math.tanh, np.tanh)


def _register_extremum(symbol, builtin, ufunc):
    def take_python(builder, left, right):
        """Python's: the first, unless the second is beyond it; NaN is beyond nothing."""
        return builder.select(builder.fcmp_ordered(symbol, right, left), right, left)

    def take_numpy(builder, left, right):
        """NumPy's: NaN where there is one."""
        is_left = builder.fcmp_unordered(symbol, left, right)
        chosen = builder.select(is_left, left, right)
        return builder.select(builder.fcmp_unordered("uno", right, right), right, chosen)

    types_as_of_scalars(builtin, ufunc)
    lower_binary(take_python, builtin)
    lower_binary(take_numpy, ufunc)


_register_extremum("<", min, np.minimum)
_register_extremum(">", max, np.maximum)


# Up to which a whole power is made of products, as Numba's is for scalars.
LARGEST_WHOLE = 0x10000
POWERS: tuple[Any, ...] = operator.pow, operator.ipow, pow, math.pow, np.power


def _register_power(function):
    @infer_global(function)
    class OfLanes(AbstractTemplate):
        prefer_literal = True

        def generic(self, args, kws):
            result = None if kws else real_result(self.context, operator.pow, args)
            if result is None:
                return None
            is_whole = isinstance(args[0], Lanes) and isinstance(args[1], types.Integer)
            return signature(result, result, args[1] if is_whole else result)

    lower_binary(intrinsic("pow"), function)

    @lower_builtin(function, Lanes, types.Integer)
    def any_whole(context, builder, sig, args):
        exponent = context.cast(builder, args[1], sig.args[1], sig.return_type)
        return intrinsic("pow")(builder, args[0], exponent)

    @lower_builtin(function, Lanes, types.IntegerLiteral)
    def this_whole(context, builder, sig, args):
        exponent = sig.args[1].literal_value
        if abs(exponent) > LARGEST_WHOLE:
            return any_whole(context, builder, sig, args)
        power = _product(builder, args[0], abs(exponent))
        return power if exponent >= 0 else builder.fdiv(constant(power.type, 1.0), power)


def _product(builder, base, exponent):
    """By squaring (Knuth, TAOCP 2, 4.6.3, algorithm A)."""
    result = constant(base.type, 1.0)
    while exponent:
        if exponent & 1:
            result = builder.fmul(result, base)
        exponent >>= 1
        if exponent:
            base = builder.fmul(base, base)
    return result


for _function in POWERS:
    _register_power(_function)

# Those that take rows, too, element by element.
ELEMENTWISE_UNARY = (
    *(operator.neg, abs, np.square, np.exp, np.tanh),
    *(function for functions in UNARY.values() for function in functions if isinstance(function, np.ufunc)),
)
ELEMENTWISE_BINARY = (
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.pow),
    *(np.add, np.subtract, np.multiply, np.divide, np.power, np.minimum, np.maximum),
)
