"""Spilled rows: files of sorted or unsorted runs, one part for each partition, read in order."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from motherlode.core.errors import DataError

BLOCK_ROWS = 16_384
"""Rows in one block of a run; merging holds one block of every run."""


class Segment(NamedTuple):
    """The rows of one partition within one run.

    Parameters
    ----------
    partition : int
        The partition.
    order : tuple of (int, int)
        Split and run within it: segments of a partition are read in this order.
    path : str
        The file.
    start, stop : int
        Byte range within the file: one Arrow stream.
    rows : int
        Number of rows.
    """

    partition: int
    order: tuple[int, int]
    path: str
    start: int
    stop: int
    rows: int


def write_run(
    folder: str, name: str, order: tuple[int, int], parts: Sequence[tuple[int, pa.Table]]
) -> list[Segment]:
    """Write one run: tables by partition, one after the other, into one new file.

    The file appears under its name only when it is whole, so that a second attempt at the same
    split replaces it by the same rows.
    """
    Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    path = os.path.join(folder, name)
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    segments = []
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    try:
        with pa.OSFile(temporary, "wb") as file:
            for partition, table in parts:
                start = file.tell()
                with pa.ipc.new_stream(file, table.schema, options=options) as stream:
                    stream.write_table(table, max_chunksize=BLOCK_ROWS)
                segments.append(Segment(partition, order, path, start, file.tell(), table.num_rows))
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise DataError(
            f"cannot write rows to {folder}: {error.strerror or error}",
            "give another folder with MOTHERLODE_SCRATCH, on a disk with more room",
        ) from error
    return segments


def read_segment(segment: Segment) -> Iterator[pa.RecordBatch]:
    """Yield the blocks of a segment."""
    try:
        with pa.OSFile(segment.path, "rb") as file:
            file.seek(segment.start)
            with pa.ipc.open_stream(file) as stream:
                yield from stream
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"spilled rows in {segment.path} cannot be read: {error}") from error


def rechunk(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of a fixed number of rows, so that borders follow from it."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(held, schema=schema)
            yield _one(table.slice(0, rows))
            rest = table.slice(rows)
            held, count = rest.to_batches(), rest.num_rows
    if count:
        yield _one(pa.Table.from_batches(held, schema=schema))


def _one(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


def merge_sorted(
    runs: Sequence[Iterator[pl.DataFrame]], by: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """Merge runs that are sorted by columns (nulls last) into one sorted sequence of frames.

    Rows with equal keys come in the order of the runs, and within a run as they stand. One block
    of every run is held at a time, however many rows share a key.
    """
    heads = [_Head(run, by) for run in runs]
    live = [head for head in heads if head.fill()]
    while live:
        bound = min((head.last for head in live), key=_Ordered)
        taken = [head.below(bound) for head in live]
        taken = [frame for frame in taken if frame.height]
        if taken:
            merged = pl.concat(taken)
            yield merged.sort(by, nulls_last=True, maintain_order=True) if taken[1:] else merged
        else:
            # Every head starts at the bound or beyond: pass on the rows of this one key, run by
            # run, so that their order is the runs' and a key larger than memory streams through.
            for head in live:
                yield from head.while_equal(bound)
        live = [head for head in live if head.fill()]


class _Head:
    """The block at the front of a run."""

    def __init__(self, run: Iterator[pl.DataFrame], by: Sequence[str]) -> None:
        self.run = run
        self.by = list(by)
        self.block: pl.DataFrame | None = None

    def fill(self) -> bool:
        """Make sure that there is a block with rows; False at the end of the run."""
        while self.block is None or not self.block.height:
            self.block = next(self.run, None)
            if self.block is None:
                return False
        return True

    @property
    def last(self) -> tuple[object, ...]:
        assert self.block is not None
        return self.block.select(self.by).row(-1)

    def below(self, bound: tuple[object, ...]) -> pl.DataFrame:
        """Take the rows before the bound."""
        return self._take(self._rank(bound, or_equal=False))

    def while_equal(self, bound: tuple[object, ...]) -> Iterator[pl.DataFrame]:
        """Take the rows at the bound, from as many blocks as hold them."""
        while self.fill():
            frame = self._take(self._rank(bound, or_equal=True))
            if frame.height:
                yield frame
            if self.block is not None and self.block.height:
                return

    def _take(self, count: int) -> pl.DataFrame:
        assert self.block is not None
        frame, self.block = self.block.head(count), self.block.slice(count)
        return frame

    def _rank(self, bound: tuple[object, ...], *, or_equal: bool) -> int:
        """Return how many rows of the block come before the bound (or are equal to it)."""
        assert self.block is not None
        low, high = 0, self.block.height
        keys = self.block.select(self.by)
        limit = _Ordered(bound)
        while low < high:
            middle = (low + high) // 2
            key = _Ordered(keys.row(middle))
            before = not limit < key if or_equal else key < limit
            low, high = (middle + 1, high) if before else (low, middle)
        return low


class _Ordered:
    """A row of keys in Polars' order: null after everything, NaN after every number."""

    __slots__ = ("key",)

    def __init__(self, row: Sequence[object]) -> None:
        self.key = tuple(
            (2, 0) if value is None else (1, 0) if value != value else (0, value) for value in row
        )

    def __lt__(self, other: _Ordered) -> bool:
        return self.key < other.key
