"""Kernels over lists of sets: baskets to be counted and merged, itemsets to be looked up.

Sets are int32 items one set behind the other, with int64 offsets. The hash of a set is the sum of
its items' hashes, so that of a set without some items follows by subtraction; what meets by its
hash is compared item by item. The canonical order of baskets is that of their hashes.
"""

# mypy: disable-error-code="no-untyped-call, no-untyped-def, untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

from motherlode.mining.patterns._conditional_kernels import grown, inner

_ONE = np.uint64(1)
_A = np.uint64(0xBF58476D1CE4E5B9)
_B = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


@inner
def mix(item):
    """Return the hash of one item (the finaliser of SplitMix64)."""
    word = (np.uint64(item) + np.uint64(1)) * _GOLDEN
    word = (word ^ (word >> _S30)) * _A
    word = (word ^ (word >> _S27)) * _B
    return word ^ (word >> _S31)


@njit(nogil=True, cache=True)
def count_codes(codes, offsets, counts, seen, stamp):
    """Count each code once a basket; ``seen`` holds where a code was last, from ``stamp`` on."""
    for row in range(len(offsets) - 1):
        for x in range(offsets[row], offsets[row + 1]):
            code = codes[x]
            if seen[code] != stamp + row:
                seen[code] = stamp + row
                counts[code] += 1


@inner
def _sort(items, begin, end):
    """Sort a stretch in place: few items by insertion, many by Shell's method."""
    gap = 1
    while gap < (end - begin) >> 4:
        gap = 3 * gap + 1
    while gap >= 1:
        for x in range(begin + gap, end):
            item, y = items[x], x
            while y - gap >= begin and items[y - gap] > item:
                items[y] = items[y - gap]
                y -= gap
            items[y] = item
        gap = (gap - 1) // 3


@njit(nogil=True, cache=True)
def project(codes, offsets, ranks, items, sizes):
    """Write each basket's distinct ranks, ascending; baskets with fewer than two become empty.

    ``ranks`` has the rank of each code, -1 for none; codes beyond it have none either. Returns
    how many items were written; ``sizes`` takes how many of each basket.
    """
    at = np.int64(0)
    for row in range(len(offsets) - 1):
        begin = end = at
        for x in range(offsets[row], offsets[row + 1]):
            code = codes[x]
            if 0 <= code < len(ranks) and ranks[code] >= 0:
                items[end] = ranks[code]
                end += 1
        _sort(items, begin, end)
        for x in range(begin, end):
            if x == begin or items[x] != items[at - 1]:
                items[at] = items[x]
                at += 1
        if at - begin < 2:
            at = begin
        sizes[row] = at - begin
    return at


@njit(nogil=True, cache=True)
def hash_sets(items, offsets, hashes):
    """Write the hash of each set."""
    for row in range(len(offsets) - 1):
        total = np.uint64(0)
        for x in range(offsets[row], offsets[row + 1]):
            total += mix(items[x])
        hashes[row] = total


@inner
def compare(items, offsets, left, right):
    """Return -1, 0 or 1 as one set comes before, is, or comes after another."""
    x, y = offsets[left], offsets[right]
    stop, end = offsets[left + 1], offsets[right + 1]
    while x < stop and y < end:
        if items[x] != items[y]:
            return -1 if items[x] < items[y] else 1
        x += 1
        y += 1
    return 0 if x == stop and y == end else (-1 if x == stop else 1)


@njit(nogil=True, cache=True)
def merge_equal(items, offsets, hashes, order, totals, first):
    """Add up the totals of equal sets at the first of them, and tell which these are.

    ``order`` sorts the sets by their hashes, and is made to sort those of one hash too.
    """
    place = 0
    for x in range(1, len(order)):
        row, y = order[x], x
        while (
            y > 0  # hardly ever moves a set, for those of one hash are all but always equal
            and hashes[order[y - 1]] == hashes[row]
            and compare(items, offsets, row, order[y - 1]) < 0
        ):
            y -= 1
        total = totals[x]
        for z in range(x, y, -1):
            order[z], totals[z] = order[z - 1], totals[z - 1]
        order[y], totals[y] = row, total
    for x in range(len(order)):
        if (
            x
            and hashes[order[x]] == hashes[order[place]]
            and not compare(items, offsets, order[x], order[place])
        ):
            totals[place] += totals[x]
            first[x] = False
        else:
            first[x] = True
            place = x


@njit(nogil=True, cache=True)
def rename(items, offsets, names):
    """Rename all items in place and sort each set."""
    for row in range(len(offsets) - 1):
        for x in range(offsets[row], offsets[row + 1]):
            items[x] = names[items[x]]
        _sort(items, offsets[row], offsets[row + 1])


@njit(nogil=True, cache=True)
def sort_keys(items, offsets, supports, highest, size_bits, item_bits, keys):
    """Write a key for each set: support descending, size, and as many items as there is room."""
    support_bits = 1
    while (highest >> support_bits) > 0:
        support_bits += 1
    for row in range(len(supports)):
        key = np.uint64(highest - supports[row])
        room = 64 - support_bits
        if room >= size_bits:
            room -= size_bits
            key = (key << np.uint64(size_bits)) | np.uint64(offsets[row + 1] - offsets[row])
            for x in range(offsets[row], offsets[row + 1]):
                if room < item_bits:
                    break
                room -= item_bits
                key = (key << np.uint64(item_bits)) | np.uint64(items[x])
        keys[row] = key << np.uint64(room)


