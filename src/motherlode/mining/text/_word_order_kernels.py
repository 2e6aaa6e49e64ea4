"""Kernels that put a table's words in the order of their bytes and write them out."""

# mypy: ignore-errors
# Numba infers and checks the types of kernels; what is called from outside is annotated.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motherlode.mining.text._block_kernels import (
    PADDING,
    kernel,
    load_word,
    part,
    spliced,
    store_word,
    swap_bytes,
)
from motherlode.mining.text._word_table import Words
from motherlode.mining.text._word_table_kernels import FIRST, INLINE, copy_bytes

_HALF = np.uint64(0xFFFFFFFF)
_RUN = 16


@spliced
def _later_bytes(words, entry, position, length):
    """Return 8 bytes of a word from a position on as a number that sorts like them."""
    if length <= INLINE:
        return swap_bytes(words.entries[entry, 1])
    word = load_word(words.arena, np.int64(words.entries[entry, 1]) + position)
    return swap_bytes(word & FIRST[np.uint64(min(length - position, 8))])


@part
def _precedes(words, left, right):
    """Tell whether one word sorts before another with the same first 8 bytes."""
    here = np.int64(words.entries[left, 2] & _HALF)
    there = np.int64(words.entries[right, 2] & _HALF)
    end = min(here, there)
    for position in range(8, max(end, INLINE), 8):
        mine = _later_bytes(words, left, position, here)
        other = _later_bytes(words, right, position, there)
        if mine != other:
            return mine < other
    return here < there


@spliced
def _sort(words, order, begin, end, other):
    """Sort ``order[begin:end]`` by merging ever longer runs; ``other`` is as long as ``order``."""
    for low in range(begin, end, _RUN):
        for at in range(low + 1, min(low + _RUN, end)):
            moved = order[at]
            back = at
            while back > low and _precedes(words, moved, order[back - 1]):
                order[back] = order[back - 1]
                back -= 1
            order[back] = moved
    width = _RUN
    while width < end - begin:
        for low in range(begin, end, 2 * width):
            middle = min(low + width, end)
            high = min(low + 2 * width, end)
            left, right = low, middle
            for at in range(low, high):
                take = right >= high or (
                    left < middle and not _precedes(words, order[right], order[left])
                )
                if take:
                    other[at] = order[left]
                    left += 1
                else:
                    other[at] = order[right]
                    right += 1
        for at in range(begin, end):
            order[at] = other[at]
        width *= 2


@kernel
def settle_ties(words: Words, leading: NDArray[np.uint64], order: NDArray[np.int64]) -> None:
    """Sort the entries that have the same first 8 bytes; ``order`` is sorted by those."""
    other = np.empty(len(order), np.int64)
    begin = np.int64(0)
    for at in range(1, len(order) + 1):
        if at == len(order) or leading[at] != leading[begin]:
            if at - begin > 1:
                _sort(words, order, begin, at, other)
            begin = at


@kernel
def write_words(
    words: Words, order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the offsets and bytes of the words of some entries, in the given order."""
    offsets = np.empty(len(order) + 1, np.int64)
    offsets[0] = 0
    for at in range(len(order)):
        length = np.int64(words.entries[order[at], 2] & _HALF)
        offsets[at + 1] = offsets[at] + length
    text = np.empty(offsets[-1] + PADDING, np.uint8)
    for at in range(len(order)):
        entry = order[at]
        length = offsets[at + 1] - offsets[at]
        if length <= INLINE:
            store_word(text, offsets[at], words.entries[entry, 0])
            store_word(text, offsets[at] + 8, words.entries[entry, 1])
        else:
            place = np.int64(words.entries[entry, 1])
            copy_bytes(text, offsets[at], words.arena, place, length)
    return offsets, text
