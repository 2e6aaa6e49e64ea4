"""Spilled rows: files of sorted or unsorted runs, one part for each partition, and their source."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from motherlode.algebra.keys import Keys
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import DataError
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request, Source, Split

BLOCK_ROWS = 16_384
BLOCK_BYTES = 1 << 20
"""Rows, and bytes, in one block of a run, whichever is less; at least one row."""
SORTED_BYTES = 64 << 20
"""A partition of no more bytes is sorted at once; a larger one is merged block by block."""
FAN_IN = 64
"""Runs merged at a time; more are first merged into fewer, longer ones."""


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
    nbytes : int
        Bytes that they take in memory.
    """

    partition: int
    order: tuple[int, int]
    path: str
    start: int
    stop: int
    rows: int
    nbytes: int


def block_rows(rows: int, nbytes: int) -> int:
    """Return how many rows of this mean size make a block."""
    return max(1, min(BLOCK_ROWS, rows * BLOCK_BYTES // max(nbytes, 1)))


def make_folder(folder: str) -> None:
    """Make a folder for spilled rows, for this user alone, if it is not there.

    Raises
    ------
    DataError
        If it cannot be made.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: str, error: OSError) -> DataError:
    return DataError(
        f"cannot write rows to {folder}: {error.strerror or error}",
        "give another folder with scratch= or MOTHERLODE_SCRATCH, on a disk with more room",
    )


def write_run(
    folder: str, name: str, order: tuple[int, int], parts: Iterable[tuple[int, pa.Table]]
) -> list[Segment]:
    """Write one run: tables by partition, one after the other, into one new file.

    Every call makes a file of its own: two attempts at one split may write other bytes (a
    mapper's output may depend on chance), and what the one told must not be found in the other's.
    """
    make_folder(folder)
    path = os.path.join(folder, f"{name}-{uuid.uuid4().hex[:12]}.arrows")
    segments = []
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    try:
        with pa.OSFile(path, "wb") as file:
            for partition, table in parts:
                start, rows, nbytes = file.tell(), table.num_rows, table.nbytes
                with pa.ipc.new_stream(file, table.schema, options=options) as stream:
                    stream.write_table(table, max_chunksize=block_rows(rows, nbytes))
                segments.append(Segment(partition, order, path, start, file.tell(), rows, nbytes))
    except BaseException as error:
        with suppress(OSError):
            Path(path).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(folder, error) from error
        raise
    return segments


def read_segment(segment: Segment) -> Iterator[pa.RecordBatch]:
    """Yield the blocks of a segment."""
    try:
        with pa.OSFile(segment.path, "rb") as file:
            file.seek(segment.start)
            with pa.ipc.open_stream(file) as stream:
                yield from stream
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"spilled rows in {segment.path} cannot be read: {error}",
            "other workers need a folder that they can reach: give scratch= or MOTHERLODE_SCRATCH",
        ) from error


class ShuffledSource(Source):
    """The spilled rows by partition.

    Parameters
    ----------
    segments : sequence of Segment
        What was written.
    schema : pyarrow.Schema
        Its columns.
    by : tuple of str
        Key columns.
    partitions : int
        Number of partitions.
    sort : bool
        Whether each segment is sorted by key, and each partition is to be.
    folder : str
        Where the segments are, and where runs are merged.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        schema: pa.Schema,
        by: tuple[str, ...],
        partitions: int,
        sort: bool,
        folder: str,
    ) -> None:
        self.segments = sorted(segments)
        self.columns_ = schema
        self.by = by
        self.partitions = partitions
        self.sort = sort
        self.folder = folder

    @property
    def schema(self) -> Schema:
        return Schema(self.columns_)

    @cached_property
    def splits(self) -> Sequence[Split]:
        rows, size = [0] * self.partitions, [0] * self.partitions
        for segment in self.segments:
            rows[segment.partition] += segment.rows
            size[segment.partition] += segment.nbytes
        return [
            Split(n, self.folder, n, n + 1, "whole", rows=rows[n], nbytes=size[n])
            for n in range(self.partitions)
        ]

    @cached_property
    def _bounds(self) -> list[int]:
        """Place of each partition's first segment."""
        partitions = [segment.partition for segment in self.segments]
        return np.searchsorted(partitions, np.arange(self.partitions + 1)).tolist()  # type: ignore[no-any-return]

    def read(self, split: Split, request: Request, quarantine: Quarantine) -> Iterator[Batch]:
        first, last = self._bounds[split.number : split.number + 2]
        mine = self.segments[first:last]
        nbytes = sum(segment.nbytes for segment in mine)
        rows = block_rows(sum(segment.rows for segment in mine), nbytes)
        start = 0
        with ExitStack() as temporary:
            if not self.sort or len(mine) < 2:
                blocks = in_order(mine)
            elif nbytes <= SORTED_BYTES:
                blocks = self._sorted(mine)
            else:
                blocks = self._merged(mine, temporary)
            for columns in rechunk(blocks, self.columns_, rows):
                if request.columns is not None:
                    columns = columns.select(list(request.columns))
                yield Batch(columns, split=split.number, start=start)
                start += columns.num_rows

    @cached_property
    def _keys(self) -> Keys:
        return Keys.of(self.schema, self.by, "shuffle")

    def _sorted(self, segments: Sequence[Segment]) -> Iterator[pa.RecordBatch]:
        blocks = list(in_order(segments))
        yield from together(blocks, sort_order([self._keys.frame(Batch(b)) for b in blocks]))

    def _merged(
        self, segments: Sequence[Segment], temporary: ExitStack
    ) -> Iterator[pa.RecordBatch]:
        """Merge runs; longer ones made on the way are removed with ``temporary``."""
        while len(segments) > FAN_IN:
            longer = []
            for first in range(0, len(segments), FAN_IN):
                some = segments[first : first + FAN_IN]
                blocks = self._merge(some)
                segment = _write_blocks(self.folder, some, blocks, self.columns_)
                temporary.callback(Path(segment.path).unlink, missing_ok=True)
                longer.append(segment)
            segments = longer
        return self._merge(segments)

    def _merge(self, segments: Sequence[Segment]) -> Iterator[pa.RecordBatch]:
        runs = [read_segment(segment) for segment in segments]
        return merge_sorted(runs, lambda block: self._keys.frame(Batch(block)))


def _write_blocks(
    folder: str, merged: Sequence[Segment], blocks: Iterator[pa.RecordBatch], schema: pa.Schema
) -> Segment:
    """Write a run that is merged of others, block after block."""
    path = os.path.join(folder, f"merged-{uuid.uuid4().hex}.arrows")
    rows, nbytes = sum(s.rows for s in merged), sum(s.nbytes for s in merged)
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    try:
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, schema, options=options) as out:
            for block in rechunk(blocks, schema, block_rows(rows, nbytes)):
                out.write_batch(block)
    except OSError as error:
        Path(path).unlink(missing_ok=True)
        raise _unwritable(folder, error) from error
    first = merged[0]
    stop = os.path.getsize(path)
    return Segment(first.partition, first.order, path, 0, stop, rows, nbytes)


def in_order(segments: Sequence[Segment]) -> Iterator[pa.RecordBatch]:
    """Yield the blocks of one segment after another."""
    for segment in segments:
        yield from read_segment(segment)


def rechunk(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of a fixed number of rows, so that borders follow from it."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= rows:
            table = pa.Table.from_batches(held, schema=schema)
            whole = count - count % rows
            for start in range(0, whole, rows):
                yield _one(table.slice(start, rows))
            rest = table.slice(whole)
            held, count = rest.to_batches(), rest.num_rows
    if count:
        yield _one(pa.Table.from_batches(held, schema=schema))


def _one(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    return batches[0] if len(batches) == 1 else table.combine_chunks().to_batches()[0]


def sort_order(keys: Sequence[pl.DataFrame]) -> pa.Array:
    """Return the places of the rows of key frames, put one under another, in order of the key."""
    frame = pl.concat(keys) if len(keys) > 1 else keys[0]
    order = frame.select(
        pl.arg_sort_by(frame.columns, nulls_last=True, maintain_order=True)
    ).to_series()
    return order.to_arrow()


def together(blocks: Sequence[pa.RecordBatch], order: pa.Array) -> Iterator[pa.RecordBatch]:
    """Yield the rows of blocks, put one under another, in this order."""
    table = pa.Table.from_batches(blocks)
    yield from table.unify_dictionaries().combine_chunks().take(order).to_batches()


def merge_sorted(
    runs: Sequence[Iterator[pa.RecordBatch]], keys_of: Callable[[pa.RecordBatch], pl.DataFrame]
) -> Iterator[pa.RecordBatch]:
    """Merge runs that are sorted by key (nulls last) into one sorted sequence of blocks.

    Rows with equal keys come in the order of the runs, and within a run as they stand. One block
    of every run is held at a time, however many rows share a key.

    Parameters
    ----------
    runs : sequence of iterators of RecordBatch
        Each sorted.
    keys_of : callable
        Returns the key frame of a block.
    """
    with ExitStack() as stack:
        for run in runs:
            if hasattr(run, "close"):
                stack.enter_context(closing(run))  # type: ignore[type-var]
        live = [head for head in (_Head(run, keys_of) for run in runs) if head.fill()]
        while live:
            # The block that ends first can be passed on whole. Where others hold its last key
            # too, those of earlier runs come before it, as a whole, and those of later runs
            # after all that its own run may still hold: so a key larger than memory streams.
            first = min(range(len(live)), key=lambda n: live[n].last)  # of equals the earliest
            bound = live[first].last
            taken = [head.take(bound, or_equal=n <= first) for n, head in enumerate(live)]
            taken = [(keys, rows) for keys, rows in taken if rows.num_rows]
            if len(taken) == 1:
                yield taken[0][1]
            else:
                yield from together([r for _, r in taken], sort_order([k for k, _ in taken]))
            live = [head for head in live if head.fill()]


class _Head:
    """The block at the front of a run."""

    keys: pl.DataFrame
    rows: pa.RecordBatch
    last: _Ordered

    def __init__(
        self,
        run: Iterator[pa.RecordBatch],
        keys_of: Callable[[pa.RecordBatch], pl.DataFrame],
    ) -> None:
        self.run = run
        self.keys_of = keys_of
        self.left = 0

    def fill(self) -> bool:
        """Make sure that there is a block with rows; False at the end of the run."""
        while not self.left:
            rows = next(self.run, None)
            if rows is None:
                return False
            if rows.num_rows:
                self.rows, self.keys, self.left = rows, self.keys_of(rows), rows.num_rows
                self.last = _Ordered(self.keys.row(-1))
        return True

    def take(self, bound: _Ordered, *, or_equal: bool) -> tuple[pl.DataFrame, pa.RecordBatch]:
        """Take the rows before the bound, and those at it."""
        count = self._rank(bound, or_equal)
        taken = self.keys.head(count), self.rows.slice(0, count)
        self.keys, self.rows = self.keys.slice(count), self.rows.slice(count)
        self.left -= count
        return taken

    def _rank(self, bound: _Ordered, or_equal: bool) -> int:
        def before(key: _Ordered) -> bool:
            return not bound < key if or_equal else key < bound

        if before(self.last):
            return self.left
        low, high = 0, self.left - 1
        while low < high:
            middle = (low + high) // 2
            if before(_Ordered(self.keys.row(middle))):
                low = middle + 1
            else:
                high = middle
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
