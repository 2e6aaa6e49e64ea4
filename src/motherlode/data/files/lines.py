"""What formats share whose records end at line ends: pieces by byte range, read in blocks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from motherlode.core.batch import Batch, Schema
from motherlode.data.files.compression import PlainStream, RangeStream
from motherlode.data.files.format import Format, Layout, Opened, Piece
from motherlode.data.files.records import BLOCK_BYTES, Block, blocks, border
from motherlode.data.files.storage import File, Storage
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request

SPLIT_BYTES = 32 << 20


class LineFormat(Format):
    """A format of records that end at line ends.

    An uncompressed file is cut into byte ranges; a record belongs to the piece in which it starts.
    A compressed file is one piece.
    """

    block_bytes: int = BLOCK_BYTES

    def plan(
        self,
        files: Sequence[File],
        storage: Storage,
        compressions: Sequence[str],
        split_bytes: int | None,
    ) -> Layout:
        schema = self.infer(files, storage, compressions)
        pieces: list[Piece] = []
        for number, (file, kind) in enumerate(zip(files, compressions, strict=True)):
            pieces += byte_pieces(number, file, kind, split_bytes or SPLIT_BYTES)
        return Layout(schema, tuple(pieces))

    def read(
        self, opened: Opened, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Iterator[Batch]:
        for block in self.blocks(opened):
            batch = self.parse(block, layout, request, quarantine)
            if len(batch):
                yield batch

    def blocks(self, opened: Opened) -> Iterator[Block]:
        """Yield the split's records."""
        file, split = opened.file, opened.split
        if opened.compression:
            stream = PlainStream(opened.reader, opened.compression, file.location)
            return blocks(stream, file.location, 0, None, block_bytes=self.block_bytes)
        start = border(opened.reader, split.start, file.size)
        stop = border(opened.reader, split.stop, file.size)
        plain = RangeStream(opened.reader, start)
        return blocks(plain, file.location, start, stop, block_bytes=self.block_bytes)

    @abstractmethod
    def infer(self, files: Sequence[File], storage: Storage, compressions: Sequence[str]) -> Schema:
        """Return the columns."""

    @abstractmethod
    def parse(
        self, block: Block, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Batch:
        """Return the rows of a block of whole records."""


def byte_pieces(number: int, file: File, compression: str, split_bytes: int) -> Iterator[Piece]:
    """Cut a file into ranges of bytes; a compressed one into one."""
    if compression:
        yield Piece(number, 0, file.size, "whole", nbytes=file.size)
        return
    for start in range(0, file.size, split_bytes):
        stop = min(start + split_bytes, file.size)
        yield Piece(number, start, stop, "bytes", nbytes=stop - start)
