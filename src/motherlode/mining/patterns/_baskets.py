"""Baskets of a batch: from a list column, boolean columns, or a matrix of zeros and ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motherlode.core.batch import Batch, Schema, is_text
from motherlode.core.errors import DataError, UsageError

Keys: TypeAlias = NDArray[np.int64] | pa.Array
"""Items as they are kept between passes: int64, or an Arrow array of large_string."""


@dataclass(frozen=True, slots=True)
class Baskets:
    """Baskets one behind the other; nulls are left out, repetitions are not.

    Parameters
    ----------
    values : ndarray of int32 or int64, or pyarrow.Array of large_string
        The items.
    offsets : ndarray of int64 of shape (n_baskets + 1,)
        Where each basket begins.
    """

    values: Any
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def codes(self, low: int, size: int) -> NDArray[np.int32]:
        """Return integer items as int32 counted from ``low``; -1 for what is beyond ``size``.

        Where ``low`` is 0 and the items are int32 they are returned as they are.
        """
        values = self.values
        if low == 0 and values.dtype == np.int32:
            return values  # type: ignore[no-any-return]
        wide = values.astype(np.int64, copy=False)
        inside = (wide >= low) & (wide <= min(low + size - 1, 2**63 - 1))
        return np.where(inside, wide - low, -1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class BasketColumns:
    """Where the baskets of a dataset are.

    Parameters
    ----------
    item_type : pyarrow.DataType
        Type of the items in results.
    column : str or None
        The list column, if there is one.
    flags : tuple of str
        Boolean columns, each of which is an item.
    width : int
        Columns of the matrix, each of which is an item ``x0``, ``x1``, ….
    """

    item_type: pa.DataType
    column: str | None = None
    flags: tuple[str, ...] = ()
    width: int = 0

    @classmethod
    def of(cls, owner: str, schema: Schema, column: str | None) -> BasketColumns:
        """Return where the rows of this schema have their baskets.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        UsageError
            If it does not hold lists of whole numbers or strings, or it is not clear which does.
        """
        if column is None:
            lists = [field.name for field in schema.columns if _item_type(field.type) is not None]
            if len(lists) > 1:
                raise UsageError(
                    f"{owner}: there are several columns of lists: {', '.join(lists)}",
                    "name one with column=",
                )
            if not lists:
                return cls._of_flags(owner, schema)
            column = lists[0]
        kind = _item_type(schema.type(column))
        if kind is None:
            raise UsageError(
                f"{owner}: column {column!r} holds {schema.type(column)}, not lists of whole "
                "numbers or strings",
                "split strings into lists with with_columns",
            )
        return cls(kind, column)

    @classmethod
    def _of_flags(cls, owner: str, schema: Schema) -> BasketColumns:
        if schema.n_features:
            return cls(pa.string(), width=schema.n_features)
        flags = tuple(field.name for field in schema.columns if pa.types.is_boolean(field.type))
        if not flags:
            known = ", ".join(f"{field.name} ({field.type})" for field in schema.columns)
            raise UsageError(
                f"{owner}: no column holds lists of whole numbers or strings, or booleans",
                f"there is {known or 'no column at all'}",
            )
        return cls(pa.string(), flags=flags)

    @property
    def textual(self) -> bool:
        """Whether items are kept as strings between passes, not as numbers."""
        return self.column is not None and not pa.types.is_integer(self.item_type)

    def needs(self) -> tuple[str, ...]:
        """Return the columns that are read."""
        return self.flags if self.column is None else (self.column,)

    def labels(self, keys: Keys) -> pa.Array:
        """Return items as they are called in results; strings as large_string."""
        if self.column is None:
            names = self.flags or tuple(f"x{index}" for index in range(self.width))
            return pa.array([names[key] for key in keys.tolist()], pa.large_string())
        return keys if self.textual else pa.array(keys).cast(self.item_type)

    def read(self, batch: Batch) -> Baskets:
        """Return the baskets of a batch."""
        if self.column is not None:
            return _of_lists(batch.column(self.column), self.textual)
        if self.width:
            return _of_matrix(batch.features)
        flags = [pc.fill_null(batch.column(name), False) for name in self.flags]
        return _of_dense(np.stack([np.asarray(f.to_numpy(zero_copy_only=False)) for f in flags], 1))


def _item_type(kind: pa.DataType) -> pa.DataType | None:
    """Return what the items of a list type are called in results; None if it has none."""
    is_ = pa.types
    lists = (is_.is_list, is_.is_large_list, is_.is_fixed_size_list, is_.is_list_view,
             is_.is_large_list_view)  # fmt: skip
    if not any(test(kind) for test in lists):
        return None
    value = kind.value_type
    while is_.is_dictionary(value):
        value = value.value_type
    if is_.is_integer(value):
        return value
    if is_.is_large_string(value):
        return value
    return pa.string() if is_text(value) or is_.is_null(value) else None


def _of_lists(array: pa.Array, textual: bool) -> Baskets:
    values = pc.list_flatten(array)
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.null_count:
        before = np.zeros(len(values) + 1, np.int64)
        np.cumsum(values.is_valid().to_numpy(zero_copy_only=False), out=before[1:])
        offsets, values = before[offsets], values.drop_null()
    if textual:
        return Baskets(values.cast(pa.large_string()), offsets)
    if pa.types.is_uint64(values.type):
        try:
            values = values.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise DataError(
                "an item is larger than 9,223,372,036,854,775,807", "make the items strings"
            ) from error
    numbers = values.to_numpy(zero_copy_only=False)
    return Baskets(numbers.astype(np.int64 if numbers.itemsize > 4 or numbers.dtype == np.uint32
                                  else np.int32, copy=False), offsets)  # fmt: skip


def _of_matrix(block: Any) -> Baskets:
    if isinstance(block, np.ndarray):
        _check_flags(block)
        return _of_dense(block != 0)
    _check_flags(block.data)
    offsets = np.asarray(block.indptr, np.int64)
    items = np.asarray(block.indices, np.int32)
    present = block.data != 0
    if not present.all():
        before = np.zeros(len(items) + 1, np.int64)
        np.cumsum(present, out=before[1:])
        offsets, items = before[offsets], items[present]
    return Baskets(items, offsets)


def _of_dense(block: NDArray[np.bool_]) -> Baskets:
    offsets = np.zeros(len(block) + 1, np.int64)
    np.cumsum(np.count_nonzero(block, axis=1), out=offsets[1:])
    return Baskets(np.nonzero(block)[1].astype(np.int32), offsets)


def _check_flags(values: NDArray[Any]) -> None:
    if values.dtype == np.bool_:
        return
    wrong = ~((values == 0) | (values == 1))
    if wrong.any():
        raise DataError(
            f"a matrix of baskets holds zeros and ones, got {values[wrong].flat[0]!r}",
            "say which items a basket holds, as with X > 0",
        )


def ranked(baskets: Baskets, keys: Keys) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return codes of the baskets' items, and the rank of each code: its place among the keys."""
    if isinstance(keys, pa.Array):
        return _found(baskets.values, keys), np.arange(len(keys), dtype=np.int32)
    low, high = (int(keys.min()), int(keys.max())) if len(keys) else (0, 0)
    low = 0 if low >= 0 and high < WINDOW else low
    if high - low >= WINDOW:
        return _found(pa.array(baskets.values), pa.array(keys)), np.arange(
            len(keys), dtype=np.int32
        )
    ranks = np.full(high - low + 1, -1, np.int32)
    ranks[keys - low] = np.arange(len(keys))
    return baskets.codes(low, len(ranks)), ranks


def _found(values: pa.Array, keys: pa.Array) -> NDArray[np.int32]:
    places = pc.index_in(values.cast(keys.type), value_set=keys)
    return np.asarray(pc.fill_null(places, -1).to_numpy(zero_copy_only=False), np.int32)


WINDOW = 1 << 20
"""Whole numbers within so wide a range are looked up in a table of that size."""
