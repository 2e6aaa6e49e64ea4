"""Storage: listing files, knowing their version, and reading them by position."""

from __future__ import annotations

import difflib
import errno
import glob
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pyarrow as pa

from motherlode.core.errors import (
    DataError,
    MissingExtraError,
    MotherlodeError,
    UnknownNameError,
)

TRANSIENT = frozenset({errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT, errno.ENETDOWN})
"""Failures that may pass; they are left as they are, so that the split is tried again."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was when the plan was made.

    Parameters
    ----------
    location : str
        Absolute path or URL.
    size : int
        Bytes, as stored.
    version : str
        Changes when the content does: size and modification time, or the store's tag.
    below : str
        Path below the directory that was asked for; its ``name=value`` folders are partitions.
    """

    location: str
    size: int
    version: str
    below: str = ""


class Reader(ABC):
    """An open file, read by position."""

    remote: ClassVar[bool]

    @abstractmethod
    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; fewer only at the end of the file."""

    @abstractmethod
    def arrow(self) -> pa.NativeFile:
        """Return the file as Arrow's readers take it; closed with this one."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Storage(ABC):
    """Where files are."""

    @abstractmethod
    def find(self, place: str) -> list[File]:
        """Return the files that a path, glob or directory means, in order of their location."""

    @abstractmethod
    def stat(self, location: str) -> File:
        """Return a file as it is now."""

    @abstractmethod
    def open(self, location: str) -> Reader:
        """Open a file."""


class LocalReader(Reader):
    """A local file; positioned reads into buffers, so that memory is what it is said to be."""

    remote = False

    def __init__(self, path: str) -> None:
        self.path = path
        self.handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.files: list[pa.NativeFile] = []

    def read_at(self, offset: int, length: int) -> bytes:
        data = os.pread(self.handle, length, offset)
        if len(data) == length or not data:
            return data
        pieces = [data]
        while length > (have := sum(map(len, pieces))):
            more = os.pread(self.handle, length - have, offset + have)
            if not more:
                break
            pieces.append(more)
        return b"".join(pieces)

    def arrow(self) -> pa.NativeFile:
        self.files.append(pa.OSFile(self.path, "rb"))
        return self.files[-1]

    def close(self) -> None:
        for file in self.files:
            file.close()
        os.close(self.handle)


