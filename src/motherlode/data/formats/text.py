"""Text: one row a line, in the column ``text``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.core.parameters import Choice, Constraint
from motherlode.data.files.format import Layout
from motherlode.data.files.lines import LineFormat
from motherlode.data.files.records import Block
from motherlode.data.files.storage import File, Storage
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request


class Text(LineFormat):
    """Lines of text; an empty line is an empty string.

    A line ends with LF or CR LF, which are not part of it. A line that is not UTF-8 goes to the
    quarantine.

    Parameters
    ----------
    encoding : {'utf-8', 'latin-1', 'bytes'}
        How characters are written; ``bytes`` leaves the lines as they are, in a binary column.
    """

    name: ClassVar[str] = "text"
    extensions: ClassVar[tuple[str, ...]] = (".txt", ".text", ".log")
    constraints: ClassVar[dict[str, Constraint]] = {
        "encoding": Choice(("utf-8", "latin-1", "bytes"))
    }

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = encoding

    def infer(self, files: Sequence[File], storage: Storage, compressions: Sequence[str]) -> Schema:
        kind = pa.binary() if self.encoding == "bytes" else pa.string()
        return Schema(pa.schema([("text", kind)]))

    def parse(
        self, block: Block, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Batch:
        lines = text_lines(block, quarantine, self.encoding)
        if request.columns == ():
            return Batch(empty_columns(len(lines)))
        return Batch(pa.RecordBatch.from_arrays([lines], names=["text"]))


def text_lines(block: Block, quarantine: Quarantine, encoding: str = "utf-8") -> pa.Array:
    """Return the lines of a block as strings; those that are not UTF-8 go to the quarantine."""
    if encoding == "bytes":
        return _strings(block.data, line_ends(block.data)).view(pa.binary())
    if encoding != "utf-8":
        data = block.data.decode(encoding).encode()
        return _strings(data, line_ends(data))
    return numbered_lines(block, quarantine)[0]


def numbered_lines(block: Block, quarantine: Quarantine) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the lines of a block as :func:`text_lines` does, and each one's number in it."""
    ends = line_ends(block.data)
    if not is_utf8(block.data):
        return _only_valid(block, ends, quarantine)
    return _strings(block.data, ends), np.arange(len(ends))


def is_utf8(data: bytes) -> bool:
    """Tell whether bytes are valid UTF-8; as no character spans a line end, each line is then."""
    whole = np.array([0, len(data)], dtype=np.int32)
    text = pa.StringArray.from_buffers(1, pa.py_buffer(whole), pa.py_buffer(data))
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def line_count(data: bytes) -> int:
    """Return the number of lines, a last one without LF included."""
    return data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))


def line_ends(data: bytes) -> NDArray[np.int64]:
    """Return the position of every line's end, that of a last line without LF included."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    return ends if not data or data.endswith(b"\n") else np.append(ends, len(data))


def _strings(data: bytes, ends: NDArray[np.int64]) -> pa.Array:
    """Return the lines as an Arrow array: the bytes without line ends, and offsets into them."""
    if b"\r" in data and b"\r\n" in data:
        data = data.replace(b"\r\n", b"\n")
        ends = line_ends(data)
    offsets = np.zeros(len(ends) + 1, dtype=np.int32)
    offsets[1:] = ends - np.arange(len(ends))
    values = data.replace(b"\n", b"")
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(values))


def _only_valid(
    block: Block, ends: NDArray[np.int64], quarantine: Quarantine
) -> tuple[pa.Array, NDArray[np.int64]]:
    kept = []
    numbers = []
    start = 0
    for number, end in enumerate(ends.tolist()):
        raw = block.data[start:end]
        raw = raw[:-1] if raw.endswith(b"\r") and block.data[end : end + 1] else raw
        try:
            kept.append(raw.decode())
            numbers.append(number)
        except UnicodeDecodeError as error:
            reason = f"not UTF-8: {error.reason} at byte {error.start} of the line"
            quarantine.add(block.location, block.offset + start, reason, raw)
        start = end + 1
    return pa.array(kept, pa.string()), np.array(numbers, dtype=np.int64)
