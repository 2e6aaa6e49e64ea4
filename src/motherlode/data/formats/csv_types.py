"""What the columns of CSV files are called and which types they have, told by samples."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from motherlode.core.errors import DataError, UnknownNameError, UsageError
from motherlode.data.files.compression import PlainStream, RangeStream, Stream
from motherlode.data.files.records import blocks
from motherlode.data.files.storage import File, Storage, translated
from motherlode.data.formats.csv_quotes import QUOTED, quotes
from motherlode.data.formats.text import is_utf8

if TYPE_CHECKING:
    from motherlode.data.formats.csv import Csv

HEAD_BYTES = 1 << 16
NULLS = ("", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "None")
"""What stands for no value in columns that are not strings."""


@dataclass(frozen=True, slots=True)
class Head:
    """The header of a file: the names in it, and where the rows begin."""

    names: list[str]
    start: int


def head(format: Csv, file: File, storage: Storage, compression: str) -> Head:
    """Read the names of a file's columns; without a header they are numbered."""
    with translated(file.location, planning=True), storage.open(file.location) as reader:
        stream: Stream = RangeStream(reader)
        if compression:
            stream = PlainStream(reader, compression, file.location)
        for block in blocks(stream, file.location, 0, None, format.last_end, HEAD_BYTES):
            found = _head(format, file, block.data, block.offset)
            if found is not None:
                return found
    raise DataError(f"{file.location} is empty", "a CSV file has at least a header")


def _head(format: Csv, file: File, data: bytes, offset: int) -> Head | None:
    """Return the names in the first record that is not blank."""
    start = 0
    while start < len(data):
        known = quotes(data[start:], format.dialect)
        end = start + (known.next_end(0) or len(data) - start)
        record = data[start:end]
        if record.strip(b"\r\n"):
            if known.state == QUOTED and end == len(data):
                raise DataError(f"the header of {file.location} has a quote that is not closed")
            texts = _fields(format, record, file)
            if format.header is False:
                return Head([f"c{n}" for n in range(len(texts))], 0)
            if format.header is None:
                _refuse_numbers(texts, file)
            return Head(_named(texts, file, format), offset + end)
        start = end
    return None


def _fields(format: Csv, record: bytes, file: File) -> list[str]:
    """Return the fields of one record as text; Arrow's reader would make numbers of some."""
    try:
        text = format.transcoded(record).decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"the first line of {file.location} is not UTF-8", 'encoding="latin-1" may be right'
        ) from error
    if format.quote is None:
        return text.rstrip("\r\n").split(format.delimiter)
    return next(csv.reader([text], delimiter=format.delimiter, quotechar=format.quote))


def _named(texts: Sequence[str], file: File, format: Csv) -> list[str]:
    names = [text.strip() or f"c{number}" for number, text in enumerate(texts)]
    twice = [name for name in names if names.count(name) > 1]
    if twice and format.names is None:
        raise DataError(
            f"the header of {file.location} has {twice[0]!r} twice",
            "give names=[...], or header=False if the first line is not a header",
        )
    return names


def _refuse_numbers(texts: Sequence[str], file: File) -> None:
    """Refuse a first line that looks like a row: taken as names, the row would be lost."""
    for text in texts:
        try:
            float(text)
        except ValueError:
            continue
        raise UsageError(
            f"cannot tell whether the first line of {file.location} names the columns: "
            f"it holds {text!r}",
            "say header=False if it is a row, header=True if it is not",
        )


def nulls(format: Csv) -> dict[str, Any]:
    """Return Arrow's options for which fields are null."""
    if format.null_values is not None:
        return {"null_values": list(format.null_values), "strings_can_be_null": True}
    # Strings are kept as they stand: NA is Namibia too. Empty ones are made null afterwards.
    return {"null_values": list(NULLS), "strings_can_be_null": False}


