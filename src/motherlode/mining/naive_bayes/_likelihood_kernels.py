"""Compiled kernels that hold rows against what each class looks like.

Sums may be reordered by the compiler, but in the same way for every row: predictions do not depend
on which rows they are made with.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped] # publishes no types
from numba import njit, types
from numba.extending import intrinsic

FREE = {"reassoc", "contract"}


@njit(nogil=True, cache=True, fastmath=FREE)
def gaussian(rows: Any, which: Any, means: Any, scales: Any, starts: Any, joint: Any) -> None:
    """Fill in the joint log-likelihoods of rows and classes under normal distributions.

    Parameters
    ----------
    rows : float array, shape (n, d)
        The rows.
    which : int64 array, shape (n,) or (0,)
        The model for each row; empty for the first.
    means, scales : float64 arrays, shape (models, classes, d)
        Means, and one over the variances.
    starts : float64 array, shape (models, classes)
        What does not depend on the row.
    joint : float64 array, shape (n, classes)
        Filled.
    """
    for i in range(len(rows)):
        m = which[i] if len(which) else 0
        row = rows[i]
        for c in range(starts.shape[1]):
            mean, scale = means[m, c], scales[m, c]
            total = 0.0
            for j in range(len(row)):
                difference = row[j] - mean[j]
                total += difference * difference * scale[j]
            joint[i, c] = starts[m, c] - 0.5 * total


@njit(nogil=True, cache=True, fastmath=FREE)
def linear(rows: Any, which: Any, slopes: Any, starts: Any, joint: Any) -> None:
    """Fill in ``starts + rows @ slopes``; as :func:`gaussian`, with slopes for means."""
    for i in range(len(rows)):
        m = which[i] if len(which) else 0
        row = rows[i]
        for c in range(starts.shape[1]):
            slope = slopes[m, c]
            total = 0.0
            for j in range(len(row)):
                total += row[j] * slope[j]
            joint[i, c] = starts[m, c] + total


LONG, FOUR = ir.IntType(64), ir.VectorType(ir.DoubleType(), 4)


def _term(builder: Any, data: Any, indices: Any, slopes: Any, p: Any) -> Any:
    """Return an entry times the slopes of its column."""
    value = builder.load(builder.gep(data, [p]))
    if value.type != ir.DoubleType():
        value = builder.fpext(value, ir.DoubleType())
    column = builder.sext(builder.load(builder.gep(indices, [p])), LONG)
    row = builder.gep(slopes, [builder.mul(column, LONG(4))])
    slope = builder.load(builder.bitcast(row, FOUR.as_pointer()), align=8)
    empty = ir.Constant(FOUR, ir.Undefined)
    one = builder.insert_element(empty, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), 4), [0] * 4)
    return builder.fmul(slope, builder.shuffle_vector(one, empty, zeros), flags=("contract",))


@intrinsic
def _four(
    typing: Any, data: Any, indices: Any, first: Any, stop: Any, slopes: Any, start: Any, joint: Any
) -> Any:
    """Fill in the sums of four classes over entries ``first`` to ``stop - 1`` of a CSR block.

    Parameters are ``data`` and ``indices`` of the block, the bounds, slopes of shape (d, 4), what
    to begin with and what is to be filled, both of shape (4,). The compiler would not see that the
    four sums fit in a register.
    """
    signature = types.void(data, indices, types.int64, types.int64, slopes, start, joint)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def base(place: int) -> Any:
            return context.make_array(signature.args[place])(context, builder, args[place]).data

        entries, columns, table, filled = base(0), base(1), base(4), base(6)
        begin = builder.load(builder.bitcast(base(5), FOUR.as_pointer()), align=8)
        before = builder.block
        loop, after = builder.append_basic_block("entries"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", args[2], args[3]), loop, after)
        builder.position_at_end(loop)
        p, total = builder.phi(LONG), builder.phi(FOUR)
        term = _term(builder, entries, columns, table, p)
        added = builder.fadd(total, term, flags=("contract",))
        following = builder.add(p, LONG(1))
        builder.cbranch(builder.icmp_signed("<", following, args[3]), loop, after)
        builder.position_at_end(after)
        result = builder.phi(FOUR)
        for phi, entering, value in (
            (p, args[2], following),
            (total, begin, added),
            (result, begin, added),
        ):
            phi.add_incoming(entering, before)
            phi.add_incoming(value, loop)
        builder.store(result, builder.bitcast(filled, FOUR.as_pointer()), align=8)
        return context.get_dummy_value()

    return signature, generate


@njit(nogil=True, cache=True)
def linear_sparse(
    data: Any, indices: Any, indptr: Any, which: Any, turned: Any, starts: Any, joint: Any
) -> None:
    """As :func:`linear`, of CSR rows.

    ``turned`` has the shape (models, classes / 4, d, 4) and ``starts`` (models, classes), with the
    number of classes made up to a multiple of four: the sums of four stay in a register.
    """
    for i in range(len(indptr) - 1):
        m = which[i] if len(which) else 0
        first, stop = np.int64(indptr[i]), np.int64(indptr[i + 1])
        for g in range(turned.shape[1]):
            c = 4 * g
            slopes, start, row = turned[m, g], starts[m, c : c + 4], joint[i, c : c + 4]
            _four(data, indices, first, stop, slopes, start, row)  # type: ignore[call-arg] # typing


@njit(nogil=True, cache=True)
def most_likely(joint: Any, codes: Any) -> None:
    """Fill ``codes`` with the place of the largest number of each row, the first of equal ones."""
    for i in range(len(joint)):
        best, top = 0, joint[i, 0]
        for c in range(1, joint.shape[1]):
            value = joint[i, c]
            best = c if value > top else best
            top = max(top, value)
        codes[i] = best
