"""Web server logs in the common and combined formats of Apache and nginx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.data.expressions import to_arrow
from motherlode.data.files.format import Layout
from motherlode.data.files.lines import LineFormat
from motherlode.data.files.records import Block
from motherlode.data.files.storage import File, Storage
from motherlode.data.formats.text import line_ends, numbered_lines
from motherlode.data.plain import from_numpy
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request

SCHEMA = pa.schema(
    [
        ("host", pa.string()),
        ("ident", pa.string()),
        ("user", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("method", pa.string()),
        ("path", pa.string()),
        ("protocol", pa.string()),
        ("status", pa.int64()),
        ("bytes", pa.int64()),
        ("referer", pa.string()),
        ("agent", pa.string()),
    ]
)
QUOTED = r'(?:[^"\\]|\\.)*'
LINE = (
    r"^(?P<host>[^ ]+) (?P<ident>[^ ]+) (?P<user>[^\[]*)\[(?P<time>[^\]]+)\] "
    rf'"(?P<request>{QUOTED})" (?P<status>[0-9]{{3}}) (?P<bytes>[0-9]+|-)'
    rf'(?: "(?P<referer>{QUOTED})" "(?P<agent>{QUOTED})"?)?[ \t]*$'
)
REQUEST = r"^(?P<method>[A-Z]+) (?P<path>[^ ]+)(?: (?P<protocol>HTTP/[0-9.]+))?$"
"""Both are such that RE2 can capture in one pass."""
TIME = "%d/%b/%Y:%H:%M:%S %z"


class Combined(LineFormat):
    """Lines of a web server's access log, common or combined.

    The columns are host, ident, user, time (UTC), method, path, protocol, status, bytes, referer
    and agent; ``-`` is null. A request that is not ``METHOD path HTTP/x`` is kept whole in
    ``path``; an agent that a length limit cut off before its closing quote is kept as it is. A
    line of another form, or with a time that is none, goes to the quarantine.
    """

    name: ClassVar[str] = "combined"
    extensions: ClassVar[tuple[str, ...]] = (".access", ".clf")

    def infer(self, files: Sequence[File], storage: Storage, compressions: Sequence[str]) -> Schema:
        return Schema(SCHEMA)

    def parse(
        self, block: Block, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Batch:
        lines, numbers = numbered_lines(block, quarantine)
        found = pc.extract_regex(lines, LINE)
        times = _times(found.field("time"))
        good = _valid(found) & _valid(times)
        _put_away(block, numbers, good, quarantine)
        if request.columns == ():
            return Batch(empty_columns(int(good.sum())))
        names = SCHEMA.names if request.columns is None else list(request.columns)
        arrays = _columns(found, times, names)
        columns = pa.RecordBatch.from_arrays(
            arrays, schema=pa.schema([SCHEMA.field(n) for n in names])
        )
        if not good.all():
            columns = columns.take(from_numpy(np.flatnonzero(good)))
        return Batch(columns)


def _put_away(
    block: Block, numbers: NDArray[np.int64], good: NDArray[np.bool_], quarantine: Quarantine
) -> None:
    """Put the lines that are not good into the quarantine; blank ones are no records."""
    ends = line_ends(block.data)
    for number in numbers[~good].tolist():
        start = int(ends[number - 1]) + 1 if number else 0
        raw = block.data[start : int(ends[number])].rstrip(b"\r")
        if raw.strip():
            reason = "not a line of the common or combined log format"
            quarantine.add(block.location, block.offset + start, reason, raw)


def _columns(found: pa.StructArray, times: pa.Array, names: Sequence[str]) -> list[pa.Array]:
    made: dict[str, pa.Array] = {"time": times}
    if {"method", "path", "protocol"} & set(names):
        whole = found.field("request")
        parts = pc.extract_regex(whole, REQUEST)
        odd = parts.is_null()
        made["method"] = _or_null(parts.field("method"))
        made["protocol"] = _or_null(parts.field("protocol"))
        made["path"] = _or_null(pc.if_else(odd, whole, parts.field("path")))
    for name in names:
        if name not in made:
            text = _or_null(found.field(name))
            made[name] = text.cast(SCHEMA.field(name).type)
    return [made[name] for name in names]


def _or_null(texts: pa.Array) -> pa.Array:
    """Return strings without blanks around them, and null for those that are empty or ``-``."""
    texts = pc.ascii_trim_whitespace(texts)
    absent = pc.match_substring_regex(texts, "^-?$")
    return pc.if_else(absent, pa.nulls(len(texts), pa.string()), texts)


def _times(texts: pa.Array) -> pa.Array:
    import polars as pl

    series = pl.Series(pl.from_arrow(texts))
    parsed = series.str.to_datetime(TIME, time_unit="us", time_zone="UTC", strict=False)
    return to_arrow(parsed.to_frame("time")).column(0)


def _valid(array: pa.Array) -> NDArray[np.bool_]:
    import polars as pl

    return np.asarray(pl.Series(pl.from_arrow(array.is_valid())).to_numpy())
