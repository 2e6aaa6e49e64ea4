"""Files as a source: listed, planned by their format, and checked not to change meanwhile."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import DataError, SourceChangedError, UsageError
from motherlode.data.files import hive
from motherlode.data.files.compression import compression as find_compression
from motherlode.data.files.format import Format, Layout, Opened, build, extensions, format_of
from motherlode.data.files.pruning import cannot_match
from motherlode.data.files.storage import File, Storage, storage, translated
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request, Source, Split


@dataclass(frozen=True)
class _Planned:
    layout: Layout
    schema: Schema
    folders: pa.Schema
    compressions: tuple[str, ...]
    splits: tuple[Split, ...]
    numbers: dict[str, int]


class FileSource(Source):
    """Files of one format.

    It holds descriptions only, so it is cheap to ship; the files are sampled when the schema or
    the splits are first asked for.

    Parameters
    ----------
    files : sequence of File
        In the order in which they are read.
    where : Storage
        Where they are.
    format : Format
        How they are read.
    compression : str or None
        How they are compressed; None to look.
    split_bytes : int or None
        Bytes in a split; None for what suits the format.
    """

    def __init__(
        self,
        files: Sequence[File],
        where: Storage,
        format: Format,
        compression: str | None = None,
        split_bytes: int | None = None,
    ) -> None:
        self.files = tuple(files)
        self.storage = where
        self.format = format
        self.compression = compression
        self.split_bytes = split_bytes
        self._plan: _Planned | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        places: Sequence[str],
        format: str | None = None,
        *,
        compression: str | None = None,
        split_bytes: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> FileSource:
        """List files, and find out their format."""
        if split_bytes is not None and (not isinstance(split_bytes, int) or split_bytes < 1):
            raise UsageError(f"split_bytes must be a whole number of at least 1, got {split_bytes}")
        found = [storage(place, storage_options or {}) for place in places]
        if (
            len(
                {
                    (type(where), getattr(where, "scheme", ""), getattr(where, "host", ""))
                    for where, _ in found
                }
            )
            != 1
        ):
            raise UsageError("the files must all be in one store", "mine them one after another")
        files = [file for where, place in found for file in where.find(place)]
        _refuse_doubles(files)
        kind = build(format or _one_format(files), options)
        return cls(files, found[0][0], kind, compression, split_bytes)

    @property
    def schema(self) -> Schema:
        return self._planned.schema

    @property
    def splits(self) -> Sequence[Split]:
        return self._planned.splits

    @property
    def fingerprint(self) -> str:
        options = sorted((name, str(value)) for name, value in self.format.options().items())
        parts = [super().fingerprint, self.format.name, repr(options), str(self.schema)]
        return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()

    def read(self, split: Split, request: Request, quarantine: Quarantine) -> Iterator[Batch]:
        planned = self._planned
        if cannot_match(request.where, planned.schema.columns, split.partition):
            quarantine.skipped += split.rows or 0
            return
        number = planned.numbers.get(split.location)
        if number is None:
            raise UsageError(f"{split.location} is not a file of this dataset")
        file = self.files[number]
        self._check(file)
        names = planned.schema.names if request.columns is None else list(request.columns)
        inside = tuple(name for name in names if name not in planned.folders.names)
        matrix = planned.schema.n_features is not None
        asked = replace(request, columns=None if request.columns is None or matrix else inside)
        with translated(file.location), self.storage.open(file.location) as reader:
            opened = Opened(file, reader, planned.compressions[number], split, number)
            start = 0
            for batch in self.format.read(opened, planned.layout, asked, quarantine):
                if len(planned.folders) and not matrix:
                    batch = hive.with_partition(
                        batch, split.partition, names, planned.schema.columns
                    )
                yield replace(batch, split=split.number, start=start)
                start += len(batch)
        self._check(file)

    def __getstate__(self) -> dict[str, Any]:
        assert self._planned is not None
        state = dict(self.__dict__)
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    @property
    def _planned(self) -> _Planned:
        with self._lock:
            if self._plan is None:
                self._plan = self._make_plan()
            return self._plan

    def _make_plan(self) -> _Planned:
        folders, values = hive.partitions(self.files)
        with translated(self.files[0].location, planning=True):
            kinds = tuple(find_compression(f, self.storage, self.compression) for f in self.files)
            layout = self.format.plan(self.files, self.storage, kinds, self.split_bytes)
        own = layout.schema
        columns = [f for f in own.columns if f.name not in folders.names]
        schema = replace(own, columns=pa.schema([*columns, *folders]))
        splits = tuple(
            Split(
                number,
                self.files[piece.file].location,
                piece.start,
                piece.stop,
                piece.unit,
                self.files[piece.file].version,
                values[piece.file],
                piece.rows,
                piece.nbytes,
            )
            for number, piece in enumerate(layout.pieces)
        )
        numbers = {file.location: number for number, file in enumerate(self.files)}
        return _Planned(layout, schema, folders, kinds, splits, numbers)

    def _check(self, planned: File) -> None:
        try:
            now = self.storage.stat(planned.location)
        except DataError as error:
            raise SourceChangedError(
                f"{planned.location} is gone or cannot be looked at any more: {error.message}",
                "start the job anew with the files there are",
            ) from error
        if now.version != planned.version:
            raise SourceChangedError(
                f"{planned.location} has changed since the job was planned "
                f"({planned.size:,} bytes then, {now.size:,} now)",
                "start the job anew, and write new files rather than changing them",
            )


def looks_like_file(text: str) -> bool:
    """Tell whether a string is the name of a file rather than a text."""
    if "\n" in text or len(text) > 4_096:
        return False
    if "://" in text and " " not in text:
        return True
    name = text.lower()
    if " " not in name and any(name.endswith(extension) for extension in extensions()):
        return True
    return os.path.exists(text)


def _one_format(files: Sequence[File]) -> str:
    found: dict[str, str] = {}
    for file in files:
        found.setdefault(format_of(file.location), file.location)
    if len(found) > 1:
        shown = "; ".join(f"{kind}: {location}" for kind, location in found.items())
        raise UsageError(
            f"the files are of several formats ({shown})",
            "name the files of one format with a glob such as 'folder/*.csv', or say format=",
        )
    return next(iter(found))


def _refuse_doubles(files: Sequence[File]) -> None:
    seen = set()
    for file in files:
        if file.location in seen:
            raise UsageError(
                f"{file.location} is named twice", "its records would be counted twice"
            )
        seen.add(file.location)
