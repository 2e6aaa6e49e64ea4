"""Writing to stores: a file or a folder of files is there as a whole, or not at all.

Where folders can be renamed, one is written under another name and renamed; on HDFS ``_SUCCESS`` is
in it, as Hadoop expects. Elsewhere (S3) ``_BEGUN`` is written first, then the files, then
``_SUCCESS``, which lists them and which only one of several writers can make; readers refuse a
folder that has the first but not the last, and read only the files that the last one lists.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from motherlode.core.errors import DataError, JobError, MotherlodeError, UsageError
from motherlode.data.files.remote import RENAMING, RemoteStorage
from motherlode.data.files.storage import BEGUN, STORE_CLIENTS, SUCCESS, first_line, is_remote


@dataclass(frozen=True)
class Url:
    """A place in a store where a file is to be written.

    Parameters
    ----------
    location : str
        The URL.
    options : mapping
        Handed to the store: credentials, endpoint. By default it looks for them itself.
    """

    location: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.location

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.location.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Ending of the name, with its dot."""
        return os.path.splitext(self.name)[1]

    @property
    def storage(self) -> RemoteStorage:
        """The store."""
        return RemoteStorage(self.location, self.options)

    @property
    def size(self) -> int:
        """Bytes of the file that is there."""
        return self.storage.stat(self.location).size

    def check(self, what: str) -> None:
        """Raise :class:`UsageError` if nothing can be written there, as far as can be told."""
        if not self.name or self.location.endswith("/"):
            raise UsageError(f"{what} {self.location} is a folder", "name a file in it")
        if self.storage.scheme in ("http", "https"):
            raise UsageError(f"{what} {self.location}: nothing can be written to web servers")
        try:
            self.storage.exists(self.location)
        except DataError as error:
            raise UsageError(f"{what}: {error.message}", error.hint) from error

    @contextmanager
    def replacing(self, *, new: bool = False) -> Iterator[BinaryIO]:
        """Open a file that is there, whole, when the block ends well, and else is as before.

        Raises
        ------
        JobError
            If it cannot be written.
        """
        with _refused(self.location), self.storage.writing(self.location, new=new) as file:
            yield file


class Folder:
    """A new folder, being written."""

    def __init__(self, location: str, options: Mapping[str, Any], stamp: str = "") -> None:
        self.location = location
        self.options = options
        self.stamp = stamp
        self.files: dict[str, int] = {}

    @contextmanager
    def file(self, name: str) -> Iterator[BinaryIO]:
        """Open one of its files; to be used by one thread at a time."""
        path = f"{self.location}/{name}{self.stamp}"
        if is_remote(path):
            with Url(path, self.options).replacing() as file:
                yield file
            size = Url(path, self.options).size
        else:
            with open(path, "xb") as file:
                yield file
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
        self.files[name + self.stamp] = size

    @property
    def manifest(self) -> bytes:
        """What ``_SUCCESS`` says: the files with their sizes."""
        return json.dumps({"files": dict(sorted(self.files.items()))}).encode() + b"\n"


def check_new_folder(location: str, options: Mapping[str, Any] | None = None) -> None:
    """Raise :class:`UsageError` if there is something at ``location`` already.

    A folder that another writer left unfinished is taken over.
    """
    if is_remote(location):
        store = RemoteStorage(location, options or {})
        place = location.rstrip("/")
        there = store.exists(place) and (
            store.scheme in RENAMING
            or store.exists(f"{place}/{SUCCESS}")
            or not store.exists(f"{place}/{BEGUN}")
        )
    else:
        there = os.path.lexists(location)
    if there:
        raise UsageError(
            f"the output folder {location} exists already", "choose another, or remove it"
        )


