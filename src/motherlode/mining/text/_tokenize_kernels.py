"""Kernels that find the tokens of a text, 64 bytes at a time.

A piece of the text, whole rows or a part of a long one, is copied and lower-cased. The bytes of
tokens become a mask of bits, characters beyond ASCII one by one; where runs of bits begin and end
is read off the mask, so that no byte is looked at alone.
"""

# mypy: ignore-errors
# Numba infers and checks the types of kernels; what is called from outside is annotated.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motherlode.mining.text._block_kernels import (
    PADDING,
    bit_count,
    bytes_between,
    high_bytes,
    load_word,
    lower_block,
    part,
    spliced,
    store_word,
    trailing_zeros,
)
from motherlode.mining.text._word_table_kernels import (
    FIRST,
    GROUP,
    find,
    hash_words,
)

_U0 = np.uint64(0)
_U1 = np.uint64(1)
_U6 = np.uint64(6)
_U7 = np.uint64(7)
_U63 = np.uint64(63)
_LOW_BITS = np.uint64(0x0101010101010101)


class Piece(NamedTuple):
    """Room for a piece of a text and what is found in it.

    ``member``, ``high`` and ``border`` have a bit for every byte: whether it belongs to a token,
    whether it is not ASCII, whether a row begins with it. ``starts`` and ``stops`` say where the
    tokens are, ``lines`` of which rows they are.
    """

    text: NDArray[np.uint8]
    member: NDArray[np.uint64]
    high: NDArray[np.uint64]
    border: NDArray[np.uint64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    lines: NDArray[np.int64]


@spliced
def new_piece(room):
    blocks = room // 64 + 2
    return Piece(
        np.empty(room + PADDING, np.uint8),
        np.empty(blocks, np.uint64),
        np.empty(blocks, np.uint64),
        np.empty(blocks, np.uint64),
        np.empty(room + 1, np.int64),
        np.empty(room + 1, np.int64),
        np.empty(room + 1, np.int64),
    )


@spliced
def copy_text(text, data, begin, length):
    """Copy a piece without reading behind the end of the data, and clear what follows it."""
    whole = length & ~7
    for at in range(0, whole, 8):
        store_word(text, at, load_word(data, begin + at))
    for at in range(whole, length):
        text[at] = data[begin + at]
    for at in range(length, length + PADDING, 8):
        store_word(text, min(at, len(text) - 8), _U0)


@spliced
def classify(piece, length, tokens):
    """Lower-case the ASCII letters, set the bits of the ASCII characters of tokens and of others.

    Return whether there are others.
    """
    text, member, high, border = piece.text, piece.member, piece.high, piece.border
    some = _U0
    blocks = (length + 63) >> 6
    for block in range(blocks):
        at = block << 6
        beyond = lower_block(text, at) if tokens.lowercase else high_bytes(text, at)
        bits = _U0
        for kind in range(len(tokens.lows)):
            bits |= bytes_between(text, at, tokens.lows[kind], tokens.spans[kind])
        member[block] = bits
        high[block] = beyond
        border[block] = _U0
        some |= beyond
    if length & 63:
        member[blocks - 1] &= (_U1 << (np.uint64(length) & _U63)) - _U1
    member[blocks] = high[blocks] = border[blocks] = _U0
    return some != _U0


@part
def clear(bits, begin, end):
    """Clear the bits of the positions ``begin .. end - 1``."""
    for at in range(begin, end):
        bits[at >> 6] &= ~(_U1 << (np.uint64(at) & _U63))


@spliced
def mark_rows(piece, begin, rows, row, stop):
    """Set the border bits where rows begin, and empty the rows that are null."""
    offsets, valid = rows.offsets, rows.valid
    for each in range(row, stop):
        at = np.uint64(max(offsets[each] - begin, 0))
        piece.border[at >> _U6] |= _U1 << (at & _U63)
        if len(valid) and not valid[each]:
            end = offsets[each + 1] - begin
            clear(piece.member, np.int64(at), end)
            clear(piece.high, np.int64(at), end)


@part
def _list_bits(bits, base, listed, total):
    """Append the positions of the bits that are set; return how many are listed now."""
    count = bit_count(bits)
    at = total
    while bits != _U0:
        listed[np.uint64(at)] = base + trailing_zeros(bits)
        bits &= bits - _U1
        at += 1
    return total + count


@spliced
def list_tokens(piece, length):
    """Fill ``starts`` and ``stops`` from the bits; return the number of tokens."""
    before = _U0
    total = stopped = np.int64(0)
    for block in range((length + 63) >> 6):
        bits = piece.member[block]
        border = piece.border[block]
        last = bits >> _U63
        behind = (bits << _U1) | before
        total = _list_bits(bits & (~behind | border), block << 6, piece.starts, total)
        stopped = _list_bits(behind & (~bits | border), block << 6, piece.stops, stopped)
        before = last
    if stopped < total:
        piece.stops[stopped] = length
    return total


@spliced
def _characters(text, start, stop):
    """Return the number of characters of a token: the bytes that do not continue one."""
    count = stop - start
    for at in range(start, stop, 8):
        word = load_word(text, at) & FIRST[np.uint64(min(stop - at, 8))]
        count -= bit_count((word >> _U7) & ~(word >> _U6) & _LOW_BITS)
    return count


@part
def select(text, starts, stops, lines, total, kept):
    """Keep the tokens that are long enough and no stop words; return how many there are."""
    keys = np.empty((GROUP, 4), np.uint64)
    left = np.int64(0)
    for begin in range(0, total, GROUP):
        end = min(begin + GROUP, total)
        hash_words(text, starts, stops, begin, end, keys)
        for token in range(begin, end):
            start, stop, line = starts[token], stops[token], lines[token]
            if _characters(text, start, stop) < kept.min_length:
                continue
            key = token - begin
            if find(kept.stop, text, keys[key, 0], keys[key, 1], keys[key, 2]) < 0:
                starts[left], stops[left], lines[left] = start, stop, line
                left += 1
    return left
