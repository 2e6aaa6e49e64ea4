"""Partition columns: the ``name=value`` folders of a file's path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from motherlode.core.batch import Batch
from motherlode.core.errors import DataError
from motherlode.data.files.storage import File
from motherlode.data.plain import from_numpy

NULL = "__HIVE_DEFAULT_PARTITION__"

Partition = tuple[tuple[str, Any], ...]


def partitions(files: Sequence[File]) -> tuple[pa.Schema, list[Partition]]:
    """Return the partition columns of a set of files, and each file's values.

    A column is ``int64`` where all its values are whole numbers, else a string.

    Raises
    ------
    DataError
        If the files do not all have the same partition columns.
    """
    texts = [_texts(file) for file in files]
    names = [name for name, _ in texts[0]]
    for file, pairs in zip(files, texts, strict=True):
        if [name for name, _ in pairs] != names:
            raise DataError(
                f"{file.location} is in folders for {[n for n, _ in pairs]}, "
                f"{files[0].location} for {names}",
                "name the files of one kind, or use a glob",
            )
    whole = [all(_is_whole(pairs[n][1]) for pairs in texts) for n in range(len(names))]
    schema = pa.schema(
        [(name, pa.int64() if w else pa.string()) for name, w in zip(names, whole, strict=True)]
    )
    values = [
        tuple(
            (name, int(text) if w and text is not None else text)
            for (name, text), w in zip(pairs, whole, strict=True)
        )
        for pairs in texts
    ]
    return schema, values


def with_partition(
    batch: Batch, partition: Partition, order: Sequence[str], schema: pa.Schema
) -> Batch:
    """Return a batch with its file's partition columns, all columns in the given order."""
    if not order:  # Arrow would forget how many rows there are
        return batch
    values = dict(partition)
    arrays = []
    for name in order:
        if name in values:
            arrays.append(constant(values[name], schema.field(name).type, len(batch)))
        else:
            arrays.append(batch.columns.column(name))
    fields = [schema.field(name) for name in order]
    columns = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
    return replace(batch, columns=columns, _matrices={})


def constant(value: Any, kind: pa.DataType, rows: int) -> pa.Array:
    """Return an array of so many times one value."""
    if value is None:
        return pa.nulls(rows, kind)
    if not pa.types.is_string(kind):
        return from_numpy(np.full(rows, value, dtype=np.int64))
    text = value.encode()
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(len(text))
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(text * rows))


def _texts(file: File) -> list[tuple[str, str | None]]:
    pairs = []
    for part in file.below.split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            text = unquote(value)
            pairs.append((unquote(name), None if text == NULL else text))
    return pairs


def _is_whole(text: str | None) -> bool:
    if text is None:
        return True
    digits = text[1:] if text.startswith("-") else text
    # "007" is a code, not a number: read as 7 it could not be told from "7".
    return digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
