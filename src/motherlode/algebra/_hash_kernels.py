"""Compiled kernels of the stable hash; imported only when something is to be hashed.

Integers and words of text are mixed by the finaliser of SplitMix64 (Steele, Lea and Flood,
OOPSLA 2014), a bijection on 64 bits in which every input bit flips every output bit with
probability close to one half.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped] # publishes no types
from numba import njit, types
from numba.extending import intrinsic

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
FRACTION = np.uint64(0x2545F4914F6CDD1D)  # tells numbers with a fraction from whole ones
S27, S30, S31 = np.uint64(27), np.uint64(30), np.uint64(31)


@njit(inline="always")
def _mix(word: Any) -> Any:
    word ^= word >> S30
    word *= FIRST
    word ^= word >> S27
    word *= SECOND
    return word ^ (word >> S31)


@intrinsic
def _word(typing: Any, address: Any) -> Any:
    """Return the eight bytes at an address, which need not be aligned, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        word = builder.load(pointer)
        word.align = 1
        return word

    return types.uint64(types.uint64), generate


@njit(nogil=True, cache=True)
def hash_integers(values: Any, seed: Any, hashes: Any) -> None:
    """Hash an int64 or uint64 array."""
    for i in range(len(values)):
        hashes[i] = _mix(np.uint64(values[i]) + seed)


@njit(nogil=True, cache=True)
def hash_floats(values: Any, bits: Any, seed: Any, hashes: Any) -> None:
    """Hash a float64 array whose NaN have one pattern; whole numbers hash as integers do."""
    for i in range(len(values)):
        value = values[i]
        if -9.2e18 < value < 9.2e18 and value == np.floor(value):
            hashes[i] = _mix(np.uint64(np.int64(value)) + seed)
        else:
            hashes[i] = _mix(_mix(bits[i] + FRACTION) + seed)


@njit(nogil=True, cache=True)
def hash_bytes(offsets: Any, data: Any, seed: Any, hashes: Any) -> None:
    """Hash the byte strings ``data[offsets[i]:offsets[i + 1]]``, in little-endian words."""
    base = np.uint64(data.ctypes.data)
    for i in range(len(hashes)):
        at, stop = np.int64(offsets[i]), np.int64(offsets[i + 1])
        code = _mix(np.uint64(stop - at) + seed)
        while at + 8 <= stop:
            word: Any = _word(base + np.uint64(at))  # type: ignore[call-arg] # an intrinsic
            code = _mix(code ^ word) + GOLDEN
            at += 8
        if at < stop:
            tail = np.uint64(0)
            for j in range(stop - 1, at - 1, -1):
                tail = (tail << np.uint64(8)) | np.uint64(data[j])
            code = _mix(code ^ tail) + GOLDEN
        hashes[i] = _mix(code)


@njit(nogil=True, cache=True)
def combine(left: Any, right: Any) -> None:
    """Replace the hashes of ``left`` by those of the pairs."""
    for i in range(len(left)):
        left[i] = _mix(left[i] + GOLDEN) ^ right[i]
        left[i] = _mix(left[i])
