from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from motherlode.core.errors import DataError, MotherlodeError, UnknownNameError, UsageError
from motherlode.data.quarantine import Tolerance
from motherlode.data.source import Source
from motherlode.jobs.mine import mine
from motherlode.jobs.plan import plan, plan_of, tolerated
from motherlode.jobs.spec import JobSpec
from tests.jobs.small import Drift, Lengths, text_file

SALES = {"city": ["Bonn", "Ulm", "Bonn"], "price": [3, 4, 5]}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"algorithm": "Cuont"}, "unknown algorithm 'Cuont'; did you mean 'Count'"),
        ({"algorithm": "zzzzzz"}, "unknown algorithm 'zzzzzz'; see `motherlode algorithms`"),
        ({"algorithm": 3}, "an algorithm is expected"),
        ({"columns": ["pirce"]}, "unknown column 'pirce'; did you mean 'price'"),
        ({"where": "pirce > 3"}, "unknown column 'pirce'; did you mean 'price'"),
        ({"where": "price >"}, "not an SQL expression"),
        ({"group_by": "ctiy"}, "unknown column 'ctiy'; did you mean 'city'"),
        ({"algorithm": Drift(), "group_by": "city"}, "Drift reads the rows more than once"),
        ({"memory": "lots"}, "memory must be a size"),
        ({"memory": "1kB"}, "memory must be at least"),
        ({"workers": 0}, "workers must be a whole number"),
        ({"max_bad": -1}, "max_bad must be"),
        ({"max_bad": 1.5}, "max_bad as a share must be below 1"),
        ({"on": "lcoal"}, "unknown engine 'lcoal'; did you mean 'local'"),
        ({"on": "local[x]"}, "unknown engine URL"),
        ({"algorithm": Lengths(0)}, "'scale' must be a whole number of at least 1"),
        ({"options": {"nonsense": 3}}, "unknown option 'nonsense'"),
    ],
)
def test_a_wrong_request_is_refused(request_: dict[str, Any], said: str) -> None:
    asked = {"algorithm": "Count", **request_}
    with pytest.raises(UsageError, match=said):
        plan(SALES, asked.pop("algorithm"), **asked)


def test_nothing_is_read_before_the_request_is_known_to_be_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> Any:
        raise AssertionError("rows were read")

    source = text_file(tmp_path / "lines.txt", lines=10)
    ready = plan(source, "WordCount", where="text <> ''", group_by=None)
    monkeypatch.setattr(type(ready.data.source), "read", read)
    assert isinstance(ready.data.source, Source)
    for wrong in ({"algorithm": "WordCuont"}, {"where": "txet = 'a'"}, {"columns": ["txet"]}):
        with pytest.raises(UnknownNameError, match="did you mean"):
            plan(source, **{"algorithm": "WordCount", **wrong})


def test_columns_are_what_a_grouped_algorithm_takes() -> None:
    sales = {**SALES, "weight": [1, 2, 3]}
    table = mine(sales, "Moments", columns=["price"], group_by="city").table
    assert set(table["column"].to_pylist()) == {"price"}
    assert table["city"].to_pylist() == ["Bonn", "Ulm"]


def test_where_is_applied_before_columns_are_chosen() -> None:
    result = mine(SALES, "Count", where="city = 'Bonn'", columns=["price"])
    assert result.table.to_pylist() == [{"count": 2}]
    assert (result.rows.read, result.rows.used, result.rows.filtered) == (3, 2, 1)


def test_tolerances() -> None:
    assert tolerated(None) == Tolerance()
    assert tolerated(0).allowed(1_000_000) == 0
    assert tolerated(7).allowed(10) == 7
    assert tolerated(0.05).allowed(100) == 5
    kept = Tolerance(records=3)
    assert tolerated(kept) is kept


def spec(source: Path, **more: Any) -> JobSpec:
    return JobSpec.of({"source": str(source), "algorithm": "Count", **more}, Path("/"), "test")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"output": "out.xlsx"}, "unknown output format '.xlsx'; end 'out.xlsx' in .parquet"),
        ({"output": "out.csv", "output_format": "cvs"}, "unknown output format 'cvs'; did you"),
        ({"output_format": "csv"}, "output_format is given but no output"),
        ({"output": "nowhere/out.csv"}, "there is no folder"),
        ({"report": "nowhere/report.html"}, "there is no folder"),
        ({"save_state": "nowhere/x.state"}, "there is no folder"),
        ({"quarantine": "nowhere/bad.jsonl"}, "there is no folder"),
        ({"algorithm": "KMeans", "save_state": "x.state", "params": {"n_clusters": 2}}, "state"),
        ({"format": "txet"}, "unknown format 'txet'; did you mean 'text'"),
        ({"params": {"k": 3}}, "unknown parameter of Count 'k'"),
    ],
)
def test_a_wrong_spec_is_refused(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    source = text_file(tmp_path / "lines.txt", lines=10)
    for name in ("output", "report", "save_state", "quarantine"):
        if name in more:
            more = {**more, name: str(tmp_path / more[name])}
    if more.get("algorithm") == "KMeans":
        import pyarrow.parquet as pq

        source = tmp_path / "points.parquet"
        pq.write_table(pa.table({"x": [1.0, 2.0, 9.0], "y": [1.0, 2.0, 9.0]}), source)
    with pytest.raises(UsageError, match=said):
        plan_of(spec(source, **more))


def test_missing_plotly_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = text_file(tmp_path / "lines.txt", lines=10)
    monkeypatch.setattr("motherlode.jobs.report.page.find_spec", lambda _: None)
    with pytest.raises(MotherlodeError, match=r"'plotly'.*pip install 'motherlode\[plot\]'"):
        plan_of(spec(source, report=str(tmp_path / "report.html")))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises((UsageError, DataError), match=r"nothing\.txt"):
        plan(tmp_path / "nothing.txt", "Count")
