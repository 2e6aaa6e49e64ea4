"""Keys: tuples of column values that are counted, grouped by and sorted.

Two values are one key where they are equal; beyond that, all NaN are one key, -0.0 is 0.0, and
null is a key of its own. Keys travel as Polars frames with the columns ``k0``, ``k1``, …, in
types that keep every value and its order exactly; :meth:`Keys.table` gives them back as they
were. Keys are sorted by value, nulls last: strings by code point, NaN after every number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from motherlode.algebra import columns
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import UsageError


def can_be_key(kind: pa.DataType) -> bool:
    """Tell whether values of this type can be keys: numbers, strings, bytes, times, booleans."""
    return _travel(kind) is not None


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

    def canonical(self, table: pa.Table) -> pl.DataFrame:
        """Return a table of key columns, in any encoding of their types, as a key frame."""
        arrays = [
            _to_travel(_whole(table.column(index)), kind) for index, kind in enumerate(self.types)
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
        return [_from_travel(_whole(table.column(i)), kind) for i, kind in enumerate(self.types)]

    def table(self, frame: pl.DataFrame) -> pa.Table:
        """Return the key columns of a frame as a table under their own names."""
        return pa.table(self.arrays(frame), list(self.names))

    def sort(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a frame sorted by its key columns, nulls last."""
        return frame.sort(self.fields, nulls_last=True)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _travel(kind: pa.DataType) -> pa.DataType | None:
    """Return the type in which values of a type travel; None where they cannot be keys."""
    is_ = pa.types
    if is_.is_dictionary(kind):
        return _travel(kind.value_type)
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


def _to_travel(array: pa.Array, kind: pa.DataType) -> pa.Array:
    travel = _travel(kind)
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


def _from_travel(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_null(kind):
        return pa.nulls(len(array))
    if _is_time(kind):
        return pc.cast(array, _travel(kind)).view(kind)
    return array if array.type == kind else pc.cast(array, kind)


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_temporal(kind))
