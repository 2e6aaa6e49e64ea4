"""Collecting the pairs that functions yield: combined, written as lines, sorted and partitioned."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from motherlode.core.batch import Batch
from motherlode.mapreduce.protocol import JSONProtocol, LineProtocol
from motherlode.mapreduce.step import Role
from motherlode.runtime.shuffle import Scatter
from motherlode.runtime.spill import Segment, write_run

if TYPE_CHECKING:
    from motherlode.mapreduce.stage import Place

PAIRS = 250_000
CHUNK_BYTES = 32 << 20
"""Pairs, and their bytes, held before they are combined, or handed on to be sorted."""

_SCALARS = (str, int, float, bool, type(None))


class Collector:
    """Takes pairs, combines them, and scatters them by key.

    Parameters
    ----------
    scatter : Scatter
        Sorts, partitions and writes rows of the binary columns ``key`` and ``value``.
    split : int
        The split that the pairs come from.
    writes : LineProtocol
        Makes lines of the pairs taken.
    protocol : LineProtocol
        The job's internal protocol.
    combiner : Role
        The step's combiner.
    place : Place
        The combiner's.
    """

    def __init__(
        self,
        scatter: Scatter,
        split: int,
        writes: LineProtocol,
        protocol: LineProtocol,
        combiner: Role,
        place: Place,
    ) -> None:
        self.scatter = scatter
        self.split = split
        self.writes = writes
        self.protocol = protocol
        self.combiner = combiner
        self.place = place
        self.plain = type(writes) is JSONProtocol and combiner.pre_filter is None
        self.state = scatter.zero()

    def collect(self, pairs: Iterable[tuple[Any, Any]]) -> list[Segment]:
        """Take all pairs and return the segments written."""
        if self.combiner.call is not None and self.plain:
            self._grouped(iter(pairs))
        else:
            write = self.writes.write
            for lines in in_chunks(write(key, value) for key, value in pairs):
                self._emit(self._combined(lines) if self.combiner.exists else lines)
        return list(self.scatter.compact(self.state).segments)

    def _grouped(self, pairs: Iterator[tuple[Any, Any]]) -> None:
        """Combine in a dict of lists, with no line made of what is combined away.

        Only strings and whole numbers are grouped so: for others (1, 1.0 and True are equal, a
        list cannot be a key) equality of keys is not equality of lines.
        """
        groups: dict[Any, list[Any]] = {}
        others: list[bytes] = []
        held = 0
        for key, value in pairs:
            kind = type(key)
            if (kind is str or kind is int) and type(value) in _SCALARS:
                group = groups.get(key)
                if group is None:
                    groups[key] = [value]
                else:
                    group.append(value)
            else:
                others.append(self.protocol.write(key, value))
            held += 1 if type(value) is not str else 1 + len(value) // 64
            if held >= PAIRS:
                self._flush(groups, others)
                groups, others, held = {}, [], 0
        self._flush(groups, others)

    def _flush(self, groups: dict[Any, list[Any]], others: list[bytes]) -> None:
        write = self.protocol.write
        if others:
            # Values that are not scalars change on their way through a line: all go that way.
            lines = [*others, *(write(k, v) for k, values in groups.items() for v in values)]
            self._emit(self._combined(lines))
            return
        call = self.combiner.call
        assert call is not None
        self._emit([write(key, value) for key, value in self._calls(call, groups.items())])

    def _combined(self, lines: list[bytes]) -> list[bytes]:
        """Return what the combiner makes of lines, grouped by key."""
        from motherlode.mapreduce.stage import piped

        role = self.combiner
        ordered = sorted(lines, key=_key)
        if role.pre_filter is not None or role.command is not None:
            # What a command writes need not be in order any more.
            made = piped(role.command or role.pre_filter or "", ordered)
            ordered = sorted(self.place.guard(made), key=_key)
        call = role.call
        if call is None:
            return ordered
        read = self.protocol.read
        groups = (
            (read(first)[0], [read(line)[1] for line in itertools.chain([first], rest)])
            for _, rest in itertools.groupby(ordered, key=_key)
            for first in itertools.islice(rest, 1)
        )
        return [self.protocol.write(key, value) for key, value in self._calls(call, groups)]

    def _calls(self, call: Any, groups: Iterable[tuple[Any, list[Any]]]) -> Iterator[Any]:
        from motherlode.mapreduce.stage import around

        def body() -> Iterator[Any]:
            for key, values in groups:
                self.place.record = key
                yield from call(key, iter(values)) or ()

        return self.place.guard(around(self.combiner, body(), self.place))

    def _emit(self, lines: list[bytes]) -> None:
        if not lines:
            return
        cut = [line.partition(b"\t") for line in lines]
        columns = pa.record_batch(
            {
                "key": pa.array([key for key, _, _ in cut], pa.binary()),
                "value": pa.array([value if tab else None for _, tab, value in cut], pa.binary()),
            }
        )
        self.state = self.scatter.update(self.state, Batch(columns, split=self.split))


def in_chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield lines in lists that are neither long nor large."""
    held: list[bytes] = []
    nbytes = 0
    for line in lines:
        held.append(line)
        nbytes += len(line)
        if nbytes >= CHUNK_BYTES or len(held) >= PAIRS:
            yield held
            held, nbytes = [], 0
    if held:
        yield held


def _key(line: bytes) -> bytes:
    return line.partition(b"\t")[0]


class LineWriter:
    """Writes a task's last pairs as lines, in their order.

    Parameters
    ----------
    folder : str
        Where the run is written.
    split : int
        The task's split: lines of a job are read in this order.
    protocol : LineProtocol
        The job's output protocol.
    """

    def __init__(self, folder: str, split: int, protocol: LineProtocol) -> None:
        self.folder = folder
        self.split = split
        self.protocol = protocol

    def write(self, pairs: Iterable[tuple[Any, Any]]) -> list[Segment]:
        """Write all pairs and return the segments, in order."""
        segments: list[Segment] = []
        write = self.protocol.write
        for number, lines in enumerate(in_chunks(write(key, value) for key, value in pairs)):
            table = pa.table({"line": pa.array(lines, pa.large_binary())})
            name = f"lines-{self.split:08d}-{number:04d}"
            segments += write_run(self.folder, name, (self.split, number), [(0, table)])
        return segments
