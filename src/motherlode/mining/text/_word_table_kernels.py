"""Kernels of the table of words: an open-addressing hash index over a dense list of entries.

A table (:class:`~motherlode.mining.text._word_table.Words`) is four arrays.

``entries`` : uint64 of shape (capacity, 4)
    One row a word, in order of first occurrence, so that frequent words lie together: the first
    8 bytes; the next 8 bytes, or, of a word of more than 16 bytes, where it stands in ``arena``;
    the hash in the upper and the length in the lower half; the count (int64 in its bits). Bytes
    beyond a word's end are zero.
``slots`` : uint64 of shape (a power of two,)
    The hash in the upper half, the number of the entry plus one in the lower half; 0 is a free
    slot. Growing it needs no look at the words.
``arena`` : uint8
    The words of more than 16 bytes, one behind the other, and :data:`PADDING` bytes of room.
``sizes`` : int64 of shape (2,)
    Entries in use, arena bytes in use.

Words are looked up in groups: first all are hashed, then, where the table is larger than the
processor's cache, their slots are asked for, and only then they are compared.
"""

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
    prefetch,
    spliced,
    store_word,
    use_large_pages,
)
from motherlode.mining.text._word_table import Words

GROUP = 256
INLINE = 16
CACHED = 1 << 15  # slots; a larger index is not expected to stay in the second-level cache

_U0 = np.uint64(0)
_U1 = np.uint64(1)
_U4 = np.uint64(4)
_U32 = np.uint64(32)
_HALF = np.uint64(0xFFFFFFFF)
_MIX1 = np.uint64(0x9E3779B97F4A7C15)
_MIX2 = np.uint64(0xC2B2AE3D27D4EB4F)
_MIX3 = np.uint64(0xD6E8FEB86659FD93)

_steps = np.arange(INLINE + 1)
FIRST = np.array([(1 << 8 * min(n, 8)) - 1 for n in _steps.tolist()], np.uint64)
SECOND = np.array([(1 << 8 * max(n - 8, 0)) - 1 for n in _steps.tolist()], np.uint64)


@spliced
def _spread(first, second, length):
    """Return a hash of 32 bits of a word's first 16 bytes and its length."""
    mixed = (first ^ (np.uint64(length) * _MIX3)) * _MIX1
    mixed = (mixed ^ (mixed >> _U32) ^ second) * _MIX2
    mixed = (mixed ^ (mixed >> _U32)) * _MIX3
    return mixed >> _U32


@spliced
def _long_hash(text, start, length):
    """Return the hash of a word of more than 16 bytes; the last 8 bytes may be read twice."""
    mixed = load_word(text, start)
    for position in range(8, length - 8, 8):
        mixed = (mixed ^ (mixed >> _U32)) * _MIX1 + load_word(text, start + position)
    return _spread(mixed, load_word(text, start + length - 8), length)


@spliced
def _same(left, start, right, begin, length):
    """Tell whether two words of the same length, more than 16 bytes, are the same."""
    for position in range(0, length - 8, 8):
        if load_word(left, start + position) != load_word(right, begin + position):
            return False
    return load_word(left, start + length - 8) == load_word(right, begin + length - 8)


@part
def copy_bytes(target, at, source, start, length):
    """Copy bytes by eights; up to 7 bytes behind the end of the target are overwritten."""
    for position in range(0, length, 8):
        store_word(target, at + position, load_word(source, start + position))


@spliced
def _more_slots(slots, count):
    """Return the index with more slots."""
    wider = np.empty(count, np.uint64)
    use_large_pages(wider)
    for slot in range(count):
        wider[slot] = _U0
    mask = np.uint64(count - 1)
    for old in range(len(slots)):
        value = slots[old]
        if value != _U0:
            slot = (value >> _U32) & mask
            while wider[slot] != _U0:
                slot = (slot + _U1) & mask
            wider[slot] = value
    return wider


@part
def reserve(words, count, nbytes):
    """Return the table with room for so many more words and arena bytes."""
    slots, entries, arena, sizes = words
    used = sizes[0]
    if used + count > len(entries):
        more = np.empty((max(used + count, 2 * len(entries)), 4), np.uint64)
        use_large_pages(more)
        for entry in range(used):
            for column in range(4):
                more[entry, column] = entries[entry, column]
        entries = more
    width = len(slots)
    while (used + count) * 5 > width * 3:
        width *= 2
    if width > len(slots):
        slots = _more_slots(slots, width)
    filled = sizes[1]
    if filled + nbytes + PADDING > len(arena):
        longer = np.empty(max(filled + nbytes + PADDING, 2 * len(arena)), np.uint8)
        copy_bytes(longer, np.int64(0), arena, np.int64(0), filled)
        arena = longer
    return Words(slots, entries, arena, sizes)


