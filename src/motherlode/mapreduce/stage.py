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
from operator import itemgetter
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc

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
    """What a stage has written, and what was counted for each step by its number."""

    segments: list[Segment]
    counters: dict[str, Counters] = field(default_factory=dict)


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

    def scatter(self) -> Scatter:
        """Return what sorts and cuts the stage's output."""
        by = ("key", "value") if self.job.sort_values() else ("key",)
        return Scatter(by, "hash", self.partitions, self.folder, True, hashed=1).prepare(
            PAIR_SCHEMA
        )

    def validate(self) -> None:
        """The job was validated when the runner was made."""

    def prepare(self, schema: Schema) -> Self:
        return self

    def zero(self) -> Output:
        return Output([])

    def merge(self, left: Output, right: Output) -> Output:
        counters = {
            step: added(left.counters.get(step, {}), right.counters.get(step, {}))
            for step in sorted({*left.counters, *right.counters})
        }
        return Output(left.segments + right.segments, counters)

    def finish(self, state: Output) -> Output:
        return Output(sorted(state.segments), state.counters)

    def export(self, state: Output) -> Any:
        segments = [[s.partition, *s.order, *s[2:]] for s in sorted(state.segments)]
        return {"segments": segments, "counters": state.counters}

    def load(self, exported: Any) -> Output:
        segments = [Segment(p, (a, b), *rest) for p, a, b, *rest in exported["segments"]]
        return Output(segments, exported["counters"])

    def fold(self, batches: Iterable[Batch]) -> Output:
        rows = _reading(batches)
        try:
            first = next(rows, None)
            if first is None:
                return Output([])
            work = _Work(self, first.split)
            return Output(work.run(itertools.chain([first], rows)), work.counters())
        except _SourceError as error:
            # Not the job's fault, and it may pass: the driver sees it as it was.
            raise error.original  # noqa: B904 - its own cause stays


class _SourceError(MotherlodeError):
    """The rows could not be read."""

    def __init__(self, original: Exception) -> None:
        super().__init__("the rows cannot be read")
        self.original = original


def _reading(batches: Iterable[Batch]) -> Iterator[Batch]:
    try:
        yield from batches
    except MotherlodeError:
        raise
    except Exception as error:
        raise _SourceError(error) from error


class Place:
    """Where in the job's functions the work is, for the message if one raises."""

    __slots__ = ("record", "split", "what")

    def __init__(self, what: str, split: int) -> None:
        self.what = what
        self.split = split
        self.record: Any = None

    def guard(self, made: Iterable[Any]) -> Iterator[Any]:
        """Yield what functions of the job make; what they raise says where it was raised."""
        try:
            yield from made
        except (MotherlodeError, BrokenPipeError):
            raise
        except Exception as error:
            raise self.failure(f"{self.what} raised", error) from error

    def failure(self, what: str, error: Exception) -> UserFunctionError:
        return UserFunctionError(
            f"{what} {type(error).__name__}: {error}; "
            f"the record was {self.record!r:.300} (split {self.split})",
            "the original exception is the cause of this one",
        )


class _Work:
    """One task of a stage: each role has a job object, and so a place and counters, of its own."""

    def __init__(self, stage: Stage, split: int) -> None:
        self.stage = stage
        self.split = split
        self.jobs: list[tuple[int, Any]] = []

    def run(self, batches: Iterable[Batch]) -> list[Segment]:
        """Do the work and return what was written."""
        number = self.stage.number
        steps = self.stage.job.steps()
        internal = self.stage.job.protocol("internal")
        pairs: Iterator[Any]
        if number == 0:
            role, place = self._role(0, "mapper")
            records = _records(batches)
            pairs = place.guard(mapped(role, records, self.stage.job.protocol("input"), place))
        else:
            role, place = self._role(number - 1, "reducer")
            pairs = place.guard(reduced(role, batches, internal, place))
            if number < len(steps) and steps[number].mapper.exists:
                writes = VERBATIM if role.command is not None else internal
                lines = place.guard(writes.write(key, value) for key, value in pairs)
                role, place = self._role(number, "mapper")
                pairs = place.guard(mapped(role, lines, internal, place))
        last = number == len(steps) or not steps[number].shuffles
        writes = self.stage.job.protocol("output") if last else internal
        if role.command is not None:
            writes = VERBATIM
        try:
            if last:
                return LineWriter(self.stage.folder, self.split, writes).write(pairs)
            combiner, at = self._role(number, "combiner")
            scatter = self.stage.scatter()
            return Collector(scatter, self.split, writes, internal, combiner, at).collect(pairs)
        except (MotherlodeError, OSError):
            raise
        except Exception as error:
            what = f"what the {role.kind} yielded cannot be written by {type(writes).__name__}:"
            raise place.failure(what, error) from error

    def counters(self) -> dict[str, Counters]:
        """Return what was counted for each step."""
        total: dict[str, Counters] = {}
        for step, job in self.jobs:
            total[str(step)] = added(total.get(str(step), {}), job.counters)
        return total

    def _role(self, step: int, kind: str) -> tuple[Role, Place]:
        job = self.stage.job.for_task()
        self.jobs.append((step, job))
        return getattr(job.steps()[step], kind), Place(kind, self.split)


