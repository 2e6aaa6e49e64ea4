"""The state codec: plain data to bytes and back, canonical, versioned, executing nothing.

A document is a magic number, a format version, a JSON manifest, the raw buffers that it refers
to, and a BLAKE2b checksum. Equal data give equal bytes: keys are sorted, nulls hide no values,
arrays are contiguous and little-endian, NaN has one bit pattern. Decoding builds only None,
bools, numbers, strings, bytes, lists, tuples, dicts, NumPy arrays and Arrow columns; it never
imports or calls anything that a document names, and the checksum guards against damage only: a
document made to do harm is refused by what it says.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra import column_codec as columns
from motherlode.core.errors import StateError

MAGIC = b"MLST"
VERSION = 1
_HEADER = struct.Struct("<4sHQ")
_CHECKSUM = 16
_DTYPE = re.compile(
    r"\|[biu]1|<[iu][248]|<f[248]|<c(?:8|16)|<[mM]8(?:\[\w+\])?|\|S[1-9]\d*|<U[1-9]\d*"
)

_DAMAGES = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    MemoryError,
    pa.ArrowException,
)


def encode(plain: Any) -> bytes:
    """Return the canonical bytes of plain data.

    Raises
    ------
    StateError
        If it holds anything but plain data.

    Examples
    --------
    >>> decode(encode({"rows": 3, "sum": 0.5}))
    {'rows': 3, 'sum': 0.5}
    """
    buffers: list[bytes] = []
    try:
        tree = _pack(plain, buffers)
    except RecursionError as error:
        raise StateError("a state cannot hold itself, or data nested so deeply") from error
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
        manifest = json.loads(body[_HEADER.size : start], parse_float=_bare, parse_constant=_bare)
        return _unpack(manifest["tree"], _cut(memoryview(body)[start:], manifest["sizes"]))
    except _DAMAGES as error:
        raise StateError("the state is malformed", "mine it again") from error


def digest(plain: Any) -> str:
    """Return the digest of plain data: equal data have equal digests."""
    return hashlib.blake2b(encode(plain), digest_size=16).hexdigest()


def _bare(number: str) -> None:
    raise ValueError(f"bare number {number}")


def _cut(view: memoryview, sizes: list[Any]) -> list[memoryview]:
    buffers = []
    for size in map(columns.count, sizes):
        if size > len(view):
            raise ValueError("buffers beyond the end")
        buffers.append(view[:size])
        view = view[size:]
    if len(view):
        raise ValueError("bytes that belong to no buffer")
    return buffers


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
            raise StateError(
                "a state cannot hold a dict whose keys are not strings", "use two arrays or a list"
            )
        return {"d": [[key, _pack(value[key], buffers)] for key in sorted(value)]}
    if isinstance(value, np.ndarray):
        return _pack_array(value, buffers)
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if isinstance(value, pa.Array):
        return _pack_column(value, buffers)
    if isinstance(value, pa.RecordBatch | pa.Table):
        return _pack_table(value, buffers)
    raise StateError(
        f"a state cannot hold {type(value).__module__}.{type(value).__qualname__}",
        "export plain data: numbers, strings, lists, dicts, NumPy or Arrow arrays",
    )


def _unpack(node: Any, buffers: list[memoryview]) -> Any:
    if isinstance(node, list):
        return [_unpack(each, buffers) for each in node]
    if not isinstance(node, dict):
        return node
    return _BUILDERS["".join(sorted(node))](node, buffers)


def _pack_array(array: NDArray[Any], buffers: list[bytes]) -> dict[str, Any]:
    kind = array.dtype.newbyteorder("<")
    if kind.itemsize == 0 and kind.kind in "SU":
        kind = np.dtype(f"<{kind.kind}1")
    if not _DTYPE.fullmatch(kind.str):
        raise StateError(f"a state cannot hold an array of {array.dtype}", "use a numeric dtype")
    kept = np.ascontiguousarray(array, dtype=kind)
    if kind.kind == "b":
        kept = kept.view(np.uint8) != 0
    data = columns.one_nan(kept).tobytes()
    return {"a": _keep(data, buffers), "y": kind.str, "s": list(array.shape)}


def _unpack_array(node: Any, buffers: list[memoryview]) -> NDArray[Any]:
    if not _DTYPE.fullmatch(node["y"]):
        raise ValueError(f"array of {node['y']}")
    kind = np.dtype(node["y"])
    shape = [columns.count(length) for length in node["s"]]
    data = columns.buffer(node["a"], buffers)
    if math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes for an array of {shape}")
    array = np.frombuffer(data, kind).reshape(shape).copy()
    if kind.kind == "b" and (array.view(np.uint8) > 1).any():
        raise ValueError("truth values beyond 1")
    if kind.kind == "U" and (np.frombuffer(data, "<u4") > 0x10FFFF).any():
        raise ValueError("letters beyond Unicode")
    return array


def _pack_column(array: pa.Array, buffers: list[bytes]) -> dict[str, Any]:
    name = columns.named(columns.stored_type(array.type))
    return {"c": columns.pack(array, lambda data: _keep(data, buffers)), "y": name}


def _unpack_column(node: Any, buffers: list[memoryview]) -> pa.Array:
    return columns.unpack(columns.type_of(node["y"]), node["c"], buffers)


def _pack_table(table: pa.Table | pa.RecordBatch, buffers: list[bytes]) -> dict[str, Any]:
    names = table.schema.names
    packed = [[name, _pack(table.column(i), buffers)] for i, name in enumerate(names)]
    return {"T": packed, "n": table.num_rows}


def _unpack_table(node: Any, buffers: list[memoryview]) -> pa.Table:
    rows = columns.count(node["n"])
    names = [columns.text(name) for name, _ in node["T"]]
    if not names:
        empty = pa.Array.from_buffers(pa.struct([]), rows, [None])
        return pa.Table.from_batches([pa.RecordBatch.from_struct_array(empty)])
    arrays = [_unpack_column(column, buffers) for _, column in node["T"]]
    if any(len(array) != rows for array in arrays):
        raise ValueError("columns of different lengths")
    return pa.Table.from_arrays(arrays, names=names)


def _unpack_dict(node: Any, buffers: list[memoryview]) -> dict[str, Any]:
    built = {columns.text(key): _unpack(value, buffers) for key, value in node["d"]}
    if len(built) != len(node["d"]):
        raise ValueError("a key is there twice")
    return built


def _unpack_tuple(node: Any, buffers: list[memoryview]) -> tuple[Any, ...]:
    if not isinstance(node["t"], list):
        raise ValueError("a tuple of no list")
    return tuple(_unpack(each, buffers) for each in node["t"])


_BUILDERS: dict[str, Callable[[Any, list[memoryview]], Any]] = {
    "Tn": _unpack_table,
    "asy": _unpack_array,
    "cy": _unpack_column,
    "d": _unpack_dict,
    "t": _unpack_tuple,
    "b": lambda node, buffers: bytes(columns.buffer(node["b"], buffers)),
    "f": lambda node, _: float.fromhex(node["f"]),
    "i": lambda node, _: int(node["i"], 16),
}
