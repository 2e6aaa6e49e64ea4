"""Plain types: the one way in which batches hold strings and lists, whatever library made them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which batches carry values of this type.

    Libraries differ in how they hold strings and lists (with 64-bit offsets, as views); batches
    have one way: ``string``, ``binary`` and ``list``.
    """
    types = pa.types
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_large_list(kind) or types.is_list(kind) or types.is_list_view(kind):
        return pa.list_(plain_type(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(f.name, plain_type(f.type)) for f in kind])
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, plain_type(kind.value_type), kind.ordered)
    return pa.string() if types.is_null(kind) else kind


def plain_array(array: pa.Array) -> pa.Array:
    """Return an array in its plain type; the same one where it has that already."""
    wanted = plain_type(array.type)
    if wanted.equals(array.type):
        return array
    if pa.types.is_dictionary(wanted):
        return pa.DictionaryArray.from_arrays(
            array.indices, plain_array(array.dictionary), ordered=wanted.ordered
        )
    if "list_view" in str(array.type):
        # Arrow's cast drops the last offset of a view with nulls.
        return pa.array(array.to_pylist(), wanted)
    return array.cast(wanted)


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a record batch whose columns have plain types, sharing what has them already."""
    schema = plain_schema(batch.schema)
    if schema.equals(batch.schema, check_metadata=True) or not batch.num_columns:
        return batch
    return pa.RecordBatch.from_arrays([plain_array(a) for a in batch.columns], schema=schema)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema of plain types, without metadata."""
    return pa.schema([(field.name, plain_type(field.type)) for field in schema])


def no_rows(schema: pa.Schema) -> pa.RecordBatch:
    """Return a record batch without rows."""
    return pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; without copying where it is one already."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def from_numpy(values: NDArray[Any]) -> pa.Array:
    """Return numbers as an Arrow array that shares their memory.

    ``pa.array`` does that too, but imports pandas first where it is installed, which takes longer
    than many a job.
    """
    block = np.ascontiguousarray(values)
    if block.dtype.kind not in "iuf":
        return pa.array(block)
    kind = pa.from_numpy_dtype(block.dtype)
    return pa.Array.from_buffers(kind, len(block), [None, pa.py_buffer(block)])


def as_signed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column for systems that have neither unsigned integers nor dictionaries."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(plain_type(kind.value_type))
    if pa.types.is_unsigned_integer(kind):
        wider = {8: pa.int16(), 16: pa.int32(), 32: pa.int64(), 64: pa.decimal128(20, 0)}
        return column.cast(wider[kind.bit_width])
    return column
