"""A Numba type for the same number of several rows at once: a vector, on which a user's scalar code works as it is.

Where a function of two rows is given one row of A and several of B, feature by feature, its numbers become vectors by
Numba's own type inference, and LLVM has vector instructions to emit where it would have to find a vector loop around
a function with a loop of its own, which it does not. What needs one number of a row for itself (a branch on it, an
index, a conversion) has no meaning for several, and here no signature: such a function does not compile with this
type, and is compiled for single rows.

Results are of the types that Numba infers for scalars, and operations round as theirs do.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.datamodel import PrimitiveModel, register_default
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

from fastml.kernels.cpu._runtime import LEVEL

# Rows in a vector: four registers of float32, eight of float64, so that as many chains of additions take turns. With 16
# instead of 64, a sum of products over 200 features took 2.2 times as long in float32, 1.2 times in float64 (AVX-512).
LANES = {4: 64, 3: 32}.get(LEVEL, 16)

REALS = (types.float32, types.float64)


class Lanes(types.Type):
    """Of ``scalar``: float32, float64, or boolean, the result of a comparison."""

    def __init__(self, scalar):
        self.scalar = scalar
        super().__init__(name=f"Lanes({scalar})")

    def unify(self, typingctx, other):
        """A variable that is now a number, now a vector is a vector."""
        scalar = scalar_of(other)
        if scalar is None:
            return None
        unified = typingctx.unify_pairs(self.scalar, scalar)
        return Lanes(unified) if unified in REALS else None

    def can_convert_from(self, typingctx, other):
        scalar = scalar_of(other)
        if scalar is None or (self.scalar not in REALS and scalar != self.scalar):
            return None
        return Conversion.safe


def scalar_of(type_):
    """The type of a number or of one lane; None for anything else."""
    type_ = types.unliteral(type_)
    if isinstance(type_, Lanes):
        return type_.scalar
    return type_ if isinstance(type_, types.Float | types.Integer | types.Boolean) else None


def has_lanes(argument_types):
    return any(isinstance(type_, Lanes) for type_ in argument_types)


def vector(scalar_type):
    return ir.VectorType(scalar_type, LANES)


def llvm_scalar(scalar):
    return {
        types.float32: ir.FloatType(),
        types.float64: ir.DoubleType(),
        types.boolean: ir.IntType(1),
    }[scalar]


@register_default(Lanes)
class _LanesModel(PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, vector(llvm_scalar(fe_type.scalar)))


@lower_cast(types.Float, Lanes)
@lower_cast(types.Integer, Lanes)
@lower_cast(types.Boolean, Lanes)
def _broadcast(context, builder, from_type, to_type, value):
    number = context.cast(builder, value, from_type, to_type.scalar)
    if number.type != llvm_scalar(to_type.scalar):
        number = builder.trunc(number, llvm_scalar(to_type.scalar))
    return splat(builder, number)


@lower_cast(Lanes, Lanes)
def _convert(context, builder, from_type, to_type, value):
    target = context.get_value_type(to_type)
    if from_type == to_type:
        return value
    if from_type.scalar == types.boolean:
        return builder.uitofp(value, target)
    wider = to_type.scalar == types.float64
    return builder.fpext(value, target) if wider else builder.fptrunc(value, target)


def splat(builder, number):
    """The number in every lane."""
    undefined = ir.Constant(vector(number.type), ir.Undefined)
    first = builder.insert_element(undefined, number, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, mask)


def constant(type_, number):
    """The number in every lane of an LLVM vector type."""
    return ir.Constant(type_, [number] * LANES)


def real_result(typingctx, function, argument_types):
    """The lanes that ``function`` of these gives, if it gives real numbers of single ones; else None."""
    scalars = tuple(scalar_of(type_) for type_ in argument_types)
    if not has_lanes(argument_types) or None in scalars:
        return None
    resolved = typingctx.resolve_function_type(function, scalars, {})
    return Lanes(resolved.return_type) if resolved is not None and resolved.return_type in REALS else None


def types_as_of_scalars(*functions):
    """Register functions that take their arguments converted to the result's type."""
    for function in functions:

        @infer_global(function)
        class OfLanes(AbstractTemplate):
            key = function

            def generic(self, args, kws):
                result = None if kws else real_result(self.context, self.key, args)
                return None if result is None else signature(result, *[result] * len(args))


def lower_binary(emit, *functions):
    """``emit(builder, left, right)`` is what these functions do to two vectors."""
    for function in functions:

        @lower_builtin(function, Lanes, Lanes)
        def lowered(context, builder, sig, args):
            return emit(builder, *args)


def lower_unary(emit, *functions):
    """``emit(builder, value)`` is what these functions do to a vector."""
    for function in functions:

        @lower_builtin(function, Lanes)
        def lowered(context, builder, sig, args):
            return emit(builder, *args)


ARITHMETIC: dict[str, tuple[Any, ...]] = {
    "fadd": (operator.add, operator.iadd, np.add),
    "fsub": (operator.sub, operator.isub, np.subtract),
    "fmul": (operator.mul, operator.imul, np.multiply),
    "fdiv": (operator.truediv, operator.itruediv, np.divide),
}
for _name, _functions in ARITHMETIC.items():
    types_as_of_scalars(*_functions)
    lower_binary(lambda builder, left, right, name=_name: getattr(builder, name)(left, right), *_functions)

types_as_of_scalars(operator.neg, operator.pos)
lower_unary(lambda builder, value: builder.fneg(value), operator.neg)
lower_unary(lambda builder, value: value, operator.pos)

COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _register_comparison(symbol, function):
    @infer_global(function)
    class OfLanes(AbstractTemplate):
        def generic(self, args, kws):
            scalars = [scalar_of(type_) for type_ in args]
            if kws or not has_lanes(args) or None in scalars:
                return None
            unified = self.context.unify_types(*scalars)
            return signature(Lanes(types.boolean), *[Lanes(unified)] * 2) if unified in REALS else None

    # A comparison with NaN is false, but for "not equal".
    compare = "fcmp_unordered" if symbol == "!=" else "fcmp_ordered"
    lower_binary(lambda builder, left, right: getattr(builder, compare)(symbol, left, right), function)


for _symbol, _function in COMPARISONS.items():
    _register_comparison(_symbol, _function)
