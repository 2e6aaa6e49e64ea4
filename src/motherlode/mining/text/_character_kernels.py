"""Kernels that look at the characters beyond ASCII, one by one, by a table of all of Unicode.

Bytes that are not UTF-8 belong to no token. (Arrow's strings are UTF-8, but not every reader
makes sure of it.)
"""

# mypy: ignore-errors
# Numba infers and checks the types of kernels; what is called from outside is annotated.

from __future__ import annotations

import numpy as np

from motherlode.mining.text._block_kernels import (
    load_word,
    part,
    spliced,
    trailing_zeros,
)
from motherlode.mining.text._token_class import SPECIAL, TOKEN
from motherlode.mining.text._tokenize_kernels import clear

_U0 = np.uint64(0)
_U1 = np.uint64(1)
_U6 = np.uint64(6)
_U7 = np.uint64(7)
_U8 = np.uint64(8)
_U12 = np.uint64(12)
_U15 = np.uint64(15)
_U16 = np.uint64(16)
_U18 = np.uint64(18)
_U24 = np.uint64(24)
_U31 = np.uint64(31)
_U63 = np.uint64(63)
_U64 = np.uint64(64)
# The first bytes of a character of 2, 3 and 4 bytes: which bits are fixed, and how.
_MASK2, _FORM2 = np.uint64(0xC0E0), np.uint64(0x80C0)
_MASK3, _FORM3 = np.uint64(0xC0C0F0), np.uint64(0x8080E0)
_MASK4, _FORM4 = np.uint64(0xC0C0C0F8), np.uint64(0x808080F0)
_POINT = (1 << 21) - 1
_HIGH_BITS = np.uint64(0x8080808080808080)


@part
def _decode(word):
    """Return the code point that 8 bytes begin with and its bytes; -1 and 1 where there is none."""
    point, size = np.int64(-1), np.int64(1)
    if word & _MASK2 == _FORM2:
        size = 2
        point = np.int64((word & _U31) << _U6 | (word >> _U8) & _U63)
        least = 0x80
    elif word & _MASK3 == _FORM3:
        size = 3
        point = np.int64(
            (word & _U15) << _U12 | ((word >> _U8) & _U63) << _U6 | (word >> _U16) & _U63
        )
        least = 0x800
    elif word & _MASK4 == _FORM4:
        size = 4
        upper = (word & _U7) << _U18 | ((word >> _U8) & _U63) << _U12
        point = np.int64(upper | ((word >> _U16) & _U63) << _U6 | (word >> _U24) & _U63)
        least = 0x10000
    else:
        least = 0
    if point < least or point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
        point, size = np.int64(-1), np.int64(1)
    return point, size


@spliced
def _encode(text, at, point, size):
    """Write a character of so many bytes."""
    for step in range(size - 1, 0, -1):
        text[at + step] = np.uint8(0x80 | (point & 0x3F))
        point >>= 6
    text[at] = np.uint8((0xF00 >> size) & 0xFF | point)


@spliced
def _row_of(offsets, position, row, stop):
    """Return which of the rows ``row .. stop - 1`` holds a position; there is one."""
    while stop - row > 1:
        middle = (row + stop) >> 1
        if offsets[middle] <= position:
            row = middle
        else:
            stop = middle
    return row


@part
def settle_characters(piece, length, begin, tokens, offsets, row, stop, slow):
    """Lower-case the characters beyond ASCII and set the bits of those that belong to tokens.

    Rows with a character that changes the length of the text or depends on its neighbours are
    emptied and marked in ``slow``.
    """
    text, member, high, border = piece.text, piece.member, piece.high, piece.border
    done = np.int64(0)
    for block in range((length + 63) >> 6):
        left = high[block]
        found = member[block]
        inside = ~border[block]
        while left != _U0:
            place = np.uint64(trailing_zeros(left))
            at = (block << 6) + np.int64(place)
            point, size = _decode(load_word(text, at))
            here = ((_U1 << np.uint64(size)) - _U1) << place
            there = _U0
            if place + np.uint64(size) > _U64:
                there = (_U1 << (place + np.uint64(size) - _U64)) - _U1
            if here & (here << _U1) & ~inside | border[block + 1] & there:
                point, here, there = np.int64(-1), _U1 << place, _U0
            left &= ~here
            if there:
                high[block + 1] &= ~there
            if point < 0 or at < done:
                continue
            rule = np.int64(tokens.rules[np.uint64(point)])
            if rule & SPECIAL:
                each = _row_of(offsets, begin + at, row, stop)
                slow[each] = True
                done = offsets[each + 1] - begin
                member[block] = found
                clear(member, max(offsets[each] - begin, 0), done)
                found = member[block]
                continue
            if rule & _POINT != point:
                _encode(text, at, rule & _POINT, size)
            if rule & TOKEN:
                found |= here
                member[block + 1] |= there
        member[block] = found


@spliced
def _word_at(data, at, end):
    """Return the 8 bytes at a position, zero from ``end`` on."""
    if at + 8 <= end:
        return load_word(data, at)
    word = _U0
    for step in range(end - at):
        word |= np.uint64(data[at + step]) << np.uint64(8 * step)
    return word


@part
def has_special(data, begin, end, rules):
    """Tell whether a long row has a character that needs the whole row to be lower-cased."""
    at = begin
    while at < end:
        if at + 8 <= end and load_word(data, at) & _HIGH_BITS == _U0:
            at += 8
            continue
        size = 1
        if data[at] >= 0x80:
            point, size = _decode(_word_at(data, at, end))
            if point >= 0 and rules[point] & SPECIAL:
                return True
        at += size
    return False
