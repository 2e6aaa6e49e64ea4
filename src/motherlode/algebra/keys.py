"""Keys: tuples of column values that are counted, grouped by and sorted.

Two values are one key where they are equal; beyond that, all NaN are one key, -0.0 is 0.0, and
null is a key of its own. Keys travel as Polars frames with the columns ``k0``, ``k1``, …, in
types that keep every value and its order exactly; :meth:`Keys.table` gives them back as they
were. Keys are sorted by value, nulls last: strings by code point, NaN after every number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motherlode.algebra import columns
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import StateError, UsageError


def can_be_key(kind: pa.DataType) -> bool:
    """Tell whether values of this type can be keys: numbers, strings, bytes, times, booleans."""
    return travel_type(kind) is not None


@dataclass(frozen=True, slots=True)
class Keys:
    """The key columns of one grouping.

    Parameters
    ----------
    names : tuple of str
        The columns.
    types : tuple of pyarrow.DataType
        What they hold.
    """

    names: tuple[str, ...]
    types: tuple[pa.DataType, ...]

    @classmethod
    def of(cls, schema: Schema, wanted: str | Sequence[str] | None, owner: str) -> Keys:
        """Return the keys made of the columns asked for; None takes every column that can be one.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        UsageError
            If a column cannot be a key.
        """
        names = columns.choose(schema, wanted, can_be_key, "single values", owner)
        types = columns.column_types(schema)
        return cls(names, tuple(types[name] for name in names))

    @property
    def fields(self) -> list[str]:
        """Names of the columns of key frames."""
        return [f"k{index}" for index in range(len(self.names))]

    def frame(self, batch: Batch) -> pl.DataFrame:
        """Return the keys of a batch's rows, in order."""
        return self.canonical(pa.table([columns.array(batch, n) for n in self.names], self.fields))

    def encoded(self, batch: Batch) -> tuple[NDArray[np.int64], pl.DataFrame]:
        """Return a number for each row of a batch, and the key that each number stands for.

        Made for few keys: a key that has several spellings (-0.0, NaN) may have several numbers.
        """
        arrays = [
            to_travel(columns.array(batch, name), kind)
            for name, kind in zip(self.names, self.types, strict=True)
        ]
        if len(arrays) == 1:
            numbers, values = _numbered(arrays[0])
            return numbers, self.canonical(pa.table([values], self.fields))
        numbers = np.zeros(len(batch), np.int64)
        for array in arrays:
            more, values = _numbered(array)
            numbers, pairs = _numbered(pa.array(numbers * len(values) + more))
        first = np.empty(len(pairs), np.int64)
        first[numbers[::-1]] = np.arange(len(numbers))[::-1]  # the last one assigned stays
        kept = [array.take(pa.array(first)) for array in arrays]
        return numbers, self.canonical(pa.table(kept, self.fields))

    def canonical(self, table: pa.Table) -> pl.DataFrame:
        """Return a table of key columns, in any encoding of their types, as a key frame."""
        arrays = [
            to_travel(_whole(table.column(index)), kind) for index, kind in enumerate(self.types)
        ]
        frame = pl.from_arrow(pa.table(arrays, self.fields))
        assert isinstance(frame, pl.DataFrame)
        floats = [n for n, kind in frame.schema.items() if kind in (pl.Float32, pl.Float64)]
        if floats:
            frame = frame.with_columns(
                pl.when(pl.col(n) == 0.0)
                .then(0.0)
                .when(pl.col(n).is_nan())
                .then(float("nan"))
                .otherwise(pl.col(n))
                .alias(n)
                for n in floats
            )
        return frame

    def empty(self) -> pl.DataFrame:
        """Return a key frame without rows."""
        return self.canonical(pa.table([pa.array([], k) for k in self.types], self.fields))

    def arrays(self, frame: pl.DataFrame) -> list[pa.Array]:
        """Return the key columns of a frame as Arrow arrays of their own types."""
        table = frame.select(self.fields).to_arrow()
        return [from_travel(_whole(table.column(i)), kind) for i, kind in enumerate(self.types)]

    def table(self, frame: pl.DataFrame) -> pa.Table:
        """Return the key columns of a frame as a table under their own names."""
        return pa.table(self.arrays(frame), list(self.names))

    def sort(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a frame sorted by its key columns, nulls last."""
        return frame.sort(self.fields, nulls_last=True)


def _numbered(array: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Return the place of each value among the distinct ones, and these."""
    encoded = array.dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def travel_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type in which values of a type travel; None where they cannot be keys."""
    is_ = pa.types
    if is_.is_dictionary(kind):
        return travel_type(kind.value_type)
    if is_.is_integer(kind) or is_.is_boolean(kind):
        return kind
    if is_.is_floating(kind):
        return pa.float32() if is_.is_float16(kind) else kind
    if is_.is_timestamp(kind) or is_.is_time64(kind) or is_.is_duration(kind):
        return pa.int64()
    if is_.is_date64(kind):
        return pa.int64()
    if is_.is_date32(kind) or is_.is_time32(kind):
        return pa.int32()
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        return pa.large_string()
    if is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_binary_view(kind):
        return pa.large_binary()
    if is_.is_fixed_size_binary(kind) and not is_.is_decimal(kind):
        return pa.large_binary()
    if is_.is_decimal(kind) and kind.precision <= 38:
        return pa.decimal128(38, kind.scale)
    return pa.bool_() if is_.is_null(kind) else None


def to_travel(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values of a type as they travel; nothing is lost, and order is kept."""
    travel = travel_type(kind)
    if travel is None:
        raise UsageError(f"values of type {kind} cannot be keys")
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if array.type == travel:
        return array
    if _is_time(kind):
        return (array if array.type == kind else pc.cast(array, kind)).view(travel)
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), travel)
    return pc.cast(array, travel)


