import json
from pathlib import Path
from typing import Any

import pytest

from motherlode.core.errors import ParameterError, UnknownNameError, UsageError
from motherlode.jobs.spec import CONSTRAINTS, JobSpec

FULL = """
source = ["a/*.csv", "/data/b.csv", "s3://bucket/c.csv"]
algorithm = "WordCount"
format = "csv"
where = "price > 0"
columns = ["text"]
group_by = "country"
workers = 2
memory = "2GB"
max_bad = 0.01
output = "out.parquet"
report = "/tmp/report.html"

[params]
top = 10

[options]
delimiter = ";"
"""


def test_a_toml_file_becomes_a_spec_with_paths_from_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(FULL)
    spec = JobSpec.from_file(path)
    assert spec.source == (f"{tmp_path}/a/*.csv", "/data/b.csv", "s3://bucket/c.csv")
    assert spec.params == {"top": 10}
    assert spec.options == {"delimiter": ";"}
    assert spec.group_by == ("country",)
    assert spec.engine == "local"
    assert spec.path("output") == tmp_path / "out.parquet"
    assert spec.path("report") == Path("/tmp/report.html")
    assert spec.path("quarantine") is None


def test_plain_data_makes_the_same_spec_again_as_json(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(FULL)
    spec = JobSpec.from_file(path)
    again = tmp_path / "again.json"
    again.write_text(json.dumps(spec.plain()))
    assert JobSpec.from_file(again) == spec
    small = JobSpec(("x.csv",), "Count")
    assert small.plain() == {"source": ["x.csv"], "algorithm": "Count"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("algoritm = 'Count'\nsource = 'x'", "unknown key in job.toml 'algoritm'; did you mean"),
        ("source = 'x'", "job.toml does not say the algorithm"),
        ("algorithm = 'Count'", "job.toml does not say the source"),
        ("source = 'x'\nalgorithm = 'Count'\nworkers = 0", "'workers' must be a whole number"),
        ("source = 'x'\nalgorithm = 'Count'\nparams = 3", "'params' must be a table"),
        ("source = [3]\nalgorithm = 'Count'", "'source' must be a string or a list"),
        ("source = 'x'\nalgorithm = 'Count'\nmax_bad = 1.5", "'max_bad' must be"),
        ("source = ", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "job.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        JobSpec.from_file(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        JobSpec.from_file(tmp_path / "nothing.toml")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(UsageError, match="must hold an object"):
        JobSpec.from_file(tmp_path / "list.json")
    (tmp_path / "latin.toml").write_bytes(b"source = '\xe9'")
    with pytest.raises(UsageError, match="cannot read"):
        JobSpec.from_file(tmp_path / "latin.toml")


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_every_key_refuses_what_its_constraint_calls_invalid(name: str) -> None:
    for value in CONSTRAINTS[name].invalid():
        if value is None or CONSTRAINTS[name].accepts(value):
            continue
        values: dict[str, Any] = {"source": "x", "algorithm": "Count", name: value}
        with pytest.raises(ParameterError):
            JobSpec.of(values, Path("/"), "job.toml")


def test_the_nearest_key_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'group_by'"):
        JobSpec.of({"groupby": "x"}, Path("/"), "job.toml")
