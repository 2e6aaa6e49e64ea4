"""Kernels of itemset databases: found sets, rows by item, and the rows of one item.

A database holds baskets of item ranks, ascending within a basket; rank 0 is the rarest item. The
*conditional* database of an item holds its rows, reduced to the items that are frequent in
them (its companions), which are numbered anew, ascending by their count there. Its bitsets have
a bit a row. A row that stands for ``w`` equal ones has a bit for each binary digit of ``w``, in
words of their own that count ``2 ** digit``.
"""

# mypy: disable-error-code="no-untyped-call, no-untyped-def, untyped-decorator"

from __future__ import annotations

from collections import namedtuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Database = namedtuple("Database", "items starts places")
"""Baskets one behind the other as int32, each ended by the number of equal ones it stands for,
negated, and an end before the first; and for each item, from ``starts`` on, its ``places`` in
them (int32)."""

Found = namedtuple("Found", "items sets fill")
"""Itemsets: int32 items one set behind the other; where each ends, and its support, as the rows
of an int64 array; ``fill`` holds how many sets and items there are, and the number of sets at
which to stop."""

Local = namedtuple("Local", "items rows n_before n n_rows")
"""A conditional database in local item numbers, of which those below ``n_before`` only forbid
sets; where each row begins, and how many equal ones it stands for, as the rows of ``rows``."""

ITEM, SUPPORT = 0, 1
"""Rows of a list of members, and of the companions in the working space."""

COUNTS, SLOTS, TOUCHED, COMMON, PATH, BEGIN, END, KEPT, SPACE = 2, 3, 4, 5, 6, 7, 8, 9, 10
"""Further rows of the working space, an int64 array with a column an item: count and local
number of each companion, lists of companions, and what a search has on its way down. It is one
array, and not many, since compiling takes time for each array that is passed on."""

inner = njit(nogil=True, cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload] # its types leave these two out
"""Compiles a kernel that only kernels call."""

MOST = np.int64((1 << 31) - 1)  # equal baskets that one stands for

_ONE = np.uint64(1)
_SIX = np.int64(6)
_LOW = np.int64(63)


