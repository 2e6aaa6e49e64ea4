"""Kernels that count the tokens, or n-grams of tokens, of the rows of a column."""

# mypy: ignore-errors
# Numba infers and checks the types of kernels; what is called from outside is annotated.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motherlode.mining.text._block_kernels import (
    PADDING,
    kernel,
    spliced,
)
from motherlode.mining.text._character_kernels import has_special, settle_characters
from motherlode.mining.text._token_class import Kept, Tokens
from motherlode.mining.text._tokenize_kernels import (
    classify,
    copy_text,
    list_tokens,
    mark_rows,
    new_piece,
    select,
)
from motherlode.mining.text._word_table import Words
from motherlode.mining.text._word_table_kernels import add_words, copy_bytes

PIECE = 16384
_SPACE = np.uint8(32)


class Rows(NamedTuple):
    """The rows of a column of strings.

    Parameters
    ----------
    data : ndarray of uint8
        Their bytes.
    offsets : ndarray of int64, shape (n_rows + 1,)
        Where each begins and the last ends.
    valid : ndarray of bool
        Which of them are not null; empty where all are.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    valid: NDArray[np.bool_]


@spliced
def _join(text, starts, stops, total):
    """Return the tokens with one space between them, and where each begins and ends there."""
    size = total + PADDING
    for token in range(total):
        size += stops[token] - starts[token]
    joined = np.empty(size, np.uint8)
    begins = np.empty(total, np.int64)
    ends = np.empty(total, np.int64)
    at = np.int64(0)
    for token in range(total):
        length = stops[token] - starts[token]
        copy_bytes(joined, at, text, starts[token], length)
        begins[token] = at
        at += length
        ends[token] = at
        joined[at] = _SPACE
        at += 1
    return joined, begins, ends


@spliced
def _add_grams(words, text, starts, stops, lines, total, kept, seen):
    """Count tokens, or the n-grams within rows, but none that ends among the first ``seen``."""
    source, left, right, grams = text, starts, stops, total
    if kept.high > 1:
        source, begins, ends = _join(text, starts, stops, total)
        left = np.empty(total, np.int64)
        right = np.empty(total, np.int64)
    for size in range(kept.low, kept.high + 1):
        if kept.high > 1:
            grams = np.int64(0)
            for last in range(max(size - 1, seen), total):
                first = last - size + 1
                if lines[first] == lines[last]:
                    left[grams], right[grams] = begins[first], ends[last]
                    grams += 1
        words = add_words(words, source, left, right, grams, np.empty(0, np.int64))
    return words


@kernel
def count_found(
    words: Words,
    text: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    lines: NDArray[np.int64],
    kept: Kept,
) -> Words:
    """Count tokens that were found elsewhere; the arrays that say where may be changed."""
    total = select(text, starts, stops, lines, len(starts), kept)
    return _add_grams(words, text, starts, stops, lines, total, kept, np.int64(0))


@spliced
def _number_lines(piece, begin, offsets, row, total):
    """Set of which row each token is."""
    for token in range(total):
        while offsets[row + 1] - begin <= piece.starts[token]:
            row += 1
        piece.lines[token] = row


@spliced
def _find_tokens(piece, rows, tokens, begin, end, row, stop, slow):
    """List the tokens of the bytes ``begin .. end - 1``, which are of the rows up to ``stop``."""
    length = end - begin
    copy_text(piece.text, rows.data, begin, length)
    beyond = classify(piece, length, tokens)
    mark_rows(piece, begin, rows, row, stop)
    if beyond:
        settle_characters(piece, length, begin, tokens, rows.offsets, row, stop, slow)
    return list_tokens(piece, length)


@spliced
def _fitting(offsets, begin, room, row):
    """Return the first row that does not end within a piece that begins at ``begin``."""
    rows = len(offsets) - 1
    while row < rows and offsets[row + 1] - begin <= room:
        row += 1
    return row


@spliced
def _cut(data, begin, end):
    """Return where to cut a long row, at ``end`` or before the character that is cut there."""
    for cut in range(end, max(end - 4, begin), -1):
        if data[cut] & 0xC0 != 0x80:
            return cut
    return end


@kernel
def count_rows(
    words: Words, rows: Rows, tokens: Tokens, kept: Kept | None
) -> tuple[Words, NDArray[np.bool_]]:
    """Count the tokens of all rows.

    Without ``kept``, every token is counted by itself, and what is needed for choosing and joining
    tokens is not compiled.

    Returns
    -------
    words : Words
        The table with the counts added.
    slow : ndarray of bool, shape (n_rows,)
        Rows that were not counted: they have to be lower-cased as a whole.
    """
    offsets = rows.offsets
    slow = np.zeros(len(offsets) - 1, np.bool_)
    room = min(PIECE, offsets[-1] - offsets[0])
    piece = new_piece(room)
    row, begin, seen = np.int64(0), offsets[0], np.int64(0)
    while row < len(slow):
        stop = _fitting(offsets, begin, room, row)
        long = stop == row
        if long and begin == offsets[row]:
            null = len(rows.valid) > 0 and not rows.valid[row]
            slow[row] = (
                not null
                and tokens.lowercase
                and len(tokens.rules) > 0
                and has_special(rows.data, begin, offsets[row + 1], tokens.rules)
            )
            if null or slow[row]:
                row += 1
                begin = offsets[row]
                continue
        end = _cut(rows.data, begin, begin + room) if long else offsets[stop]
        total = _find_tokens(piece, rows, tokens, begin, end, row, max(stop, row + 1), slow)
        after = end
        if long and total and piece.stops[total - 1] == end - begin:
            total -= 1  # it may go on in the next piece
            after = begin + piece.starts[total]
        text, starts, stops, lines = piece.text, piece.starts, piece.stops, piece.lines
        if kept is None:
            words = add_words(words, text, starts, stops, total, np.empty(0, np.int64))
        else:
            _number_lines(piece, begin, offsets, row, total)
            if kept.min_length > 1 or kept.stop.sizes[0] > 0:
                total = select(text, starts, stops, lines, total, kept)
            words = _add_grams(words, text, starts, stops, lines, total, kept, seen)
            seen = min(total, kept.high - 1) if long else np.int64(0)
            if seen:  # n-grams reach back to the last tokens of this piece
                after = begin + starts[total - seen]
        if after == begin and long:
            room *= 2
            piece = new_piece(room)
        row, begin = stop, after
    return words, slow