def from_travel(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values that travelled as the type they were."""
    if pa.types.is_null(kind):
        return pa.nulls(len(array))
    if _is_time(kind):
        return pc.cast(array, travel_type(kind)).view(kind)
    return array if array.type == kind else pc.cast(array, kind)


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_temporal(kind))


class Counter:
    """How often each key was seen.

    Counted batches are put aside and added up only when they hold as many keys as the whole, so
    that each is handled a bounded number of times however many keys there are.

    Parameters
    ----------
    keys : Keys
        What is counted.
    frame : polars.DataFrame, optional
        Key columns and the column ``n`` with their counts (Int64), each key once.
    """

    __slots__ = ("_aside", "_frame", "_waiting", "keys")

    def __init__(self, keys: Keys, frame: pl.DataFrame | None = None) -> None:
        self.keys = keys
        self._frame = _none_counted(keys) if frame is None else frame
        self._aside: list[pl.DataFrame] = []
        self._waiting = 0

    @classmethod
    def of(cls, keys: Keys, table: pa.Table) -> Counter:
        """Return the counter that :meth:`table` was made from."""
        frame = keys.canonical(table.select(range(len(keys.names))))
        counts = pl.Series("n", table.column(len(keys.names)).to_numpy(), dtype=pl.Int64)
        return cls(keys, frame.with_columns(counts))

    def add(self, batch: Batch) -> None:
        """Count the rows of a batch."""
        if 2 * self._frame.height > len(batch):
            # Most are seen once or twice in a batch: counting it alone would gain nothing.
            self._put(self.keys.frame(batch).with_columns(n=pl.lit(1, pl.Int64)))
        elif len(batch):
            numbers, frame = self.keys.encoded(batch)
            counts = np.bincount(numbers, minlength=frame.height)
            self._put(frame.with_columns(n=pl.Series(counts, dtype=pl.Int64)))

    def merge(self, other: Counter) -> None:
        """Add the counts of another counter, which is left alone."""
        for frame in (other._frame, *other._aside):
            self._put(frame)

    def subtract(self, other: Counter) -> None:
        """Take the counts of another counter away.

        Raises
        ------
        StateError
            If it counts rows that this one does not.
        """
        for frame in (other._frame, *other._aside):
            self._put(frame.with_columns(n=-pl.col("n")))
        self._settle()
        if self._frame.height and self._frame.select(pl.col("n").min()).item() < 0:
            raise StateError(
                "the rows to forget were not all counted here",
                "subtract only the state of rows that the whole state covers",
            )

    def copy(self) -> Counter:
        """Return a counter that can be changed without changing this one."""
        other = Counter(self.keys, self._frame)
        other._aside, other._waiting = list(self._aside), self._waiting
        return other

    def frame(self) -> pl.DataFrame:
        """Return the key columns and their counts ``n``, each key once, in any order."""
        if not self._aside:
            return self._frame
        settled = self.copy()
        settled._settle()
        return settled._frame

    def settle(self) -> Counter:
        """Add up what was put aside; return the counter itself."""
        self._settle()
        return self

    def table(self) -> pa.Table:
        """Return the counts as a table in canonical form: key columns by number, then ``n``."""
        frame = self.keys.sort(self.frame())
        counts = pa.array(frame["n"].to_numpy())
        return pa.table([*self.keys.arrays(frame), counts], [*self.keys.fields, "n"])

    def _put(self, frame: pl.DataFrame) -> None:
        if not frame.height:
            return
        self._aside.append(frame)
        self._waiting += frame.height
        if self._waiting > max(self._frame.height, _SMALL):
            self._settle()

    def _settle(self) -> None:
        if self._aside:
            together = pl.concat([self._frame, *self._aside])
            total = together.group_by(self.keys.fields).agg(pl.col("n").sum())
            self._frame = total.filter(pl.col("n") != 0)
            self._aside, self._waiting = [], 0


_SMALL = 1 << 17


def _none_counted(keys: Keys) -> pl.DataFrame:
    return keys.empty().with_columns(pl.Series("n", [], dtype=pl.Int64))
