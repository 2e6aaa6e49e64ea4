"""CSV: fields between delimiters, some in quotes; cut at record ends, read by Arrow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import DataError
from motherlode.core.parameters import AnyOf, Choice, Constraint, Flag, Nothing, Sequenced, Text
from motherlode.data.files.compression import PlainStream, RangeStream
from motherlode.data.files.format import Format, Layout, Opened, Piece
from motherlode.data.files.isolate import Unreadable, isolate
from motherlode.data.files.lines import SPLIT_BYTES
from motherlode.data.files.records import BLOCK_BYTES, Block, blocks
from motherlode.data.files.sampling import positions, sample, sampled
from motherlode.data.files.storage import File, Storage, translated
from motherlode.data.formats import csv_types
from motherlode.data.formats.csv_quotes import QUOTED, Dialect, borders, quotes
from motherlode.data.formats.text import is_utf8
from motherlode.data.plain import one_array
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request


@dataclass(frozen=True, slots=True)
class CsvFacts:
    """What the plan found: the columns as the files have them, and where each file's rows begin."""

    columns: pa.Schema
    starts: tuple[int, ...]


class Csv(Format):
    """Comma-separated values (RFC 4180), and their kin with other delimiters.

    A quoted field may hold delimiters, line ends and doubled quotes. Large files are cut at record
    ends, so a file in quotes is read once for the plan; ``quote=None`` saves that. Types are told
    by samples from all over the files (integers before floats before strings, dates and
    timestamps in ISO 8601); a record with a value of another type, with too few or too many
    fields, or with bytes that are not text goes to the quarantine. Only the columns that are read
    are looked at. An empty line is no record.

    Parameters
    ----------
    delimiter : str
        One ASCII character between fields.
    header : bool, optional
        Whether the first line names the columns; else they are ``c0``, ``c1``, …. Left out, it is
        taken to, but refused if a name looks like a number: a row would be lost.
    names : list of str, optional
        Names for the columns, in place of the header's.
    quote : str or None
        One ASCII character around fields; None where quotes are characters as any.
    null_values : list of str, optional
        Fields that are null, in every column. By default an empty field is null, and in columns
        of numbers, dates and booleans also NA, N/A, #N/A, null and the like.
    types : mapping, optional
        Types by column, in place of those sampled: ``{"zip": "string"}``.
    encoding : {'utf-8', 'latin-1'}
        How characters are written.
    """

    name: ClassVar[str] = "csv"
    extensions: ClassVar[tuple[str, ...]] = (".csv",)
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "delimiter": Text(),
        "header": AnyOf(Flag(), Nothing()),
        "names": AnyOf(Sequenced(Text()), Nothing()),
        "quote": AnyOf(Text(), Nothing()),
        "null_values": AnyOf(Sequenced(Text(), least=0), Nothing()),
        "encoding": Choice(("utf-8", "latin-1")),
    }
    block_bytes: int = BLOCK_BYTES

    def __init__(
        self,
        delimiter: str = ",",
        header: bool | None = None,
        names: Sequence[str] | None = None,
        quote: str | None = '"',
        null_values: Sequence[str] | None = None,
        types: Mapping[str, Any] | None = None,
        encoding: str = "utf-8",
    ) -> None:
        for option, value in (("delimiter", delimiter), ("quote", quote)):
            if value is not None and (len(value) != 1 or not value.isascii() or value in "\r\n"):
                raise ValueError(f"{option} must be one ASCII character, got {value!r}")
        self.delimiter = delimiter
        self.header = header
        self.names = names
        self.quote = quote
        self.null_values = null_values
        self.types = types
        self.encoding = encoding

    @property
    def dialect(self) -> Dialect:
        return Dialect(self.delimiter, self.quote)

    def plan(
        self,
        files: Sequence[File],
        storage: Storage,
        compressions: Sequence[str],
        split_bytes: int | None,
    ) -> Layout:
        heads = [
            csv_types.head(self, file, storage, kind)
            for file, kind in zip(files, compressions, strict=True)
        ]
        for file, head in zip(files, heads, strict=True):
            if self.header is not False and self.names is None and head.names != heads[0].names:
                raise DataError(
                    f"the header of {file.location} is not that of {files[0].location}: "
                    f"{head.names} and {heads[0].names}",
                    "mine them as two datasets, or give names=[...]",
                )
        starts = tuple(head.start for head in heads)
        names = heads[0].names if self.names is None else self.names
        looked_at = sampled(len(files))
        examples: list[bytes] = []
        pieces: list[Piece] = []
        for number, (file, kind) in enumerate(zip(files, compressions, strict=True)):
            start = starts[number]
            targets = range(start, file.size, split_bytes or SPLIT_BYTES)[1:]
            also = positions(file, start) if number in looked_at else []
            with translated(file.location, planning=True):
                found = {} if kind else self._borders(file, storage, start, {*targets, *also})
                pieces += _pieces(number, file, kind, start, [found.get(t, t) for t in targets])
            if number in looked_at:
                near = partial(_looked_up, found)
                sampling = sample(file, storage, kind, start, near, self.last_end)
                examples += [self.transcoded(block.data) for block in sampling]
        columns = csv_types.infer(self, list(names), examples, files[0].location)
        return Layout(Schema(columns), tuple(pieces), CsvFacts(columns, starts))

    def read(
        self, opened: Opened, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Iterator[Batch]:
        wanted = layout.schema.names if request.columns is None else list(request.columns)
        reader = BlockReader(self, layout.facts.columns, wanted)
        for block in self._blocks(opened, layout.facts):
            for whole in self._closed(block, quarantine):
                rows = reader.rows(whole, quarantine)
                if rows is not None and rows.num_rows:
                    yield Batch(rows)

    def transcoded(self, data: bytes) -> bytes:
        """Return text as UTF-8."""
        return data if self.encoding == "utf-8" else data.decode(self.encoding).encode()

    def last_end(self, data: bytes) -> int:
        """Return the position after the last whole record."""
        return quotes(data, self.dialect).last_end()

    def _borders(
        self, file: File, storage: Storage, start: int, wanted: set[int]
    ) -> dict[int, int]:
        """Return where the first record starts at or after some positions; reads the file once."""
        ascending = sorted(wanted)
        with storage.open(file.location) as reader:
            found = borders(reader, start, file.size, ascending, self.dialect)
        return dict(zip(ascending, found, strict=True))

    def _blocks(self, opened: Opened, facts: CsvFacts) -> Iterator[Block]:
        location, split = opened.file.location, opened.split
        if not opened.compression:
            stream = RangeStream(opened.reader, split.start)
            start, stop = split.start, split.stop
            return blocks(stream, location, start, stop, self.last_end, self.block_bytes)
        plain = PlainStream(opened.reader, opened.compression, location)
        start = facts.starts[opened.number]
        plain.read(start)
        return blocks(plain, location, start, None, self.last_end, self.block_bytes)

    def _closed(self, block: Block, quarantine: Quarantine) -> Iterator[Block]:
        """Yield a block as it is unless a quote in it is never closed: then without those lines.

        Only the line with the open quote is given up: the lines after it are read as records.
        """
        data, offset = block.data, block.offset
        while not block.complete:
            known = quotes(data, self.dialect)
            if known.state != QUOTED:
                break
            end = known.last_end()
            if end:
                yield Block(block.location, offset, data[:end])
            line = data.find(b"\n", end) + 1 or len(data)
            reason = "a quote is opened that is never closed"
            quarantine.add(block.location, offset + end, reason, data[end:line].rstrip(b"\r\n"))
            data, offset = data[line:], offset + line
        if data:
            yield Block(block.location, offset, data)


class BlockReader:
    """Reads blocks of whole records into the wanted columns."""

    def __init__(self, format: Csv, columns: pa.Schema, wanted: Sequence[str]) -> None:
        import pyarrow.csv as pc

        self.format = format
        self.columns = columns
        self.wanted = list(wanted)
        # Without a column there would be no rows to count.
        read = self.wanted or columns.names[:1]
        types = {name: columns.field(name).type for name in self.wanted}
        self.parsing = pc.ParseOptions(
            delimiter=format.delimiter,
            quote_char=format.quote or False,
            newlines_in_values=True,
            invalid_row_handler=self._ragged,
        )
        self.converting = pc.ConvertOptions(
            column_types=types or {read[0]: pa.binary()},
            include_columns=read,
            **csv_types.nulls(format),
        )
        self.complaint = ""

    def rows(self, block: Block, quarantine: Quarantine) -> pa.RecordBatch | None:
        """Return the readable rows of a block."""
        data = block.data
        if not _has_lone_return(data):
            try:
                return self._read(data, None)
            except Unreadable:
                pass
        known = quotes(data, self.format.dialect)
        ends = known.ends()
        if not len(ends) or ends[-1] < len(data):
            ends = np.append(ends, len(data))
        return isolate(block, ends, self._read, quarantine)

    def _read(self, data: bytes, rows: int | None) -> pa.RecordBatch:
        import pyarrow.csv as pc

        text = self.format.transcoded(data)
        if not is_utf8(text):
            raise Unreadable("not UTF-8")
        reading = pc.ReadOptions(
            column_names=self.columns.names, use_threads=False, block_size=len(text) + 1
        )
        self.complaint = ""
        try:
            table = pc.read_csv(pa.BufferReader(text), reading, self.parsing, self.converting)
        except pa.ArrowInvalid as error:
            raise Unreadable(self._reason(str(error))) from error
        if self.complaint:
            raise Unreadable(self.complaint)
        if rows is not None and table.num_rows != rows:
            raise Unreadable("a carriage return without a line feed is not a line end")
        arrays = [one_array(column) for column in table.columns]
        if self.format.null_values is None:
            arrays = [_empty_as_null(array) for array in arrays]
        found = pa.RecordBatch.from_arrays(arrays, schema=table.schema)
        return found if self.wanted else found.select([])

    def _ragged(self, row: Any) -> str:
        self.complaint = f"{row.actual_columns} fields, not {row.expected_columns}"
        return "skip"

    def _reason(self, message: str) -> str:
        match = re.search(r"column #(\d+).*?conversion error to ([^:]+): (.*)", message, re.S)
        if match is None:
            return message
        name = self.columns.names[int(match[1])]
        return f"column {name!r} is not {match[2]}: {match[3]}"


def _pieces(
    number: int, file: File, compression: str, start: int, cuts: Sequence[int]
) -> Iterator[Piece]:
    """Cut a file where records start; a compressed one is one piece."""
    if compression:
        yield Piece(number, 0, file.size, "whole", nbytes=file.size)
        return
    ends = sorted({*cuts, file.size} - {start})
    for first, stop in zip([start, *ends], ends, strict=False):
        yield Piece(number, first, stop, "bytes", nbytes=stop - first)


def _looked_up(found: Mapping[int, int], _: Any, wanted: Sequence[int]) -> list[int]:
    return [found[position] for position in wanted]


def _has_lone_return(data: bytes) -> bool:
    if b"\r" not in data:
        return False
    text = np.frombuffer(data, np.uint8)
    at = np.flatnonzero(text == 13)
    after = at + 1
    if after[-1] == len(data):
        return True
    return bool((text[after] != 10).any())


def _empty_as_null(array: pa.Array) -> pa.Array:
    """Return strings with null for those that are empty."""
    if not pa.types.is_string(array.type) or not len(array):
        return array
    buffers = array.buffers()
    offsets = np.frombuffer(buffers[1], np.int32)[array.offset : array.offset + len(array) + 1]
    filled = offsets[1:] != offsets[:-1]
    if filled.all():
        return array
    valid = pa.py_buffer(np.packbits(filled, bitorder="little"))
    start = pa.py_buffer(offsets)
    return pa.Array.from_buffers(array.type, len(array), [valid, start, buffers[2]])


class Tsv(Csv):
    """CSV with tabs between fields and, as is usual there, no quoting unless ``quote`` says so."""

    name: ClassVar[str] = "tsv"
    extensions: ClassVar[tuple[str, ...]] = (".tsv", ".tab")

    def __init__(
        self,
        delimiter: str = "\t",
        header: bool | None = None,
        names: Sequence[str] | None = None,
        quote: str | None = None,
        null_values: Sequence[str] | None = None,
        types: Mapping[str, Any] | None = None,
        encoding: str = "utf-8",
    ) -> None:
        super().__init__(delimiter, header, names, quote, null_values, types, encoding)
