"""Stores behind a URL, read and written through fsspec: S3, HDFS, HTTP and whatever it knows."""

from __future__ import annotations

import glob
import io
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

import pyarrow as pa

from motherlode.core.errors import (
    DataError,
    MissingExtraError,
    UnknownNameError,
    UsageError,
)
from motherlode.data.files.storage import (
    BEGUN,
    SUCCESS,
    File,
    Reader,
    Storage,
    found_files,
    is_data_path,
    translated,
)

BLOCK_BYTES = 8 << 20
"""Bytes fetched at a time: large enough to hide a request's latency, small beside a split."""

PATIENCE = 5.0
"""Seconds for a first connection to a namenode; its client alone would try for minutes."""

EXTRAS = {"s3": "s3", "s3a": "s3", "hdfs": "hdfs", "viewfs": "hdfs"}
PACKAGES = {"s3": "s3fs", "hdfs": "hdfs-native"}
ENDURANCE = 120.0
"""Seconds for which a small file is tried again."""

KEPT_BYTES = 16 << 20

RENAMING = frozenset({"hdfs", "viewfs"})
"""Stores that show a file while it is written, but rename at once."""

TAGS = ("ETag", "etag", "mtime", "modification_time", "LastModified", "last_modified",
        "updated", "created")  # fmt: skip


