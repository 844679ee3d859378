"""Rows of lanes for Numba: one row of A beside several of B, and expressions of whole rows.

An expression of rows, ``(x - y) ** 2``, makes no array: its type tells what it is made of, and an element is computed
where it is asked for, by a sum mostly.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import StructModel, register_default
from numba.core.imputils import RefType, iternext_impl, lower_builtin, lower_getattr
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    bound_function,
    infer_getattr,
    infer_global,
    signature,
)
from numba.np.arrayobj import make_array

from fastml.kernels.cpu._lanes import REALS, Lanes
from fastml.kernels.cpu._lanes_functions import ELEMENTWISE_BINARY, ELEMENTWISE_UNARY

SIZE = ir.IntType(64)
ALIGNMENT = 64


class LanesRow(types.SimpleIterableType):
    """Sixteen rows, element by element: vectors that lie side by side, aligned for any register."""

    def __init__(self, scalar):
        self.dtype = Lanes(scalar)
        name = f"LanesRow({scalar})"
        super().__init__(name, LanesRowIterator(name, self.dtype))


class LanesRowIterator(types.SimpleIteratorType):
    def __init__(self, row_name, dtype):
        super().__init__(f"iter({row_name})", dtype)


class Expression(types.Type):
    """``function`` of rows and numbers, element by element."""

    def __init__(self, function, operands, dtype):
        self.function, self.operands, self.dtype = function, operands, dtype
        super().__init__(name=f"{function.__name__}({', '.join(map(str, operands))}): {dtype}")

    @property
    def key(self):
        return self.function, self.operands


def is_row(type_):
    is_array = isinstance(type_, types.Array) and type_.ndim == 1 and type_.layout == "C"
    return isinstance(type_, LanesRow | Expression) or (is_array and type_.dtype in REALS)


def has_rows(argument_types):
    """Whether rows of lanes, or expressions of them, are among these: Numba has arrays by themselves."""
    return any(isinstance(type_, LanesRow | Expression) for type_ in argument_types)


def element_type(type_):
    return type_.dtype if is_row(type_) else type_


@register_default(LanesRow)
class _LanesRowModel(StructModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, [("data", types.CPointer(fe_type.dtype)), ("size", types.intp)])


@register_default(LanesRowIterator)
class _LanesRowIteratorModel(StructModel):
    def __init__(self, dmm, fe_type):
        members = [
            ("data", types.CPointer(fe_type.yield_type)),
            ("size", types.intp),
            ("next", types.EphemeralPointer(types.intp)),
        ]
        super().__init__(dmm, fe_type, members)


@register_default(Expression)
class _ExpressionModel(StructModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, [(f"operand{k}", type_) for k, type_ in enumerate(fe_type.operands)])


def size_of(context, builder, type_, value):
    """The number of elements; None for a number."""
    if isinstance(type_, LanesRow):
        return cgutils.create_struct_proxy(type_)(context, builder, value).size
    if isinstance(type_, types.Array):
        return builder.extract_value(make_array(type_)(context, builder, value).shape, 0)
    if not isinstance(type_, Expression):
        return None
    size = None
    for k, operand in enumerate(type_.operands):
        other = size_of(context, builder, operand, builder.extract_value(value, k))
        if size is not None and other is not None:
            other = builder.select(builder.icmp_signed("==", size, SIZE(1)), other, size)
        size = size if other is None else other
    return size


def element(context, builder, type_, value, index):
    """The element with this number, which is not checked; of a row of one, that one; of a number, itself."""
    if isinstance(type_, Expression):
        arguments = [
            element(context, builder, operand, builder.extract_value(value, k), index)
            for k, operand in enumerate(type_.operands)
        ]
        return call(context, builder, type_.function, map(element_type, type_.operands), arguments)
    size = size_of(context, builder, type_, value)
    if size is None:
        return value
    index = builder.select(builder.icmp_signed("==", size, SIZE(1)), SIZE(0), index)
    if isinstance(type_, LanesRow):
        return load_lanes(context, builder, type_, value, index)
    return builder.load(builder.gep(make_array(type_)(context, builder, value).data, [index]))


def load_lanes(context, builder, type_, value, index):
    data = cgutils.create_struct_proxy(type_)(context, builder, value).data
    return builder.load(builder.gep(data, [index]), align=ALIGNMENT)


def call(context, builder, function, argument_types, arguments):
    """A function of elements."""
    argument_types = tuple(argument_types)
    sig = context.typing_context.resolve_function_type(function, argument_types, {})
    converted = [context.cast(builder, *each) for each in zip(arguments, argument_types, sig.args)]
    return context.get_function(function, sig)(builder, converted)


def raise_unless(context, builder, condition, message):
    with builder.if_then(builder.not_(condition), likely=False):
        context.call_conv.return_user_exc(builder, ValueError, (message,))


# A row by itself: its length, its elements, one after the other.


@infer_global(len)
class _Length(AbstractTemplate):
    def generic(self, args, kws):
        return signature(types.intp, *args) if has_rows(args) else None


@lower_builtin(len, LanesRow)
@lower_builtin(len, Expression)
def _length(context, builder, sig, args):
    return size_of(context, builder, sig.args[0], args[0])


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args, kws):
        row, index = args
        if not isinstance(row, LanesRow | Expression) or not isinstance(index, types.Integer):
            return None
        return signature(row.dtype, row, types.intp)


@lower_builtin(operator.getitem, LanesRow, types.Integer)
@lower_builtin(operator.getitem, Expression, types.Integer)
def _get_item(context, builder, sig, args):
    """As Numba's of arrays: negative numbers count from the end, and none is checked."""
    row_type, (row, index) = sig.args[0], args
    from_end = builder.add(index, size_of(context, builder, row_type, row))
    index = builder.select(builder.icmp_signed("<", index, SIZE(0)), from_end, index)
    if isinstance(row_type, LanesRow):
        return load_lanes(context, builder, row_type, row, index)
    return element(context, builder, row_type, row, index)


