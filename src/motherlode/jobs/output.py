"""Result tables as files: Parquet, Arrow, CSV, JSON and JSON lines, whole or not at all."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from motherlode.core.errors import JobError, UnknownNameError
from motherlode.data.files.publish import Url
from motherlode.data.quarantine import BadRecord
from motherlode.jobs.files import check_writable, replacing

ENDINGS = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def format_of(path: Path | Url, asked: str | None = None) -> str:
    """Return the format a table is written in: as asked, else by the file's ending.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    """
    if asked is not None:
        if asked not in _WRITERS:
            raise UnknownNameError("output format", asked, _WRITERS)
        return asked
    try:
        return ENDINGS[path.suffix.lower()]
    except KeyError:
        raise UnknownNameError(
            "output format", path.suffix, ENDINGS, f"end {path.name!r} in {', '.join(ENDINGS)}"
        ) from None


def check_output(path: Path | Url, asked: str | None = None) -> None:
    """Raise :class:`UsageError` if a table could not be written there."""
    format_of(path, asked)
    check_writable(path, "output")


def write_table(
    table: pa.Table, path: Path | Url, asked: str | None = None, *, private: bool = False
) -> None:
    """Write a table in place of what is at ``path``.

    Parameters
    ----------
    table : pyarrow.Table
        What is written.
    path : Path or Url
        Where to; the ending tells the format.
    asked : str, optional
        The format, where the ending does not tell: ``parquet``, ``arrow``, ``csv``, ``json``
        (an array of objects) or ``jsonl`` (an object a line).
    private : bool
        Whether only the owner may read it.

    Notes
    -----
    In JSON, NaN and infinities are null, times are ISO 8601, durations seconds, decimals
    strings, and bytes text where they are UTF-8, else base64. In CSV, lists and structs are JSON
    in quotes, and null is an empty field.
    """
    write = _WRITERS[format_of(path, asked)]
    with replacing(path, private=private) as file:
        try:
            write(table, file)
        except pa.ArrowException as error:
            raise JobError(f"cannot write {path}: {error}", "try another format") from error


def write_quarantine(bad: Sequence[BadRecord], path: Path | Url) -> None:
    """Write unreadable records as JSON lines, whole, to be repaired and mined later.

    A record's bytes are under ``raw`` where they are UTF-8, else in base64 under ``raw_base64``.
    """
    with replacing(path) as file:
        for record in bad:
            try:
                raw = {"raw": record.raw.decode()}
            except UnicodeDecodeError:
                raw = {"raw_base64": base64.b64encode(record.raw).decode()}
            row = {
                "location": record.location,
                "offset": record.offset,
                "reason": record.reason,
                **raw,
            }
            file.write(_dumped(row) + b"\n")


def plain_json(value: Any) -> Any:
    """Return a value as strict JSON has it; see :func:`write_table`."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [plain_json(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain_json(each) for key, each in value.items()}
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return str(value) if isinstance(value, Decimal) else repr(value)


def records(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table as strict JSON has them."""
    return [plain_json(row) for row in table.to_pylist()]


def _write_parquet(table: pa.Table, file: BinaryIO) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, file, compression="zstd")


def _write_arrow(table: pa.Table, file: BinaryIO) -> None:
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _write_csv(table: pa.Table, file: BinaryIO) -> None:
    import pyarrow.csv

    columns = {
        name: column if _is_scalar(column.type) else _as_json(column)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    pyarrow.csv.write_csv(pa.table(columns), file)


def _write_json(table: pa.Table, file: BinaryIO) -> None:
    separator = b"[\n"
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            file.write(separator + _dumped(row))
            separator = b",\n"
    file.write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def _write_json_lines(table: pa.Table, file: BinaryIO) -> None:
    for batch in table.to_batches(max_chunksize=10_000):
        file.writelines(_dumped(row) + b"\n" for row in batch.to_pylist())


_WRITERS: dict[str, Callable[[pa.Table, BinaryIO], None]] = {
    "parquet": _write_parquet,
    "arrow": _write_arrow,
    "csv": _write_csv,
    "json": _write_json,
    "jsonl": _write_json_lines,
}


def _dumped(row: Any) -> bytes:
    return json.dumps(plain_json(row), ensure_ascii=False, allow_nan=False).encode(errors="replace")


def _is_scalar(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_dictionary(kind) or _is_bytes(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _as_json(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as text: strings as they are, all else as JSON."""
    texts = []
    for value in column.to_pylist():
        plain = plain_json(value)
        texts.append(plain if plain is None or isinstance(plain, str) else _dumped(plain).decode())
    return pa.array(texts, pa.large_string())