@contextmanager
def new_folder(location: str, options: Mapping[str, Any] | None = None) -> Iterator[Folder]:
    """Give a folder to be filled, which is there, whole, when the block ends well.

    Parameters
    ----------
    location : str
        Path or URL at which there is nothing yet.
    options : mapping, optional
        Handed to the store.

    Raises
    ------
    JobError
        If it cannot be written, or another writer was faster.
    """
    place, options = location.rstrip("/"), options or {}
    stamp = secrets.token_hex(4)
    if is_remote(place) and RemoteStorage(place, options).scheme not in RENAMING:
        with _listed(Folder(place, options, f"-{stamp}")) as folder:
            yield folder
        return
    parent, _, name = place.rpartition("/")
    folder = Folder(f"{parent}/.{name}.{stamp}.tmp" if parent else f".{name}.{stamp}.tmp", options)
    with _renamed(folder, place) as filled:
        yield filled


@contextmanager
def _renamed(folder: Folder, place: str) -> Iterator[Folder]:
    remote = RemoteStorage(place, folder.options) if is_remote(place) else None
    with _refused(place):
        try:
            if remote is None:
                os.makedirs(folder.location)
            else:
                remote.files.makedirs(folder.location, exist_ok=True)
            yield folder
            if remote is None:
                os.rename(folder.location, place)
                return
            manifest = folder.manifest
            with folder.file(SUCCESS) as file:
                file.write(manifest)
            if remote.exists(place):  # a folder renamed to one that is there would go inside
                raise FileExistsError("it exists already")
            else:
                remote.files.mv(folder.location, place)
        except BaseException:
            with suppress(Exception):
                if remote is None:
                    shutil.rmtree(folder.location, ignore_errors=True)
                else:
                    remote.files.rm(folder.location, recursive=True)
            raise


@contextmanager
def _listed(folder: Folder) -> Iterator[Folder]:
    place, options = folder.location, folder.options
    store = RemoteStorage(place, options)
    with _refused(place):
        with Url(f"{place}/{BEGUN}", options).replacing() as file:
            file.write(b"finished when _SUCCESS is here\n")
        try:
            yield folder
            with Url(f"{place}/{SUCCESS}", options).replacing(new=True) as file:
                file.write(folder.manifest)
        except BaseException:
            _remove(store, place, list(folder.files))
            raise
        # What is not listed was left by others; none of them can finish any more.
        left = [name for name in _names(store, place) if name not in (*folder.files, SUCCESS)]
        _remove(store, place, left)


def _names(store: RemoteStorage, place: str) -> list[str]:
    with suppress(MotherlodeError):
        return [url.rpartition("/")[2] for url, size in store.entries(place) if size is not None]
    return []


def _remove(store: RemoteStorage, place: str, names: list[str]) -> None:
    for name in names:
        with suppress(Exception):
            store.files.rm_file(store.files._strip_protocol(f"{place}/{name}"))


@contextmanager
def _refused(location: str) -> Iterator[None]:
    """Turn what writing may raise into a :class:`JobError`."""
    try:
        yield
    except MotherlodeError:
        raise
    except FileNotFoundError as error:
        hint = "make the bucket or folder first"
        raise JobError(f"cannot write {location}: {first_line(error)}", hint) from error
    except FileExistsError as error:
        hint = "another writer may have been faster; choose another name, or remove it"
        raise JobError(f"cannot write {location}: it exists already", hint) from error
    except PermissionError as error:
        raise JobError(f"no permission to write {location}", "check the credentials") from error
    except OSError as error:
        reason = error.strerror or first_line(error)
        if "PreconditionFailed" in f"{error} {error.__cause__!r}" or "pre-condition" in reason:
            reason = "another writer was faster"
        raise JobError(f"cannot write {location}: {reason}", "then try again") from error
    except Exception as error:
        # hdfs-native raises RuntimeError("OperationFailed(…)") where the store failed.
        foreign = type(error).__module__.partition(".")[0] in STORE_CLIENTS
        if not foreign and not (type(error) is RuntimeError and "Failed" in str(error)):
            raise
        raise JobError(f"cannot write {location}: {first_line(error)}", "try again") from error