@inner
def _after(items, offsets, left, right):
    """Tell whether a set comes after another by size, then lexicographically."""
    longer = (offsets[left + 1] - offsets[left]) - (offsets[right + 1] - offsets[right])
    return longer > 0 or (longer == 0 and compare(items, offsets, left, right) > 0)


@njit(nogil=True, cache=True)
def break_ties(items, offsets, keys, order):
    """Sort by size, then lexicographically, where the keys in this order are equal."""
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and keys[order[end]] == keys[order[begin]]:
            continue
        gap = 1
        while gap < (end - begin) // 3:
            gap = 3 * gap + 1
        while gap >= 1:
            for x in range(begin + gap, end):
                row, y = order[x], x
                while y - gap >= begin and _after(items, offsets, order[y - gap], row):
                    order[y] = order[y - gap]
                    y -= gap
                order[y] = row
            gap //= 3
        begin = end


@njit(nogil=True, cache=True)
def gather(items, offsets, order, kept, bounds):
    """Write the sets in the given order."""
    at = 0
    bounds[0] = 0
    for row in range(len(order)):
        for x in range(offsets[order[row]], offsets[order[row] + 1]):
            kept[at] = items[x]
            at += 1
        bounds[row + 1] = at


@njit(nogil=True, cache=True)
def index_sets(hashes):
    """Return an open-addressing table of set numbers plus one, by hash."""
    size = 16
    while size < 2 * len(hashes):
        size *= 2
    table = np.zeros(size, np.int32)
    for row in range(len(hashes)):
        place = np.int64(hashes[row] & np.uint64(size - 1))
        while table[place]:
            place = (place + 1) & (size - 1)
        table[place] = row + 1
    return table


@inner
def _look_up(items, offsets, hashes, table, code, row, without):
    """Return the set that is set ``row`` without the items of a mask, or -1."""
    place = np.int64(code & np.uint64(len(table) - 1))
    while table[place]:
        found = table[place] - 1
        if hashes[found] == code:
            y, end, same = offsets[found], offsets[found + 1], True
            for x in range(offsets[row], offsets[row + 1]):
                if (without >> np.uint64(x - offsets[row])) & _ONE:
                    continue
                same = same and y < end and items[y] == items[x]
                y += 1
            if same and y == end:
                return found
        place = (place + 1) & (len(table) - 1)
    return -1


@njit(nogil=True, cache=True)
def mark_extended(items, offsets, supports, hashes, table, maximal):
    """Return which sets are closed, or maximal, among all frequent sets."""
    kept = np.ones(len(supports), np.bool_)
    for row in range(len(supports)):
        begin, end = offsets[row], offsets[row + 1]
        if end - begin < 2:
            continue
        for x in range(begin, end):
            code = hashes[row] - mix(items[x])
            found = _look_up(items, offsets, hashes, table, code, row, _ONE << np.uint64(x - begin))
            if found >= 0 and (maximal or supports[found] == supports[row]):
                kept[found] = False
    return kept


@inner
def _consequent(items, offsets, hashes, table, row, mask):
    """Return the number of the set of the masked items of a set, or -1."""
    size = offsets[row + 1] - offsets[row]
    code, others = np.uint64(0), np.uint64(0)
    for x in range(size):
        if (mask >> np.uint64(x)) & _ONE:
            code += mix(items[offsets[row] + x])
        else:
            others |= _ONE << np.uint64(x)
    return _look_up(items, offsets, hashes, table, code, row, others)


@njit(nogil=True, cache=True)
def derive_rules(items, offsets, supports, hashes, table, least, confidence, most):
    """Return the rules of sets of at least ``least`` items as numbers of sets.

    The consequents of a set, of at most ``most`` items, are tried depth-first: what is implied
    with too little confidence is not made longer, for that only lowers it.

    Returns
    -------
    ndarray of int32 of shape (n_rules, 3)
        Set, antecedent and consequent.
    int
        A set of which a part is missing, or -1.
    """
    rules, n = np.empty(3 << 10, np.int32), 0
    last = np.empty(64, np.int64)
    for row in range(len(supports)):
        size = offsets[row + 1] - offsets[row]
        if size < max(least, 2):
            continue
        depth, mask, code = 0, np.uint64(0), hashes[row]
        last[0] = -1
        while depth >= 0:
            above = last[depth - 1] if depth > 0 else -1
            if last[depth] > above:
                mask ^= _ONE << np.uint64(last[depth])
                code += mix(items[offsets[row] + last[depth]])
            last[depth] += 1
            if last[depth] >= size:
                depth -= 1
                continue
            mask |= _ONE << np.uint64(last[depth])
            code -= mix(items[offsets[row] + last[depth]])
            antecedent = _look_up(items, offsets, hashes, table, code, row, mask)
            consequent = _consequent(items, offsets, hashes, table, row, mask)
            if antecedent < 0 or consequent < 0:
                return rules[:0].reshape(-1, 3), row
            if supports[row] / supports[antecedent] < confidence:
                continue
            if 3 * n + 3 > len(rules):
                rules = grown(rules, 3 * n + 3)
            rules[3 * n], rules[3 * n + 1], rules[3 * n + 2] = row, antecedent, consequent
            n += 1
            if depth + 1 < min(most, size - 1):
                depth += 1
                last[depth] = last[depth - 1]
    return rules[: 3 * n].reshape(-1, 3), -1
