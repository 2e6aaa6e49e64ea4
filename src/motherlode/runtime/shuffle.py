"""The shuffle: a dataset cut anew, so that rows that belong together are in one split.

The map side is a summary like any other: its state is the list of the runs it wrote, so every
engine can carry it, and the driver, which counts no split twice, forgets what a failed or second
attempt wrote. The other side is a source whose splits are the partitions.
"""

from __future__ import annotations

import copy
import itertools
import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra.hashing import hash_rows
from motherlode.algebra.keys import Keys
from motherlode.algebra.summary import Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import ParameterError, UsageError
from motherlode.data import Dataset, dataset
from motherlode.runtime.engine import Engine
from motherlode.runtime.run import run
from motherlode.runtime.spill import (
    Segment,
    ShuffledSource,
    make_folder,
    sort_order,
    together,
    write_run,
)

How = Literal["hash", "range", "round_robin", "weighted"]

PARTITION_BYTES = 64 << 20
"""A partition holds about this many bytes of the source."""
RUN_BYTES = 32 << 20
"""Rows of a split are sorted and written out when they hold this many bytes."""
SAMPLE = 128
"""Keys sampled a partition to find the bounds of ranges."""
_ROW = "__row"


def shuffle(
    data: Any,
    by: str | Sequence[str] = (),
    *,
    how: How = "hash",
    partitions: int | None = None,
    weights: Sequence[float] = (),
    sort: bool = False,
    on: str | Engine = "local",
    workers: int | None = None,
    scratch: str | None = None,
    **options: Any,
) -> Dataset:
    """Cut a dataset anew by key.

    Parameters
    ----------
    data : Dataset or anything that :func:`motherlode.data.dataset` takes
        The rows.
    by : str or sequence of str
        Key columns; for ``hash`` and ``range``.
    how : {'hash', 'range', 'round_robin', 'weighted'}
        ``hash``: rows with equal keys share a partition, the same one in every process and
        version. ``range``: so do they, and the partitions are in order of the key.
        ``round_robin``: row after row. ``weighted``: row after row, in proportion to ``weights``.
    partitions : int, optional
        Their number; by default one for each 64 MiB of the source.
    weights : sequence of float
        Share of each partition, for ``weighted``.
    sort : bool
        Whether the rows of a partition are sorted by key (nulls last; equal keys keep their
        order). A key with more rows than fit in memory streams through.
    scratch : str, optional
        Folder for the spilled rows that all workers can reach; by default
        ``MOTHERLODE_SCRATCH``, or the system's temporary one. What is spilled there is removed with
        the dataset, or if the shuffle fails.
    on, workers, **options
        As :func:`motherlode.runtime.run` takes them. With a ``keeper`` a shuffle that fails can be
        resumed: its rows stay in ``scratch``, which must be given then.

    Returns
    -------
    Dataset
        Of the same rows and columns; its splits are the partitions.

    Notes
    -----
    Every row is written and read once more, compressed. Memory a worker: a few times 32 MiB while
    writing; while reading sorted partitions a few times 64 MiB, or, of larger partitions, a block
    of 1 MiB for each of at most 64 runs.

    Examples
    --------
    >>> import polars as pl
    >>> from motherlode.runtime.shuffle import shuffle
    >>> sales = pl.DataFrame({"item": ["tea", "rum", "tea"], "price": [3, 20, 4]})
    >>> cut = shuffle(sales, "item", partitions=4, sort=True)
    >>> len(cut.splits), sorted(cut.to_polars()["price"])
    (4, [3, 4, 20])
    """
    source = dataset(data)
    names = (by,) if isinstance(by, str) else tuple(by)
    _check(how, names, partitions, weights, sort)
    if source.schema.n_features is not None:
        source = source.select(*source.source.columns.names)
    source.schema.require(*names)
    count = len(weights) or partitions or _partitions(source)
    keeper = options.pop("keeper", None)
    folder = _folder(scratch, source, keeper is not None)
    try:
        bounds = None
        if how == "range":
            sample = _Sample(names, count * SAMPLE)
            sampled = run(sample, source, on=on, workers=workers, **options)
            bounds = _bounds(sampled.value, count)
        scatter = Scatter(names, how, count, folder, sort, tuple(weights), bounds)
        written = run(scatter, source, on=on, workers=workers, keeper=keeper, **options)
    except BaseException:
        if keeper is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shuffled = ShuffledSource(written.value, source.schema.columns, names, count, sort, folder)
    weakref.finalize(shuffled, shutil.rmtree, folder, ignore_errors=True)
    return Dataset(shuffled)


