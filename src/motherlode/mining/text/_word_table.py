"""A table of words with their counts: what it holds, how it is added up, sorted and stored."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.core.errors import StateError

_ROOM = 80  # readable bytes that the kernels want behind every text
_SLICE = 1 << 20  # words in a chunk of the result


class Words(NamedTuple):
    """Words with counts: an open-addressing hash index over a dense list of entries.

    Parameters
    ----------
    slots : ndarray of uint64
        The index, a power of two.
    entries : ndarray of uint64, shape (capacity, 4)
        A row a word, in order of first occurrence; the last number is the count.
    arena : ndarray of uint8
        Bytes of the words of more than 16 bytes.
    sizes : ndarray of int64, shape (2,)
        Entries and arena bytes in use.

    Notes
    -----
    The layout of the numbers is described in ``_word_table_kernels``. A word of at most 16 bytes
    takes 32 bytes and 13 to 27 for its slot. Which words come first follows from the order in
    which they were seen; only :func:`export` is canonical.
    """

    slots: NDArray[np.uint64]
    entries: NDArray[np.uint64]
    arena: NDArray[np.uint8]
    sizes: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Counts of the entries in use, as a view; zero where all were taken away again."""
        return self.entries[: self.sizes[0], 3].view(np.int64)


def empty() -> Words:
    """Return a table without words."""
    return Words(
        np.zeros(16, np.uint64),
        np.empty((8, 4), np.uint64),
        np.empty(_ROOM, np.uint8),
        np.zeros(2, np.int64),
    )


def padded(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy of a text with readable bytes behind its end."""
    text = np.zeros(len(data) + _ROOM, np.uint8)
    text[: len(data)] = data
    return text


def buffers(array: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of an Arrow string array and its ``len(array) + 1`` offsets into them.

    The offsets need not start at 0. Slots of nulls may span any bytes.
    """
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        array = array.cast(pa.large_string())
    kind = np.int32 if pa.types.is_string(array.type) else np.int64
    _, offsets, data = array.buffers()
    text = np.frombuffer(b"" if data is None else data, np.uint8)
    text.flags.writeable = False  # kernels are compiled anew for an array that may be written to
    if offsets is None or len(array) == 0:
        return text, np.zeros(1, np.int64)
    first = array.offset * np.dtype(kind).itemsize
    return text, np.frombuffer(offsets, kind, len(array) + 1, first).astype(np.int64)


def of(words: pa.Array, counts: NDArray[np.int64]) -> Words:
    """Return the table of the given words and counts."""
    from motherlode.mining.text._word_table_kernels import add_words

    data, bounds = buffers(words)
    first, last = int(bounds[0]), int(bounds[-1])
    text = padded(data[first:last])
    bounds -= first
    counts = np.array(counts, np.int64)
    return add_words(empty(), text, bounds[:-1], bounds[1:], len(words), counts)


def merge(left: Words, right: Words) -> Words:
    """Add the counts of ``right`` into ``left``."""
    from motherlode.mining.text._word_table_kernels import add_table

    return add_table(left, right)


def subtract(whole: Words, part: Words) -> Words:
    """Take the counts of ``part`` out of ``whole``; it is built anew when half of it is empty.

    Raises
    ------
    StateError
        If ``part`` has more of a word than ``whole``; ``whole`` is then as it was.
    """
    from motherlode.mining.text._word_table_kernels import add_table, locate

    used = part.counts != 0
    places = locate(whole, part)[used]
    if len(places) and (places.min() < 0 or (whole.counts[places] < part.counts[used]).any()):
        raise StateError(
            "the part to be taken away holds words that the whole does not",
            "only rows that were counted before can be taken away again",
        )
    whole.counts[places] -= part.counts[used]
    if 2 * np.count_nonzero(whole.counts) >= len(whole.counts):
        return whole
    return add_table(empty(), whole)


def listed(words: Words, entries: NDArray[np.int64]) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return some entries' words, sorted by their bytes, and their counts.

    Parameters
    ----------
    words : Words
    entries : ndarray of int64
        Numbers of the entries.

    Returns
    -------
    words : pyarrow.LargeStringArray
    counts : ndarray of int64
    """
    from motherlode.mining.text._word_order_kernels import settle_ties, write_words

    leading = words.entries[entries, 0].byteswap()
    rank = np.argsort(leading)
    order = entries[rank]
    settle_ties(words, leading[rank], order)
    offsets, text = write_words(words, order)
    array = pa.LargeStringArray.from_buffers(
        len(order), pa.py_buffer(offsets), pa.py_buffer(text[: offsets[-1]])
    )
    return array, words.counts[order]


def export(words: Words) -> dict[str, Any]:
    """Return the words with a count other than zero, sorted by their bytes, and the counts."""
    array, counts = listed(words, np.flatnonzero(words.counts))
    return {"words": array, "counts": counts}


def ranked(words: Words, top: int | None, least: int) -> pa.Table:
    """Return the words with at least so many occurrences, the most frequent first.

    Parameters
    ----------
    words : Words
    top : int or None
        How many words at most.
    least : int
        Least count.

    Returns
    -------
    pyarrow.Table
        With ``word`` (string) and ``count`` (int64); equal counts in the order of the words.
    """
    counts = words.counts
    if top is not None and top < len(counts):
        least = max(least, int(np.partition(counts, len(counts) - top)[len(counts) - top]))
    array, counts = listed(words, np.flatnonzero(counts >= least))
    order = np.argsort(-counts, kind="stable")[:top]
    array = array.take(pa.array(order))
    parts = [array.slice(start, _SLICE).cast(pa.string()) for start in range(0, len(array), _SLICE)]
    return pa.table({"word": pa.chunked_array(parts, pa.string()), "count": counts[order]})
