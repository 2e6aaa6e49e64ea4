"""Arrow columns in the state codec: types as plain names, values as checked buffers.

A column is stored in one type a family (strings and lists with 64-bit offsets, dictionaries
decoded), its nulls as a bit map with zeros for values. What is read is measured before Arrow sees
it: no document can make it look beyond its buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motherlode.core.errors import StateError

Keep = Callable[[bytes], int]
Buffers = Sequence[memoryview]

ROWS_LIMIT = 1 << 40
"""No column is longer: rows that take no space (nulls, empty structs) must not be limitless."""

_PLAIN = {
    str(kind): kind
    for kind in (
        pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(),
        pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(),
        pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"),
        pa.time64("ns"), *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
        pa.large_string(), pa.large_binary(),
    )
}  # fmt: skip


def stored_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that a column of this type is stored as.

    Raises
    ------
    StateError
        If such columns cannot be stored.
    """
    types = pa.types
    if types.is_dictionary(kind):
        return stored_type(kind.value_type)
    if types.is_string(kind) or types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary(kind) or types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_list(kind) or types.is_large_list(kind):
        return pa.large_list(stored_type(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, stored_type(field.type)) for field in kind])
    if (
        str(kind) in _PLAIN
        or types.is_timestamp(kind)
        or types.is_decimal128(kind)
        or types.is_decimal256(kind)
        or types.is_fixed_size_binary(kind)
    ):
        return kind
    raise StateError(f"a state cannot hold columns of {kind}", "cast them to a plainer type")


def named(kind: pa.DataType) -> Any:
    """Return the plain name of a stored type."""
    types = pa.types
    if types.is_large_list(kind):
        return ["list", named(kind.value_type)]
    if types.is_struct(kind):
        return ["struct", [[field.name, named(field.type)] for field in kind]]
    if types.is_timestamp(kind):
        return ["timestamp", kind.unit, kind.tz]
    if types.is_decimal(kind):
        return [f"decimal{kind.bit_width}", kind.precision, kind.scale]
    if types.is_fixed_size_binary(kind):
        return ["binary", kind.byte_width]
    return str(kind)


def type_of(name: Any) -> pa.DataType:
    """Return the stored type of a name; raises ValueError where it is none."""
    match name:
        case str() if name in _PLAIN:
            return _PLAIN[name]
        case ["list", item]:
            return pa.large_list(type_of(item))
        case ["struct", list(fields)]:
            return pa.struct([pa.field(text(field), type_of(kind)) for field, kind in fields])
        case ["timestamp", str(unit), str() | None as zone]:
            return pa.timestamp(unit, zone)
        case ["decimal128", int(precision), int(scale)]:
            return pa.decimal128(precision, scale)
        case ["decimal256", int(precision), int(scale)]:
            return pa.decimal256(precision, scale)
        case ["binary", int(width)] if 0 < width < 1 << 31:
            return pa.binary(width)
    raise ValueError(f"no type is named {name!r}")


