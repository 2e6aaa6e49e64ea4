"""Kernels that mine closed and maximal itemsets without storing any.

A set is closed if no item could be added without losing a row, and maximal if no item could be
added without becoming infrequent. From each closed set the search goes on with every later
item: it intersects the rows, adds all items which those rows have in common, and goes on from
the result unless an earlier item is among these, for then the result belongs to the branch of
that item. So each closed set is met once (the prefix-preserving extension of LCM; Uno, Kiyomi
and Arimura, FIMI 2004).

First items and bitsets are as in :mod:`._mining_kernels`; the conditional database holds
the companions before the first item as well, which only forbid.
"""

# mypy: disable-error-code="no-untyped-call, no-untyped-def, untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

from motherlode.mining.patterns import _conditional_kernels as cond
from motherlode.mining.patterns._conditional_kernels import (
    BEGIN,
    COMMON,
    END,
    ITEM,
    KEPT,
    PATH,
    SUPPORT,
)  # fmt: skip
from motherlode.mining.patterns._mining_kernels import ONE, ZERO, grouped, room_for


@cond.inner
def _belongs_before(arena, words, rows, item, chosen):
    """Tell whether all these rows have an item before ``item`` that is not chosen."""
    at = np.uint64(rows * words)
    for j in range(item):
        if not chosen[j]:
            w, other = np.uint64(0), np.uint64(j * words)
            while w < np.uint64(words) and not arena[at + w] & ~arena[other + w]:
                w += np.uint64(1)
            if w == np.uint64(words):
                return True
    return False


@cond.inner
def _extends_before(arena, shifts, rows, spare, item, chosen, threshold):
    """Tell whether enough of these rows have an item before ``item`` that is not chosen."""
    for j in range(item):
        if not chosen[j] and cond.intersect(arena, rows, j, spare, shifts) >= threshold:
            return True
    return False


@cond.inner
def _follow(a, free, row, members, pairs, arena, shifts, threshold, space, length):
    """Write the class that follows member ``a`` from slot ``free`` on.

    Members that every row of ``a`` has go on the path instead. Returns where the class ends and
    the length of the path.
    """
    m = free
    for b in range(a + 1, free):
        if pairs[row + members[ITEM, b]] < threshold:
            continue
        count = cond.intersect(arena, a, b, m, shifts)
        if count == members[SUPPORT, a]:
            space[PATH, length] = members[ITEM, b]
            length += 1
        elif count >= threshold:
            members[ITEM, m], members[SUPPORT, m] = members[ITEM, b], count
            m += 1
    return m, length


@cond.inner
def _search_closed(
    part, names, prefix, pairs, shifts, arena, threshold, room, budget, maximal, space, found
):
    """Emit the closed sets of up to ``room`` more items; False hands the first item back.

    A class holds the items that may follow a closed set, each with the rows it leaves of it;
    ``KEPT`` has how long the path to that set is.
    """
    first, n, words = part.n_before, part.n, len(shifts)
    chosen, members = np.zeros(n, np.bool_), np.empty((2, 2 * n), np.int64)
    for x in range(n):
        members[ITEM, x], members[SUPPORT, x] = x, space[SUPPORT, x]
    space[BEGIN, 0], space[END, 0], space[KEPT, 0] = first, n, 0
    depth, length = ZERO, ZERO
    while depth >= 0:
        a, free, kept = space[BEGIN, depth], space[END, depth], space[KEPT, depth]
        for x in range(kept, length):
            chosen[space[PATH, x]] = False
        length = kept
        if a >= free or found.fill[0] > found.fill[2]:
            depth -= 1
            continue
        space[BEGIN, depth] += 1
        if (2 * free - a) * words > budget:
            return False, arena, found
        members, arena = room_for(2 * free - a, words, members, arena)
        item = members[ITEM, a]
        if _belongs_before(arena, words, a, item, chosen):
            continue
        row = (item - first) * (n - first) - first
        end, length = _follow(a, free, row, members, pairs, arena, shifts, threshold, space, length)
        space[PATH, length] = item
        length += 1
        for x in range(kept, length):
            chosen[space[PATH, x]] = True
        if length > room:
            continue
        if not maximal or (
            end == free and not _extends_before(arena, shifts, a, free, item, chosen, threshold)
        ):
            found = cond.emit(found, prefix, names, space, length - 1, members, a, a + 1)
        if end > free and length < room:
            depth += 1
            space[BEGIN, depth], space[END, depth], space[KEPT, depth] = free, end, length
    return True, arena, found


