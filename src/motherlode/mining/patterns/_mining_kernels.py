"""Kernels of depth-first itemset mining: occurrence deliver above, bitsets below.

Each item is *first item* in turn. One scan over its rows counts its companions; the frequent
ones make a conditional database (:mod:`._conditional_kernels`), in which pairs are counted row by
row or by bitsets, whichever takes fewer operations. Larger sets come from a depth-first search
over bitsets: the support of a set is the number of ones in the intersection of its items'
(Zaki's Eclat, TKDE 2000), and an intersection whose last two items are rare together is not
made. Closed sets are searched for in :mod:`._closed_kernels`.

Where the bitsets of a first item would be large and mostly empty, the item is handed back to be
projected into a database of its own and searched in the same way.
"""

# mypy: disable-error-code="no-untyped-call, no-untyped-def, untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

from motherlode.mining.patterns import _conditional_kernels as cond
from motherlode.mining.patterns._conditional_kernels import BEGIN, END, ITEM, PATH, SUPPORT

ZERO, ONE = np.int64(0), np.int64(1)  # literals would compile another kernel
MERGE_ROWS = 256  # from so many rows on, equal ones are looked for


@cond.inner
def _pairs_by_rows(part, pairs):
    first, n = part.n_before, part.n - part.n_before
    for row in range(part.n_rows):
        begin, end, weight = part.rows[0, row], part.rows[0, row + 1], part.rows[1, row]
        for x in range(begin, end):
            left = (part.items[x] - first) * n - first
            if left < -first:
                continue
            for y in range(x + 1, end):
                pairs[left + part.items[y]] += weight


@cond.inner
def _pairs_by_bits(part, shifts, arena, pairs):
    first, n = part.n_before, part.n - part.n_before
    for a in range(n):
        for b in range(a + 1, n):
            pairs[a * n + b] = cond.intersect(arena, first + a, first + b, part.n, shifts)


@cond.inner
def grouped(db, first, before, n, both, budget, space, arena):
    """Return the conditional database, its pair counts, and bitsets if these came of it.

    The first value tells whether the item can be searched here, or is to be handed back.
    """
    pairs = shifts = np.zeros(0, np.int64)
    part, work = cond.restrict(db, first, before, n, both, space)
    if n <= 64 and part.n_rows >= MERGE_ROWS:
        part, work = cond.merged(part)
    starts = cond.word_starts(part)
    words = starts[64]
    size, table = n * words, (n - before) * (n - before)
    sparse = n * part.n_rows > 32 * part.rows[0, part.n_rows]
    # The pairs may take an eighth of the budget, and bitsets that are mostly empty a sixteenth.
    if 8 * table > budget or size > budget or (16 * size > budget and sparse):
        return False, part, pairs, shifts, arena
    pairs = np.zeros(table, np.int64)
    # Counting a pair of a row takes as long as four words of an intersection, starting one 16.
    if 4 * work <= table // 2 * (words + 16) + size:
        _pairs_by_rows(part, pairs)
    else:
        arena, shifts = cond.bitsets(part, starts, arena)
        _pairs_by_bits(part, shifts, arena, pairs)
    return True, part, pairs, shifts, arena


@cond.inner
def room_for(n, words, members, arena):
    """Return the list of class members and the arena with room for so many bitsets."""
    if n > members.shape[1]:
        members = cond.widened(members, n)
    if n * words > len(arena):
        arena = cond.grown(arena, n * words)
    return members, arena


@cond.inner
def _class_after(a, free, depth, n, pairs, members, arena, shifts, threshold):
    """Write the class of the sets that member ``a`` begins from ``free`` on; return its end."""
    m = free
    for b in range(a + 1, free):
        count = pairs[members[ITEM, a] * n + members[ITEM, b]]
        if depth > 0 and count >= threshold:
            count = cond.intersect(arena, a, b, m, shifts)
        if count >= threshold:
            members[ITEM, m], members[SUPPORT, m] = members[ITEM, b], count
            m += 1
    return m


@cond.inner
def _search_all(part, names, prefix, pairs, shifts, arena, threshold, room, budget, space, found):
    """Emit the sets of a first item and two to ``room`` companions; False hands it back.

    A class holds the sets that differ in their last item only; its members' bitsets and those
    of the classes above it lie one behind the other in the arena. Bitsets are made only if three
    companions are to be tried together.
    """
    n = part.n
    members = np.empty((2, 2 * n), np.int64)
    for x in range(n):
        members[ITEM, x] = x
    space[BEGIN, 0], space[END, 0] = 0, n
    depth = ZERO
    while depth >= 0:
        a, free = space[BEGIN, depth], space[END, depth]
        if a + 1 >= free or found.fill[0] > found.fill[2]:
            depth -= 1
            continue
        space[BEGIN, depth] += 1
        space[PATH, depth] = members[ITEM, a]
        words = len(shifts)
        if (2 * free - a) * words > budget:
            return False, arena, found
        members, arena = room_for(2 * free - a, words, members, arena)
        end = _class_after(a, free, depth, n, pairs, members, arena, shifts, threshold)
        found = cond.emit(found, prefix, names, space, depth + 1, members, free, end)
        if end <= free + 1 or depth + 3 > room:
            continue
        if depth == 0:
            if words == 0:
                arena, shifts = cond.bitsets(part, cond.word_starts(part), arena)
            members, arena = room_for(end, len(shifts), members, arena)
            for x in range(free, end):
                cond.intersect(arena, a, members[ITEM, x], x, shifts)
        depth += 1
        space[BEGIN, depth], space[END, depth] = free, end
    return True, arena, found


@njit(nogil=True, cache=True)
def mine_all(db, names, prefix, begin, step, threshold, max_size, budget, found, space):
    """Return the frequent sets of at least two items whose first is one of every ``step``-th.

    Parameters
    ----------
    db : Database
        The baskets.
    names : ndarray of int32
        What the items are called in the result.
    prefix : ndarray of int32
        Items in every row, which go before each set, and a place for the first item.
    begin, step : int
        Items to begin with.
    threshold, max_size : int
        Least support, and greatest size (the prefix included).
    budget : int
        Words of 8 bytes that the bitsets of one first item may take; more are handed back, and
        fewer if they are mostly empty.
    found : Found
        What the sets are added to.
    space : ndarray of int64
        Working space.

    Returns
    -------
    Found, ndarray of int32
        The sets, and the first items handed back, whose larger sets are missing.
    """
    n_items, arena = len(db.starts) - 1, np.empty(1 << 12, np.uint64)
    named, back, n_back = np.empty(n_items, np.int32), np.empty(n_items, np.int32), 0
    room = max_size - len(prefix)
    for first in range(begin, n_items, step):
        if found.fill[0] > found.fill[2] or room < 1:
            break
        touched = cond.companions(db, first, ONE == ZERO, space)
        _, n, _ = cond.select(first, touched, threshold, -ONE, space)
        prefix[len(prefix) - 1] = names[first]
        for x in range(n):
            named[x] = names[space[ITEM, x]]
        found = cond.emit(found, prefix, names, space, ZERO, space, ZERO, n)
        if n > 1 and room > 1:
            n_sets, n_written = found.fill[0], found.fill[1]
            here, part, pairs, shifts, arena = grouped(
                db, first, ZERO, n, ONE == ZERO, budget, space, arena
            )
            if here:
                here, arena, found = _search_all(
                    part, named, prefix, pairs, shifts, arena, threshold, room, budget, space, found
                )
            if not here:
                found.fill[0], found.fill[1] = n_sets, n_written
                back[n_back] = first
                n_back += 1
        cond.clear(space, touched)
    return found, back[:n_back]
