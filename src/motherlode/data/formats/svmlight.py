"""SVMlight and LIBSVM: sparse rows with a label, as a CSR matrix with a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.core.errors import DataError
from motherlode.core.parameters import AnyOf, Constraint, Flag, Integer, Nothing
from motherlode.data.files.compression import PlainStream, RangeStream, Stream
from motherlode.data.files.format import Layout
from motherlode.data.files.isolate import Unreadable, isolate
from motherlode.data.files.lines import LineFormat
from motherlode.data.files.records import Block, blocks
from motherlode.data.files.storage import File, Storage, translated
from motherlode.data.formats.text import line_count, line_ends
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request

WIDEST = 2**31 - 1
REASONS = ("", "not 'label index:value …' with ascending indices", "an index beyond n_features")


@dataclass(frozen=True, slots=True)
class Rows:
    """The good rows of some lines, and what each line is."""

    labels: NDArray[np.float64]
    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    values: NDArray[np.float64]
    faults: NDArray[np.uint8]
    least: int
    most: int


class Svmlight(LineFormat):
    """Lines ``label index:value …``: a CSR matrix, with the labels as its target.

    ``qid:`` and comments are left out. Indices must ascend. Unless both options are given, the
    files are read once for the plan, to find the greatest and the least index.

    Parameters
    ----------
    n_features : int, optional
        Width of the matrix; by default the greatest index decides.
    zero_based : bool, optional
        Whether indices start at 0; by default they do if a 0 is among them.
    """

    name: ClassVar[str] = "svmlight"
    extensions: ClassVar[tuple[str, ...]] = (".svmlight", ".svm", ".libsvm")
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "n_features": AnyOf(Integer(1, WIDEST), Nothing()),
        "zero_based": AnyOf(Flag(), Nothing()),
    }

    def __init__(self, n_features: int | None = None, zero_based: bool | None = None) -> None:
        self.n_features = n_features
        self.zero_based = zero_based

    def plan(
        self,
        files: Sequence[File],
        storage: Storage,
        compressions: Sequence[str],
        split_bytes: int | None,
    ) -> Layout:
        layout = super().plan(files, storage, compressions, split_bytes)
        width, base = self.n_features, None if self.zero_based is None else int(not self.zero_based)
        if width is None or base is None:
            least, most = self._extent(files, storage, compressions)
            base = int(least > 0) if base is None else base
            width = most + 1 - base if width is None else width
        if width < 1:
            raise DataError(f"{files[0].location} has no index in it", "say n_features=")
        return replace(layout, schema=replace(layout.schema, n_features=width), facts=base)

    def infer(self, files: Sequence[File], storage: Storage, compressions: Sequence[str]) -> Schema:
        return Schema(pa.schema([]), 0, sparse=True, has_target=True)

    def parse(
        self, block: Block, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Batch:
        width = layout.schema.n_features or 0
        found: list[Rows] = []

        def read(data: bytes, _: int) -> pa.RecordBatch:
            rows = scan(data, layout.facts, width)
            for fault in (1, 2):
                if (rows.faults == fault).any():
                    raise Unreadable(REASONS[fault])
            found.append(rows)
            return empty_columns(len(rows.labels))

        try:
            read(block.data, 0)
        except Unreadable:
            isolate(block, line_ends(block.data) + 1, read, quarantine, b" \t\r\n")
        return _batch(found, width)

    def _extent(
        self, files: Sequence[File], storage: Storage, compressions: Sequence[str]
    ) -> tuple[int, int]:
        least, most = WIDEST, -1
        for file, kind in zip(files, compressions, strict=True):
            with translated(file.location, planning=True), storage.open(file.location) as reader:
                stream: Stream = RangeStream(reader)
                if kind:
                    stream = PlainStream(reader, kind, file.location)
                for block in blocks(stream, file.location, 0, None):
                    rows = scan(block.data, 0, WIDEST, values=False)
                    least, most = min(least, rows.least), max(most, rows.most)
        return least, most


def scan(data: bytes, base: int, width: int, values: bool = True) -> Rows:
    """Read lines; raises :class:`Unreadable` where a number is none."""
    from motherlode.data.formats import _kernels

    text = np.frombuffer(data, np.uint8)
    lines = line_count(data)
    indices = np.empty(len(text) // 4 + 1, dtype=np.int32)
    offsets = np.empty(len(text) // 4 + 2, dtype=np.int32)
    texts = np.empty(len(text) + 1, dtype=np.uint8)
    labels = np.empty(len(text) + 1, dtype=np.uint8)
    indptr = np.empty(lines + 1, dtype=np.int32)
    ends = np.empty(lines + 1, dtype=np.int32)
    faults = np.empty(lines, dtype=np.uint8)
    _, rows, least, most = _kernels.sparse_rows(
        text, base, width, indices, texts, offsets, indptr, labels, ends, faults
    )
    count = int(indptr[rows])
    none = np.zeros(0)
    return Rows(
        _floats(labels, ends[: rows + 1]) if values else none,
        indptr[: rows + 1],
        indices[:count],
        _floats(texts, offsets[: count + 1]) if values else none,
        faults,
        int(least),
        int(most),
    )


def _floats(text: NDArray[np.uint8], offsets: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return texts as numbers, correctly rounded."""
    used = text[: int(offsets[-1])]
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(used)]
    strings = pa.StringArray.from_buffers(len(offsets) - 1, *buffers[1:])
    try:
        numbers = strings.cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise Unreadable(str(error)) from error
    return np.frombuffer(numbers.buffers()[1], np.float64)[: len(numbers)]


def _batch(found: Sequence[Rows], width: int) -> Batch:
    import scipy.sparse

    if not found:
        empty = scipy.sparse.csr_array((0, width))
        return Batch(empty_columns(0), empty, np.zeros(0))
    counts = np.concatenate([np.diff(rows.indptr) for rows in found])
    indptr = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(counts, out=indptr[1:])
    values = np.concatenate([rows.values for rows in found])
    indices = np.concatenate([rows.indices for rows in found])
    block = scipy.sparse.csr_array((values, indices, indptr), shape=(len(counts), width))
    target = np.concatenate([rows.labels for rows in found])
    return Batch(empty_columns(len(counts)), block, target)