def pack(array: pa.Array, keep: Keep) -> list[Any]:
    """Return the node of a column: length, validity, values; buffers go to ``keep``."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = stored_type(array.type)
    if pa.types.is_null(kind):
        return [len(array)]
    valid = None
    if array.null_count:
        mask = array.is_valid().to_numpy(zero_copy_only=False)
        valid = keep(np.packbits(mask, bitorder="little").tobytes())
    if pa.types.is_struct(kind):
        return [len(array), valid, *(pack(child, keep) for child in array.flatten())]
    if pa.types.is_large_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
        return [len(array), valid, keep(offsets.tobytes()), pack(array.flatten(), keep)]
    array = array if array.type == kind else pc.cast(array, kind)
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        offsets, data = _strings(array)
        return [len(array), valid, keep(offsets.tobytes()), keep(data)]
    return [len(array), valid, keep(_fixed(array))]


def unpack(kind: pa.DataType, node: Any, buffers: Buffers) -> pa.Array:
    """Return the column of a node; raises ValueError where it does not add up."""
    array = _unpack(kind, node, buffers)
    array.validate(full=True)
    return array


def _unpack(kind: pa.DataType, node: Any, buffers: Buffers) -> pa.Array:
    if pa.types.is_null(kind):
        (length,) = node
        return pa.nulls(count(length))
    length, flags, *rest = node
    length = count(length)
    valid = None if flags is None else _sized(flags, (length + 7) // 8, buffers)
    if pa.types.is_struct(kind):
        children = [_unpack(f.type, each, buffers) for f, each in zip(kind, rest, strict=True)]
        if any(len(child) != length for child in children):
            raise ValueError("fields of different lengths")
        return pa.Array.from_buffers(kind, length, [valid], children=children)
    if pa.types.is_large_list(kind):
        offsets, items = rest
        child = _unpack(kind.value_type, items, buffers)
        borders = _borders(offsets, length, len(child), buffers)
        return pa.Array.from_buffers(kind, length, [valid, borders], children=[child])
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        offsets, data = rest
        letters = buffer(data, buffers)
        borders = _borders(offsets, length, len(letters), buffers)
        return pa.Array.from_buffers(kind, length, [valid, borders, _arrow(letters)])
    (values,) = rest
    return pa.Array.from_buffers(
        kind, length, [valid, _sized(values, (length * kind.bit_width + 7) // 8, buffers)]
    )


def count(value: Any) -> int:
    """Return a number of rows or bytes that was read; raises ValueError where it is none."""
    if type(value) is not int or not 0 <= value <= ROWS_LIMIT:
        raise ValueError(f"{value!r} is not a count")
    return value


def text(value: Any) -> str:
    """Return a string that was read; raises ValueError where it is none."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a string")
    return value


def buffer(index: Any, buffers: Buffers) -> memoryview:
    """Return the buffer of a number; raises where there is none."""
    return buffers[count(index)]


def one_nan(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in which every NaN has the one bit pattern; the same one if it has none."""
    if array.dtype.kind == "c":
        parts = array.view(f"<f{array.itemsize // 2}")
        return one_nan(parts).view(array.dtype)
    if array.dtype.kind != "f" or not (missing := np.isnan(array)).any():
        return array
    array = array.copy()
    array[missing] = np.nan
    return array


def _sized(index: Any, size: int, buffers: Buffers) -> pa.Buffer:
    data = buffer(index, buffers)
    if len(data) != size:
        raise ValueError(f"a buffer of {len(data)} bytes for {size}")
    return _arrow(data)


def _arrow(data: memoryview) -> pa.Buffer:
    # A copy: Arrow wants its buffers aligned, and a document must not be kept alive by a column.
    return pa.py_buffer(bytes(data))


def _borders(index: Any, length: int, end: int, buffers: Buffers) -> pa.Buffer:
    """Return offsets that begin at 0, never fall and end where the values do."""
    data = _sized(index, 8 * (length + 1), buffers)
    offsets = np.frombuffer(data, "<i8")
    if offsets[0] != 0 or offsets[-1] != end or (np.diff(offsets) < 0).any():
        raise ValueError("offsets that do not fit their values")
    return data


def _strings(array: pa.Array) -> tuple[NDArray[np.int64], bytes]:
    """Return the offsets from 0 and the bytes of a large string or binary column."""
    if array.null_count:
        array = pc.fill_null(array, "" if pa.types.is_large_string(array.type) else b"")
    _, offsets, data = array.buffers()
    if not len(array) or offsets is None:
        return np.zeros(1, "<i8"), b""
    borders = np.frombuffer(offsets, "<i8")[array.offset : array.offset + len(array) + 1]
    first, last = int(borders[0]), int(borders[-1])
    letters = b"" if data is None else data.slice(first, last - first).to_pybytes()
    return (borders - first).astype("<i8"), letters


def _fixed(array: pa.Array) -> bytes:
    """Return the values of a fixed-width column, nulls as zeros."""
    kind = array.type
    if pa.types.is_boolean(kind):
        values = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
        return np.packbits(values, bitorder="little").tobytes()
    width = kind.bit_width // 8
    data = array.buffers()[1]
    if not len(array) or data is None:
        return bytes(len(array) * width)
    raw = np.frombuffer(data, np.uint8)[array.offset * width :][: len(array) * width]
    rows = raw.reshape(len(array), width)
    if array.null_count:
        rows = rows.copy()
        rows[~array.is_valid().to_numpy(zero_copy_only=False)] = 0
    if pa.types.is_floating(kind):
        return one_nan(rows.reshape(-1).view(f"<f{width}")).tobytes()
    return rows.tobytes()
