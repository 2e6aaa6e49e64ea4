"""Machine words inside kernels: unaligned loads, 64 bytes at a time, and bit counting.

Numba reads arrays item by item. Text is read faster in pieces that start at any byte, so these
few operations are written out as LLVM instructions, which every processor that Numba supports
turns into its own vector instructions. All memory is little-endian, as on all of those.

No operation here checks bounds: the kernels that call them keep :data:`PADDING` readable bytes
behind the last byte of a text.
"""

# mypy: ignore-errors
# Numba infers and checks the types of kernels; what is called from outside is annotated.

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

BLOCK = 64
PADDING = 80

_Function = TypeVar("_Function", bound=Callable[..., Any])

_BARE = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# A kernel that Python calls; a part that is called in several places; and one that is spliced into
# its few callers, so that it is not compiled and optimised once more by itself.
kernel: Callable[[_Function], _Function] = njit(nogil=True, cache=True, no_cfunc_wrapper=True)
part: Callable[[_Function], _Function] = njit(**_BARE)
spliced: Callable[[_Function], _Function] = njit(inline="always", **_BARE)

_PAGE = 4096
_LARGE = 1 << 22
_MADV_HUGEPAGE = 14

_I8 = ir.IntType(8)
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
_BYTES = ir.VectorType(_I8, BLOCK)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, position: Any) -> Any:
    """Return the address of an item of an array."""
    data = context.make_array(kind)(context, builder, value=array).data
    return builder.gep(data, [position])


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    loaded = builder.load(builder.bitcast(pointer, kind.as_pointer()), typ=kind)
    loaded.align = 1
    return loaded


def _store(builder: Any, value: Any, pointer: Any) -> None:
    stored = builder.store(value, builder.bitcast(pointer, value.type.as_pointer()))
    stored.align = 1


def _splat(builder: Any, byte: Any) -> Any:
    """Return a vector that holds one byte 64 times."""
    single = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), byte, _I32(0))
    pattern = ir.Constant(ir.VectorType(_I32, BLOCK), [0] * BLOCK)
    return builder.shuffle_vector(single, ir.Constant(_BYTES, ir.Undefined), pattern)


@intrinsic
def load_word(typing_context, text, position):
    """Read 8 bytes at any position as one unsigned number, first byte lowest."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return _load(builder, pointer, _I64)

    return types.uint64(text, position), generate


@intrinsic
def store_word(typing_context, text, position, word):
    """Write 8 bytes at any position."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        _store(builder, arguments[2], pointer)
        return context.get_dummy_value()

    return types.void(text, position, types.uint64), generate


@intrinsic
def lower_block(typing_context, text, position):
    """Lower-case the ASCII letters among 64 bytes in place; return which bytes are not ASCII."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        block = _load(builder, pointer, _BYTES)
        offset = builder.sub(block, _splat(builder, _I8(ord("A"))))
        upper = builder.icmp_unsigned("<", offset, _splat(builder, _I8(26)))
        shift = builder.select(upper, _splat(builder, _I8(32)), _splat(builder, _I8(0)))
        _store(builder, builder.add(block, shift), pointer)
        high = builder.icmp_signed("<", block, _splat(builder, _I8(0)))
        return builder.bitcast(high, _I64)

    return types.uint64(text, position), generate


@intrinsic
def high_bytes(typing_context, text, position):
    """Return which of 64 bytes are not ASCII, as bits, first byte lowest."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        block = _load(builder, pointer, _BYTES)
        high = builder.icmp_signed("<", block, _splat(builder, _I8(0)))
        return builder.bitcast(high, _I64)

    return types.uint64(text, position), generate


@intrinsic
def bytes_between(typing_context, text, position, low, span):
    """Return which of 64 bytes lie in ``low .. low + span``, as bits, first byte lowest."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        block = _load(builder, pointer, _BYTES)
        offset = builder.sub(block, _splat(builder, arguments[2]))
        inside = builder.icmp_unsigned("<=", offset, _splat(builder, arguments[3]))
        return builder.bitcast(inside, _I64)

    return types.uint64(text, position, types.uint8, types.uint8), generate


@intrinsic
def trailing_zeros(typing_context, bits):
    """Return the number of the lowest bit that is set; 64 where none is."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def bit_count(typing_context, bits):
    """Return how many bits are set."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def swap_bytes(typing_context, word):
    """Return a number with its eight bytes in the opposite order."""

    def generate(context, builder, signature, arguments):
        return builder.bswap(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def prefetch(typing_context, array, position):
    """Ask for the memory of an item, so that it is there when it is read a little later."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, _I32, _I32, _I32])
        name = "llvm.prefetch.p0"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        address = builder.bitcast(pointer, cgutils.voidptr_t)
        builder.call(function, [address, _I32(1), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return types.void(array, position), generate


@intrinsic
def use_large_pages(typing_context, array):
    """Ask for large pages under a new array that will be read at random; NumPy does the same."""

    def generate(context, builder, signature, arguments):
        if sys.platform != "linux":
            return context.get_dummy_value()
        whole = context.make_array(signature.args[0])(context, builder, value=arguments[0])
        size = builder.mul(whole.nitems, whole.itemsize)
        address = builder.ptrtoint(whole.data, _I64)
        begin = builder.and_(builder.add(address, _I64(_PAGE - 1)), _I64(-_PAGE))
        end = builder.and_(builder.add(address, size), _I64(-_PAGE))
        with builder.if_then(builder.icmp_signed(">", builder.sub(end, begin), _I64(_LARGE))):
            kind = ir.FunctionType(_I32, [_I64, _I64, _I32])
            function = cgutils.get_or_insert_function(builder.module, kind, "madvise")
            builder.call(function, [begin, builder.sub(end, begin), _I32(_MADV_HUGEPAGE)])
        return context.get_dummy_value()

    return types.void(array), generate