@lower_builtin("getiter", LanesRow)
def _get_iterator(context, builder, sig, args):
    row = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    iterator = context.make_helper(builder, sig.return_type)
    iterator.data, iterator.size = row.data, row.size
    iterator.next = cgutils.alloca_once_value(builder, SIZE(0))
    return iterator._getvalue()


@lower_builtin("iternext", LanesRowIterator)
@iternext_impl(RefType.UNTRACKED)
def _next(context, builder, sig, args, result):
    iterator = context.make_helper(builder, sig.args[0], value=args[0])
    index = builder.load(iterator.next)
    is_valid = builder.icmp_signed("<", index, iterator.size)
    result.set_valid(is_valid)
    with builder.if_then(is_valid):
        result.yield_(builder.load(builder.gep(iterator.data, [index]), align=ALIGNMENT))
        builder.store(builder.add(index, SIZE(1)), iterator.next)


class _RowAttributes(AttributeTemplate):
    def resolve_size(self, row):
        return types.intp

    def resolve_shape(self, row):
        return types.UniTuple(types.intp, 1)

    @bound_function("lanes.sum")
    def resolve_sum(self, row, args, kws):
        return None if args or kws else signature(row.dtype, recvr=row)


for _type in (LanesRow, Expression):
    infer_getattr(type("RowAttributes", (_RowAttributes,), {"key": _type}))

    @lower_getattr(_type, "size")
    def _size(context, builder, row_type, row):
        return size_of(context, builder, row_type, row)

    @lower_getattr(_type, "shape")
    def _shape(context, builder, row_type, row):
        return cgutils.pack_array(builder, [size_of(context, builder, row_type, row)])


# Expressions.


