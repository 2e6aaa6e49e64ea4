"""Samples: some whole records from all over a set of files, to tell columns and types by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from motherlode.data.files.compression import PlainStream, RangeStream, Stream
from motherlode.data.files.records import Block, Cut, blocks, last_line_end
from motherlode.data.files.storage import File, Reader, Storage, translated

WHOLE_BYTES = 8 << 20
HEAD_BYTES = 1 << 20
PIECE_BYTES = 1 << 18
FILES = 8

Borders = Callable[[Reader, Sequence[int]], list[int]]
"""Return where the first record starts at or after each of the ascending positions."""


def sampled(count: int) -> list[int]:
    """Return which of so many files are looked at: all, or some spread evenly."""
    if count <= FILES:
        return list(range(count))
    return sorted({round(n * (count - 1) / (FILES - 1)) for n in range(FILES)})


def sample(
    file: File,
    storage: Storage,
    compression: str,
    start: int,
    find_borders: Borders,
    cut: Cut = last_line_end,
    whole_bytes: int = WHOLE_BYTES,
) -> Iterator[Block]:
    """Yield whole records of a file: its beginning, some of its middle, and its end.

    Parameters
    ----------
    file : File
        The file.
    storage : Storage
        Where it is.
    compression : str
        How it is compressed; then only the beginning is looked at.
    start : int
        Where the first record starts.
    find_borders : callable
        Tells where records start near the positions looked at.
    cut : callable
        Tells where the last whole record of some bytes ends.
    whole_bytes : int
        Up to this size a file is looked at entirely, or so much of a compressed one.
    """
    with translated(file.location, planning=True), storage.open(file.location) as reader:
        if compression:
            stream: Stream = PlainStream(reader, compression, file.location)
            stream.read(start)
            yield from _first(stream, file, start, None, whole_bytes, cut)
            return
        middles = positions(file, start, whole_bytes)
        lengths = [HEAD_BYTES if middles else whole_bytes] + [PIECE_BYTES] * len(middles)
        begins = [start, *find_borders(reader, middles)]
        for position, length in zip(begins, lengths, strict=True):
            stream = RangeStream(reader, position)
            yield from _first(stream, file, position, file.size, length, cut)


def positions(file: File, start: int, whole_bytes: int = WHOLE_BYTES) -> list[int]:
    """Return where a file whose records begin at ``start`` is looked at, beside its beginning."""
    if file.size - start <= whole_bytes:
        return []
    quarters = [start + (file.size - start) * n // 4 for n in (1, 2, 3)]
    return [*quarters, file.size - PIECE_BYTES]


def _first(
    stream: Stream, file: File, start: int, stop: int | None, length: int, cut: Cut
) -> Iterator[Block]:
    """Yield the first block only, of about a length."""
    yield from islice(blocks(stream, file.location, start, stop, cut, length), 1)
