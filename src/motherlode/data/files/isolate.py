"""Isolating unreadable records: halve a block that a parser refuses until they stand alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.data.files.records import Block
from motherlode.data.quarantine import Quarantine


class Unreadable(Exception):
    """What a parser raises for records that it cannot read; the text is the reason."""


Parse = Callable[[bytes, int], pa.RecordBatch]
"""Return the rows of so many records, or raise :class:`Unreadable`."""


def isolate(
    block: Block,
    ends: NDArray[np.int64],
    parse: Parse,
    quarantine: Quarantine,
    blank: bytes = b"\r\n",
) -> pa.RecordBatch | None:
    """Return the readable rows of a block, and put the records that are not into the quarantine.

    The parser that reads whole blocks decides on each record too, so a record is unreadable here
    exactly when it would make a block so. It is called ``O(k log n)`` times for ``k`` bad records.

    Parameters
    ----------
    block : Block
        Its records.
    ends : ndarray of int64
        Position after each record.
    parse : callable
        Reads records.
    quarantine : Quarantine
        Gets the unreadable ones.
    blank : bytes
        What a record may hold that is none.

    Returns
    -------
    pyarrow.RecordBatch or None
        None where no record is readable.
    """
    starts = np.concatenate(([0], ends[:-1]))
    spans = zip(starts.tolist(), ends.tolist(), strict=True)
    filled = np.flatnonzero([bool(block.data[start:end].strip(blank)) for start, end in spans])
    found: list[pa.RecordBatch] = []

    def visit(first: int, last: int) -> None:
        start, stop = int(starts[filled[first]]), int(ends[filled[last - 1]])
        data = block.data[start:stop]
        try:
            found.append(parse(data, last - first))
        except Unreadable as error:
            if last - first == 1:
                raw = data.rstrip(b"\r\n")
                quarantine.add(block.location, block.offset + start, str(error), raw)
                return
            middle = (first + last) // 2
            visit(first, middle)
            visit(middle, last)

    if len(filled):
        visit(0, len(filled))
    return joined(found)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
    """Return record batches of one schema as one."""
    if len(batches) < 2:
        return batches[0] if batches else None
    return pa.concat_batches(batches)
