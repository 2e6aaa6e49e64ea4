import datetime as dt
import errno
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from motherlode.core.errors import JobError, UnknownNameError
from motherlode.data.quarantine import BadRecord
from motherlode.jobs.output import ENDINGS, plain_json, write_quarantine, write_table

TABLE = pa.table(
    {
        "name": ["tea", None, 'a "quoted", one\n'],
        "share": [0.5, math.nan, math.inf],
        "items": [["a", "b"], None, []],
        "when": pa.array([dt.datetime(2026, 1, 2, 3, 4, 5), None, None]),
        "raw": [b"\xff\x00", b"text", None],
        "kind": pa.array(["x", "y", None]).dictionary_encode(),
        "nested": [{"n": 1.5}, None, {"n": math.nan}],
    }
)


@pytest.mark.parametrize("ending", sorted(ENDINGS))
def test_what_is_written_reads_back_elsewhere(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    write_table(TABLE, path)
    kind = ENDINGS[ending]
    if kind == "parquet":
        assert pq.read_table(path)["items"].to_pylist() == TABLE["items"].to_pylist()
    elif kind == "arrow":
        with pa.memory_map(str(path)) as file:
            assert pa.ipc.open_file(file).read_all().schema == TABLE.schema
    elif kind == "csv":
        rows = pyarrow.csv.read_csv(
            path, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
        ).to_pylist()
        assert rows[2]["name"] == 'a "quoted", one\n'
        assert json.loads(rows[0]["items"]) == ["a", "b"]
        assert json.loads(rows[2]["nested"]) == {"n": None}
    else:
        text = path.read_text()
        rows = json.loads(text) if kind == "json" else [json.loads(x) for x in text.splitlines()]
        assert rows[0]["items"] == ["a", "b"]
        assert [row["share"] for row in rows] == [0.5, None, None]
        assert rows[0]["when"] == "2026-01-02T03:04:05"
        assert [row["raw"] for row in rows] == ["/wA=", "text", None]
        assert rows[0]["kind"] == "x"


@pytest.mark.parametrize("ending", sorted(ENDINGS))
def test_tables_without_rows(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    write_table(TABLE.slice(0, 0), path)
    if ending == ".json":
        assert json.loads(path.read_text()) == []
    assert path.exists()


def test_the_format_may_be_named(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "out", "jsonl")
    assert len((tmp_path / "out").read_text().splitlines()) == 3
    with pytest.raises(UnknownNameError):
        write_table(TABLE, tmp_path / "out", "xlsx")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (-math.inf, None),
        (Decimal("1.10"), "1.10"),
        (dt.timedelta(seconds=90), 90.0),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (True, True),
        ((1, math.nan), [1, None]),
    ],
)
def test_values_as_strict_json_has_them(value: Any, plain: Any) -> None:
    assert plain_json(value) == plain
    json.dumps(plain_json(value), allow_nan=False)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(JobError, match=r"out\.csv: the disk is full"):
        write_table(TABLE, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_unreadable_records_are_written_whole(tmp_path: Path) -> None:
    bad = [
        BadRecord("a.csv", 17, "3 fields, not 2", b'x,"y",z'),
        BadRecord("a.csv", 40, "not UTF-8", b"\xff\xfe"),
    ]
    write_quarantine(bad, tmp_path / "bad.jsonl")
    first, second = [json.loads(x) for x in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert first == {
        "location": "a.csv",
        "offset": 17,
        "reason": "3 fields, not 2",
        "raw": 'x,"y",z',
    }
    assert second["raw_base64"] == "//4="
