import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from motherlode.cli.main import app
from motherlode.jobs.store import JobStore
from tests.jobs.small import text_file

SALES = "city,price,weight\nBonn,3,1\nUlm,4,2\nBonn,5.5,3\nUlm,,4\n"


def run(*args: Any) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args: Any) -> dict[str, Any]:
    done = run(*args, "--json", "--no-journal")
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    path.write_text(SALES)
    return path


def test_the_table_goes_to_stdout_and_the_account_to_stderr(sales: Path) -> None:
    done = run("mine", "ValueCounts", sales, "--columns", "city")
    assert done.exit_code == 0
    assert done.stdout == "city  count\nBonn      2\nUlm       2\n"
    assert done.stderr.startswith("4 rows read: 4 used; 1 pass, ")
    assert len(done.stderr.splitlines()) == 1


def test_where_columns_and_groups(sales: Path) -> None:
    told = answer("mine", "Count", sales, "--where", "price > 3", "--group-by", "city")
    assert told["result"] == [{"city": "Bonn", "count": 1}, {"city": "Ulm", "count": 1}]
    assert told["rows"] == {"read": 4, "used": 2, "filtered": 2, "quarantined": 0}
    assert told["passes"] == 1
    assert told["job"] is None
    summed = answer("mine", "Sum", sales, "--columns", "price,weight")["result"]
    assert summed == [{"price": 12.5, "weight": 10}]


