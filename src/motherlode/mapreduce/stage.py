"""A stage: what is done to one piece of a job's data between two shuffles.

A job of steps becomes stages: lines → mapper → (combiner) → shuffle; groups → reducer → mapper of
the next step → (combiner) → shuffle; …; groups → reducer → lines. Each is a summary whose state is
the list of the runs it wrote and the counters, so the driver retries, resumes and accounts for it
as for all mining.
"""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import pyarrow as pa

from motherlode.algebra.summary import Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import MotherlodeError, UserFunctionError
from motherlode.mapreduce.collector import Collector, LineWriter
from motherlode.mapreduce.protocol import LineProtocol
from motherlode.mapreduce.step import Role
from motherlode.runtime.shuffle import Scatter
from motherlode.runtime.spill import Segment

PAIR_SCHEMA = Schema(pa.schema([("key", pa.binary()), ("value", pa.binary())]))
Pairs = Iterable[tuple[Any, Any]]
Counters = dict[str, dict[str, int]]


@dataclass(slots=True)
class Output:
    """What a stage has written, and counted."""

    segments: list[Segment]
    counters: Counters = field(default_factory=dict)


class Stage(Summary[Output, Output]):
    """One stage of a job.

    Parameters
    ----------
    job : object
        Made anew for each task by ``job.for_task()``; has the protocols, ``counters`` and the
        functions of ``job.steps()``.
    number : int
        The stage's place: it reduces for step ``number - 1`` and maps for step ``number``.
    partitions : int
        Partitions that its output is cut into.
    folder : str
        Where runs are written.
    """

    traits: ClassVar[Traits] = Traits(
        "ordered", "a stage of a job", commutative=False, state_size="O(runs)", python=True
    )

    def __init__(self, job: Any, number: int, partitions: int, folder: str) -> None:
        self.job = job
        self.number = number
        self.partitions = partitions
        self.folder = folder

    def validate(self) -> None:
        """The job was validated when the runner was made."""

    def prepare(self, schema: Schema) -> Self:
        return self

    def zero(self) -> Output:
        return Output([])

    def merge(self, left: Output, right: Output) -> Output:
        return Output(left.segments + right.segments, added(left.counters, right.counters))

    def finish(self, state: Output) -> Output:
        return Output(sorted(state.segments), state.counters)

    def export(self, state: Output) -> Any:
        segments = [[s.partition, *s.order, *s[2:]] for s in sorted(state.segments)]
        return {"segments": segments, "counters": state.counters}

    def load(self, exported: Any) -> Output:
        segments = [Segment(p, (a, b), *rest) for p, a, b, *rest in exported["segments"]]
        return Output(segments, exported["counters"])

    def fold(self, batches: Iterable[Batch]) -> Output:
        first = next(iter_ := iter(batches), None)
        split = 0 if first is None else first.split
        rows = itertools.chain([] if first is None else [first], iter_)
        job = self.job.for_task()
        if first is None and self.number:
            return Output([], job.counters)
        place = Place()
        try:
            segments = self._run(job, rows, split, place)
        except (MotherlodeError, BrokenPipeError):
            raise
        except Exception as error:
            raise UserFunctionError(
                f"{place.what or 'the job'} raised {type(error).__name__}: {error}; "
                f"the record was {place.record!r:.300} (split {split})",
                "the original exception is the cause of this one",
            ) from error
        return Output(segments, job.counters)

    def _run(self, job: Any, batches: Iterable[Batch], split: int, place: Place) -> list[Segment]:
        steps = job.steps()
        pairs: Pairs
        if self.number == 0:
            role = steps[0].mapper
            source = _records(batches, place)
            pairs = mapped(role, source, job.protocol("input"), job.protocol("internal"), place)
        else:
            pairs = reduced(steps[self.number - 1].reducer, batches, job, place)
            if self.number < len(steps) and steps[self.number].mapper.exists:
                internal = job.protocol("internal")
                lines = (internal.write(key, value) for key, value in pairs)
                pairs = mapped(steps[self.number].mapper, lines, internal, internal, place)
        if self.number == len(steps) or not steps[self.number].shuffles:
            return LineWriter(self.folder, split, job.protocol("output")).write(pairs)
        scatter = Scatter(
            ("key", "value") if job.sort_values() else ("key",),
            "hash",
            self.partitions,
            self.folder,
            True,
            hashed=1,
        ).prepare(PAIR_SCHEMA)
        combiner = steps[self.number].combiner
        collector = Collector(scatter, split, job.protocol("internal"), combiner, place)
        return collector.collect(pairs)


class Place:
    """Where in the job's functions the work is, for the message if one raises."""

    __slots__ = ("record", "what")

    def __init__(self) -> None:
        self.what = ""
        self.record: Any = None