@cond.inner
def _closure(first, n, n_common, names, base, space, named):
    """Return ``base``, what all rows of an item have in common, and it; name the others."""
    prefix = np.empty(len(base) + n_common + 1, np.int32)
    for x in range(len(base)):
        prefix[x] = base[x]
    for x in range(n_common):
        prefix[len(base) + x] = names[space[COMMON, x]]
    prefix[len(base) + n_common] = names[first]
    for x in range(n):
        named[x] = names[space[ITEM, x]]
    return prefix


@njit(nogil=True, cache=True)
def mine_closed(
    db, totals, names, base, begin, step, threshold, max_size, budget, maximal, found, space
):
    """Return the closed, or only the maximal, sets whose first item is every ``step``-th.

    Parameters
    ----------
    db, names, begin, step, threshold, max_size, budget, found, space
        As for ``mine_all``; items before ``begin`` only forbid sets.
    totals : ndarray of int64
        Rows of each item, those included which were left out of ``db`` for having no other.
    base : ndarray of int32
        Items in every row, which go before each set.
    maximal : bool
        Whether only the maximal sets are wanted.

    Returns
    -------
    Found, ndarray of int32
        The sets, and the first items handed back, whose larger sets are missing.
    """
    n_items, arena = len(db.starts) - 1, np.empty(1 << 12, np.uint64)
    named, back, n_back = np.empty(n_items, np.int32), np.empty(n_items, np.int32), 0
    members = np.empty((2, 1), np.int64)
    for first in range(begin, n_items, step):
        if found.fill[0] > found.fill[2]:
            break
        total = totals[first]
        touched = cond.companions(db, first, ONE == ONE, space)
        before, n, n_common = cond.select(first, touched, threshold, total, space)
        room = max_size - len(base) - 1 - n_common
        if n_common >= 0 and room >= 0:
            prefix = _closure(first, n, n_common, names, base, space, named)
            if n == 0 or not maximal:
                members[ITEM, 0], members[SUPPORT, 0] = first, total
                found = cond.emit(
                    found, prefix[: len(prefix) - 1], names, space, ZERO, members, ZERO, ONE
                )
            if n > before and room > 0:
                n_sets, n_written = found.fill[0], found.fill[1]
                here, part, pairs, shifts, arena = grouped(
                    db, first, before, n, ONE == ONE, budget, space, arena
                )
                if here:
                    if len(shifts) == 0:
                        arena, shifts = cond.bitsets(part, cond.word_starts(part), arena)
                    here, arena, found = _search_closed(
                        part, named, prefix, pairs, shifts, arena, threshold, room,
                        budget, maximal, space, found,
                    )  # fmt: skip
                if not here:
                    found.fill[0], found.fill[1] = n_sets, n_written
                    back[n_back] = first
                    n_back += 1
        cond.clear(space, touched)
    return found, back[:n_back]


@njit(nogil=True, cache=True)
def project(db, totals, names, base, first, threshold, both, space):
    """Return the conditional database of an item that was handed back, to be mined in turn.

    Returns
    -------
    tuple of ndarray
        Its items, offsets and weights; the support and name of each item; the prefix.
    int
        How many of the items only forbid.
    """
    touched = cond.companions(db, first, both, space)
    full = totals[first] if both else -ONE
    before, n, n_common = cond.select(first, touched, threshold, full, space)
    named, supports = np.empty(n, np.int32), np.empty(n, np.int64)
    prefix = _closure(first, n, n_common, names, base, space, named)
    for x in range(n):
        supports[x] = space[SUPPORT, x]
    part, _ = cond.restrict(db, first, before, n, both, space)
    offsets, weights = part.rows[0, : part.n_rows + 1], part.rows[1, : part.n_rows]
    return part.items[: offsets[-1]], offsets, weights, supports, named, prefix, before
