"""JSON lines: one object a line."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import DataError
from motherlode.data.expressions import to_arrow
from motherlode.data.files.format import Layout
from motherlode.data.files.isolate import Unreadable, isolate
from motherlode.data.files.lines import LineFormat
from motherlode.data.files.records import Block, border
from motherlode.data.files.sampling import sample, sampled
from motherlode.data.files.storage import File, Storage
from motherlode.data.formats.csv_types import as_type
from motherlode.data.formats.json_types import shape_of
from motherlode.data.formats.text import is_utf8, line_count, line_ends
from motherlode.data.plain import no_rows
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request

if TYPE_CHECKING:
    import polars as pl

WHOLE_BYTES = 2 << 20
BLANK = b" \t\r\n"
ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F])|.)", re.DOTALL)
"""An escape, pairs of surrogates as one; the group is half of a pair."""


class Jsonl(LineFormat):
    """One JSON object a line; its members are the columns.

    Columns and types are told by samples from all over the files. A member that no sample has is
    not read; one that a record lacks is null. Objects become structs, arrays lists. A column of
    strings holds other values as their JSON text; dates are strings unless ``types`` says
    otherwise. A line that is not an object, or has a value of another type in a column that is
    read, goes to the quarantine; a blank line is no record.

    Parameters
    ----------
    types : mapping, optional
        Types by column, in place of those sampled, or of columns that the samples may lack:
        ``{"time": "timestamp[ms]"}``.
    """

    name: ClassVar[str] = "jsonl"
    extensions: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")

    def __init__(self, types: Mapping[str, Any] | None = None) -> None:
        self.types = types

    def infer(self, files: Sequence[File], storage: Storage, compressions: Sequence[str]) -> Schema:
        declared = {name: as_type(kind) for name, kind in (self.types or {}).items()}
        records = list(self._examples(files, storage, compressions))
        if not records and not declared:
            raise DataError(
                f"no line of {files[0].location} is a JSON object",
                "a file has one object on each line; say types= for a file without records",
            )
        kinds = {name: below.type() for name, below in shape_of(records).fields.items()}
        return Schema(pa.schema(list({**kinds, **declared}.items())))

    def parse(
        self, block: Block, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Batch:
        schema = layout.schema.columns
        names = schema.names if request.columns is None else list(request.columns)
        reader = _LineReader(schema, names)
        try:
            return Batch(reader.read(block.data, None))
        except Unreadable:
            ends = line_ends(block.data) + 1
            rows = isolate(block, ends, reader.read, quarantine, BLANK)
        return Batch(reader.nothing() if rows is None else rows)

    def _examples(
        self, files: Sequence[File], storage: Storage, compressions: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        for number in sampled(len(files)):
            file = files[number]

            def near(reader: Any, positions: Sequence[int], file: File = file) -> list[int]:
                return [border(reader, position, file.size) for position in positions]

            kind = compressions[number]
            for block in sample(file, storage, kind, 0, near, whole_bytes=WHOLE_BYTES):
                yield from _objects(block.data)


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.split(b"\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


class _LineReader:
    """Reads whole lines into the wanted columns."""

    def __init__(self, schema: pa.Schema, names: Sequence[str]) -> None:
        import polars as pl

        self.wanted = pa.schema([schema.field(name) for name in names])
        # Without a column there would be no rows to count; as text any value will do.
        read = self.wanted if names else pa.schema([(schema.names[0], pa.string())])
        self.kinds = dict(pl.DataFrame(pl.from_arrow(no_rows(read))).schema)

    def read(self, data: bytes, rows: int | None) -> pa.RecordBatch:
        """Return the rows of some lines, or raise :class:`Unreadable`."""
        if not is_utf8(data):
            raise Unreadable("not UTF-8")
        if b"\\" in data and _half_pair(data):
            raise Unreadable("half of a surrogate pair in a string")
        frame = self._frame(data, self.kinds)
        if rows is None:
            rows = line_count(data)
            rows = rows if rows == frame.height else _filled_lines(data)
        if frame.height != rows:
            raise Unreadable("not one object on the line")
        columns = to_arrow(frame)
        if not len(self.wanted):
            return columns.select([])
        return columns if columns.schema.equals(self.wanted) else columns.cast(self.wanted)

    def nothing(self) -> pa.RecordBatch:
        """Return no rows."""
        return no_rows(self.wanted)

    def _frame(self, data: bytes, kinds: Mapping[str, Any]) -> pl.DataFrame:
        import polars as pl

        try:
            return pl.read_ndjson(io.BytesIO(data), schema=kinds)
        except pl.exceptions.PolarsError as error:
            raise Unreadable(self._reason(data, kinds, str(error))) from error

    def _reason(self, data: bytes, kinds: Mapping[str, Any], message: str) -> str:
        first = message.partition("\n")[0]
        if len(kinds) == 1 or data.count(b"\n", 0, -1):
            return first
        for name, kind in kinds.items():
            try:
                self._frame(data, {name: kind})
            except Unreadable as error:
                same = "error parsing line" in str(error)
                return str(error) if same else f"column {name!r}: {error}"
        return first


def _filled_lines(data: bytes) -> int:
    """Return the number of lines that are not blank."""
    return sum(1 for line in data.split(b"\n") if line.strip(BLANK))


def _half_pair(data: bytes) -> bool:
    text = np.frombuffer(data, np.uint8)
    at = np.flatnonzero(text[:-2] == ord("\\"))
    if not ((text[at + 1] == ord("u")) & (text[at + 2] | 32 == ord("d"))).any():
        return False
    return any(match[1] for match in ESCAPE.finditer(data))