@part
def find(words, source, first, second, packed):
    """Return the number of a word's entry, or the complement of the free slot where it belongs.

    ``second`` is, of a word of more than 16 bytes, where it stands in ``source``.
    """
    slots, entries, arena, _ = words
    mask = np.uint64(len(slots) - 1)
    mark = packed >> _U32
    slot = mark & mask
    while True:
        value = slots[slot]
        if value == _U0:
            return ~np.int64(slot)
        if value >> _U32 == mark:
            number = (value & _HALF) - _U1
            if entries[number, 2] == packed and entries[number, 0] == first:
                length = np.int64(packed & _HALF)
                if length <= INLINE:
                    if entries[number, 1] == second:
                        return np.int64(number)
                elif _same(arena, np.int64(entries[number, 1]), source, np.int64(second), length):
                    return np.int64(number)
        slot = (slot + _U1) & mask


@part
def hash_words(text, starts, stops, begin, end, keys):
    """Fill a group's keys from a text; return the bytes of its words of more than 16 bytes."""
    nbytes = np.int64(0)
    for word in range(begin, end):
        start = starts[word]
        length = stops[word] - start
        key = word - begin
        if length <= INLINE:
            first = load_word(text, start) & FIRST[np.uint64(length)]
            second = load_word(text, start + 8) & SECOND[np.uint64(length)]
            mark = _spread(first, second, length)
        else:
            first = load_word(text, start)
            second = np.uint64(start)
            mark = _long_hash(text, start, length)
            nbytes += length
        keys[key, 0] = first
        keys[key, 1] = second
        keys[key, 2] = (mark << _U32) | np.uint64(length)
    return nbytes


@spliced
def _fetch(words, keys):
    """Ask for the slots, then for the entries that a group's words will be compared with."""
    mask = np.uint64(len(words.slots) - 1)
    for key in range(len(keys)):
        prefetch(words.slots, (keys[key, 2] >> _U32) & mask)
    for key in range(len(keys)):
        value = words.slots[(keys[key, 2] >> _U32) & mask]
        if value != _U0:
            prefetch(words.entries, ((value & _HALF) - _U1) * _U4)


@part
def _add_group(words, source, keys):
    """Add a group of entries whose long words stand in ``source``; there must be room.

    Entries with a count of zero are left out.
    """
    slots, entries, arena, sizes = words
    if len(slots) > CACHED:
        _fetch(words, keys)
    for key in range(len(keys)):
        first, second, packed = keys[key, 0], keys[key, 1], keys[key, 2]
        number = find(words, source, first, second, packed)
        if number >= 0:
            entries[np.uint64(number), 3] += keys[key, 3]
            continue
        if keys[key, 3] == _U0:
            continue
        fresh = np.uint64(sizes[0])
        sizes[0] += 1
        slots[np.uint64(~number)] = (packed & ~_HALF) | (fresh + _U1)
        length = np.int64(packed & _HALF)
        if length > INLINE:
            copy_bytes(arena, sizes[1], source, np.int64(second), length)
            second = np.uint64(sizes[1])
            sizes[1] += length
        entries[fresh, 0] = first
        entries[fresh, 1] = second
        entries[fresh, 2] = packed
        entries[fresh, 3] = keys[key, 3]


@kernel
def add_words(
    words: Words,
    text: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    total: int,
    counts: NDArray[np.int64],
) -> Words:
    """Add words that stand in a text, each once, or as often as ``counts`` says if not empty."""
    keys = np.empty((GROUP, 4), np.uint64)
    for key in range(GROUP):
        keys[key, 3] = _U1
    for begin in range(0, total, GROUP):
        end = min(begin + GROUP, total)
        nbytes = hash_words(text, starts, stops, begin, end, keys)
        if len(counts):
            for word in range(begin, end):
                keys[word - begin, 3] = np.uint64(counts[word])
        words = reserve(words, end - begin, nbytes)
        _add_group(words, text, keys[: end - begin])
    return words


@kernel
def add_table(words: Words, other: Words) -> Words:
    """Add all counts of another table."""
    total = other.sizes[0]
    words = reserve(words, max(total - words.sizes[0], 0), max(other.sizes[1] - words.sizes[1], 0))
    for begin in range(0, total, GROUP):
        keys = other.entries[begin : min(begin + GROUP, total)]
        nbytes = np.int64(0)
        for key in range(len(keys)):
            length = np.int64(keys[key, 2] & _HALF)
            if length > INLINE:
                nbytes += length
        words = reserve(words, len(keys), nbytes)
        _add_group(words, other.arena, keys)
    return words


@kernel
def locate(words: Words, other: Words) -> NDArray[np.int64]:
    """Return the number of each word of another table in this one; negative where it is not."""
    total = other.sizes[0]
    found = np.empty(total, np.int64)
    for begin in range(0, total, GROUP):
        keys = other.entries[begin : min(begin + GROUP, total)]
        if len(words.slots) > CACHED:
            _fetch(words, keys)
        for key in range(len(keys)):
            first, second, packed = keys[key, 0], keys[key, 1], keys[key, 2]
            found[begin + key] = find(words, other.arena, first, second, packed)
    return found
