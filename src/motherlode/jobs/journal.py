"""The journal of a job: one line of JSON an event, only ever appended to.

A line counts once its newline is there. What follows the last newline was being written when the
process died; readers skip it and the next writer cuts it off.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from motherlode.core.errors import JobError
from motherlode.jobs.files import refuse

Entry = dict[str, Any]


def read(path: Path) -> list[Entry]:
    """Return the entries of a journal in order.

    Raises
    ------
    JobError
        If it is not there, or damaged elsewhere than in its last line.
    """
    return _parse(path, _contents(path))


def first(path: Path) -> Entry:
    """Return the first entry of a journal, without reading the rest.

    Raises
    ------
    JobError
        If there is none.
    """
    try:
        with open(path, "rb") as file:
            entries = _parse(path, file.readline())
    except OSError as error:
        raise JobError(f"cannot read the journal {path}: {error.strerror}") from error
    if not entries or entries[0]["event"] != "created":
        raise JobError(f"the journal {path} has no beginning", "remove the job and mine again")
    return entries[0]


class Journal:
    """Appends to a journal; opening it cuts off a torn last line.

    Parameters
    ----------
    path : Path
        The file; made, readable by the owner only, where it is not there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            whole = _contents(path)
            self._size = whole.rfind(b"\n") + 1
            self.entries = _parse(path, whole)
            os.ftruncate(self._file, self._size)
        except OSError as error:
            raise refuse(path, error) from error

    def append(self, *entries: Entry, durable: bool = False) -> None:
        """Add entries in one write; a durable one has reached the disk upon return.

        Raises
        ------
        JobError
            If it cannot be written; the journal is then as before.
        """
        now = round(time.time(), 3)
        stamped = [{"at": now, **entry} for entry in entries]
        data = b"".join(_line(entry) for entry in stamped)
        with self._lock:
            try:
                self._write(data)
                if durable:
                    os.fsync(self._file)
            except OSError as error:
                os.ftruncate(self._file, self._size)
                raise refuse(self.path, error) from error
            self._size += len(data)
            self.entries.extend(stamped)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def last(entries: Iterable[Entry], *events: str) -> Entry | None:
    """Return the last entry of one of the events, or None."""
    found = None
    for entry in entries:
        if entry["event"] in events:
            found = entry
    return found


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise JobError(f"cannot read the journal {path}: {error.strerror}") from error


def _parse(path: Path, whole: bytes) -> list[Entry]:
    entries = []
    for number, line in enumerate(whole[: whole.rfind(b"\n") + 1].splitlines(), 1):
        try:
            entry = json.loads(line)
            entry["event"]
        except (ValueError, TypeError, KeyError) as error:
            raise JobError(
                f"the journal {path} is damaged in line {number}",
                "the job cannot be resumed; remove it and mine again",
            ) from error
        entries.append(entry)
    return entries
