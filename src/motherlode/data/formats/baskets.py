"""Baskets and sequences: transactions of numbers or names, and sequences of itemsets."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.core.parameters import AnyOf, Choice, Constraint, Nothing, Text
from motherlode.data.files.format import Layout
from motherlode.data.files.isolate import Unreadable
from motherlode.data.files.lines import LineFormat
from motherlode.data.files.records import Block, border
from motherlode.data.files.sampling import sample, sampled
from motherlode.data.files.storage import File, Storage
from motherlode.data.formats.text import line_count, line_ends, text_lines
from motherlode.data.plain import from_numpy
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request

REASONS = ("", "not whole numbers as the format has them", "an item does not fit {}")


class NumberFormat(LineFormat):
    """What formats of whole numbers share; ``items`` are ``int32`` where all sampled ones fit."""

    constraints: ClassVar[Mapping[str, Constraint]] = {
        "items": AnyOf(Choice(("int32", "int64")), Nothing())
    }

    def __init__(self, items: str | None = None) -> None:
        self.items = items

    @property
    @abstractmethod
    def column(self) -> str:
        """Name of the column."""

    @abstractmethod
    def typed(self, item: pa.DataType) -> pa.DataType:
        """Return the type of the column."""

    @abstractmethod
    def scan(self, data: bytes, item: np.dtype[Any]) -> tuple[pa.Array, NDArray[np.uint8]]:
        """Return the records of some lines, and what each line is."""

    def infer(self, files: Sequence[File], storage: Storage, compressions: Sequence[str]) -> Schema:
        kind = self.items or self._fitting(files, storage, compressions)
        return Schema(pa.schema([(self.column, self.typed(pa.type_for_alias(kind)))]))

    def parse(
        self, block: Block, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Batch:
        kind = layout.schema.columns.field(0).type
        while pa.types.is_list(kind):
            kind = kind.value_type
        records, faults = self.scan(block.data, np.dtype(kind.to_pandas_dtype()))
        bad = np.flatnonzero((faults == 1) | (faults == 2))
        if len(bad):
            ends = line_ends(block.data)
            for line in bad.tolist():
                start = int(ends[line - 1]) + 1 if line else 0
                raw = block.data[start : int(ends[line])].rstrip(b"\r")
                reason = REASONS[faults[line]].format(kind)
                quarantine.add(block.location, block.offset + start, reason, raw)
        if request.columns == ():
            return Batch(empty_columns(len(records)))
        return Batch(pa.RecordBatch.from_arrays([records], names=[self.column]))

    def _fitting(self, files: Sequence[File], storage: Storage, compressions: Sequence[str]) -> str:
        for number in sampled(len(files)):
            file = files[number]

            def near(reader: Any, positions: Sequence[int], file: File = file) -> list[int]:
                return [border(reader, position, file.size) for position in positions]

            for block in sample(file, storage, compressions[number], 0, near):
                if (self.scan(block.data, np.dtype(np.int32))[1] == 2).any():
                    return "int64"
        return "int32"


class Fimi(NumberFormat):
    """Transactions of whole numbers between blanks, one a line: the column ``items``.

    The format of the Frequent Itemset Mining Implementations repository. An empty line is an empty
    basket. A line with anything but numbers goes to the quarantine.

    Parameters
    ----------
    items : {'int32', 'int64'}, optional
        Type of the items; by default what the sampled ones need.
    """

    name: ClassVar[str] = "fimi"
    extensions: ClassVar[tuple[str, ...]] = (".dat", ".fimi")
    column = "items"

    def typed(self, item: pa.DataType) -> pa.DataType:
        return pa.list_(item)

    def scan(self, data: bytes, item: np.dtype[Any]) -> tuple[pa.Array, NDArray[np.uint8]]:
        from motherlode.data.formats import _kernels

        text, lines = np.frombuffer(data, np.uint8), line_count(data)
        items = np.empty(len(text) // 2 + 1, dtype=item)
        offsets = np.empty(lines + 1, dtype=np.int32)
        faults = np.empty(lines, dtype=np.uint8)
        _, rows = _kernels.baskets(text, np.iinfo(item).max, items, offsets, faults)
        return _lists(offsets[: rows + 1], _shrunk(items, offsets[rows])), faults


class Spmf(NumberFormat):
    """Sequences of itemsets, one a line: -1 ends an itemset, -2 the sequence.

    The format of the SPMF library; the column is ``sequence``, lists of lists. Blank lines, and
    those that start with ``#``, ``%`` or ``@``, are no records.

    Parameters
    ----------
    items : {'int32', 'int64'}, optional
        Type of the items; by default what the sampled ones need.
    """

    name: ClassVar[str] = "spmf"
    extensions: ClassVar[tuple[str, ...]] = (".spmf",)
    column = "sequence"

    def typed(self, item: pa.DataType) -> pa.DataType:
        return pa.list_(pa.list_(item))

    def scan(self, data: bytes, item: np.dtype[Any]) -> tuple[pa.Array, NDArray[np.uint8]]:
        from motherlode.data.formats import _kernels

        text, lines = np.frombuffer(data, np.uint8), line_count(data)
        items = np.empty(len(text) // 2 + 1, dtype=item)
        inner = np.empty(len(text) // 2 + 2, dtype=np.int32)
        outer = np.empty(lines + 1, dtype=np.int32)
        faults = np.empty(lines, dtype=np.uint8)
        greatest = np.iinfo(item).max
        _, rows = _kernels.sequences(text, greatest, items, inner, outer, faults)
        sets = int(outer[rows])
        below = _lists(_shrunk(inner, sets + 1), _shrunk(items, inner[sets]))
        return _lists(outer[: rows + 1], below), faults


class Basket(LineFormat):
    """Transactions of names between delimiters, one a line: the column ``items``.

    Names lose the blanks around them; empty ones are left out, an empty line is an empty basket.
    A name in double quotes may hold the delimiter; quotes in it are doubled. A line that is not
    UTF-8, or has a quote that is not closed, goes to the quarantine.

    Parameters
    ----------
    delimiter : str
        One ASCII character between names.
    """

    name: ClassVar[str] = "basket"
    extensions: ClassVar[tuple[str, ...]] = (".basket", ".baskets")
    constraints: ClassVar[Mapping[str, Constraint]] = {"delimiter": Text()}

    def __init__(self, delimiter: str = ",") -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '\r\n"':
            raise ValueError(f"delimiter must be one ASCII character, got {delimiter!r}")
        self.delimiter = delimiter

    def infer(self, files: Sequence[File], storage: Storage, compressions: Sequence[str]) -> Schema:
        return Schema(pa.schema([("items", pa.list_(pa.string()))]))

    def parse(
        self, block: Block, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Batch:
        if b'"' in block.data:
            found = self._quoted(block, quarantine)
        else:
            found = pc.split_pattern(text_lines(block, quarantine), self.delimiter)
        if request.columns == ():
            return Batch(empty_columns(len(found)))
        return Batch(pa.RecordBatch.from_arrays([_trimmed(found)], names=["items"]))

    def _quoted(self, block: Block, quarantine: Quarantine) -> pa.Array:
        """Split line by line; quotes are rare where names are short."""
        rows = []
        start = 0
        for end in line_ends(block.data).tolist():
            raw = block.data[start:end].rstrip(b"\r")
            try:
                rows.append(self._names(raw.decode()))
            except (UnicodeDecodeError, Unreadable) as error:
                quarantine.add(block.location, block.offset + start, str(error), raw)
            start = end + 1
        return pa.array(rows, pa.list_(pa.string()))

    def _names(self, line: str) -> list[str]:
        if '"' not in line:
            return line.split(self.delimiter)
        other = f"[^{re.escape(self.delimiter)}]*"
        names = []
        position = 0
        while position <= len(line):
            quoted = re.compile(rf'\s*"((?:[^"]|"")*)"({other})').match(line, position)
            if quoted is not None:
                names.append(quoted[1].replace('""', '"') + quoted[2])
                position = quoted.end() + 1
                continue
            plain = line[position:].partition(self.delimiter)[0]
            if plain.lstrip().startswith('"'):
                raise Unreadable("a quote is opened that is never closed")
            names.append(plain)
            position += len(plain) + 1
        return names


def _trimmed(lists: pa.Array) -> pa.Array:
    """Return lists of names without blanks around them and without empty ones."""
    offsets = np.frombuffer(lists.buffers()[1], np.int32)[: len(lists) + 1]
    names = pc.utf8_trim_whitespace(lists.values)
    lengths = np.diff(np.frombuffer(names.buffers()[1], np.int32)[: len(names) + 1])
    filled = lengths > 0
    if filled.all():
        return pa.ListArray.from_buffers(
            lists.type, len(lists), [None, lists.buffers()[1]], children=[names]
        )
    before = np.zeros(len(names) + 1, dtype=np.int32)
    np.cumsum(filled, out=before[1:])
    kept = names.take(from_numpy(np.flatnonzero(filled)))
    return _lists(before[offsets], kept)


def _lists(offsets: NDArray[np.int32], values: Any) -> pa.Array:
    """Return an Arrow list array of offsets and values, which are kept, not copied."""
    below = values if isinstance(values, pa.Array) else from_numpy(values)
    kind = pa.list_(below.type)
    start = pa.py_buffer(np.ascontiguousarray(offsets))
    return pa.ListArray.from_buffers(kind, len(offsets) - 1, [None, start], children=[below])


def _shrunk(array: NDArray[Any], length: int) -> NDArray[Any]:
    """Return the used part of an array, copied where most of it is not used."""
    used = array[:length]
    return used.copy() if length < len(array) // 2 else used
