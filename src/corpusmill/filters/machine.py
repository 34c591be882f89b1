"""Operations on bytes that processors have and Numba does not offer, as LLVM instructions.

They are what makes reading words several times faster than byte after byte: one load takes eight
bytes, one comparison tells 64 bytes apart. LLVM finds instructions for any processor.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

PADDING = 64
"""Bytes that must follow, in the same array, the last byte that `word_mask` or `load64` is asked
for."""


def _pointer(context: Any, builder: Any, array_type: Any, args: Any, to: Any) -> Any:
    array, place = args
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), to.as_pointer())


def _load64(typing_context: Any, data: Any, place: Any) -> Any:
    """`load64(data, place)`: eight bytes from there on as a number, the first one lowest."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        where = _pointer(context, builder, signature.args[0], args, word)
        return builder.load(where, align=1)

    return types.uint64(data, types.intp), codegen


def _word_mask(typing_context: Any, data: Any, place: Any) -> Any:
    """`word_mask(data, place)`: a bit for each of 64 bytes, the first one lowest.

    It is set for ASCII letters and digits, and for all that is not ASCII.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = ir.VectorType(ir.IntType(8), 64)

        def each(value: int) -> Any:
            return ir.Constant(block, [value] * 64)

        where = _pointer(context, builder, signature.args[0], args, block)
        read = builder.load(where, align=1)
        lower = builder.or_(read, each(0x20))
        letter = builder.icmp_unsigned("<", builder.sub(lower, each(ord("a"))), each(26))
        digit = builder.icmp_unsigned("<", builder.sub(read, each(ord("0"))), each(10))
        beyond_ascii = builder.icmp_signed("<", read, each(0))
        mask = builder.or_(builder.or_(letter, digit), beyond_ascii)
        return builder.bitcast(mask, ir.IntType(64))

    return types.uint64(data, types.intp), codegen


def _trailing_zeros(typing_context: Any, bits: Any) -> Any:
    """`trailing_zeros(bits)`: how many bits of 64 are zero below the lowest one; 64 for zero."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.intp(types.uint64), codegen


def _ones(typing_context: Any, bits: Any) -> Any:
    """`ones(bits)`: how many bits of 64 are set."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.intp(types.uint64), codegen


# Without types: what a kernel calls has other parameters than what is written above.
load64: Any = intrinsic(_load64)
word_mask: Any = intrinsic(_word_mask)
trailing_zeros: Any = intrinsic(_trailing_zeros)
ones: Any = intrinsic(_ones)
