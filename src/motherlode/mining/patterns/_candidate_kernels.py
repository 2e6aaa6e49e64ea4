"""Kernels that count candidate itemsets along their prefix tree.

Nodes of the tree are the single items and then the candidates, sorted by size and then
lexicographically, so that a node's children lie together. For each item that begins a candidate
its baskets become a conditional database of bitsets, as in mining; the tree, and not the support,
says which intersections are made.
"""

# mypy: disable-error-code="no-untyped-call, no-untyped-def, untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

from motherlode.mining.patterns import _conditional_kernels as cond
from motherlode.mining.patterns._conditional_kernels import (
    BEGIN,
    COUNTS,
    END,
    ITEM,
    KEPT,
    SLOTS,
    SUPPORT,
)  # fmt: skip


@njit(nogil=True, cache=True)
def children(items, offsets, n_items):
    """Return where the children of each node of the candidates' tree start.

    A child has one more item at the end. Every candidate without its last item is a candidate
    too, or one of the ``n_items`` single items.
    """
    n_sets = len(offsets) - 1
    starts = np.empty(n_items + n_sets + 1, np.int64)
    starts[0] = 0
    node = np.int64(0)
    for child in range(n_sets):
        begin, size = offsets[child], offsets[child + 1] - offsets[child]
        while True:
            if node < n_items:
                same = size == 2 and items[begin] == node
            else:
                parent = offsets[node - n_items]
                same = offsets[node - n_items + 1] - parent == size - 1
                for x in range(size - 1):
                    same = same and items[parent + x] == items[begin + x]
            if same:
                break
            node += 1
            starts[node] = child
    while node < n_items + n_sets:
        node += 1
        starts[node] = n_sets
    return starts


@cond.inner
def _descend(first, n_items, last, starts, space, n, shifts, arena, counts):
    """Add to the counts of the candidates of three and more items that begin with ``first``."""
    space[BEGIN, 0], space[END, 0] = starts[first], starts[first + 1]
    depth = 0
    while depth >= 0:
        child = space[BEGIN, depth]
        if child == space[END, depth]:
            depth -= 1
            continue
        space[BEGIN, depth] += 1
        place = space[SLOTS, last[child]]
        if depth > 0:
            total = cond.intersect(arena, space[KEPT, depth], place, n + depth, shifts)
            counts[child] += total
            place = n + depth
            if total == 0:
                continue
        below = n_items + child
        if starts[below + 1] > starts[below]:
            depth += 1
            space[BEGIN, depth], space[END, depth] = starts[below], starts[below + 1]
            space[KEPT, depth] = place


@njit(nogil=True, cache=True)
def count_candidates(db, last, starts, deepest, counts, space):
    """Add to each candidate's count the baskets of a database which hold it.

    Parameters
    ----------
    db : Database
        The baskets.
    last : ndarray of int32
        Last item of each candidate.
    starts : ndarray of int64
        Where the children of each node start.
    deepest : int
        Size of the largest candidate.
    counts : ndarray of int64
        What is added to.
    space : ndarray of int64
        Working space.
    """
    n_items = np.int64(len(db.starts) - 1)
    arena = np.empty(1 << 12, np.uint64)
    for first in range(n_items):
        begin, n = starts[first], starts[first + 1] - starts[first]
        if n == 0 or db.starts[first] == db.starts[first + 1]:
            continue
        touched = cond.companions(db, first, n == 0, space)
        for x in range(n):
            item = last[begin + x]
            space[ITEM, x], space[SLOTS, item] = item, x
            space[SUPPORT, x] = space[COUNTS, item]
            counts[begin + x] += space[COUNTS, item]
        if starts[n_items + begin + n] > starts[n_items + begin]:
            part, _ = cond.restrict(db, first, n - n, n, n == 0, space)
            if n <= 64 and part.n_rows >= 256:
                part, _ = cond.merged(part)
            words = cond.word_starts(part)
            size = (n + deepest) * words[64]
            if size > len(arena):
                arena = np.empty(size, np.uint64)
            arena, shifts = cond.bitsets(part, words, arena)
            _descend(first, n_items, last, starts, space, n, shifts, arena, counts)
        for x in range(n):
            space[SLOTS, last[begin + x]] = -1
        cond.clear(space, touched)
