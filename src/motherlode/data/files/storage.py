"""Storage: listing files, knowing their version, and reading them by position."""

from __future__ import annotations

import difflib
import errno
import glob
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pyarrow as pa

from motherlode.core.errors import (
    DataError,
    MotherlodeError,
    SourceChangedError,
)

TRANSIENT = frozenset({errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT, errno.ENETDOWN})
"""Failures that may pass; they are left as they are, so that the split is tried again."""

SUCCESS, BEGUN = "_SUCCESS", "_BEGUN"
"""Markers of a folder that is whole, and of one being written where nothing can be renamed."""

STORE_CLIENTS = frozenset({"botocore", "aiobotocore", "aiohttp"})
REACH = "check its address (endpoint_url, host and port) and the network"


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
        return found_files(found, f"no files in the directory {path!r}")

    def _glob(self, pattern: str) -> list[File]:
        root = pattern[: next(i for i, c in enumerate(pattern) if c in "*?[")]
        root = root.rpartition("/")[0] or "/"
        found: list[File] = []
        for path in glob.iglob(pattern, recursive=True):
            if not is_data_path(os.path.relpath(path, root)):
                continue
            if not os.path.isdir(path):
                found.append(self._below(path, root))
            elif "**" not in pattern:
                found += self._walk(path, root)
        return found_files(found, f"no file matches {pattern!r}")

    def _below(self, path: str, root: str) -> File:
        file = self.stat(path)
        return File(file.location, file.size, file.version, os.path.relpath(path, root))


def storage(place: str, options: Mapping[str, Any]) -> tuple[Storage, str]:
    """Return the storage of a path or URL, and the place as that storage takes it."""
    if place.startswith("file://"):
        place = place[len("file://") :]
    if not is_remote(place):
        return LocalStorage(), place
    from motherlode.data.files.remote import RemoteStorage

    return RemoteStorage(place, options), place


@contextmanager
def translated(
    location: str, *, planning: bool = False, nearest: Callable[[str], str] | None = None
) -> Iterator[None]:
    """Turn what reading a file may raise into a :class:`DataError` that says what to do.

    Failures that may pass are let through unless ``planning``: the driver tries the split again.

    Parameters
    ----------
    location : str
        The file, for messages.
    planning : bool
        Whether nobody will try again.
    nearest : callable, optional
        Given a location that is not there, returns a hint at what is.
    """
    try:
        yield
    except MotherlodeError:
        raise
    except FileNotFoundError as error:
        hint = (nearest or _nearest)(location)
        raise DataError(f"there is no file {location!r}", hint) from error
    except PermissionError as error:
        hint = "check the credentials" if "://" in location else "check who owns it"
        raise DataError(f"no permission to read {location!r}", hint) from error
    except IsADirectoryError as error:
        raise DataError(f"{location!r} is a directory, not a file") from error
    except (ConnectionError, TimeoutError) as error:
        if not planning:
            raise
        raise DataError(f"cannot reach {location!r}: {first_line(error)}", REACH) from error
    except OSError as error:
        if type(error).__name__ == "FileExpired":  # what s3fs says of a changed object
            raise SourceChangedError(
                f"{location} has changed while it was read", "start the job anew"
            ) from error
        if error.errno in TRANSIENT and not planning:
            raise
        reason = os.strerror(error.errno) if error.errno else first_line(error)
        raise DataError(f"cannot read {location!r}: {reason}") from error
    except (pa.ArrowException, EOFError, UnicodeError) as error:
        raise DataError(f"cannot read {location!r}: {first_line(error)}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in STORE_CLIENTS:
            raise
        if "Credentials" in type(error).__name__:
            hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or storage_options"
            raise DataError(f"no permission to read {location!r}: {error}", hint) from error
        if not planning:  # these libraries' errors are no OSError, but may pass all the same
            raise ConnectionError(str(error)) from error
        raise DataError(f"cannot reach {location!r}: {first_line(error)}", REACH) from error


def first_line(error: BaseException) -> str:
    """Return what an error says without the stack that Java adds."""
    return (str(error).strip() or type(error).__name__).partition("\n")[0]


def is_remote(place: str) -> bool:
    """Tell a URL from a path of this machine."""
    return ("://" in place or "::" in place) and not place.startswith("file://")


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


def is_data_path(path: str) -> bool:
    """Tell whether neither a file nor a folder on the way to it is a marker."""
    return all(_is_data(part) for part in path.split("/") if part)


def found_files(found: list[File], complaint: str) -> list[File]:
    """Return files in the order in which they are read; complain where there is none."""
    if not found:
        raise DataError(complaint)
    return sorted(found, key=lambda file: file.location)
