"""Records that end at line ends: where pieces of a file begin, and blocks of whole records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from motherlode.core.errors import DataError
from motherlode.data.files.compression import Stream
from motherlode.data.files.storage import Reader

BLOCK_BYTES = 2 << 20
"""Bytes read at a time; part of the plan, as the borders of batches follow from it."""
LONGEST_RECORD = 256 << 20
BOM = b"\xef\xbb\xbf"

Cut = Callable[[bytes], int]
"""Return the position after the last whole record, which begin at the start of the bytes."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records, as they stand in the file.

    Parameters
    ----------
    location : str
        The file's URL.
    offset : int
        Where the first record starts, in bytes of (decompressed) text.
    data : bytes
        The records; the last one may lack its line end at the end of the file.
    complete : bool
        False where the text ended before the last record did, by the cut's judgement.
    """

    location: str
    offset: int
    data: bytes
    complete: bool = True


def last_line_end(data: bytes) -> int:
    """Return the position after the last line end, or 0."""
    return data.rfind(b"\n") + 1


def border(reader: Reader, position: int, size: int) -> int:
    """Return where the first record starts at or after a position.

    A piece of a file owns the records that start in it, so this is where it begins, and where
    the one before it ends. Looking from one byte earlier finds a record that starts just there.
    """
    if position <= 0:
        return 0
    at = position - 1
    length = 1 << 16
    while at < size:
        data = reader.read_at(at, min(length, size - at))
        if not data:
            break
        found = data.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(data)
        length = min(length * 4, BLOCK_BYTES)
    return size


def blocks(
    stream: Stream,
    location: str,
    start: int,
    stop: int | None,
    cut: Cut = last_line_end,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Block]:
    """Yield whole records from ``start`` to ``stop``, about ``block_bytes`` at a time.

    The borders follow from ``start`` and the data alone. A record longer than a block makes the
    block grow. A byte order mark at the start of the file is left out.

    Raises
    ------
    DataError
        If a record is longer than 256 MB, or the file is UTF-16.
    """
    offset = position = start
    rest = b""
    ended = position == stop
    while not ended:
        # Doubling keeps the time linear where one record fills many blocks.
        wanted = max(block_bytes, len(rest))
        if position == 0:
            wanted = max(wanted, len(BOM))
        if stop is not None:
            wanted = min(wanted, stop - position)
        data = stream.read(wanted)
        ended = len(data) < wanted or position + len(data) == stop
        if position == 0:
            plain = _without_mark(data, location)
            offset = len(data) - len(plain)
            position, data = offset, plain
        position += len(data)
        data = rest + data if rest else data
        end = cut(data)
        if ended:
            if data:
                yield Block(location, offset, data, complete=end == len(data))
            return
        if end:
            yield Block(location, offset, data[:end] if end < len(data) else data)
            offset += end
        rest = data[end:] if end else data
        if len(rest) > LONGEST_RECORD:
            raise DataError(
                f"the record at byte {offset:,} of {location} is longer than "
                f"{LONGEST_RECORD >> 20} MB",
                "a quote may be missing its partner: try quote=None",
            )


def _without_mark(data: bytes, location: str) -> bytes:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{location} is UTF-16", "convert it to UTF-8 first")
    return data[len(BOM) :] if data.startswith(BOM) else data
