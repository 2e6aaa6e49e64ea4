"""Compressed files: told by their extension or first bytes, read as a stream of plain bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pyarrow as pa

from motherlode.core.errors import DataError, UnknownNameError
from motherlode.data.files.storage import File, Reader, Storage

EXTENSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}


def compression(file: File, storage: Storage, chosen: str | None) -> str:
    """Return how a file is compressed, or an empty string.

    Parameters
    ----------
    file : File
        Looked at by its extension, then by its first bytes.
    storage : Storage
        Where it is.
    chosen : str or None
        What the user says; ``"none"`` for not at all.
    """
    if chosen is not None:
        known = {*EXTENSIONS.values(), "none"}
        if chosen not in known:
            raise UnknownNameError("compression", chosen, known)
        return "" if chosen == "none" else chosen
    for extension, kind in EXTENSIONS.items():
        if file.location.endswith(extension):
            return kind
    with storage.open(file.location) as reader:
        head = reader.read_at(0, 4)
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "")


def stem(location: str) -> str:
    """Return a location without the extension of its compression."""
    for extension in EXTENSIONS:
        if location.endswith(extension):
            return location[: -len(extension)]
    return location


class Stream(ABC):
    """Bytes read one after another."""

    @abstractmethod
    def read(self, length: int) -> bytes:
        """Return the next ``length`` bytes; fewer only at the end."""


class RangeStream(Stream):
    """The bytes of a file from a position on."""

    def __init__(self, reader: Reader, position: int = 0) -> None:
        self.reader = reader
        self.position = position

    def read(self, length: int) -> bytes:
        data = self.reader.read_at(self.position, length)
        self.position += len(data)
        return data


class PlainStream(Stream):
    """The decompressed bytes of a file."""

    def __init__(self, reader: Reader, kind: str, location: str) -> None:
        self.kind = kind
        self.location = location
        self.position = 0
        self.stream = pa.CompressedInputStream(reader.arrow(), kind)

    def read(self, length: int) -> bytes:
        pieces = []
        while length > 0:
            piece = self._read(length)
            if not piece:
                break
            pieces.append(piece)
            length -= len(piece)
            self.position += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self, length: int) -> bytes:
        try:
            data: bytes = self.stream.read(length)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise DataError(
                f"{self.location} is damaged or cut off: its {self.kind} data end after "
                f"{self.position:,} bytes of text ({error})",
                "fetch the file again, or name its format with compression=",
            ) from error
        return data
