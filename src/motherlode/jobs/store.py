"""The store of jobs: a folder a job, with its journal, its kept states and its result.

::

    <home>/jobs/20261120-101512-wordcount-3f2a/
        journal.jsonl   what was asked, what happened
        lock            held, with host and process id in it, while the job runs
        cancel          there when somebody wants it stopped for good
        states/         finished nodes of the merge tree; gone when the job is done
        result.arrow    the table, when the job is done
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from motherlode.core import settings
from motherlode.core.errors import JobError, UnknownNameError, UsageError
from motherlode.jobs import journal
from motherlode.jobs.files import refuse, sync_folder
from motherlode.jobs.journal import Entry, Journal

ENDED = ("done", "cancelled")
"""Statuses that a job does not leave any more."""

_STATUS = {
    "created": "broken off",
    "started": "broken off",
    "stopped": "stopped",
    "failed": "failed",
    "done": "done",
    "cancelled": "cancelled",
}


class Job:
    """One job as it stands in its folder.

    Parameters
    ----------
    folder : Path
        Its folder; the name is the job's id.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    @property
    def states(self) -> Path:
        return self.folder / "states"

    @property
    def result(self) -> Path:
        return self.folder / "result.arrow"

    @property
    def wants_cancel(self) -> bool:
        """Whether somebody asked for it to be stopped for good."""
        return (self.folder / "cancel").exists()

    @cached_property
    def entries(self) -> list[Entry]:
        """The journal as it was when first looked at."""
        return journal.read(self.folder / "journal.jsonl")

    @property
    def damaged(self) -> bool:
        """Whether its journal cannot be read, so that it can only be removed."""
        try:
            return not (self.header and self.entries)
        except JobError:
            return True

    @cached_property
    def header(self) -> Entry:
        """The first entry: what was asked, of which data."""
        return journal.first(self.folder / "journal.jsonl")

    @property
    def status(self) -> str:
        """One of ``running``, ``done``, ``stopped``, ``failed``, ``cancelled``, ``broken off``."""
        if self.damaged:
            return "damaged"
        entry = journal.last(self.entries, *_STATUS)
        status = _STATUS[entry["event"]] if entry else "broken off"
        return status if status in ENDED or self.holder() is None else "running"

    def holder(self) -> tuple[str, int] | None:
        """Return host and process id of the live process that runs the job, or None."""
        try:
            with open(self.folder / "lock", "rb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    host, _, pid = lock.read().decode().partition(" ")
                    return host, int(pid or 0)
        except (FileNotFoundError, ValueError):
            pass
        return None

    @contextmanager
    def hold(self) -> Iterator[Journal]:
        """Take the job for this process and open its journal.

        Raises
        ------
        JobError
            If another live process has it.
        """
        with open(self.folder / "lock", "a+b") as lock:
            if not _locked(lock.fileno()):
                host, pid = self.holder() or ("this machine", 0)
                raise JobError(
                    f"job {self.id} is being run by process {pid} on {host}",
                    f"wait for it, or: motherlode jobs cancel {self.id}",
                )
            lock.truncate(0)
            lock.write(f"{socket.gethostname()} {os.getpid()}".encode())
            lock.flush()
            with Journal(self.folder / "journal.jsonl") as log:
                self.__dict__["entries"] = log.entries
                yield log

    def drop_states(self) -> None:
        """Delete the kept states."""
        shutil.rmtree(self.states, ignore_errors=True)

    @property
    def nbytes(self) -> int:
        """Bytes that the job's files take."""
        return sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())

    def __repr__(self) -> str:
        return f"Job({self.id!r})"


class JobStore:
    """All jobs of a user.

    Parameters
    ----------
    folder : Path, optional
        Where they are; ``jobs`` in :func:`motherlode.core.settings.home` by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = settings.home() / "jobs" if folder is None else folder

    def create(self, name: str, facts: dict[str, Any]) -> Job:
        """Make a job; ``facts`` are what its first entry tells.

        Raises
        ------
        JobError
            If its folder cannot be written.
        """
        label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "job"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            while True:
                now = time.time()
                stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
                folder = self.folder / f"{stamp}-{label}-{int(now % 1 * 0x10000):04x}"
                try:
                    folder.mkdir(mode=0o700)
                    break
                except FileExistsError:
                    continue
            (folder / "states").mkdir(mode=0o700)
        except OSError as error:
            raise self._refuse(error) from error
        job = Job(folder)
        try:
            with Journal(folder / "journal.jsonl") as log:
                log.append({"event": "created", "id": job.id, "name": name, **facts}, durable=True)
            sync_folder(folder)
            sync_folder(self.folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return job

    def _refuse(self, error: OSError) -> JobError:
        refused = refuse(self.folder, error)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            refused.hint = "set MOTHERLODE_HOME to a folder of yours, or keep no journal"
        return refused

    def jobs(self) -> list[Job]:
        """Return all jobs, oldest first."""
        if not self.folder.is_dir():
            return []
        folders = sorted(self.folder.iterdir(), key=lambda p: (p.name[:15], p.name[-4:]))
        return [Job(p) for p in folders if (p / "journal.jsonl").is_file()]

    def open(self, name: str) -> Job:
        """Return the job of an id, of the only id that begins or ends so, or the ``latest``.

        Raises
        ------
        UnknownNameError
            If there is none.
        UsageError
            If several fit.
        """
        jobs = self.jobs()
        if name == "latest" and jobs:
            return jobs[-1]
        for job in jobs:
            if job.id == name:
                return job
        near = [j for j in jobs if name and (j.id.startswith(name) or j.id.endswith(name))]
        if len(near) == 1:
            return near[0]
        if near:
            raise UsageError(
                f"{len(near)} jobs fit {name!r}", f"as {near[0].id} and {near[-1].id}; say which"
            )
        if not jobs:
            raise UnknownNameError("job", name, hint=f"there are no jobs in {self.folder}")
        raise UnknownNameError("job", name, [j.id for j in jobs])

    def unfinished(self, name: str) -> Job | None:
        """Return the newest job of a name if it has not ended."""
        for job in reversed(self.jobs()):
            try:
                if job.header.get("named") and job.header["name"] == name:
                    return None if job.status in ENDED else job
            except JobError:
                continue  # damaged
        return None

    def remove(self, job: Job) -> None:
        """Delete a job with all its files.

        Raises
        ------
        JobError
            If it is running.
        """
        if job.holder() is not None:
            raise JobError(f"job {job.id} is running", f"motherlode jobs cancel {job.id}")
        shutil.rmtree(job.folder)

    def cancel(self, job: Job, wait: float = 60.0) -> None:
        """Stop a job for good: its process, if it has one, is told, and its states are dropped.

        Raises
        ------
        JobError
            If it has ended already, or does not stop.
        """
        if job.status in ENDED:
            raise JobError(f"job {job.id} is {job.status} already")
        (job.folder / "cancel").touch(mode=0o600)
        deadline = time.monotonic() + wait
        while (holder := job.holder()) is not None:
            if time.monotonic() > deadline:
                host, pid = holder
                raise JobError(
                    f"job {job.id} has not stopped yet", f"on {host}: kill -9 {pid}, then again"
                )
            time.sleep(0.02)
        with job.hold() as log:
            if journal.last(job.entries, "done"):
                raise JobError(f"job {job.id} was done before it could be cancelled")
            if not journal.last(job.entries, "cancelled"):
                log.append({"event": "cancelled"}, durable=True)
            job.drop_states()


def _locked(handle: int) -> bool:
    """Take the lock; a look at the lock by another process holds it for a moment only."""
    for _ in range(50):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.002)
    return False
