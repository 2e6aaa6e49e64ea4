"""Compiled kernels of the exact accumulator; imported only when numbers are to be added.

Blocks of values are cut into digits by error-free extraction: with ``s = 1.5 * 2**52 * u``, the
number ``q = (s + x) - s`` is ``x`` rounded to a multiple of ``u``, and ``x - q`` is exact. Digits
are narrow enough that every sum of a block's digits, or of products of two of them, is a multiple
of one unit and below 2**53 units. Each rounds to itself in whatever order it is added up, so the
compiler may vectorise the reductions, and only their totals are put into the limbs. Values whose
digits do not end within the block's window take another round, and at last go one by one.

Limbs are rows of int64: ``limbs[row, j]`` weighs ``2**(32 * (low + j))``. Inside, ``to`` holds the
addresses of what would weigh 1 in the row of each power.
"""

# mypy: ignore-errors
# Numba infers and checks the types of kernels; only what is called from outside is annotated.

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

WIDTH = 23  # of a digit: 2 * (WIDTH - 1) + log2(BLOCK) must not exceed 53
BLOCK = 512
CHUNK = 2048  # values that share an anchor; they stay in the first-level cache
LEVELS = 4  # most digits of a value in one round
SPAN = LEVELS * WIDTH - 53  # exponents that a round takes for certain
ROUNDS = 4
SAMPLE = 16
AHEAD = 24  # values by which the grouped loop looks ahead
CACHED = 4096  # groups whose limbs the second-level cache holds
FEW = 32  # values for which a round does not pay
BIAS = 34  # limbs below the unit that the denormals need, per power
MASK = 0x7FFFFFFFFFFFFFFF
INFINITE = 0x7FF << 52
LOW32 = np.uint64(0xFFFFFFFF)
FREE = ("reassoc", "nsz", "contract")  # harmless: these sums and products never round

# Without wrappers, and with what is called in one place spliced into it, compiling takes half.
_BARE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy"}
_inner = njit(**_BARE)
_spliced = njit(inline="always", **_BARE)


@intrinsic
def _plus(typing, total, a):
    """Return ``total + a``, which the compiler may reorder."""

    def generate(context, builder, signature, args):
        return builder.fadd(*args, flags=FREE)

    return types.float64(types.float64, types.float64), generate


@intrinsic
def _plus_product(typing, total, a, b):
    """Return ``total + a * b``, which the compiler may reorder and fuse."""

    def generate(context, builder, signature, args):
        return builder.fadd(args[0], builder.fmul(args[1], args[2], flags=FREE), flags=FREE)

    return types.float64(types.float64, types.float64, types.float64), generate


@intrinsic
def _bits(typing, a):
    """Return the bits of a float64 as int64."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def _from_bits(typing, a):
    """Return the float64 with these bits."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