def infer(format: Csv, names: list[str], examples: Sequence[bytes], location: str) -> pa.Schema:
    """Return the columns: the names, more where records are longer, and their types."""
    found: list[pa.Schema] = []
    width = _width(format, len(names), examples, location)
    names += [f"c{number}" for number in range(len(names), width)]
    for data in examples:
        schema = _example(format, names, data)
        if schema is not None:
            found.append(schema)
    declared = dict(format.types or {})
    for name in declared:
        if name not in names:
            raise UnknownNameError("column in types", name, names)
    fields = []
    for number, name in enumerate(names):
        if name in declared:
            fields.append((name, as_type(declared[name])))
        else:
            kinds = [schema.field(number).type for schema in found]
            fields.append((name, common(kinds)))
    return pa.schema(fields)


def as_type(kind: Any) -> pa.DataType:
    """Return an Arrow type, given itself or by its name as ``"int64"`` or ``"timestamp[ms]"``."""
    if isinstance(kind, pa.DataType):
        return kind
    try:
        return pa.type_for_alias(str(kind))
    except ValueError as error:
        raise UsageError(
            f"unknown type {kind!r}", "use Arrow's names: int64, float64, string, timestamp[ms], …"
        ) from error


def common(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """Return the narrowest type that holds values of all the types sampled."""
    types = pa.types
    seen = [kind for kind in dict.fromkeys(kinds) if not types.is_null(kind)]
    if not seen:
        return pa.string()
    if len(seen) == 1:
        return pa.string() if types.is_binary(seen[0]) else seen[0]
    if all(types.is_integer(kind) or types.is_floating(kind) for kind in seen):
        return pa.float64()
    stamps = [kind for kind in seen if types.is_timestamp(kind)]
    dates = [kind for kind in seen if types.is_date(kind)]
    if stamps and len(stamps) + len(dates) == len(seen) and len({k.tz for k in stamps}) == 1:
        units = [kind.unit for kind in stamps]
        return pa.timestamp(max(units, key=("s", "ms", "us", "ns").index), stamps[0].tz)
    return pa.string()


def _width(format: Csv, width: int, examples: Sequence[bytes], location: str) -> int:
    """Return how many fields records have; more than the header where all of them do."""
    counts: dict[int, int] = {}
    for data in examples[:1]:
        rows = _ragged(format, width, data, counts)
        if rows:
            return width
    if not counts:
        return width
    (found,) = counts if len(counts) == 1 else (0,)
    if found > width and format.names is None:
        return found
    often = max(counts, key=lambda count: counts[count])
    raise DataError(
        f"records of {location} have {often} fields, but there are {width} names",
        "look at delimiter=, quote= and header=",
    )


def _ragged(format: Csv, width: int, data: bytes, counts: dict[int, int]) -> int:
    """Count records by their number of fields; return how many have the right one."""

    def count(row: Any) -> str:
        counts[row.actual_columns] = counts.get(row.actual_columns, 0) + 1
        return "skip"

    table = _read(format, [f"c{n}" for n in range(width)], data, count)
    return 0 if table is None else int(table.num_rows)


def _example(format: Csv, names: Sequence[str], data: bytes) -> pa.Schema | None:
    table = _read(format, [f"c{n}" for n in range(len(names))], data, lambda _: "skip")
    return None if table is None else table.schema


def _read(format: Csv, names: list[str], data: bytes, handler: Any) -> pa.Table | None:
    import pyarrow.csv as pc

    if not data.strip(b"\r\n"):
        return None
    data = data if is_utf8(data) else data.decode(errors="replace").encode()
    reading = pc.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1)
    converting = pc.ConvertOptions(**nulls(format))
    return pc.read_csv(pa.BufferReader(data), reading, _parsing(format, handler), converting)


def _parsing(format: Csv, handler: Any = None) -> Any:
    import pyarrow.csv as pc

    options: Mapping[str, Any] = {} if handler is None else {"invalid_row_handler": handler}
    return pc.ParseOptions(
        delimiter=format.delimiter,
        quote_char=format.quote or False,
        newlines_in_values=True,
        **options,
    )