class RemoteReader(Reader):
    """A file that fsspec opens."""

    remote = True

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def read_at(self, offset: int, length: int) -> bytes:
        self.handle.seek(offset)
        pieces = []
        while length > 0:
            try:
                piece = self.handle.read(length)
            except ValueError as error:
                if "range requests" not in str(error):
                    raise
                raise DataError(
                    "the web server sends whole files only", "download the file first"
                ) from error
            if not piece:
                break
            pieces.append(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def arrow(self) -> pa.NativeFile:
        return pa.PythonFile(self.handle, "r")

    def close(self) -> None:
        self.handle.close()


class RemoteStorage(Storage):
    """Files of any store that fsspec knows: s3, gs, hdfs, http, memory and so on.

    Parameters
    ----------
    place : str
        A URL in the store; it may name a host.
    options : mapping
        Handed to the file system: credentials, endpoint.
    """

    def __init__(self, place: str, options: Mapping[str, Any]) -> None:
        self.scheme = place.partition("://")[0].partition("::")[0]
        self.options = dict(options)
        self.host = ""
        if self.scheme in RENAMING:
            self.host = place.partition("://")[2].partition("/")[0]

    def find(self, place: str) -> list[File]:
        with translated(place, planning=True, nearest=self._nearest), self._known_options():
            files = self.files
            path = files._strip_protocol(place)
            if glob.has_magic(path):
                root = path[: min(path.find(c) for c in "*?[" if c in path)].rpartition("/")[0]
                found = files.glob(path, detail=True)
                facts = {p: f for p, f in found.items() if f["type"] != "directory"}
                return self._listed(facts, root, f"no file matches {place!r}")
            # Asking whether it is a directory makes some stores fetch the whole file.
            if files.info(path)["type"] == "directory":
                below = self._finished(place, path, files.find(path, detail=True))
                return self._listed(below, path, f"no files in the directory {place!r}")
        return [self.stat(place)]

    def stat(self, location: str) -> File:
        with translated(location, nearest=self._nearest):
            files = self.files
            path = files._strip_protocol(location)
            files.invalidate_cache(files._parent(path))
            facts = files.info(path)
        return self._described(location, facts)

    def open(self, location: str) -> Reader:
        # HDFS streams by itself, and its files do not go into Python's buffers.
        block = {} if self.scheme in RENAMING else {"block_size": BLOCK_BYTES}
        return RemoteReader(self.files.open(location, "rb", **block))

    def entries(self, place: str) -> list[tuple[str, int | None]]:
        """Return what a folder holds, or the file itself: URLs, with None for a folder's size."""
        with translated(place, planning=True, nearest=self._nearest):
            files = self.files
            files.invalidate_cache()
            rows = files.ls(files._strip_protocol(place), detail=True)
            return sorted(
                (
                    files.unstrip_protocol(row["name"]),
                    None if row["type"] == "directory" else int(row["size"] or 0),
                )
                for row in rows
            )

    def exists(self, place: str) -> bool:
        """Tell whether there is a file or a folder."""
        with translated(place, planning=True):
            self.files.invalidate_cache()
            return bool(self.files.exists(self.files._strip_protocol(place)))

    @contextmanager
    def writing(self, location: str, *, new: bool = False) -> Iterator[BinaryIO]:
        """Open a file that is there, whole, when the block ends well, and else is as before.

        Parameters
        ----------
        location : str
            Its URL; what is there is replaced.
        new : bool
            Refuse to replace: of two who write it at once, one fails with FileExistsError.
        """
        files = self.files
        path = files._strip_protocol(location)
        if self.scheme in RENAMING:
            with self._renamed(files, path, new) as file:
                yield file
            return
        file = files.open(
            path, "xb" if new and self.scheme in ("s3", "s3a") else "wb", autocommit=False
        )
        try:
            yield cast(BinaryIO, file)
            file.close()
            file.commit()
        except BaseException:
            with suppress(Exception):
                file.closed = True  # closing would send the rest
                file.discard()
            raise
        finally:
            files.invalidate_cache(files._parent(path))

    @contextmanager
    def _renamed(self, files: Any, path: str, new: bool) -> Iterator[BinaryIO]:
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/.{name}.{secrets.token_hex(4)}.tmp"
        file = _Patient(lambda: files.open(temporary, "wb"))
        try:
            buffered = io.BufferedWriter(file, 1 << 20)
            yield cast(BinaryIO, buffered)
            buffered.flush()
            file.finish()
            files.mv(temporary, path, overwrite=not new)
        except BaseException:
            with suppress(Exception):
                files.rm(temporary)
            raise

    @property
    def files(self) -> Any:
        """The file system of fsspec."""
        import fsspec

        extra = EXTRAS.get(self.scheme, self.scheme)
        if extra == "hdfs":
            _knock(self.host)
        try:
            return fsspec.filesystem(self.scheme, **self._address(), **self.options)
        except ImportError as error:
            package = PACKAGES.get(extra) or getattr(error.__cause__, "name", None) or self.scheme
            raise MissingExtraError(package, extra) from error
        except ValueError as error:
            known = fsspec.available_protocols()
            if self.scheme in known:
                raise UsageError(f"{self.scheme} options: {error}") from error
            raise UnknownNameError("URL scheme", self.scheme, known) from error
        except RuntimeError as error:
            raise UsageError(
                f"{self.scheme}://{self.host} cannot be used: {error}",
                "say host and port, or set HADOOP_CONF_DIR to where its name service is described",
            ) from error

    @contextmanager
    def _known_options(self) -> Iterator[None]:
        """Translate what stores say of an option they do not know, some only when they connect."""
        try:
            yield
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
            raise UsageError(f"{self.scheme} options: {error}", "see storage_options") from error

    def _address(self) -> dict[str, Any]:
        host, _, port = self.host.partition(":")
        if not host:
            return {}
        return {"host": host, **({"port": int(port)} if port.isdigit() else {})}

    def _nearest(self, location: str) -> str:
        """Name what is there in place of a file that is not."""
        import difflib

        with suppress(Exception):
            files = self.files
            path = files._strip_protocol(location).rstrip("/")
            parent = files._parent(path)
            names = [str(row["name"]).rstrip("/") for row in files.ls(parent, detail=True)]
            near = difflib.get_close_matches(path, names, n=1)
            if near:
                return f"did you mean {files.unstrip_protocol(near[0])!r}?"
        if EXTRAS.get(self.scheme) == "s3":
            return self._nearest_bucket(location)
        return ""

    def _nearest_bucket(self, location: str) -> str:
        import difflib

        with suppress(Exception):
            bucket = location.partition("://")[2].partition("/")[0]
            buckets = [str(row["name"]) for row in self.files.ls("", detail=True)]
            if bucket not in buckets:
                near = difflib.get_close_matches(bucket, buckets, n=1)
                other = f"; did you mean {near[0]!r}?" if near else ""
                return f"there is no bucket {bucket!r}{other}"
        return ""

    def _finished(self, place: str, path: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the files of a folder that count: those of a finished write, if it was ours."""
        if f"{path}/{SUCCESS}" not in facts:
            if f"{path}/{BEGUN}" in facts:
                raise DataError(
                    f"{place} is not finished: whoever writes it is not done, or was stopped",
                    "wait, or write it again",
                )
            return facts
        manifest = self.files.cat_file(f"{path}/{SUCCESS}")
        if not manifest.startswith(b'{"files"'):
            return facts
        sizes = json.loads(manifest)["files"]
        for name, size in sizes.items():
            known = facts.get(f"{path}/{name}", {"size": None})
            if known["size"] != size:
                raise DataError(
                    f"{place} is damaged: {name} should have {size:,} bytes, not {known['size']}",
                    "write it again",
                )
        return {f"{path}/{name}": facts[f"{path}/{name}"] for name in sizes}

    def _listed(self, facts: Mapping[str, Any], root: str, complaint: str) -> list[File]:
        found = []
        for path, known in facts.items():
            below = path[len(root) :].lstrip("/")
            if not is_data_path(below):
                continue
            location = self.files.unstrip_protocol(path)
            # Of the other tags, some stores' lists tell another one than a look at the file.
            tagged = known.get("ETag") or known.get("modification_time")
            told = tagged and known.get("size") is not None
            file = self._described(location, known) if told else self.stat(location)
            found.append(File(file.location, file.size, file.version, below))
        return found_files(found, complaint)

    def _described(self, location: str, facts: Mapping[str, Any]) -> File:
        if facts.get("type") == "directory":
            raise DataError(f"{location} is a directory", "name a file in it")
        size = facts.get("size")
        if size is None:
            raise DataError(f"the size of {location} is not known", "download the file first")
        stamp = next((facts[tag] for tag in TAGS if facts.get(tag)), "")
        return File(location, int(size), f"{size}-{stamp}")


class _Patient(io.RawIOBase):
    """A file on HDFS, tried again while the namenode has not noticed that a datanode died.

    Up to ``KEPT_BYTES`` are kept until the end, for that; of a larger file the rest is streamed.
    """

    def __init__(self, opened: Callable[[], Any]) -> None:
        self.opened = opened
        self.kept: list[bytes] = []
        self.file: Any = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        if self.file is None:
            self.kept.append(piece)
            if sum(map(len, self.kept)) > KEPT_BYTES:
                self.file = self._send()
                self.kept.clear()
        else:
            self.file.write(piece)
        return len(piece)

    def finish(self) -> None:
        """Send what was kept, and wait until the store has it."""
        if self.file is not None:
            self.file.close()
            return
        until, pause = time.monotonic() + ENDURANCE, 0.5
        while True:
            try:
                self._send().close()
            except (FileNotFoundError, PermissionError):
                raise
            except (OSError, RuntimeError):
                if time.monotonic() + pause > until:
                    raise
                time.sleep(pause)
                pause *= 2
            else:
                return

    def _send(self) -> Any:
        file = self.opened()
        for piece in self.kept:
            file.write(piece)
        return file


_reached: set[str] = set()


def _knock(host: str) -> None:
    """Fail soon if nobody listens where a URL says that a namenode does."""
    name, _, port = host.partition(":")
    if host in _reached or not port.isdigit():
        return
    try:
        socket.create_connection((name, int(port)), PATIENCE).close()
    except OSError as error:
        raise ConnectionError(
            f"no namenode answers at {host} ({error.strerror or error})"
        ) from error
    _reached.add(host)
