"""Named columns of a batch, whether its rows came in columns or as a bare matrix.

The columns of a bare matrix are called ``x0``, ``x1``, …; a real column of that name comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.core.batch import Batch, Schema, to_float64
from motherlode.core.errors import UnknownNameError, UsageError


def column_types(schema: Schema) -> dict[str, pa.DataType]:
    """Return the columns that can be named, with the types of their values, in order.

    Dictionaries count as what they hold.
    """
    types = {field.name: value_type(field.type) for field in schema.columns}
    for index in range(schema.n_features or 0):
        types.setdefault(f"x{index}", pa.float64())
    return types


def value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of a column's values: that of the dictionary where it is encoded."""
    return value_type(kind.value_type) if pa.types.is_dictionary(kind) else kind


def choose(
    schema: Schema,
    wanted: str | Sequence[str] | None,
    suits: Callable[[pa.DataType], bool],
    what: str,
    owner: str,
) -> tuple[str, ...]:
    """Return the columns asked for, or all that suit.

    Parameters
    ----------
    schema : Schema
        What columns there are.
    wanted : str, sequence of str or None
        One name, several, or None for every column that suits.
    suits : callable
        Tells whether a column of this type can be taken.
    what : str
        What the columns must hold, for the error: ``"numbers"``.
    owner : str
        Name of the algorithm, for the error.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    UsageError
        If a column is of a type that does not suit, is named twice, or none suits.
    """
    types = column_types(schema)
    if wanted is None:
        chosen = tuple(name for name, kind in types.items() if suits(kind))
        if not chosen:
            raise UsageError(
                f"{owner}: no column holds {what}",
                f"there is {', '.join(types) or 'no column at all'}",
            )
        return chosen
    chosen = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    for name in chosen:
        if name not in types:
            raise UnknownNameError("column", name, types)
        if not suits(types[name]):
            raise UsageError(
                f"{owner}: column {name!r} holds {types[name]}, not {what}",
                "leave it out or cast it with with_columns",
            )
    if len(set(chosen)) < len(chosen):
        raise UsageError(f"{owner}: a column is named twice in {list(chosen)!r}")
    return chosen


def stored(schema: Schema, names: Sequence[str]) -> tuple[str, ...]:
    """Return those of the names that are real columns, for ``needs``."""
    return tuple(name for name in names if name in schema.columns.names)


def are_block(batch: Batch, names: Sequence[str]) -> bool:
    """Tell whether the names are all columns of the feature block, in its order."""
    if batch.features is None or len(names) != batch.features.shape[1]:
        return False
    block = tuple(f"x{index}" for index in range(len(names)))
    return tuple(names) == block and set(names).isdisjoint(batch.columns.schema.names)


def array(batch: Batch, name: str) -> pa.Array:
    """Return one column of a batch as an Arrow array."""
    if name in batch.columns.schema.names or batch.features is None:
        return batch.column(name)
    return pa.array(_feature(batch, name))


def numbers(batch: Batch, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Return one column of a batch as float64, and a mask of what is valid where any is null."""
    if name in batch.columns.schema.names or batch.features is None:
        return to_float64(batch.column(name), name)
    return np.ascontiguousarray(_feature(batch, name)), None


def natives(batch: Batch, name: str) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return one column of a batch as numbers, integers unrounded, and a mask of what is valid.

    Integers keep their type, booleans become 0 and 1, and decimals the nearest float64.
    """
    if name not in batch.columns.schema.names and batch.features is not None:
        return _feature(batch, name), None
    values = batch.column(name)
    if pa.types.is_integer(values.type):
        valid = None
        if values.null_count:
            valid = values.is_valid().to_numpy(zero_copy_only=False)
            values = values.fill_null(0)
        return values.to_numpy(), valid
    return to_float64(values, name)


def _feature(batch: Batch, name: str) -> NDArray[np.float64]:
    """Return one column of the feature block as float64; it may be a strided view."""
    index = int(name[1:]) if name[:1] == "x" and name[1:].isdecimal() else -1
    block = batch.features
    if not 0 <= index < block.shape[1]:
        known = [*batch.columns.schema.names, *(f"x{i}" for i in range(block.shape[1]))]
        raise UnknownNameError("column", name, known)
    if isinstance(block, np.ndarray):
        return np.asarray(block[:, index], dtype=np.float64)
    return np.asarray(block[:, [index]].toarray()[:, 0], dtype=np.float64)