def _records(batches: Iterable[Batch], place: Place) -> Iterator[Any]:
    """Yield the rows: the values of a single column, or a dict each of several."""
    for batch in batches:
        columns = batch.columns
        single = columns.num_columns == 1
        for record in (columns.column(0) if single else columns).to_pylist():
            place.record = record
            yield record


def added(left: Counters, right: Counters) -> Counters:
    """Return the sum of two sets of counters."""
    total = {group: dict(names) for group, names in left.items()}
    for group, names in right.items():
        mine = total.setdefault(group, {})
        for name, count in names.items():
            mine[name] = mine.get(name, 0) + count
    return total


def mapped(
    role: Role,
    lines: Iterable[bytes],
    reads: LineProtocol,
    writes: LineProtocol,
    place: Place,
) -> Pairs:
    """Yield what a mapper makes of lines; without one, what the lines hold."""
    place.what = "mapper"
    if role.command is not None:
        yield from (writes.read(line) for line in piped(role.command, lines))
        return
    if role.raw is not None:
        yield from around(role, lambda: _raw(role, lines), place)
        return
    if role.pre_filter is not None:
        lines = piped(role.pre_filter, lines)
    read = reads.read
    if role.call is None:
        call: Callable[..., Any] = lambda key, value: ((key, value),)  # noqa: E731
    else:
        call = role.call
    yield from around(role, lambda: _each(call, read, lines), place)


def _each(call: Callable[..., Any], read: Any, lines: Iterable[bytes]) -> Pairs:
    for line in lines:
        key, value = read(line)
        made = call(key, value)
        if made is not None:
            yield from made


def _raw(role: Role, lines: Iterable[bytes]) -> Pairs:
    assert role.raw is not None
    for line in lines:
        location = line.decode()
        made = role.raw(location.removeprefix("file://"), location)
        if made is not None:
            yield from made


def around(role: Role, body: Callable[[], Pairs], place: Place) -> Pairs:
    """Yield what goes before, the body, and what comes after."""
    if role.init is not None:
        place.what = f"{role.kind}_init"
        yield from role.init() or ()
    place.what = role.kind
    yield from body()
    if role.final is not None:
        place.what = f"{role.kind}_final"
        yield from role.final() or ()


def reduced(role: Role, batches: Iterable[Batch], job: Any, place: Place) -> Pairs:
    """Yield what a reducer makes of rows that are sorted by key."""
    place.what = "reducer"
    protocol: LineProtocol = job.protocol("internal")
    if role.command is not None or role.pre_filter is not None:
        lines: Iterable[bytes] = (k + b"\t" + v for k, v in _rows(batches))
        command = role.command or role.pre_filter or ""
        lines = piped(command, lines)
        if role.command is not None:
            yield from (protocol.read(line) for line in lines)
            return
        rows: Iterable[tuple[bytes, bytes]] = (_cut(line) for line in lines)
    else:
        rows = _rows(batches)
    call = role.call
    if call is None:
        yield from around(role, lambda: (protocol.read(k + b"\t" + v) for k, v in rows), place)
        return
    yield from around(role, lambda: _groups(call, rows, protocol, place), place)


def _cut(line: bytes) -> tuple[bytes, bytes]:
    key, _, value = line.partition(b"\t")
    return key, value


def _rows(batches: Iterable[Batch]) -> Iterator[tuple[bytes, bytes]]:
    for batch in batches:
        keys, values = batch.columns.column(0).to_pylist(), batch.columns.column(1).to_pylist()
        yield from zip(keys, values, strict=True)


def _groups(
    call: Callable[..., Any],
    rows: Iterable[tuple[bytes, bytes]],
    protocol: LineProtocol,
    place: Place,
) -> Pairs:
    """Hand each key with an iterator over its values to the reducer; values stream through."""
    for raw, group in itertools.groupby(rows, key=lambda row: row[0]):
        first = next(group)
        key, value = protocol.read(raw + b"\t" + first[1])
        place.record = key
        rest = map(protocol.read, map(b"\t".join, group))  # noqa: B031 - the first was taken from it, not copied
        made = call(key, itertools.chain([value], (pair[1] for pair in rest)))
        if made is not None:
            yield from made


def piped(command: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that a shell command makes of lines."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    failure: list[BaseException] = []

    def feed(stdin: Any) -> None:
        try:
            with stdin:
                for line in lines:
                    stdin.write(line + b"\n")
        except BrokenPipeError:
            pass  # a command as `head` may stop reading
        except BaseException as error:
            failure.append(error)

    feeder = threading.Thread(target=feed, args=(process.stdin,), daemon=True)
    feeder.start()
    try:
        with process.stdout as stdout:
            for line in stdout:
                yield line.rstrip(b"\n")
        feeder.join()
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if failure:
        raise failure[0]
    # grep says 1 where it found nothing
    if code not in (0, 1) or (code == 1 and "grep" not in command):
        raise UserFunctionError(f"the command {command!r} failed with exit code {code}")
