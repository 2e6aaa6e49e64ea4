"""The state codec: plain data to bytes and back, canonical, versioned, executing nothing.

A document is a magic number, a format version, a JSON manifest, the raw buffers that it refers
to, and a BLAKE2b checksum. Equal data give equal bytes: keys are sorted, nulls hide no values,
arrays are contiguous and little-endian, NaN has one bit pattern. Decoding builds only None,
bools, numbers, strings, bytes, lists, tuples, dicts, NumPy arrays and Arrow columns; it never
imports or calls anything that a document names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motherlode.core.errors import StateError

MAGIC = b"MLST"
VERSION = 1
_HEADER = struct.Struct("<4sHQ")
_CHECKSUM = 16
_KINDS = "biufcmMSU"


def encode(plain: Any) -> bytes:
    """Return the canonical bytes of plain data.

    Raises
    ------
    StateError
        If it holds anything but plain data.
    """
    buffers: list[bytes] = []
    tree = _pack(plain, buffers)
    manifest = json.dumps(
        {"tree": tree, "sizes": [len(b) for b in buffers]},
        separators=(",", ":"),
        sort_keys=True,
        allow_nan=False,
    ).encode()
    body = b"".join([_HEADER.pack(MAGIC, VERSION, len(manifest)), manifest, *buffers])
    return body + hashlib.blake2b(body, digest_size=_CHECKSUM).digest()


def decode(document: bytes) -> Any:
    """Return the plain data of a document; arrays are fresh and writable.

    Raises
    ------
    StateError
        If the document is damaged, of another version, or not a state at all.
    """
    if len(document) < _HEADER.size + _CHECKSUM or document[:4] != MAGIC:
        raise StateError("this is not a state file", "states start with the bytes 'MLST'")
    _, version, size = _HEADER.unpack_from(document)
    if version != VERSION:
        raise StateError(
            f"the state has format version {version}, this program reads {VERSION}",
            "use the version of motherlode that wrote it",
        )
    body, checksum = document[:-_CHECKSUM], document[-_CHECKSUM:]
    if hashlib.blake2b(body, digest_size=_CHECKSUM).digest() != checksum:
        raise StateError("the state is damaged: its checksum does not match", "mine it again")
    try:
        start = _HEADER.size + size
        manifest = json.loads(body[_HEADER.size : start])
        view = memoryview(body)
        buffers = []
        for length in manifest["sizes"]:
            buffers.append(view[start : start + length])
            start += length
        return _unpack(manifest["tree"], buffers)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError, pa.ArrowException) as e:
        raise StateError("the state is malformed", "mine it again") from e


def digest(plain: Any) -> str:
    """Return the digest of plain data: equal data have equal digests."""
    return hashlib.blake2b(encode(plain), digest_size=16).hexdigest()


def _keep(data: bytes, buffers: list[bytes]) -> int:
    buffers.append(data)
    return len(buffers) - 1


def _pack(value: Any, buffers: list[bytes]) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int):
        return value if -(2**53) < value < 2**53 else {"i": hex(value)}
    if isinstance(value, float):
        return {"f": "nan" if value != value else value.hex()}
    if isinstance(value, bytes):
        return {"b": _keep(value, buffers)}
    if isinstance(value, list):
        return [_pack(each, buffers) for each in value]
    if isinstance(value, tuple):
        return {"t": [_pack(each, buffers) for each in value]}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise StateError("a state's dict must have string keys", "use two arrays or a list")
        return {"d": [[key, _pack(value[key], buffers)] for key in sorted(value)]}
    if isinstance(value, np.ndarray):
        return _pack_array(value, buffers)
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if isinstance(value, pa.Array):
        return {"c": _pack_column(value, buffers), "y": _type_name(_stored(value.type))}
    if isinstance(value, pa.RecordBatch | pa.Table):
        names = value.schema.names
        return {
            "T": [[n, _pack(value.column(i), buffers)] for i, n in enumerate(names)],
            "n": value.num_rows,
        }
    raise StateError(
        f"a state cannot hold {type(value).__module__}.{type(value).__qualname__}",
        "export plain data: numbers, strings, lists, dicts, NumPy or Arrow arrays",
    )


def _unpack(node: Any, buffers: list[memoryview]) -> Any:
    if isinstance(node, list):
        return [_unpack(each, buffers) for each in node]
    if not isinstance(node, dict):
        return node
    for tag, build in _BUILDERS.items():
        if tag in node:
            return build(node, buffers)
    raise ValueError(f"unknown node {sorted(node)}")


def _pack_array(array: NDArray[Any], buffers: list[bytes]) -> dict[str, Any]:
    if array.dtype.kind not in _KINDS:
        raise StateError(f"a state cannot hold an array of {array.dtype}", "use a numeric dtype")
    kept = _one_nan(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")))
    return {"a": _keep(kept.tobytes(), buffers), "y": kept.dtype.str, "s": list(array.shape)}


def _unpack_array(node: Any, buffers: list[memoryview]) -> NDArray[Any]:
    kind = np.dtype(node["y"])
    if kind.kind not in _KINDS:
        raise ValueError(f"array of {kind}")
    return np.frombuffer(buffers[node["a"]], dtype=kind).reshape(node["s"]).copy()


def _one_nan(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind != "f" or not (missing := np.isnan(array)).any():
        return array
    array = array.copy()
    array[missing] = np.nan
    return array


def _type_name(kind: pa.DataType) -> str:
    schema = pa.schema([pa.field("", kind)])
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def _type_named(name: str) -> pa.DataType:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(name))).field(0).type


def _stored(kind: pa.DataType) -> pa.DataType:
    """Return the type that an array of this type is stored as."""
    if pa.types.is_dictionary(kind):
        return _stored(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary(kind) or pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_stored(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _stored(f.type)) for f in kind])
    return kind


def _pack_column(array: pa.Array, buffers: list[bytes]) -> list[Any]:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = _stored(array.type)
    if pa.types.is_null(kind):
        return [len(array), None]
    valid = None
    if array.null_count:
        mask = array.is_valid().to_numpy(zero_copy_only=False)
        valid = _keep(np.packbits(mask, bitorder="little").tobytes(), buffers)
    if pa.types.is_struct(kind):
        return [len(array), valid, *(_pack_column(child, buffers) for child in array.flatten())]
    if pa.types.is_large_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
        return [len(array), valid, _keep(offsets.tobytes(), buffers),
                _pack_column(array.flatten(), buffers)]  # fmt: skip
    array = pc.cast(array, kind) if array.type != kind else array
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return [len(array), valid, *_pack_strings(array, buffers)]
    return [len(array), valid, _keep(_fixed_bytes(array), buffers)]


def _pack_strings(array: pa.Array, buffers: list[bytes]) -> list[int]:
    if array.null_count:
        array = pc.fill_null(array, "" if pa.types.is_large_string(array.type) else b"")
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, dtype="<i8")[array.offset : array.offset + len(array) + 1]
    first, last = (int(bounds[0]), int(bounds[-1])) if len(array) else (0, 0)
    text = data.slice(first, last - first).to_pybytes() if data is not None else b""
    relative = (bounds - first).astype("<i8") if len(array) else np.zeros(1, "<i8")
    return [_keep(relative.tobytes(), buffers), _keep(text, buffers)]


def _fixed_bytes(array: pa.Array) -> bytes:
    """Return the values of a fixed-width array, nulls as zeros."""
    kind = array.type
    if pa.types.is_boolean(kind):
        values = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
        return np.packbits(values, bitorder="little").tobytes()
    width = kind.bit_width // 8
    data = array.buffers()[1]
    if not len(array) or data is None:
        return b""
    raw = np.frombuffer(data, dtype=np.uint8)[array.offset * width :][: len(array) * width]
    rows = raw.reshape(len(array), width)
    if array.null_count:
        rows = rows.copy()
        rows[~array.is_valid().to_numpy(zero_copy_only=False)] = 0
    if pa.types.is_floating(kind) and width > 2:
        return _one_nan(rows.reshape(-1).view(f"<f{width}")).tobytes()
    return rows.tobytes()


def _unpack_column(kind: pa.DataType, node: list[Any], buffers: list[memoryview]) -> pa.Array:
    length = int(node[0])
    if pa.types.is_null(kind):
        return pa.nulls(length)
    valid = None if node[1] is None else pa.py_buffer(bytes(buffers[node[1]]))
    if pa.types.is_struct(kind):
        children = [_unpack_column(f.type, n, buffers) for f, n in zip(kind, node[2:], strict=True)]
        return pa.Array.from_buffers(kind, length, [valid], children=children)
    data = [pa.py_buffer(bytes(buffers[i])) for i in node[2:] if isinstance(i, int)]
    if pa.types.is_large_list(kind):
        child = _unpack_column(kind.value_type, node[3], buffers)
        array = pa.Array.from_buffers(kind, length, [valid, *data], children=[child])
    else:
        array = pa.Array.from_buffers(kind, length, [valid, *data])
    array.validate(full=True)
    return array


def _unpack_table(node: Any, buffers: list[memoryview]) -> pa.Table:
    if not node["T"]:
        struct_rows = pa.array([{}] * int(node["n"]), type=pa.struct([]))
        return pa.Table.from_batches([pa.RecordBatch.from_struct_array(struct_rows)])
    return pa.table({name: _unpack(column, buffers) for name, column in node["T"]})


_BUILDERS: dict[str, Callable[[Any, list[memoryview]], Any]] = {
    "T": _unpack_table,
    "a": _unpack_array,
    "c": lambda node, buffers: _unpack_column(_type_named(node["y"]), node["c"], buffers),
    "d": lambda node, buffers: {key: _unpack(value, buffers) for key, value in node["d"]},
    "t": lambda node, buffers: tuple(_unpack(each, buffers) for each in node["t"]),
    "b": lambda node, buffers: bytes(buffers[node["b"]]),
    "f": lambda node, _: float.fromhex(node["f"]),
    "i": lambda node, _: int(node["i"], 16),
}
