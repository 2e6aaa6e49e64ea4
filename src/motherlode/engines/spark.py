"""Apache Spark: splits are folded by its executors, states merged there by the fixed tree."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

import cloudpickle

from motherlode.core.errors import EngineError
from motherlode.data import Dataset
from motherlode.data.dataset import columns_read
from motherlode.data.source import Split
from motherlode.engines import spark_session, spark_tasks
from motherlode.engines.spark_source import SparkSource
from motherlode.engines.spark_tasks import Chunks
from motherlode.runtime import remote
from motherlode.runtime.engine import Done, Engine, Failed
from motherlode.runtime.remote import Order, Shipped
from motherlode.runtime.task import Report, Task

WAVE_SECONDS = 2.0
"""A Spark job gets more splits while it takes less; what it finishes is journalled."""
MERGED_BYTES = 16 << 20
"""States that are larger together are merged by the executors before the driver gets them."""
POLL = 0.1
"""Seconds between two looks at the progress of a Spark job."""


class SparkEngine(Engine):
    """Folds splits on a Spark cluster.

    Parameters
    ----------
    url : str or pyspark.sql.SparkSession
        ``spark://host:7077`` (standalone), ``spark-local[2]``, ``spark-yarn``,
        ``spark-k8s://https://host:port``, or a session of your own, which stays open.
    workers : int, optional
        Upper bound on the cores used, for a session made here.
    conf : dict of str to str, optional
        Spark's settings, for a session made here.
    patience : float
        Seconds to wait for the first executor.

    Notes
    -----
    Executors need the package and its dependencies, and must be able to read the sources under
    the same URLs. Decoded rows are kept in the executors' Python workers between passes; the
    memory limit holds for each machine.
    """

    def __init__(
        self,
        url: Any = "spark-local",
        *,
        workers: int | None = None,
        conf: dict[str, str] | None = None,
        patience: float = 60.0,
    ) -> None:
        self.session, self._own = spark_session.connect(url, workers, conf or {})
        self._context = self.session.sparkContext
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spark")
        self._held: _Held | None = None
        try:
            self._sharing = self._meet_workers(patience)
        except BaseException:
            self.close()
            raise

    @property
    def parallelism(self) -> int:
        return int(self._context.defaultParallelism)

    def fold(self, task: Task, splits: Sequence[Split], report: Report) -> Iterator[Done | Failed]:
        held = self._hold(task.dataset)
        order = remote.order(task, held.key, self._sharing)
        if isinstance(task.dataset.source, SparkSource):
            yield from self._in_place(task.dataset.source, task, order, splits, report)
            return
        for chunks, rdd in held.waves(splits, keep=task.cache_bytes > 0):
            began = time.perf_counter()
            yield from self._wave(held, task, order, chunks, rdd, report)
            if time.perf_counter() - began < WAVE_SECONDS:
                held.pace *= 2

    def _wave(
        self, held: _Held, task: Task, order: Order, chunks: Chunks, rdd: Any, report: Report
    ) -> Iterator[Done | Failed]:
        """Fold chunks in one Spark job; where a chunk makes it fail, go on without that."""
        while chunks:
            made = rdd.mapPartitions(spark_tasks.folder(order, held.payload))
            merge = len(chunks) * held.state_bytes > MERGED_BYTES
            if merge:
                made = spark_tasks.merged(made, order, chunks)
            nbytes = sum(split.nbytes for chunk in chunks for split in chunk)
            try:
                found: list[Shipped] = self._ran(made.collect, len(chunks), nbytes, report)
            except Exception as error:
                lost = spark_session.lost(error)
                if lost.partition is None:
                    raise lost.error from error
                if merge:
                    held.state_bytes = 0
                    continue
                lost.error.__cause__ = error
                guilty = chunks[lost.partition]
                chunks = [chunk for chunk in chunks if chunk is not guilty]
                if len(guilty) == 1:
                    yield Failed(guilty[0].number, lost.error, lost.worker)
                else:
                    chunks += [[split] for split in guilty]
                rdd = held.distributed(chunks)
            else:
                held.state_bytes = max((each.nbytes for each in found), default=0)
                yield from _told(found, task, report)
                return

    def _in_place(
        self,
        source: SparkSource,
        task: Task,
        order: Order,
        splits: Sequence[Split],
        report: Report,
    ) -> Iterator[Done | Failed]:
        """Fold the partitions of a DataFrame, in one Spark job."""
        held = self._held
        assert held is not None
        if task.cache_bytes and not source.frame.is_cached:
            held.kept_frame = source.frame.persist()
        names = columns_read(task.dataset, task.summary.needs())
        # Without a column, Spark hands over batches that do not tell how many rows they have.
        frame = source.frame.select(*names or source.schema.names[: len(names or "1")])
        wanted = {split.number: split for split in splits}
        fold = spark_tasks.frame_folder(replace(order, cache_bytes=0), held.payload, wanted)
        made = frame.mapInArrow(fold, "outcome binary")
        try:
            rows = self._ran(made.collect, len(source.splits), 0, report)
        except Exception as error:
            raise spark_session.lost(error).error from error
        found = [each for row in rows for each in cloudpickle.loads(row.outcome)]
        if sorted(each.node[1] for each in found) != sorted(wanted):
            raise EngineError(
                "the DataFrame was divided into other partitions than when the job was planned",
                "cache() it, or repartition(n) it, before from_spark",
            )
        yield from _told(found, task, report)

    def _ran(self, action: Callable[[], Any], tasks: int, nbytes: int, report: Report) -> Any:
        """Run a Spark job in the background; tell of its finished tasks until it is done."""
        group = f"motherlode-{uuid.uuid4().hex}"

        def work() -> Any:
            self._context.setJobGroup(group, "motherlode", interruptOnCancel=True)
            return action()

        future = self._thread.submit(work)
        told = 0
        try:
            while not wait([future], POLL).done:
                now = nbytes * min(tasks, self._finished(group)) // tasks
                report(0, now - told)
                told = now
        except BaseException:
            self._context.cancelJobGroup(group)
            wait([future], 10)
            raise
        report(0, (0 if future.exception() else nbytes) - told)
        return future.result()

    def _finished(self, group: str) -> int:
        tracker = self._context.statusTracker()
        stages = [
            tracker.getStageInfo(stage)
            for job in tracker.getJobIdsForGroup(group)
            for stage in getattr(tracker.getJobInfo(job), "stageIds", ())
        ]
        return sum(stage.numCompletedTasks for stage in stages if stage is not None)

    def _meet_workers(self, patience: float) -> int:
        """Check that the executors can run the package; return how many share a machine."""
        deadline = time.monotonic() + patience

        def look(rows: int, nbytes: int) -> None:
            if nbytes <= 0 and time.monotonic() > deadline:
                raise EngineError(
                    f"no executor of {self._context.master} took work within {patience:g} s",
                    "has the cluster free cores and memory? `patience` waits longer",
                )

        count = self.parallelism
        asked = self._context.parallelize(range(count), count).mapPartitions(spark_tasks.probe)
        try:
            found = self._ran(asked.collect, count, 0, look)
        except EngineError:
            raise
        except Exception as error:
            raise spark_session.lost(error).error from error
        remote.check_versions([versions for _, versions in found], spark_session.ADVICE)
        return math.ceil(self.parallelism / len({host for host, _ in found}))

    def _hold(self, dataset: Dataset) -> _Held:
        if self._held is None or self._held.dataset is not dataset:
            self._release()
            remote.check_ships(dataset)
            payload = self._context.broadcast(remote.pack(dataset, "the dataset"))
            pace = 4 * self.parallelism
            self._held = _Held(self._context, dataset, uuid.uuid4().hex, payload, pace)
        return self._held

    def _release(self) -> None:
        if self._held is not None and self._context._jsc is not None:
            self._held.release()
        self._held = None

    def close(self) -> None:
        self._release()
        self._thread.shutdown()
        if self._own:
            self.session.stop()


@dataclass
class _Held:
    """A dataset that the executors hold, with what was learnt about it.

    Parameters
    ----------
    context : SparkContext
        Where.
    dataset, key, payload
        The dataset, its name there, and its broadcast.
    pace : int
        Chunks in the next Spark job.
    state_bytes : int
        What a chunk's state holds.
    kept : list
        The waves of the last pass; their persisted descriptions draw tasks to the executors that
        folded them, whose workers have the rows.
    """

    context: Any
    dataset: Dataset
    key: str
    payload: Any
    pace: int
    state_bytes: int = 1 << 20
    kept: list[tuple[Chunks, Any]] = field(default_factory=list)
    kept_frame: Any = None

    def waves(self, splits: Sequence[Split], *, keep: bool) -> Iterator[tuple[Chunks, Any]]:
        """Cut splits into chunks, and those into waves, each distributed."""
        if self.kept and [s for wave, _ in self.kept for c in wave for s in c] == list(splits):
            yield from self._again()
            return
        chunks = remote.chunks(splits, self.context.defaultParallelism)
        made = []
        while chunks:
            wave, chunks = chunks[: self.pace], chunks[self.pace :]
            rdd = self.distributed(wave)
            made.append((wave, rdd.persist() if keep else rdd))
            yield made[-1]
        if keep:
            self.kept = made

    def _again(self) -> Iterator[tuple[Chunks, Any]]:
        chunks: Chunks = []
        rdds: list[Any] = []
        for wave, rdd in self.kept:
            chunks, rdds = chunks + wave, [*rdds, rdd]
            if len(chunks) >= self.pace:
                yield chunks, self.context.union(rdds)
                chunks, rdds = [], []
        if rdds:
            yield chunks, self.context.union(rdds)

    def distributed(self, chunks: Chunks) -> Any:
        return self.context.parallelize(chunks, len(chunks)) if chunks else None

    def release(self) -> None:
        for _, rdd in self.kept:
            rdd.unpersist(blocking=False)
        if self.kept_frame is not None:
            self.kept_frame.unpersist()
        self.payload.destroy()


def _told(found: list[Shipped], task: Task, report: Report) -> Iterator[Done | Failed]:
    for shipped in found:
        outcome = shipped.outcome(task)
        if isinstance(outcome, Done):
            report(outcome.part.tally.read, 0)
        yield outcome
