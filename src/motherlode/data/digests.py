"""Digests of what steps and data in memory hold, equal in every process."""

from __future__ import annotations

import hashlib
from types import CodeType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def array_digest(*arrays: NDArray[Any] | None) -> str:
    """Return a digest of the shapes, types and values of NumPy arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        if array is not None:
            digest.update(f"{array.shape}{array.dtype}".encode())
            plain = array.astype(str) if array.dtype.hasobject else array
            digest.update(np.ascontiguousarray(plain).view(np.uint8).data)
    return digest.hexdigest()


def table_digest(table: pa.Table) -> str:
    """Return a digest of the names, types and values of a table, however it is chunked."""
    digest = hashlib.blake2b(digest_size=16)
    for name, column in zip(table.schema.names, table.columns, strict=True):
        digest.update(name.encode())
        _take_in(digest, column.combine_chunks())
    return digest.hexdigest()


def _take_in(digest: Any, array: pa.Array) -> None:
    """Digest an array by what it means: what lies under its nulls is chance."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    digest.update(f"{array.type}{len(array)}".encode())
    if array.null_count:
        _take_in(digest, pc.cast(array.is_valid(), pa.uint8()))
        array = array.drop_null()
    if pa.types.is_list(array.type):
        _take_in(digest, pc.list_value_length(array))
        _take_in(digest, array.flatten())
    elif pa.types.is_struct(array.type):
        for part in array.flatten():
            _take_in(digest, part)
    else:
        # The writer takes an array's slice out of its buffers.
        batch = pa.RecordBatch.from_arrays([array], names=[""])
        digest.update(batch.serialize())


def function_digest(function: Any) -> str:
    """Return a digest of a function's code and of the values it holds, equal in every process."""
    code = getattr(function, "__code__", None)
    parts = [str(getattr(function, "__module__", "")), str(getattr(function, "__qualname__", ""))]
    if isinstance(code, CodeType):
        parts += _code_parts(code)
        parts += [repr(function.__defaults__), repr(function.__kwdefaults__)]
        parts += [repr(cell.cell_contents) for cell in function.__closure__ or ()]
    else:
        parts.append(repr(function))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _code_parts(code: CodeType) -> list[str]:
    parts = [code.co_code.hex(), repr(code.co_names)]
    for constant in code.co_consts:
        parts += _code_parts(constant) if isinstance(constant, CodeType) else [repr(constant)]
    return parts