def _register_expression(function, arity):
    @infer_global(function)
    class OfRows(AbstractTemplate):
        prefer_literal = True  # of a power

        def generic(self, args, kws):
            if kws or len(args) != arity or not has_rows(args):
                return None
            if not all(is_row(type_) or isinstance(type_, types.Number) for type_ in args):
                return None
            resolved = self.context.resolve_function_type(function, tuple(map(element_type, args)), {})
            if resolved is None:
                return None
            return signature(Expression(function, tuple(args), resolved.return_type), *args)

    ours = LanesRow, Expression
    kinds: list[Any] = [(kind,) for kind in ours]
    if arity == 2:
        others = *ours, types.Array, types.Number
        kinds = [(a, b) for a in others for b in others if a in ours or b in ours]
    for kind in kinds:
        lower_builtin(function, *kind)(_make_expression)


def _make_expression(context, builder, sig, args):
    """Its operands, of equal sizes or of one, as NumPy's broadcast."""
    if not all(isinstance(argument, ir.Value) for argument in args):
        # Numba offers literal operands as constants first; this makes it offer them as values.
        raise NotImplementedError
    sizes = [size_of(context, builder, *operand) for operand in zip(sig.args, args)]
    if len(sizes) == 2 and None not in sizes:
        left, right = sizes
        fits = builder.icmp_signed("==", left, right)
        for size in sizes:
            fits = builder.or_(fits, builder.icmp_signed("==", size, SIZE(1)))
        raise_unless(context, builder, fits, "operands could not be broadcast together")
    value = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    for k, argument in enumerate(args):
        setattr(value, f"operand{k}", argument)
    return value._getvalue()


for _function in ELEMENTWISE_UNARY:
    _register_expression(_function, 1)
for _function in ELEMENTWISE_BINARY:
    _register_expression(_function, 2)


# Sums.


def sum_of(context, builder, type_, value):
    """Of a row's elements, in their order."""
    llvm_type = context.get_value_type(type_.dtype)
    total = cgutils.alloca_once_value(builder, ir.Constant(llvm_type, None))
    with cgutils.for_range(builder, size_of(context, builder, type_, value)) as loop:
        term = element(context, builder, type_, value, loop.index)
        added = call(context, builder, operator.add, [type_.dtype] * 2, [builder.load(total), term])
        builder.store(added, total)
    return builder.load(total)


@infer_global(np.sum)
class _Sum(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0].dtype, *args) if len(args) == 1 and not kws and has_rows(args) else None


@lower_builtin(np.sum, LanesRow)
@lower_builtin(np.sum, Expression)
@lower_builtin("lanes.sum", LanesRow)
@lower_builtin("lanes.sum", Expression)
def _sum(context, builder, sig, args):
    return sum_of(context, builder, sig.args[0], args[0])


def _register_dot(function):
    @infer_global(function)
    class OfRows(AbstractTemplate):
        def generic(self, args, kws):
            if kws or len(args) != 2 or not has_rows(args) or not all(map(is_row, args)):
                return None
            products = self.context.resolve_function_type(operator.mul, tuple(args), {})
            return signature(products.return_type.dtype, *args)

    kinds = LanesRow, Expression, types.Array
    for kind in ((a, b) for a in kinds for b in kinds if types.Array not in (a, b) or a is not b):
        lower_builtin(function, *kind)(_dot)


def _dot(context, builder, sig, args):
    left, right = (size_of(context, builder, *operand) for operand in zip(sig.args, args))
    raise_unless(
        context, builder, builder.icmp_signed("==", left, right), "incompatible array sizes for np.dot()"
    )
    products = context.typing_context.resolve_function_type(operator.mul, sig.args, {})
    value = _make_expression(context, builder, products, args)
    return sum_of(context, builder, products.return_type, value)


for _function in (np.dot, np.vdot, operator.matmul):
    _register_dot(_function)


@infer_global(np.linalg.norm)
class _Norm(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0].dtype, *args) if len(args) == 1 and not kws and has_rows(args) else None


@lower_builtin(np.linalg.norm, LanesRow)
@lower_builtin(np.linalg.norm, Expression)
def _norm(context, builder, sig, args):
    square = _dot(context, builder, signature(sig.return_type, *sig.args * 2), [args[0], args[0]])
    return call(context, builder, np.sqrt, [sig.return_type], [square])
