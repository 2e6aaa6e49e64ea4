"""The runner: carries a job's stages out one after another on an engine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

import pyarrow as pa

from motherlode.core.errors import DataError, JobError, UsageError
from motherlode.core.events import Listener, silent
from motherlode.data import Dataset, dataset
from motherlode.data.files.publish import check_new_folder, new_folder
from motherlode.mapreduce.options import settings
from motherlode.mapreduce.pipeline import Finished, check_steps, execute
from motherlode.mapreduce.stage import Counters
from motherlode.runtime.engine import Engine, engine
from motherlode.runtime.shuffle import scratch_folder
from motherlode.runtime.spill import Segment, read_segment

if TYPE_CHECKING:
    from motherlode.mapreduce.job import MRJob


class Runner:
    """Runs a job; made by :meth:`MRJob.make_runner`.

    Parameters
    ----------
    job : MRJob
        What to run; its steps are checked here, before any input is read.
    listener : callable, optional
        Is told the events of the job.
    """

    def __init__(self, job: MRJob, listener: Listener = silent) -> None:
        self.job = job
        self.listener = listener
        self.settings = settings(job.options)
        self.steps = job.steps()
        check_steps(self.steps)
        self._finished: Finished | None = None
        self._folder: str | None = None
        self._engine: Engine | None = None
        self._stdin: Path | None = None
        self.output_dir: str | None = job.options.output_dir
        if self.output_dir is not None:
            check_new_folder(self.output_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def run(self) -> None:
        """Run all steps.

        Raises
        ------
        UserFunctionError
            If a function of the job raised; the record is named, the exception is the cause.
        """
        chosen = self.settings
        workers = {"workers": chosen["workers"]} if "workers" in chosen else {}
        self._engine = engine(chosen["engine"], **workers)
        self._folder = scratch_folder(chosen.get("scratch"))
        self._finished = execute(
            self.job,
            self._input(),
            self._folder,
            chosen.get("partitions"),
            on=self._engine,
            memory=chosen.get("memory"),
            listener=self.listener,
        )
        if self.output_dir is not None:
            self._write(self.output_dir, self._finished)

    def _input(self) -> Dataset:
        paths = list(self.job.options.args)
        if self.steps[0].mapper.raw is not None:
            if not paths or "-" in paths:
                raise UsageError("mapper_raw takes files, not standard input", "name some")
            return _whole_files(paths)
        if not paths or paths == ["-"]:
            paths = [self._spooled()]
        elif "-" in paths:
            raise UsageError("standard input cannot be mixed with files", "leave out '-'")
        return dataset(paths, format="text", encoding="bytes")

    def _spooled(self) -> str:
        """Put standard input into a file, so that it can be cut and read again."""
        handle, name = tempfile.mkstemp(prefix="motherlode-stdin-", suffix=".txt")
        self._stdin = Path(name)
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(self.job.stdin, file)
        return name

    def cat_output(self) -> Iterator[bytes]:
        """Yield the output in chunks of whole lines, the same order at every run."""
        for segment in self._done().lines:
            for block in read_segment(segment):
                yield b"".join(line + b"\n" for line in block.column(0).to_pylist())

    def counters(self) -> list[Counters]:
        """Return for each step its counts by group and name."""
        return self._done().counters

    def _done(self) -> Finished:
        if self._finished is None:
            raise JobError("the job has not been run", "call run() first")
        return self._finished

    def print_counters(self, stream: TextIO) -> None:
        """Print the counters, unless the job is to be quiet or has none."""
        if self.job.options.quiet:
            return
        for number, counters in enumerate(self.counters(), 1):
            for group in sorted(counters):
                print(f"counters of step {number}: {group}", file=stream)
                for name, count in sorted(counters[group].items()):
                    print(f"  {name}: {count:,}", file=stream)

    def _write(self, place: str, finished: Finished) -> None:
        """Write part files into a new folder, in any store, that appears when it is whole."""
        by_split: dict[int, list[Segment]] = {}
        for segment in finished.lines:
            by_split.setdefault(segment.order[0], []).append(segment)
        with new_folder(place) as folder:
            for part, segments in sorted(by_split.items()):
                with folder.file(f"part-{part:05d}") as file:
                    for segment in segments:
                        for block in read_segment(segment):
                            file.writelines(line + b"\n" for line in block.column(0).to_pylist())

    def cleanup(self) -> None:
        """Remove what the job spilled and give up its workers."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._stdin is not None:
            self._stdin.unlink(missing_ok=True)
        if self._engine is not None:
            self._engine.close()


def _whole_files(paths: Sequence[str]) -> Dataset:
    """Return a dataset of one row a file: its path."""
    local = [path.removeprefix("file://") for path in paths]
    for path in local:
        if "://" in path:
            raise UsageError(f"mapper_raw takes local files, got {path!r}", "copy it here first")
        if not os.path.isfile(path):
            raise DataError(f"there is no file {path!r}")
    lines = [f"file://{os.path.abspath(path)}".encode() for path in local]
    return dataset(pa.table({"line": pa.array(lines, pa.binary())}), split_rows=1)