class Scatter(Summary[list[Segment], list[Segment]]):
    """The map side: writes rows by partition and keeps the list of what was written.

    ``hashed`` is how many of the key columns decide the partition; all of them by default.
    """

    traits: ClassVar[Traits] = Traits(
        "ordered", "rows by partition, on disk", commutative=False, state_size="O(runs)"
    )

    keys_: Keys | None = None

    def __init__(
        self,
        by: tuple[str, ...],
        how: How,
        partitions: int,
        folder: str,
        sort: bool,
        weights: tuple[float, ...] = (),
        bounds: pl.DataFrame | None = None,
        *,
        hashed: int | None = None,
    ) -> None:
        self.hashed = hashed
        self.by = by
        self.how = how
        self.partitions = partitions
        self.folder = folder
        self.sort = sort
        self.weights = weights
        self.bounds = bounds

    def prepare(self, schema: Schema) -> Self:
        ready = copy.copy(self)
        ready.keys_ = Keys.of(schema, self.by, "shuffle") if self.by else None
        return ready

    def zero(self) -> Any:
        return _Writing([], [], 0)

    def update(self, state: Any, batch: Batch) -> Any:
        state.held.append((batch, self._codes(batch)))
        state.nbytes += batch.nbytes
        return self._flush(state) if state.nbytes >= RUN_BYTES else state

    def compact(self, state: Any) -> Any:
        return self._flush(state) if state.held else state

    def merge(self, left: Any, right: Any) -> Any:
        return _Writing(left.segments + self.compact(right).segments, left.held, left.nbytes)

    def finish(self, state: Any) -> list[Segment]:
        return sorted(self.compact(state).segments)

    def export(self, state: Any) -> Any:
        return [[*s[:1], *s.order, *s[2:]] for s in self.compact(state).segments]

    def load(self, exported: Any) -> Any:
        segments = [Segment(p, (a, b), *rest) for p, a, b, *rest in exported]
        return _Writing(segments, [], 0)

    def _codes(self, batch: Batch) -> NDArray[np.int64]:
        """Return the partition of each row."""
        if self.how == "hash":
            hashes = hash_rows([batch.column(name) for name in self.by[: self.hashed]])
            return (hashes % np.uint64(self.partitions)).astype(np.int64)
        if self.how == "range":
            assert self.keys_ is not None
            assert self.bounds is not None
            return _ranges(self.keys_.frame(batch), self.bounds)
        rows = np.arange(batch.start, batch.start + len(batch))
        if self.how == "round_robin":
            return (rows + batch.split) % self.partitions
        shares = np.cumsum(np.asarray(self.weights)) / math.fsum(self.weights)
        # A low-discrepancy sequence: any run of rows is shared out nearly in proportion.
        places = ((rows + batch.split) * 0.6180339887498949) % 1.0
        return np.minimum(np.searchsorted(shares, places, side="right"), self.partitions - 1)

    def _flush(self, state: Any) -> Any:
        split = state.held[0][0].split
        number = len({s.order for s in state.segments if s.order[0] == split})
        codes = np.concatenate([codes for _, codes in state.held])
        order = self._order(state.held, codes)
        blocks = [batch.columns for batch, _ in state.held]
        table = pa.Table.from_batches(together(blocks, pa.array(order)), blocks[0].schema)
        ordered = codes[order]
        edges = (np.flatnonzero(np.diff(ordered)) + 1).tolist()
        parts = (
            (int(ordered[start]), table.slice(start, stop - start))
            for start, stop in itertools.pairwise([0, *edges, len(ordered)])
        )
        written = write_run(self.folder, f"{split:08d}-{number:04d}", (split, number), parts)
        return _Writing(state.segments + written, [], 0)

    def _order(self, held: list[Any], codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of the rows by partition, and, if they are sorted, by key therein."""
        # NumPy sorts 16-bit numbers by radix, several times faster than wider ones.
        narrow = codes.astype(np.uint16) if self.partitions <= 1 << 16 else codes
        if not self.sort:
            return np.argsort(narrow, kind="stable")
        assert self.keys_ is not None
        frames = [self.keys_.frame(batch) for batch, _ in held]
        by_key = np.asarray(sort_order(frames).to_numpy(), np.int64)
        return by_key[np.argsort(narrow[by_key], kind="stable")]


class _Writing:
    """What a scatter has written and what it still holds; never changed."""

    __slots__ = ("held", "nbytes", "segments")

    def __init__(self, segments: list[Segment], held: list[Any], nbytes: int) -> None:
        self.segments = segments
        self.held = held
        self.nbytes = nbytes


class _Sample(Summary[pl.DataFrame, pl.DataFrame]):
    """A sample of keys: those of the rows whose place hashes lowest."""

    traits: ClassVar[Traits] = Traits("ordered", "a sample of keys", commutative=False)
    keys_: Keys

    def __init__(self, by: tuple[str, ...], size: int) -> None:
        self.by = by
        self.size = size

    def prepare(self, schema: Schema) -> Self:
        ready = copy.copy(self)
        ready.keys_ = Keys.of(schema, self.by, "shuffle")
        return ready

    def needs(self) -> tuple[str, ...]:
        return self.by

    def zero(self) -> pl.DataFrame:
        return self.keys_.empty().with_columns(pl.Series(_ROW, [], dtype=pl.UInt64))

    def update(self, state: pl.DataFrame, batch: Batch) -> pl.DataFrame:
        places = pa.array(np.arange(batch.start, batch.start + len(batch), dtype=np.int64))
        luck = hash_rows([places], seed=batch.split + 1)
        return self._keep(state, self.keys_.frame(batch).with_columns(pl.Series(_ROW, luck)))

    def merge(self, left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
        return self._keep(left, right)

    def finish(self, state: pl.DataFrame) -> pl.DataFrame:
        return self.keys_.sort(state.drop(_ROW))

    def export(self, state: pl.DataFrame) -> Any:
        return state.to_arrow()

    def load(self, exported: Any) -> pl.DataFrame:
        keys = self.keys_.canonical(exported.drop_columns([_ROW]))
        return keys.with_columns(pl.Series(_ROW, exported.column(_ROW).to_numpy()))

    def _keep(self, left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
        both = pl.concat([left, right])
        return both if both.height <= self.size else both.bottom_k(self.size, by=_ROW)


def _check(
    how: str, by: tuple[str, ...], partitions: int | None, weights: Sequence[float], sort: bool
) -> None:
    if how not in ("hash", "range", "round_robin", "weighted"):
        raise ParameterError(f"how must be hash, range, round_robin or weighted, got {how!r}")
    if how in ("hash", "range") and not by:
        raise UsageError(f"a shuffle by {how} needs key columns", "give by='column'")
    if sort and not by:
        raise UsageError("sorting needs key columns", "give by='column'")
    if partitions is not None and (
        not isinstance(partitions, int) or isinstance(partitions, bool) or partitions < 1
    ):
        raise ParameterError(f"partitions must be at least 1, got {partitions!r}")
    fair = all(math.isfinite(w) and w > 0 for w in weights)
    if (how == "weighted") != bool(weights) or not fair:
        raise ParameterError(f"weights must be positive, one a partition, got {list(weights)!r}")
    if weights and partitions not in (None, len(weights)):
        raise ParameterError(f"{len(weights)} weights make as many partitions, not {partitions}")


def _partitions(source: Dataset) -> int:
    return max(1, math.ceil(sum(split.nbytes for split in source.splits) / PARTITION_BYTES))


def scratch_folder(scratch: str | None = None) -> str:
    """Return a new folder for spilled rows, within that given or ``MOTHERLODE_SCRATCH``."""
    parent = scratch or os.environ.get("MOTHERLODE_SCRATCH")
    if parent is not None:
        make_folder(parent)
    return tempfile.mkdtemp(prefix="motherlode-", dir=parent)


def _folder(scratch: str | None, source: Dataset, kept: bool) -> str:
    """Return the folder of one shuffle; the same one again if the shuffle is to be resumed."""
    if not kept:
        return scratch_folder(scratch)
    if scratch is None:
        raise UsageError("a shuffle that can be resumed needs a folder that stays", "give scratch=")
    return os.path.join(scratch, f"shuffle-{source.fingerprint}")


def _bounds(sample: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return the lowest keys of partitions 1, 2, …; fewer where keys repeat."""
    places = [len(sample) * n // count for n in range(1, count)] if len(sample) else []
    return sample[places].unique(maintain_order=True)


def _ranges(keys: pl.DataFrame, bounds: pl.DataFrame) -> NDArray[np.int64]:
    """Return how many bounds are at or below each key: a merge of both, sorted once."""
    fields = keys.columns
    both = pl.concat(
        [
            bounds.with_columns(pl.lit(0, pl.Int64).alias(_ROW), pl.lit(0, pl.Int8).alias("__b")),
            keys.with_columns(
                pl.int_range(pl.len()).cast(pl.Int64).alias(_ROW), pl.lit(1, pl.Int8).alias("__b")
            ),
        ]
    ).sort([*fields, "__b"], nulls_last=True)
    ranked = both.with_columns(n=(pl.col("__b") == 0).cum_sum().cast(pl.Int64))
    rows = ranked.filter(pl.col("__b") == 1).sort(_ROW)
    return rows["n"].to_numpy()
