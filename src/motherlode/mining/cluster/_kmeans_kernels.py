"""Compiled kernels of k-means; imported only when rows are to be assigned to centres.

Rows are taken in blocks that are turned so that one vector holds the same feature of several
rows. A tile of one vector of rows by a few centres then stays in registers while its features are
run through. The compiler's loop vectoriser cannot be brought to that, so the tile is spelt out.
A row's distances are added up in the order of its features, and sums over rows never round: no
result depends on where a batch begins or ends, or on the order of the rows.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped] # publishes no types
from numba import njit, types
from numba.extending import intrinsic

BYTES = 64  # of a vector; the compiler halves it where the processor's are shorter
GROUP = 4  # centres of a tile
TILES = 4  # vectors of rows in a block
SQUARE = 8  # rows and features that are turned at once
FUSED = {"contract"}  # multiplications and additions are fused, nothing is reordered
ROOM = 1024  # rows whose sums are kept in float64; 10 of its 53 bits
LOW = 0xFFFFFFFF
LONG, SHORT = ir.IntType(64), ir.IntType(32)


def _spread(builder: Any, value: Any, lanes: int) -> Any:
    """Return a vector that holds one value in all lanes."""
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    one = builder.insert_element(empty, value, ir.Constant(SHORT, 0))
    zeros = ir.Constant(ir.VectorType(SHORT, lanes), [0] * lanes)
    return builder.shuffle_vector(one, empty, zeros)


def _vector(builder: Any, base: Any, index: Any, lanes: int) -> Any:
    """Return a pointer to the vector of that index."""
    start = builder.gep(base, [builder.mul(index, LONG(lanes))])
    return builder.bitcast(start, ir.VectorType(base.type.pointee, lanes).as_pointer())


def _products(builder: Any, column: Any, rows: Any, starts: Any, features: Any) -> Any:
    """Build the loop over the features; return the start of each row plus its dot product."""
    lanes = starts[0].type.count
    before = builder.block
    loop = builder.append_basic_block("features")
    after = builder.append_basic_block("compare")
    builder.branch(loop)
    builder.position_at_end(loop)
    j = builder.phi(LONG)
    totals = [builder.phi(starts[0].type) for _ in rows]
    x = builder.load(_vector(builder, column, j, lanes), align=4)
    sums = []
    for row, start, total in zip(rows, starts, totals, strict=True):
        value = _spread(builder, builder.load(builder.gep(row, [j])), lanes)
        product = builder.fmul(x, value, flags=("contract",))
        sums.append(builder.fadd(total, product, flags=("contract",)))
        total.add_incoming(start, before)
        total.add_incoming(sums[-1], loop)
    following = builder.add(j, LONG(1))
    j.add_incoming(LONG(0), before)
    j.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, features), loop, after)
    builder.position_at_end(after)
    return sums


@intrinsic
def _tile(typing: Any, x: Any, centers: Any, half: Any, t: Any, c: Any, best: Any, who: Any) -> Any:
    """Offer centres ``c`` to ``c + GROUP - 1`` to the rows of vector ``t`` of the block."""
    signature = types.void(x, centers, half, types.int64, types.int64, best, who)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def array(place: int) -> Any:
            return context.make_array(signature.args[place])(context, builder, args[place])

        block, points, from_here = array(0).data, array(1), array(2).data
        t, c = args[3], args[4]
        lanes = BYTES // context.get_abi_sizeof(block.type.pointee)
        features = builder.extract_value(points.shape, 1)
        offset = builder.mul(builder.mul(t, features), LONG(lanes))
        group = [builder.add(c, LONG(i)) for i in range(GROUP)]
        rows = [builder.gep(points.data, [builder.mul(each, features)]) for each in group]
        halves = [builder.load(builder.gep(from_here, [each])) for each in group]
        starts = [_spread(builder, value, lanes) for value in halves]
        sums = _products(builder, builder.gep(block, [offset]), rows, starts, features)
        least_at = _vector(builder, array(5).data, t, lanes)
        nearest_at = _vector(builder, array(6).data, t, lanes)
        least, nearest = builder.load(least_at, align=4), builder.load(nearest_at, align=4)
        for total, each in zip(sums, group, strict=True):
            nearer = builder.fcmp_ordered("<", total, least)
            least = builder.select(nearer, total, least)
            nearest = builder.select(nearer, _spread(builder, each, lanes), nearest)
        builder.store(least, least_at, align=4)
        builder.store(nearest, nearest_at, align=4)
        return context.get_dummy_value()

    return signature, generate


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of a square of vectors: blocks change places, then blocks in blocks."""
    size = len(rows)
    distance = size // 2
    while distance:
        upper = [k if k & distance == 0 else size + k - distance for k in range(size)]
        lower = [k + distance if k & distance == 0 else size + k for k in range(size)]
        kind = ir.VectorType(SHORT, size)
        for i in range(size):
            if i & distance == 0:
                pair = rows[i], rows[i + distance]
                rows[i] = builder.shuffle_vector(*pair, ir.Constant(kind, upper))
                rows[i + distance] = builder.shuffle_vector(*pair, ir.Constant(kind, lower))
        distance //= 2
    return rows


