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
"""Pairs held before they are combined, or handed on to be sorted."""

_SCALARS = (str, int, float, bool, type(None))


class Collector:
    """Takes pairs, combines them, and scatters them by key.

    Parameters
    ----------
    scatter : Scatter
        Sorts, partitions and writes rows of the binary columns ``key`` and ``value``.
    split : int
        The split that the pairs come from.
    protocol : LineProtocol
        The job's internal protocol.
    combiner : Role
        The step's combiner.
    place : Place
        Told where the work is.
    """

    def __init__(
        self, scatter: Scatter, split: int, protocol: LineProtocol, combiner: Role, place: Place
    ) -> None:
        self.scatter = scatter
        self.split = split
        self.protocol = protocol
        self.combiner = combiner
        self.place = place
        self.plain = type(protocol) is JSONProtocol
        self.state = scatter.zero()

    def collect(self, pairs: Iterable[tuple[Any, Any]]) -> list[Segment]:
        """Take all pairs and return the segments written."""
        if self.combiner.call is not None and self.plain:
            self._grouped(iter(pairs))
        else:
            stream = iter(pairs)
            while lines := [
                self.protocol.write(key, value) for key, value in itertools.islice(stream, PAIRS)
            ]:
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
            held += 1
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
            ordered = list(piped(role.command or role.pre_filter or "", ordered))
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
        role = self.combiner
        before, self.place.what = self.place.what, "combiner"
        yield from (role.init() or ()) if role.init is not None else ()
        for key, values in groups:
            yield from call(key, iter(values)) or ()
        yield from (role.final() or ()) if role.final is not None else ()
        self.place.what = before

    def _emit(self, lines: list[bytes]) -> None:
        if not lines:
            return
        cut = [line.partition(b"\t") for line in lines]
        columns = pa.record_batch(
            {
                "key": pa.array([key for key, _, _ in cut], pa.binary()),
                "value": pa.array([value for _, _, value in cut], pa.binary()),
            }
        )
        self.state = self.scatter.update(self.state, Batch(columns, split=self.split))


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
        stream = iter(pairs)
        for number in itertools.count():
            lines = [self.protocol.write(k, v) for k, v in itertools.islice(stream, PAIRS)]
            if not lines:
                return segments
            table = pa.table({"line": pa.array(lines, pa.large_binary())})
            name = f"lines-{self.split:08d}-{number:04d}.arrows"
            segments += write_run(self.folder, name, (self.split, number), [(0, table)])
        return segments
