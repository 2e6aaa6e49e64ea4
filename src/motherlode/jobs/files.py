"""Files that are either whole or not there: temporary name, fsync, rename, fsync the folder."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from motherlode.core.errors import JobError, UsageError

if TYPE_CHECKING:
    from motherlode.data.files.publish import Url


def refuse(path: Path, error: OSError) -> JobError:
    """Return the error to raise where a file could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return JobError(f"cannot write {path}: the disk is full", "make room and run it again")
    if error.errno == errno.EFBIG:
        return JobError(f"cannot write {path}: the file would exceed the size limit (ulimit -f)")
    return JobError(f"cannot write {path}: {(error.strerror or str(error)).lower()}")


@contextmanager
def replacing(
    path: Path | Url, *, private: bool = False, settled: bool = True
) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the block ends well.

    Whatever goes wrong, ``path`` is afterwards either as before or complete.

    Parameters
    ----------
    path : Path or Url
        What is written; a symbolic link is followed.
    private : bool
        Whether only the owner may read it.
    settled : bool
        Whether the new name is durable too upon return; else the caller syncs the folder.

    Raises
    ------
    JobError
        If it cannot be written, a full disk included.
    """
    if not isinstance(path, Path):
        with path.replacing() as file:
            yield file
        return
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        mode = 0o600 if private else 0o666
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            if not private and target.exists():
                os.chmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        if settled:
            sync_folder(target.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise refuse(path, error) from error
        raise


def write_file(
    path: Path | Url, data: bytes, *, private: bool = False, settled: bool = True
) -> None:
    """Write a whole file in place of what was there; see :func:`replacing`."""
    with replacing(path, private=private, settled=settled) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_of(path: Path | Url) -> int:
    """Return the bytes of a file that was written."""
    return path.stat().st_size if isinstance(path, Path) else path.size


def check_writable(path: Path | Url, what: str) -> None:
    """Raise :class:`UsageError` if ``path`` could not be written, before work is spent on it."""
    if not isinstance(path, Path):
        path.check(what)
        return
    if path.is_dir():
        raise UsageError(f"{what} {path} is a folder", "name a file in it")
    if path.exists() and not path.is_file():
        raise UsageError(f"{what} {path} is not a regular file", "name a file that can be replaced")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise UsageError(f"{what} {path}: there is no folder {folder}", f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{what} {path}: the folder {folder} cannot be written to")