def test_several_sources_and_format_options(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.dat").write_text("a;b\n1;x\n2;y\n")
    args = (tmp_path / "0.dat", tmp_path / "1.dat", "--format", "csv", "-o", "delimiter=;")
    assert answer("mine", "Count", *args)["result"] == [{"count": 4}]
    glob = answer("mine", "Count", tmp_path / "*.dat", "--format", "csv", "-o", "delimiter=;")
    assert glob["result"] == [{"count": 6}]


def test_parameters_are_read_as_their_constraints_want_them(sales: Path) -> None:
    listed = answer("mine", "Sum", sales, "-p", "columns=price,weight")["result"]
    assert listed == answer("mine", "Sum", sales, "-p", 'columns=["price","weight"]')["result"]
    top = answer("mine", "TopK", sales, "-p", "column=city", "-p", "k=1")["result"]
    assert [row["value"] for row in top] == ["Bonn"]
    quantiles = answer("mine", "Quantiles", sales, "--columns", "weight", "-p", "q=0.5")
    assert len(quantiles["result"]) == 1


def test_outputs_are_written_and_named(sales: Path, tmp_path: Path) -> None:
    paths = {
        "--output": tmp_path / "out.parquet",
        "--report": tmp_path / "report.html",
        "--save-state": tmp_path / "x.state",
        "--quarantine": tmp_path / "bad.jsonl",
    }
    flags = [part for pair in paths.items() for part in pair]
    done = run("mine", "ValueCounts", sales, "--columns", "city", *flags)
    assert done.exit_code == 0
    assert done.stdout == ""
    for path in paths.values():
        assert f"wrote {path}" in done.stderr
        assert path.exists()
    assert pq.read_table(paths["--output"])["count"].to_pylist() == [2, 2]


def test_quiet_says_nothing(sales: Path) -> None:
    done = run("mine", "Count", sales, "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_unreadable_records_are_mentioned_and_written(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("a,b\n1,x\n2\n3,y\n")
    done = run("mine", "Count", path)
    assert done.exit_code == 0
    assert "3 rows read: 2 used, 1 unreadable" in done.stderr
    assert f"unreadable, first of 1: {path} at byte 8" in done.stderr
    bad = tmp_path / "bad.jsonl"
    assert run("mine", "Count", path, "--quarantine", bad).exit_code == 0
    assert json.loads(bad.read_text())["raw"].strip() == "2"
    strict = run("mine", "Count", path, "--max-bad", "0")
    assert strict.exit_code == 1
    assert strict.stderr.startswith("error: more than 0 records could not be read; the first is")


def test_jobs_are_journalled_unless_told_otherwise(sales: Path) -> None:
    before = len(JobStore().jobs())
    run("mine", "Count", sales, "--no-journal")
    assert len(JobStore().jobs()) == before
    run("mine", "Count", sales)
    job = JobStore().jobs()[-1]
    assert len(JobStore().jobs()) == before + 1
    assert job.status == "done"
    assert not job.states.exists()


def test_run_carries_out_a_file_and_describe_describes(sales: Path, tmp_path: Path) -> None:
    job = tmp_path / "job.toml"
    job.write_text(
        'source = "sales.csv"\nalgorithm = "TopK"\noutput = "out.csv"\n'
        '[params]\ncolumn = "city"\nk = 1\n'
    )
    done = run("run", job)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith('"Bonn",2')
    described = run("describe", sales, "--columns", "city,price")
    assert described.exit_code == 0
    assert described.stdout.splitlines()[1].split()[:3] == ["city", "string", "4"]


def test_hostile_text_does_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "hostile.txt"
    path.write_text("\x1b[31mred\x1b[0m\x07\n[bold]b[/bold]\n\u202eabc\n")
    done = run("mine", "ValueCounts", path)
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "\u202e" not in done.stdout
    assert r"\x1b[31mred\x1b[0m\x07" in done.stdout
    assert "[bold]b[/bold]" in done.stdout


WRONG = [
    (("Cuont", "{sales}"), 2, "unknown algorithm 'Cuont'; did you mean 'Count'?"),
    (("TopK", "{sales}", "-p", "kk=3"), 2, "unknown parameter of TopK 'kk'; did you mean 'k'?"),
    (("TopK", "{sales}", "-p", "k=0"), 2, "parameter 'k' must be a whole number of at least 1"),
    (("TopK", "{sales}", "-p", "k=x"), 2, "must be a whole number of at least 1, got 'x'"),
    (("TopK", "{sales}", "-p", "k"), 2, "--param wants name=value, got 'k'"),
    (("TopK", "{sales}", "-p", "k=1", "-p", "k=2"), 2, "--param k is given twice"),
    (("Sum", "{sales}", "--columns", "pirce"), 2, "unknown column 'pirce'; did you mean 'price'?"),
    (("Count", "{sales}", "--where", "pirce > 1"), 2, "unknown column 'pirce'; did you mean"),
    (("Count", "{sales}", "--where", "price >"), 2, "not an SQL expression: 'price >'"),
    (("Count", "{sales}", "--group-by", "ctiy"), 2, "unknown column 'ctiy'; did you mean 'city'?"),
    (("Count", "{sales}", "--format", "cvs"), 2, "unknown format 'cvs'; did you mean 'csv'?"),
    (("Count", "{sales}", "-o", "delimitr=;"), 2, "'delimitr'; did you mean 'delimiter'?"),
    (("Count", "{sales}", "--engine", "lcoal"), 2, "unknown engine 'lcoal'; did you mean 'local'?"),
    (("Count", "{sales}", "--memory", "much"), 2, "memory must be a size as '2GB'"),
    (("Count", "{sales}", "--workers", "0"), 2, "'workers' must be a whole number of at least 1"),
    (("Count", "{sales}", "--max-bad", "few"), 2, "--max-bad wants a number or a share"),
    (("Count", "{sales}", "--output", "{folder}/x.xlsx"), 2, "unknown output format '.xlsx'"),
    (("Count", "{sales}", "--output", "{folder}/no/x.csv"), 2, "there is no folder"),
    (("Count", "{folder}/slaes.csv"), 1, "there is no file '{folder}/slaes.csv'; did you mean"),
    (("Count", "{folder}/*.nothing"), 1, "no file matches"),
    (("Count", "{folder}/empty.csv"), 1, "empty.csv is empty"),
    (("Count", "{folder}/cut.csv.gz"), 1, "cut.csv.gz is damaged or cut off"),
    (("Count", "{folder}/bad.jsonl"), 1, "no line of {folder}/bad.jsonl is a JSON object"),
    (("Count", "{folder}/none.parquet"), 1, "none.parquet"),
    (("Count", "{folder}/parts"), 1, "column 'a' is string in {folder}/parts/2.parquet but int64"),
]


@pytest.fixture(scope="module")
def wrong_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import gzip

    import pyarrow as pa

    folder = tmp_path_factory.mktemp("wrong")
    (folder / "sales.csv").write_text(SALES)
    (folder / "empty.csv").touch()
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,x%d\n" % (n, n) for n in range(50_000)))
    (folder / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "bad.jsonl").write_text("no json here\n" * 20)
    (folder / "none.parquet").write_text("this is no Parquet file at all")
    (folder / "parts").mkdir()
    pq.write_table(pa.table({"a": [1, 2]}), folder / "parts" / "1.parquet")
    pq.write_table(pa.table({"a": ["x", "y"]}), folder / "parts" / "2.parquet")
    return folder


@pytest.mark.parametrize(("args", "code", "said"), WRONG, ids=[" ".join(w[0]) for w in WRONG])
def test_what_is_wrong_is_one_line_and_no_job(
    wrong_folder: Path, args: tuple[str, ...], code: int, said: str
) -> None:
    before = len(JobStore().jobs())
    names = {"sales": wrong_folder / "sales.csv", "folder": wrong_folder}
    done = run("mine", *(arg.format(**names) for arg in args))
    assert done.exit_code == code
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said.format(**names) in line
    if code == 2:
        assert len(JobStore().jobs()) == before


@pytest.mark.parametrize(
    ("content", "account"),
    [
        (b"a,b\n", "0 rows read: 0 used"),
        (b"a,b\n1,caf\xe9\n2,ok\n", "2 rows read: 1 used, 1 unreadable"),
        (b"a,b\n1,x\n2\n3,y,z\n4,w\n", "4 rows read: 2 used, 2 unreadable"),
    ],
)
def test_what_is_partly_wrong_is_accounted_for(
    tmp_path: Path, content: bytes, account: str
) -> None:
    path = tmp_path / "some.csv"
    path.write_bytes(content)
    done = run("mine", "ValueCounts", path)
    assert done.exit_code == 0
    assert account in done.stderr


def test_a_broken_line_of_json_is_accounted_for(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text('{"a": 1}\n{"a":\n{"a": 3}\n')
    done = run("mine", "Sum", path)
    assert done.exit_code == 0
    assert "3 rows read: 2 used, 1 unreadable" in done.stderr


def test_an_unexpected_error_is_one_line_too(sales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("motherlode.jobs.execute.run", fail)
    done = run("mine", "Count", sales)
    assert done.exit_code == 1
    assert done.stderr == (
        "error: unexpected ZeroDivisionError: by zero; set MOTHERLODE_DEBUG=1 to see where\n"
    )
    assert JobStore().jobs()[-1].status == "failed"
    monkeypatch.setenv("MOTHERLODE_DEBUG", "1")
    assert isinstance(run("mine", "Count", sales).exception, ZeroDivisionError)


def test_words_of_a_text(tmp_path: Path) -> None:
    told = answer("mine", "WordCount", text_file(tmp_path / "lines.txt"), "-p", "top=2")
    assert sum(row["count"] for row in told["result"]) > 0
    assert len(told["result"]) == 2