class _Verbatim:
    """Lines as a shell command wrote them: the value is the line."""

    def read(self, line: bytes) -> tuple[None, bytes]:
        return None, line

    def write(self, key: Any, value: Any) -> bytes:
        return value  # type: ignore[no-any-return]


VERBATIM = _Verbatim()


def _records(batches: Iterable[Batch]) -> Iterator[Any]:
    """Yield the rows: the values of a single column, or a dict each of several."""
    for batch in batches:
        columns = batch.columns
        single = columns.num_columns == 1
        yield from (columns.column(0) if single else columns).to_pylist()


def added(left: Counters, right: Counters) -> Counters:
    """Return the sum of two sets of counters."""
    total = {group: dict(names) for group, names in left.items()}
    for group, names in right.items():
        mine = total.setdefault(group, {})
        for name, count in names.items():
            mine[name] = mine.get(name, 0) + count
    return total


def mapped(role: Role, lines: Iterable[Any], reads: LineProtocol, place: Place) -> Pairs:
    """Return what a mapper makes of lines; without one, what the lines hold."""
    if role.command is not None:
        return map(VERBATIM.read, piped(role.command, lines))
    if role.raw is not None:
        return around(role, _raw(role.raw, lines, place), place)
    if role.pre_filter is not None:
        lines = piped(role.pre_filter, lines)
    if role.call is None:
        return around(role, map(reads.read, lines), place)
    return around(role, _each(role.call, reads.read, lines, place), place)


def _each(call: Callable[..., Any], read: Any, lines: Iterable[Any], place: Place) -> Pairs:
    for line in lines:
        place.record = line
        key, value = read(line)
        made = call(key, value)
        if made is not None:
            yield from made


def _raw(call: Callable[..., Any], lines: Iterable[bytes], place: Place) -> Pairs:
    for line in lines:
        place.record = line
        location = line.decode()
        made = call(location.removeprefix("file://"), location)
        if made is not None:
            yield from made


def around(role: Role, body: Pairs, place: Place) -> Pairs:
    """Return what goes before, the body, and what comes after."""
    return body if role.init is None and role.final is None else _around(role, body, place)


def _around(role: Role, body: Pairs, place: Place) -> Pairs:
    if role.init is not None:
        place.what = f"{role.kind}_init"
        yield from role.init() or ()
    place.what = role.kind
    yield from body
    if role.final is not None:
        place.what = f"{role.kind}_final"
        yield from role.final() or ()


def reduced(role: Role, batches: Iterable[Batch], protocol: LineProtocol, place: Place) -> Pairs:
    """Return what a reducer makes of rows that are sorted by key."""
    rows = _rows(batches)
    if role.command is not None:
        return map(VERBATIM.read, piped(role.command, map(_line, rows)))
    if role.pre_filter is not None:
        filtered = piped(role.pre_filter, map(_line, rows))
        rows = ((line.partition(b"\t")[0], line) for line in filtered)
    if role.call is None:
        return around(role, map(protocol.read, map(_line, rows)), place)
    return around(role, _groups(role.call, rows, protocol, place), place)


_key, _line, _value = itemgetter(0), itemgetter(1), itemgetter(1)


def _rows(batches: Iterable[Batch]) -> Iterator[tuple[bytes, bytes]]:
    """Yield each row's key and its whole line; a line without a tab has no value."""
    for batch in batches:
        keys, values = batch.columns.columns
        lines = pc.binary_join_element_wise(keys, values, b"\t", null_handling="skip")
        yield from zip(keys.to_pylist(), lines.to_pylist(), strict=True)


def _groups(
    call: Callable[..., Any],
    rows: Iterable[tuple[bytes, bytes]],
    protocol: LineProtocol,
    place: Place,
) -> Pairs:
    """Hand each key with an iterator over its values to the reducer; values stream through."""
    for raw, group in itertools.groupby(rows, key=_key):
        first = next(group)
        place.record = raw
        key, value = protocol.read(first[1])
        place.record = key
        rest = map(_value, map(protocol.read, map(_line, group)))  # noqa: B031 - the rest of it
        made = call(key, itertools.chain([value], rest))
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
