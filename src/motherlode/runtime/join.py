"""The join: rows of two datasets side by side where their keys are equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from motherlode.algebra.keys import Keys, travel_type
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import ParameterError, UsageError
from motherlode.data import Dataset, dataset
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request, Source, Split
from motherlode.runtime.engine import Engine
from motherlode.runtime.shuffle import PARTITION_BYTES, shuffle

How = Literal["inner", "left", "semi", "anti"]
Strategy = Literal["auto", "broadcast", "shuffle"]

BROADCAST_BYTES = 32 << 20
"""A right side of no more bytes, as its files lie, is held by every worker."""
LEFT_BYTES = 16 << 20
"""Left rows are put aside until they hold this many bytes, so that looking up is worth it."""
JOINED_ROWS = 131_072
"""Rows made at a time, but for a single left row that has more partners."""
_LEFT, _RIGHT = "__left", "__right"


def join(
    left: Any,
    right: Any,
    on: str | Sequence[str],
    how: How = "inner",
    strategy: Strategy = "auto",
    *,
    suffix: str = "_right",
    partitions: int | None = None,
    engine: str | Engine = "local",
    workers: int | None = None,
    scratch: str | None = None,
    **options: Any,
) -> Dataset:
    """Put the rows of two datasets side by side where their keys are equal.

    Parameters
    ----------
    left, right : Dataset or anything that :func:`motherlode.data.dataset` takes
        The rows; ``right`` should be the smaller side.
    on : str or sequence of str
        Key columns, under the same names on both sides. A null is equal to nothing, NaN to NaN.
    how : {'inner', 'left', 'semi', 'anti'}
        ``inner``: each pair of rows with equal keys. ``left``: these, and each left row without a
        partner, with nulls. ``semi``, ``anti``: the left rows that have a partner, or have none.
    strategy : {'auto', 'broadcast', 'shuffle'}
        ``broadcast``: every worker holds the right side. ``shuffle``: both sides are cut by key
        and joined partition by partition. ``auto``: broadcast up to 32 MiB.
    suffix : str
        Appended to the names of right columns that the left side has too.
    partitions, scratch
        As for :func:`~motherlode.runtime.shuffle.shuffle`.
    engine, workers, **options
        What the shuffle runs on; as :func:`motherlode.runtime.run` takes them.

    Returns
    -------
    Dataset
        The left columns, then the right ones but for the keys; lazy as any other. Broadcast, the
        rows are in the order of the left side and cut as it is; shuffled, in no stated order. The
        partners of a row are in the order of the right side.

    Notes
    -----
    A row that is made counts as read once, whatever it is made of. Memory a worker: the right
    side, or one partition of it, and some 100 MiB. A key that has more right rows than fit in
    memory is better joined with the sides exchanged.

    Examples
    --------
    >>> import polars as pl
    >>> from motherlode.runtime.join import join
    >>> sales = pl.DataFrame({"city": ["Bonn", "Ulm", "Bonn"], "price": [3, 4, 5]})
    >>> cities = pl.DataFrame({"city": ["Bonn", "Rome"], "country": ["DE", "IT"]})
    >>> join(sales, cities, on="city").to_polars().rows()
    [('Bonn', 3, 'DE'), ('Bonn', 5, 'DE')]
    """
    if how not in ("inner", "left", "semi", "anti"):
        raise ParameterError(f"how must be inner, left, semi or anti, got {how!r}")
    if strategy not in ("auto", "broadcast", "shuffle"):
        raise ParameterError(f"strategy must be auto, broadcast or shuffle, got {strategy!r}")
    names = (on,) if isinstance(on, str) else tuple(on)
    if not names:
        raise UsageError("a join needs key columns", "give on='column'")
    sides = [_columns(dataset(left)), _columns(dataset(right))]
    _check_keys(sides, names)
    if how in ("semi", "anti"):
        sides[1] = sides[1].select(*names)
    sizes = [sum(split.nbytes for split in side.splits) for side in sides]
    if strategy == "broadcast" or (strategy == "auto" and sizes[1] <= BROADCAST_BYTES):
        return Dataset(JoinedSource(sides[0], sides[1].to_arrow(), names, how, suffix))
    count = partitions or max(1, -(-max(sizes) // PARTITION_BYTES))
    cut = [
        shuffle(side, names, partitions=count, on=engine, workers=workers, scratch=scratch,
                **options)
        for side in sides
    ]  # fmt: skip
    return Dataset(JoinedSource(cut[0], cut[1], names, how, suffix))


def _columns(data: Dataset) -> Dataset:
    """Return the dataset with a feature block, if it has one, as columns."""
    if data.schema.n_features is None:
        return data
    return data.select(*data.source.columns.names)


def _check_keys(sides: Sequence[Dataset], names: tuple[str, ...]) -> None:
    for side in sides:
        side.schema.require(*names)
    for name in names:
        kinds = [side.schema.type(name) for side in sides]
        for kind in kinds:
            if travel_type(kind) is None:
                raise UsageError(
                    f"the key {name!r} holds {kind}, which has no single values",
                    "join by another column",
                )
        if _family(kinds[0]) != _family(kinds[1]):
            raise UsageError(
                f"the key {name!r} holds {kinds[0]} on the left and {kinds[1]} on the right",
                "cast one of them with with_columns",
            )


def _family(kind: pa.DataType) -> pa.DataType:
    """Return the type in which keys are compared; the same for types that compare exactly."""
    if pa.types.is_dictionary(kind):
        return _family(kind.value_type)
    if pa.types.is_temporal(kind):
        return kind
    if pa.types.is_integer(kind):
        return pa.uint64() if pa.types.is_uint64(kind) else pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    return travel_type(kind)


class JoinedSource(Source):
    """The rows that two datasets make, piece by piece of the left one.

    Parameters
    ----------
    left : Dataset
        Its splits are the splits.
    right : Table or Dataset
        All right rows, or a dataset of as many splits as the left one: partitions by key.
    on : tuple of str
        Key columns.
    how : {'inner', 'left', 'semi', 'anti'}
        Which rows are made.
    suffix : str
        Appended to the names of right columns that the left side has too.
    """

    def __init__(
        self, left: Dataset, right: pa.Table | Dataset, on: tuple[str, ...], how: How, suffix: str
    ) -> None:
        self.left = left
        self.right = right
        self.on = on
        self.how = how
        columns = right.schema.columns if isinstance(right, Dataset) else right.schema
        self._family = tuple(_family(left.schema.type(name)) for name in on)
        self._schema = _joined(left.schema.columns, columns, on, how, suffix)

    @property
    def schema(self) -> Schema:
        return Schema(self._schema)

    @cached_property
    def splits(self) -> Sequence[Split]:
        # How many rows a piece makes is not known before it is joined.
        return [replace(split, rows=None) for split in self.left.splits]

    @property
    def fingerprint(self) -> str:
        import hashlib

        from motherlode.data.digests import table_digest

        right = self.right
        other = right.fingerprint if isinstance(right, Dataset) else table_digest(right)
        text = f"{self.left.fingerprint}\0{other}\0{self.on}\0{self.how}\0{self._schema}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def portable(self) -> bool:
        return self.left.portable and (not isinstance(self.right, Dataset) or self.right.portable)

    def read(self, split: Split, request: Request, quarantine: Quarantine) -> Iterator[Batch]:
        start = 0
        lookup = self._lookup(split.number)
        wanted = self.schema.names if request.columns is None else list(request.columns)
        own = self.left.splits[split.number]
        for rows in _gathered(self.left.batches(own, None, quarantine), lookup.rows):
            for piece in lookup.joined(rows):
                columns = pa.record_batch(
                    [_whole(piece[place]) for place in self._places(wanted)],
                    schema=pa.schema([self._schema.field(name) for name in wanted]),
                ) if wanted else _bare(piece[0])  # fmt: skip
                yield Batch(columns, split=split.number, start=start)
                start += len(piece[0])

    def _places(self, wanted: Sequence[str]) -> list[int]:
        return [self._schema.get_field_index(name) for name in wanted]

    def _lookup(self, number: int) -> _Lookup:
        if not isinstance(self.right, Dataset):
            return self._broadcast
        split = self.right.splits[number]
        batches = [batch.columns for batch in self.right.batches(split)]
        table = pa.Table.from_batches(batches, schema=self.right.schema.columns)
        return _Lookup(table, self.on, self._family, self.how)

    @cached_property
    def _broadcast(self) -> _Lookup:
        return _Lookup(self.right, self.on, self._family, self.how)

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("_broadcast", "splits")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}


def _bare(column: Any) -> pa.RecordBatch:
    from motherlode.core.batch import empty_columns

    return empty_columns(len(column))


def _joined(
    left: pa.Schema, right: pa.Schema, on: tuple[str, ...], how: How, suffix: str
) -> pa.Schema:
    """Return the columns of the result."""
    if how in ("semi", "anti"):
        return left
    fields, taken = list(left), set(left.names)
    for field in right:
        if field.name in on:
            continue
        name = field.name + suffix if field.name in left.names else field.name
        if name in taken:
            raise UsageError(
                f"both sides have a column {field.name!r}, and {name!r} is taken too",
                "give another suffix",
            )
        taken.add(name)
        fields.append(field.with_name(name).with_nullable(True))
    return pa.schema(fields)


def _gathered(batches: Iterator[Batch], rows: int) -> Iterator[pa.Table]:
    """Yield left rows, as many as the right side has or as 16 MiB hold, at a time."""
    held: list[pa.RecordBatch] = []
    count = nbytes = 0
    for batch in batches:
        held.append(batch.columns)
        count += len(batch)
        nbytes += batch.nbytes
        if count >= max(rows, JOINED_ROWS) or nbytes >= LEFT_BYTES:
            yield pa.Table.from_batches(held)
            held, count, nbytes = [], 0, 0
    if held:
        yield pa.Table.from_batches(held)


class _Lookup:
    """Right rows, to be found by key."""

    def __init__(
        self, table: pa.Table, on: tuple[str, ...], family: tuple[pa.DataType, ...], how: How
    ) -> None:
        self.on = on
        self.family = family
        self.how = how
        self.rows = table.num_rows
        self.columns = table.drop_columns(list(on)).unify_dictionaries().combine_chunks()
        # Rows of a key stand together, in their order: a left row's partners are a range.
        keys = self._keys(table).with_row_index(_RIGHT).drop_nulls()
        ordered = keys.sort(keys.columns[1:], maintain_order=True)
        self.order = ordered[_RIGHT].to_numpy().astype(np.int64)
        self.keys = (
            ordered.drop(_RIGHT)
            .with_row_index("__first")
            .group_by(keys.columns[1:], maintain_order=True)
            .agg(pl.col("__first").first(), pl.len().alias("__count"))
        )

    def joined(self, left: pa.Table) -> Iterator[list[Any]]:
        """Yield the columns of the rows made of left rows, some at a time."""
        keys = self._keys(left)
        # Of this join each left row has one row: ranges of partners, never the partners.
        found = keys.join(self.keys, on=keys.columns, how="left", maintain_order="left")
        count = found["__count"].fill_null(0).to_numpy().astype(np.int64)
        first = found["__first"].fill_null(0).to_numpy().astype(np.int64)
        left = left.unify_dictionaries().combine_chunks()
        if self.how in ("semi", "anti"):
            chosen = np.flatnonzero((count > 0) == (self.how == "semi"))
            if len(chosen):
                yield left.take(pa.array(chosen)).columns
            return
        made = np.maximum(count, 1) if self.how == "left" else count
        ends = np.cumsum(made)
        begin = 0
        while begin < len(made):
            before = int(ends[begin - 1]) if begin else 0
            end = int(np.searchsorted(ends, before + JOINED_ROWS, side="right"))
            end = max(end, begin + 1)
            yield from self._piece(left, begin, made[begin:end], count, first)
            begin = end

    def _piece(
        self, left: pa.Table, begin: int, made: Any, count: Any, first: Any
    ) -> Iterator[list[Any]]:
        """Yield the rows that some consecutive left rows make."""
        rows = np.repeat(np.arange(begin, begin + len(made)), made)
        if not len(rows):
            return
        place = np.arange(len(rows)) - np.repeat(np.cumsum(made) - made, made)
        place += first[rows]
        lonely = count[rows] == 0
        place[lonely] = 0
        partners = self.order[place] if len(self.order) else np.zeros(len(rows), np.int64)
        right = self.columns.take(pa.array(partners, mask=lonely)) if self.rows else None
        others = (
            [pa.nulls(len(rows), kind) for kind in self.columns.schema.types]
            if right is None
            else right.columns
        )
        yield [*left.take(pa.array(rows)).columns, *others]

    def _keys(self, table: pa.Table) -> pl.DataFrame:
        keys = Keys(self.on, tuple(table.schema.field(name).type for name in self.on))
        frame = keys.canonical(table.select(list(self.on)))
        return frame.with_columns(
            _comparable(frame[name], kind)
            for name, kind in zip(frame.columns, self.family, strict=True)
        )


def _comparable(keys: pl.Series, family: pa.DataType) -> pl.Series:
    """Return keys in the type in which both sides are compared; floats as their bits."""
    if family == pa.float64():
        # For a join of Polars, unlike for its sort and its group-by, NaN is not equal to NaN.
        floats = keys.cast(pl.Float64).fill_nan(float("nan"))
        return pl.Series(keys.name, floats.to_arrow().view(pa.int64()))
    wide = {pa.int64(): pl.Int64, pa.uint64(): pl.UInt64}
    return keys.cast(wide[family]) if family in wide else keys


def _whole(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