@intrinsic
def _turn_square(
    typing: Any, rows: Any, first: Any, j: Any, shift: Any, block: Any, lane: Any
) -> Any:
    """Put ``SQUARE`` features of as many rows, less the shift, into a vector of the block.

    The rows begin at ``first``, the features at ``j``; they are turned in registers and put into
    ``block``, of shape (d, lanes), from ``lane`` on.
    """
    signature = types.void(rows, types.int64, types.int64, shift, block, types.int64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def array(place: int) -> Any:
            return context.make_array(signature.args[place])(context, builder, args[place])

        given, less, turned = array(0), array(3).data, array(4)
        kind = ir.VectorType(less.type.pointee, SQUARE).as_pointer()
        width, lanes = (builder.extract_value(each.shape, 1) for each in (given, turned))

        def at(base: Any, row: Any, step: Any, column: Any) -> Any:
            place = builder.add(builder.mul(row, step), column)
            return builder.bitcast(builder.gep(base, [place]), kind)

        off = builder.load(builder.bitcast(builder.gep(less, [args[2]]), kind), align=4)
        vectors = []
        for i in range(SQUARE):
            row = at(given.data, builder.add(args[1], LONG(i)), width, args[2])
            vectors.append(builder.fsub(builder.load(row, align=4), off))
        for i, vector in enumerate(_transposed(builder, vectors)):
            place = at(turned.data, builder.add(args[2], LONG(i)), lanes, args[5])
            builder.store(vector, place, align=4)
        return context.get_dummy_value()

    return signature, generate


@njit(nogil=True, fastmath=FUSED)
def _turn(rows: Any, start: Any, count: Any, shift: Any, block: Any) -> None:
    """Put rows less the shift into the block: ``block[vector, feature, lane]``."""
    lanes, d = block.shape[2], rows.shape[1]
    whole = d - d % SQUARE
    for i in range(0, count, SQUARE):
        column, lane = block[i // lanes], i % lanes
        if i + SQUARE <= count:
            for j in range(0, whole, SQUARE):
                _turn_square(rows, start + i, j, shift, column, lane)  # type: ignore[call-arg]
        rest = whole if i + SQUARE <= count else 0
        for k in range(min(SQUARE, count - i)):
            for j in range(rest, d):
                column[j, lane + k] = rows[start + i + k, j] - shift[j]


@njit(nogil=True, fastmath=FUSED)
def _nearest(block: Any, centers: Any, half: Any, best: Any, who: Any) -> None:
    """Find the nearest centre of every row of the block.

    Half the squared distance less half the row's squared length is what is compared.
    """
    best[:] = np.inf
    who[:] = 0
    for c in range(0, len(half), GROUP):
        for t in range(TILES):
            _tile(block, centers, half, t, c, best, who)  # type: ignore[call-arg] # typing


@njit(nogil=True, fastmath=FUSED)
def _gap(row: Any, shift: Any, center: Any) -> Any:
    """Return the squared distance of a row to a centre that is kept negated and shifted."""
    total = 0.0
    for j in range(len(row)):
        difference = (row[j] - shift[j]) + center[j]
        total += difference * difference
    return total


@njit(nogil=True, cache=True, fastmath=FUSED)
def assign(rows: Any, shift: Any, centers: Any, half: Any, labels: Any, gaps: Any) -> None:
    """Find the nearest centre of each row and the squared distance to it.

    Parameters
    ----------
    rows : float32 or float64 array, shape (n, d)
        The rows.
    shift : array of the same type, shape (d,)
        Taken off the rows, so that lengths are of the size of distances.
    centers : array of the same type, shape (k, d)
        Shifted and negated; k a multiple of ``GROUP``.
    half : array of the same type, shape (k,)
        Half the squared lengths of the centres; infinite for those that pad.
    labels : int32 array, shape (n,)
        Filled with the nearest centre, the first of equally near ones.
    gaps : float64 array, shape (n,) or (0,)
        Filled with the squared distance, where it is asked for.
    """
    lanes = BYTES // rows.itemsize
    size = TILES * lanes
    block = np.zeros((TILES, rows.shape[1], lanes), rows.dtype)
    best, who = np.empty(size, rows.dtype), np.empty(size, np.int64)
    for start in range(0, len(rows), size):
        count = min(size, len(rows) - start)
        _turn(rows, start, count, shift, block)
        _nearest(block, centers, half, best, who)
        for i in range(count):
            labels[start + i] = who[i]
        if len(gaps):
            for i in range(count):
                gaps[start + i] = _gap(rows[start + i], shift, centers[who[i]])


@njit(nogil=True, fastmath=FUSED)
def _round_off(value: Any, step: Any) -> Any:
    """Return a value rounded to a multiple of a power of two; ``step`` is 1.5 * 2**52 times it."""
    return (value + step) - step


@njit(nogil=True, fastmath=FUSED)
def flush(part: Any, steps: Any, limbs: Any) -> None:
    """Move sums, which are whole multiples of their columns' units, into the limbs."""
    for j in range(part.shape[1]):
        unit = 1.5 * 2.0**52 / steps[j]
        for c in range(part.shape[0]):
            whole = np.int64(part[c, j] * unit)
            limbs[0, c, j] += whole & LOW
            limbs[1, c, j] += whole >> 32
            part[c, j] = 0.0


@njit(nogil=True, cache=True, fastmath=FUSED)
def gather(
    rows: Any, weights: Any, shift: Any, centers: Any, half: Any, steps: Any, limbs: Any, close: Any
) -> None:
    """Add each row to its nearest centre's sums.

    What is added is first rounded to a multiple of a unit that is small beside the largest
    number there can be, but large enough that sums of many rows never round: so the sums are
    the same in any order of the rows.

    Parameters
    ----------
    rows, shift, centers, half
        As for :func:`assign`.
    weights : float64 array, shape (n,) or (0,)
        Weights of the rows, empty where all weigh 1.
    steps : float64 array, shape (d + 2,)
        What rounds the weighted and shifted features, the weight, and the weighted squared
        distance: 1.5 * 2**52 times the unit.
    limbs : int64 array, shape (2, k, d + 2)
        Added to: lower and upper halves of the sums, in units.
    close : bool
        Whether the squared distances are worked out and summed.
    """
    lanes = BYTES // rows.itemsize
    size, d = TILES * lanes, rows.shape[1]
    block = np.zeros((TILES, d, lanes), rows.dtype)
    best, who = np.empty(size, rows.dtype), np.empty(size, np.int64)
    part = np.zeros((len(half), d + 2))
    added = 0
    for start in range(0, len(rows), size):
        count = min(size, len(rows) - start)
        _turn(rows, start, count, shift, block)
        _nearest(block, centers, half, best, who)
        for i in range(count):
            c = who[i]
            weight = weights[start + i] if len(weights) else 1.0
            for j in range(d):
                value = weight * np.float64(rows[start + i, j] - shift[j])
                part[c, j] += _round_off(value, steps[j])
            part[c, d] += _round_off(weight, steps[d])
            if close:
                gap = weight * _gap(rows[start + i], shift, centers[c])
                part[c, d + 1] += _round_off(gap, steps[d + 1])
        added += count
        if added > ROOM - size:
            flush(part, steps, limbs)
            added = 0
    flush(part, steps, limbs)


@njit(nogil=True, cache=True, fastmath=FUSED)
def distances(rows: Any, centers: Any, lengths: Any) -> None:
    """Fill ``lengths``, of shape (n, k), with the distances of rows to float64 centres."""
    for i in range(len(rows)):
        for c in range(len(centers)):
            total = 0.0
            for j in range(rows.shape[1]):
                difference = rows[i, j] - centers[c, j]
                total += difference * difference
            lengths[i, c] = np.sqrt(total)