@intrinsic
def _ones(typing, word):
    """Return the number of ones in a uint64."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate


@inner
def grown(array, size):
    """Return an array with the same beginning and room for ``size`` values, or twice as many."""
    wider = np.empty(max(size, 2 * len(array)), array.dtype)
    for x in range(len(array)):
        wider[x] = array[x]
    return wider


@inner
def widened(pairs, size):
    """Return two rows with the same beginning and room for ``size`` values, or twice as many."""
    wider = np.empty((2, max(size, 2 * pairs.shape[1])), np.int64)
    for x in range(pairs.shape[1]):
        wider[0, x], wider[1, x] = pairs[0, x], pairs[1, x]
    return wider


def no_sets(limit: int) -> Found:
    """Return an empty list of itemsets that stops the search when it has more than ``limit``."""
    fill = np.array([0, 0, limit], np.int64)
    return Found(np.empty(1 << 14, np.int32), np.empty((2, 1 << 11), np.int64), fill)


@inner
def emit(found, prefix, names, space, n_path, members, begin, end):
    """Return the list with some sets more: what they share, and each of the members.

    They share ``prefix`` and the named items on the path.
    """
    items, sets, fill = found
    n_sets, at = fill[0], fill[1]
    n_prefix = len(prefix)
    if n_sets + end - begin > sets.shape[1]:
        sets = widened(sets, n_sets + end - begin)
    if at + (end - begin) * (n_prefix + n_path + 1) > len(items):
        items = grown(items, at + (end - begin) * (n_prefix + n_path + 1))
    for x in range(begin, end):
        for y in range(n_prefix):
            items[at + y] = prefix[y]
        at += n_prefix
        for y in range(n_path):
            items[at + y] = names[space[PATH, y]]
        at += n_path + 1
        items[at - 1] = names[members[ITEM, x]]
        sets[0, n_sets] = at
        sets[1, n_sets] = members[SUPPORT, x]
        n_sets += 1
    fill[0], fill[1] = n_sets, at
    return Found(items, sets, fill)


@njit(nogil=True, cache=True)
def _fill(items, offsets, weights, flat, starts, free, places):
    """Write the baskets, where the places of each item start, and the places."""
    at = 1
    for row in range(len(weights)):
        weight = weights[row]
        while weight > 0:
            for x in range(offsets[row], offsets[row + 1]):
                flat[at] = items[x]
                free[items[x]] += 1
                at += 1
            flat[at] = -min(weight, MOST)
            at += 1
            weight -= MOST
    total = np.int64(0)
    for item in range(len(free)):
        starts[item] = total
        total += free[item]
        free[item] = starts[item]
    starts[len(free)] = total
    for x in range(len(flat)):
        item = flat[x]
        if item >= 0:
            places[free[item]] = x
            free[item] += 1


def database(
    items: NDArray[np.int32], offsets: NDArray[np.int64], weights: NDArray[np.int64], n_items: int
) -> Database:
    """Return the database of some baskets, so many of each."""
    copies = (weights + (MOST - 1)) // MOST
    n_places = int(copies @ np.diff(offsets))
    flat = np.full(1 + n_places + int(copies.sum()), -1, np.int32)
    starts, places = np.empty(n_items + 1, np.int64), np.empty(n_places, np.int32)
    _fill(items, offsets, weights, flat, starts, np.zeros(n_items, np.int64), places)
    return Database(flat, starts, places)


def new_space(n_items: int) -> NDArray[np.int64]:
    """Return working space for a database of so many items."""
    space = np.zeros((SPACE, n_items + 1), np.int64)
    space[SLOTS] = -1
    return space


@inner
def _beginning(items, place, both):
    """Return where the items after this place begin, or all items of its basket."""
    if not both:
        return place + 1
    while items[place - 1] >= 0:
        place -= 1
    return place


@inner
def companions(db, first, both, space):
    """Count the items after ``first``, or all, in its rows; return how many there are."""
    items = db.items
    n = 0
    for t in range(db.starts[first], db.starts[first + 1]):
        begin = x = _beginning(items, np.int64(db.places[t]), both)
        item = items[x]
        while item >= 0:
            space[TOUCHED, n] = item  # without a branch, which would be mispredicted
            n += space[COUNTS, item] == 0
            space[COUNTS, item] += 1
            x += 1
            item = items[x]
        if item < -1:
            for y in range(begin, x):
                space[COUNTS, items[y]] -= item + 1
    return n


@inner
def _sort(space, n):
    """Sort the first ``n`` companions by their keys, which stand in for supports (Shell)."""
    gap = 1
    while gap < n // 3:
        gap = 3 * gap + 1
    while gap >= 1:
        for x in range(gap, n):
            key, value = space[SUPPORT, x], space[ITEM, x]
            y = x
            while y >= gap and space[SUPPORT, y - gap] > key:
                space[SUPPORT, y] = space[SUPPORT, y - gap]
                space[ITEM, y] = space[ITEM, y - gap]
                y -= gap
            space[SUPPORT, y], space[ITEM, y] = key, value
        gap //= 3


@inner
def select(first, n_touched, threshold, full, space):
    """Number the frequent companions: those before ``first``, then the others by their count.

    Companions in all ``full`` rows are listed as common instead. Returns how many are numbered
    before ``first`` and in all, and how many are common, -1 if one of these is before ``first``.
    """
    n_items = space.shape[1]
    n = np.int64(0)  # a literal would compile another sort
    before = n_common = 0
    for t in range(n_touched):
        item = space[TOUCHED, t]
        count = space[COUNTS, item]
        if item == first:
            continue
        if count == full:
            if item < first:
                return 0, 0, -1
            space[COMMON, n_common] = item
            n_common += 1
        elif count >= threshold:
            space[ITEM, n] = item
            space[SUPPORT, n] = count * n_items + item
            if item < first:
                space[SUPPORT, n] = item - n_items
                before += 1
            n += 1
    _sort(space, n)
    for x in range(n):
        item = space[ITEM, x]
        space[SLOTS, item], space[SUPPORT, x] = x, space[COUNTS, item]
    return before, n, n_common


@inner
def clear(space, n_touched):
    for t in range(n_touched):
        item = space[TOUCHED, t]
        space[COUNTS, item], space[SLOTS, item] = 0, -1


@inner
def restrict(db, first, before, n, both, space):
    """Return the rows of ``first`` in local numbers, and how many pairs their items make.

    Rows without companions are left out, and where ``both`` is false those with only one.
    """
    total = 0
    for x in range(n):
        total += space[SUPPORT, x]
    held = db.starts[first + 1] - db.starts[first]
    items = np.empty(total if total < held * n else held * n, np.int32)
    rows = np.empty((2, held + 1), np.int64)
    rows[0, 0] = 0
    n_rows = at = pairs = 0
    for t in range(db.starts[first], db.starts[first + 1]):
        x = _beginning(db.items, np.int64(db.places[t]), both)
        begin = at
        item = db.items[x]
        while item >= 0:
            slot = space[SLOTS, item]
            if slot >= 0:
                y = at
                while y > begin and items[y - 1] > slot:
                    items[y] = items[y - 1]
                    y -= 1
                items[y] = slot
                at += 1
            x += 1
            item = db.items[x]
        length = at - begin
        if length == 0 or (length == 1 and not both):
            at = begin
            continue
        pairs += length * (length - 1) >> 1
        rows[1, n_rows] = -item
        n_rows += 1
        rows[0, n_rows] = at
    return Local(items, rows, before, n, n_rows), pairs


@inner
def merged(part):
    """Return the database of at most 64 items with equal rows merged, and how many pairs."""
    bits = 8
    while (1 << bits) < 2 * part.n_rows:
        bits += 1
    table = np.zeros(1 << bits, np.int32)
    masks = np.empty(part.n_rows, np.uint64)
    items, rows = part.items, part.rows
    n_rows = at = pairs = 0
    for row in range(part.n_rows):
        mask = np.uint64(0)
        begin, end, weight = rows[0, row], rows[0, row + 1], rows[1, row]
        for x in range(begin, end):
            mask |= _ONE << np.uint64(items[x])
        place = np.int64((mask * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits))
        while table[place] and masks[table[place] - 1] != mask:
            place = (place + 1) & (len(table) - 1)
        if table[place]:
            rows[1, table[place] - 1] += weight
            continue
        table[place] = n_rows + 1
        masks[n_rows] = mask
        for x in range(begin, end):
            items[at] = items[x]
            at += 1
        pairs += (end - begin) * (end - begin - 1) >> 1
        rows[1, n_rows] = weight
        n_rows += 1
        rows[0, n_rows] = at
    return Local(items, rows, part.n_before, part.n, n_rows), pairs


@inner
def word_starts(part):
    """Return where the words of each binary digit of the weights start, 64 digits."""
    starts = np.zeros(65, np.int64)
    for row in range(part.n_rows):
        weight, digit = part.rows[1, row], 0
        while weight:
            starts[digit + 1] += weight & 1
            weight >>= 1
            digit += 1
    for digit in range(64):
        starts[digit + 1] = starts[digit] + ((starts[digit + 1] + _LOW) >> _SIX)
    return starts


@inner
def bitsets(part, starts, arena):
    """Return the arena with the bitsets of all items and a spare one, and each word's shift."""
    words = starts[64]
    if (part.n + 1) * words > len(arena):
        arena = np.empty((part.n + 1) * words, np.uint64)
    for w in range(part.n * words):
        arena[w] = 0
    shifts, free = np.empty(words, np.int64), np.empty(64, np.int64)
    for digit in range(64):
        free[digit] = starts[digit] << _SIX
        for w in range(starts[digit], starts[digit + 1]):
            shifts[w] = digit
    for row in range(part.n_rows):
        weight, digit = part.rows[1, row], 0
        while weight:
            if weight & 1:
                place = free[digit]
                free[digit] += 1
                bit = _ONE << np.uint64(place & _LOW)
                for x in range(part.rows[0, row], part.rows[0, row + 1]):
                    arena[part.items[x] * words + (place >> _SIX)] |= bit
            weight >>= 1
            digit += 1
    return arena, shifts


@inner
def intersect(arena, left, right, result, shifts):
    """Write the intersection of two bitsets of the arena into a third; return the rows in it.

    Bitsets are told by number. Places are unsigned, for a place that might be negative would
    have to be looked at and keep the loop from being done many words at a time.
    """
    words = np.uint64(len(shifts))
    x, y, z = np.uint64(left) * words, np.uint64(right) * words, np.uint64(result) * words
    total = np.int64(0)
    for w in range(words):
        word = arena[x + w] & arena[y + w]
        arena[z + w] = word
        total += _ones(word) << shifts[w]  # type: ignore[call-arg] # numba adds the first
    return total