class LocalStorage(Storage):
    """Files of this machine."""

    def find(self, place: str) -> list[File]:
        path = os.path.abspath(os.path.expanduser(place))
        if os.path.isdir(path):
            return self._walk(path, path)
        if glob.has_magic(path) and not os.path.exists(path):
            return self._glob(path)
        return [self.stat(path)]

    def stat(self, location: str) -> File:
        with translated(location):
            status = os.stat(location)
            if os.path.isdir(location):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), location)
        return File(location, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")

    def open(self, location: str) -> Reader:
        return LocalReader(location)

    def _walk(self, path: str, root: str) -> list[File]:
        found: list[File] = []
        with translated(path):
            for folder, folders, names in os.walk(path, followlinks=True, onerror=_raise):
                folders[:] = sorted(name for name in folders if _is_data(name))
                paths = [os.path.join(folder, name) for name in names if _is_data(name)]
                found += [self._below(path, root) for path in paths]
        return _sorted(found, f"no files in the directory {path!r}")

    def _glob(self, pattern: str) -> list[File]:
        root = pattern[: next(i for i, c in enumerate(pattern) if c in "*?[")]
        root = root.rpartition("/")[0] or "/"
        found: list[File] = []
        for path in glob.iglob(pattern, recursive=True):
            if not _is_data_path(os.path.relpath(path, root)):
                continue
            if not os.path.isdir(path):
                found.append(self._below(path, root))
            elif "**" not in pattern:
                found += self._walk(path, root)
        return _sorted(found, f"no file matches {pattern!r}")

    def _below(self, path: str, root: str) -> File:
        file = self.stat(path)
        return File(file.location, file.size, file.version, os.path.relpath(path, root))


class RemoteReader(Reader):
    """A file that fsspec opens."""

    remote = True

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def read_at(self, offset: int, length: int) -> bytes:
        self.handle.seek(offset)
        pieces = []
        while length > 0:
            piece = self.handle.read(length)
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
    scheme : str
        The URL's scheme.
    options : mapping
        Handed to the file system: credentials, endpoint.
    """

    def __init__(self, scheme: str, options: Mapping[str, Any]) -> None:
        self.scheme = scheme
        self.options = dict(options)

    def find(self, place: str) -> list[File]:
        with translated(place, planning=True):
            files = self._files
            path = files._strip_protocol(place)
            if glob.has_magic(path):
                root = path[: min(path.find(c) for c in "*?[" if c in path)].rpartition("/")[0]
                paths = [p for p in files.glob(path) if not files.isdir(p)]
                return self._listed(paths, root, f"no file matches {place!r}")
            # Asking whether it is a directory makes some stores fetch the whole file.
            if files.info(path)["type"] == "directory":
                below = [p for p in files.find(path) if _is_data_path(p[len(path) :])]
                return self._listed(below, path, f"no files in the directory {place!r}")
        return [self.stat(place)]

    def stat(self, location: str) -> File:
        with translated(location):
            files = self._files
            path = files._strip_protocol(location)
            files.invalidate_cache(files._parent(path))
            facts = files.info(path)
        return self._described(location, facts)

    def open(self, location: str) -> Reader:
        return RemoteReader(self._files.open(location, "rb"))

    @property
    def _files(self) -> Any:
        import fsspec

        try:
            return fsspec.filesystem(self.scheme, **self.options)
        except ImportError as error:
            package = getattr(error.__cause__, "name", None) or self.scheme
            raise MissingExtraError(package, self.scheme) from error
        except ValueError as error:
            raise UnknownNameError(
                "URL scheme", self.scheme, fsspec.available_protocols()
            ) from error

    def _listed(self, paths: list[str], root: str, complaint: str) -> list[File]:
        found = []
        for path in paths:
            file = self.stat(self._files.unstrip_protocol(path))
            below = path[len(root) :].lstrip("/")
            found.append(File(file.location, file.size, file.version, below))
        return _sorted(found, complaint)

    def _described(self, location: str, facts: Mapping[str, Any]) -> File:
        if facts.get("type") == "directory":
            raise DataError(f"{location} is a directory", "name a file in it")
        size = facts.get("size")
        if size is None:
            raise DataError(f"the size of {location} is not known", "download the file first")
        tags = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")
        stamp = next((facts[tag] for tag in tags if facts.get(tag)), "")
        return File(location, int(size), f"{size}-{stamp}")


def storage(place: str, options: Mapping[str, Any]) -> tuple[Storage, str]:
    """Return the storage of a path or URL, and the place as that storage takes it."""
    if place.startswith("file://"):
        place = place[len("file://") :]
    if "://" not in place and "::" not in place:
        return LocalStorage(), place
    scheme = place.partition("://")[0].partition("::")[0]
    return RemoteStorage(scheme, options), place


@contextmanager
def translated(location: str, *, planning: bool = False) -> Iterator[None]:
    """Turn what reading a file may raise into a :class:`DataError` that says what to do.

    Failures that may pass are let through unless ``planning``: the driver tries the split again.
    """
    try:
        yield
    except MotherlodeError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"there is no file {location!r}", _nearest(location)) from error
    except PermissionError as error:
        raise DataError(f"no permission to read {location!r}", "check who owns it") from error
    except IsADirectoryError as error:
        raise DataError(f"{location!r} is a directory, not a file") from error
    except (ConnectionError, TimeoutError) as error:
        if not planning:
            raise
        raise DataError(f"cannot reach {location!r}: {error}") from error
    except OSError as error:
        if error.errno in TRANSIENT and not planning:
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DataError(f"cannot read {location!r}: {reason}") from error
    except (pa.ArrowException, EOFError, UnicodeError) as error:
        raise DataError(f"cannot read {location!r}: {error}") from error


def _nearest(location: str) -> str:
    folder, name = os.path.split(location)
    if "://" in location or not os.path.isdir(folder):
        while folder and "://" not in location and not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        return f"the nearest folder that exists is {folder!r}" if os.path.isdir(folder) else ""
    near = difflib.get_close_matches(name, os.listdir(folder), n=1)
    return f"did you mean {os.path.join(folder, near[0])!r}?" if near else ""


def _raise(error: OSError) -> None:
    raise error


def _is_data(name: str) -> bool:
    """Tell data from markers and bookkeeping: ``_SUCCESS``, ``_metadata``, ``.crc``."""
    return not name.startswith(("_", "."))


def _is_data_path(path: str) -> bool:
    return all(_is_data(part) for part in path.split("/") if part)


def _sorted(found: list[File], complaint: str) -> list[File]:
    if not found:
        raise DataError(complaint)
    return sorted(found, key=lambda file: file.location)