@intrinsic
def _high(typing, a, b):
    """Return the upper 64 bits of the product of two uint64."""

    def generate(context, builder, signature, args):
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic
def _bump(typing, address, a):
    """Add to the int64 at an address: limbs as arrays would be reference-counted at every use."""

    def generate(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        builder.store(builder.add(builder.load(place), args[1]), place)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _prefetch(typing, address):
    """Ask for the cache line at an address."""

    def generate(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        builder.call(prefetch, [place, word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@_inner
def _splitter(top, level):
    """Return the ``s`` that extracts digit ``level`` of values up to ``2**top``."""
    return 1.5 * _from_bits(np.int64(1076 + top - WIDTH * (level + 1)) << 52)


@_inner
def _put(to, high, rest, e, sign):
    """Add ``(high * 2**64 + rest) * 2**e``, or minus that where ``sign`` is -1 and not 0."""
    to += (e >> 5) << 3
    s = np.uint64(e & 31)
    half = np.uint64(32)
    t = (rest & LOW32) << s
    _bump(to, (np.int64(t & LOW32) ^ sign) - sign)
    t = (t >> half) + ((rest >> half) << s)
    _bump(to + 8, (np.int64(t & LOW32) ^ sign) - sign)
    t = (t >> half) + ((high & LOW32) << s)
    _bump(to + 16, (np.int64(t & LOW32) ^ sign) - sign)
    if high:
        t = (t >> half) + ((high >> half) << s)
        _bump(to + 24, (np.int64(t & LOW32) ^ sign) - sign)
        _bump(to + 32, (np.int64(t >> half) ^ sign) - sign)


@_inner
def _mantissa(b):
    fraction = b & 0xFFFFFFFFFFFFF
    return np.uint64(fraction | 1 << 52 if (b >> 52) & 0x7FF else fraction)


@_inner
def _exponent(b):
    return max((b >> 52) & 0x7FF, 1) - 1075


@_inner
def _put_float(to, value):
    b = _bits(value)
    _put(to, np.uint64(0), _mantissa(b), _exponent(b), b >> 63)


@_inner
def _put_powers(m, e, sign, powers, to):
    """Add the powers of ``m * 2**e`` for a uint64 ``m``, each to its limbs."""
    _put(to[0], np.uint64(0), m, e, sign)
    if powers == 1:
        return
    h, r = _high(m, m), m * m
    _put(to[1], h, r, 2 * e, 0)
    if powers == 2:
        return
    _put(to[2], _high(r, m), r * m, 3 * e, sign)
    _put(to[2], _high(h, m), h * m, 3 * e + 64, sign)
    if powers == 3:
        return
    _put(to[3], _high(r, r), r * r, 4 * e, 0)
    _put(to[3], _high(h, r), h * r, 4 * e + 65, 0)
    _put(to[3], _high(h, h), h * h, 4 * e + 128, 0)


@_inner
def _one_digit(x, top, out):
    """Put the sums of digits and of their products into ``out``; return the bits left over."""
    s0 = _splitter(top, 0)
    d0 = p00 = 0.0
    rest = np.int64(0)
    for i in range(x.size):
        v = x[i]
        q0 = (v + s0) - s0
        rest |= _bits(v - q0)
        d0 = _plus(d0, q0)
        p00 = _plus_product(p00, q0, q0)
    out[0], out[1] = d0, p00
    return rest


@_inner
def _three_digits(x, top, out):
    """As :func:`_one_digit`."""
    s0, s1, s2 = _splitter(top, 0), _splitter(top, 1), _splitter(top, 2)
    d0 = d1 = d2 = p00 = p01 = p02 = p11 = p12 = p22 = 0.0
    rest = np.int64(0)
    for i in range(x.size):
        v = x[i]
        q0 = (v + s0) - s0
        v -= q0
        q1 = (v + s1) - s1
        v -= q1
        q2 = (v + s2) - s2
        rest |= _bits(v - q2)
        d0, d1, d2 = _plus(d0, q0), _plus(d1, q1), _plus(d2, q2)
        p00, p01 = _plus_product(p00, q0, q0), _plus_product(p01, q0, q1)
        p11, p02 = _plus_product(p11, q1, q1), _plus_product(p02, q0, q2)
        p12, p22 = _plus_product(p12, q1, q2), _plus_product(p22, q2, q2)
    out[0], out[1], out[2], out[3], out[4], out[5] = d0, d1, d2, p00, p11, p22
    out[6], out[7], out[8] = 2.0 * p01, 2.0 * p02, 2.0 * p12
    return rest


@_inner
def _dot(a, b, n):
    total = 0.0
    for i in range(n):
        total = _plus_product(total, a[i], b[i])
    return total


@_inner
def _sum(a, n):
    total = 0.0
    for i in range(n):
        total = _plus(total, a[i])
    return total


@_inner
def _carry_up(column, above, s, n):
    """Leave of each number the digit below the unit of ``s``, and add the others above."""
    for i in range(n):
        q = (s + column[i]) - s
        column[i] -= q
        above[i] += q


@_inner
def _square_digits(digits, top, levels, n):
    """Put the digits of the squares, twice as many, behind those of the numbers."""
    squares = digits[levels : 3 * levels]
    for j in range(2 * levels):
        for k in range(n):
            squares[j, k] = 0.0
    for i in range(levels):
        for j in range(i, levels):
            a, b, column = digits[i], digits[j], squares[i + j + 1]
            times = 1.0 if i == j else 2.0
            for k in range(n):
                column[k] += times * a[k] * b[k]
    for j in range(2 * levels - 1, 0, -1):
        _carry_up(squares[j], squares[j - 1], _splitter(2 * top + 1, j - 1), n)


@_inner
def _leave(x, top, levels, digits, left):
    """Put the digits of a block into rows and what they leave into ``left``; return its bits."""
    n = x.size
    rest = np.int64(0)
    for k in range(n):
        left[k] = x[k]
    for i in range(levels):
        s, digit = _splitter(top, i), digits[i]
        for k in range(n):
            digit[k] = (left[k] + s) - s
            left[k] -= digit[k]
    for k in range(n):
        rest |= _bits(left[k])
    return rest


@_inner
def _many_digits(x, top, levels, powers, to, digits):
    """Add a block to the limbs; return the bits left over, and add nothing if there are any."""
    n = x.size
    rest = _leave(x, top, levels, digits, digits[3 * LEVELS])
    if rest << 1:
        return rest
    for i in range(levels):
        _put_float(to[0], _sum(digits[i], n))
    first, last = 0, levels
    if powers > 2:
        _square_digits(digits, top, levels, n)
        first, last = levels, 3 * levels
        for i in range(first, last):
            _put_float(to[1], _sum(digits[i], n))
            for j in range(levels):
                _put_float(to[2], _dot(digits[i], digits[j], n))
    if powers % 2 == 0:
        for i in range(first, last):
            for j in range(i, last):
                total = _dot(digits[i], digits[j], n)
                k = 1 if powers == 2 else 3
                _put_float(to[k], total if i == j else 2.0 * total)
    return rest


@_spliced
def _add_block(x, top, levels, powers, to, digits):
    """Add a block to the limbs; return the bits left over, and add nothing if there are any."""
    if powers > 2 or levels > 3:
        return _many_digits(x, top, levels, powers, to, digits) << 1
    out = digits[3 * LEVELS]
    sums = 1 if levels == 1 else 3
    rest = _one_digit(x, top, out) if sums == 1 else _three_digits(x, top, out)
    if rest << 1 == 0:
        for i in range(sums):
            _put_float(to[0], out[i])
        if powers == 2:
            for i in range(sums, 3 * sums - (sums == 1)):
                _put_float(to[1], out[i])
    return rest << 1


@_inner
def _separate(block, left, fit, x, kept):
    """Put the values that left nothing into ``fit``, zero for others; append those to ``x``."""
    for i in range(block.size):
        v = block[i]
        whole = left[i] == 0.0
        fit[i] = v if whole else 0.0
        x[kept] = v
        kept += 0 if whole else 1
    return kept


@_spliced
def _add_round(x, top, levels, powers, to, digits):
    """Add the values made of digits, move the others to the front, and return their number."""
    kept = 0
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        while _add_block(block, top, levels, powers, to, digits):
            left, fit = digits[3 * LEVELS], digits[3 * LEVELS + 1]
            _leave(block, top, levels, digits, left)
            kept = _separate(block, left, fit, x, kept)
            block = fit[: block.size]
    return kept


@_inner
def _levels(x, top):
    """Return how many digits a sample of the values takes."""
    levels = 1
    for i in range(0, x.size, max(1, x.size // SAMPLE)):
        v = x[i]
        for level in range(LEVELS):
            s = _splitter(top, level)
            v -= (v + s) - s
            if v == 0.0:
                levels = max(levels, level + 1)
                break
        else:
            levels = LEVELS
    return levels


@_inner
def _anchor(x, top, lowest):
    """Return an exponent that most values are below but not far: ``top`` unless that has outliers.

    Below ``lowest`` if the values are too scattered for any.
    """
    step = max(1, x.size // SAMPLE)
    most = sampled = 0
    best = top
    for i in range(0, x.size, step):
        e = (_bits(x[i]) >> 52) & 0x7FF
        inside = 0
        for j in range(0, x.size, step):
            below = e - ((_bits(x[j]) >> 52) & 0x7FF)
            inside += 1 if 0 <= below < SPAN else 0
        sampled += 1 if e else 0
        if e and inside > most:
            best, most = e - 1022, inside
    if 2 * most < sampled:
        return lowest - 1
    return top if top < best + 12 else best + 4
