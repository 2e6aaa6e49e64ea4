"""The commands in the documentation are run, and what they print is compared."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from motherlode.cli import shop
from motherlode.jobs.plan import plan_of
from motherlode.jobs.spec import JobSpec
from tests.cli.test_mine import run

ROOT = Path(__file__).resolve().parents[2]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def sessions(page: str) -> list[tuple[str, str]]:
    """Commands of a page with the output shown for each."""
    found = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def test_the_commands_do_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.csv").write_text(blocks("command_line.md", "csv")[0])
    shown = sessions("command_line.md")
    assert len(shown) >= 10
    for command, output in shown:
        program, *args = shlex.split(command)
        assert program == "motherlode"
        done = run(*args)
        printed = done.stderr if output.startswith("error: ") else done.stdout
        pattern = ".*".join(re.escape(part) for part in output.split("…\n"))
        assert re.fullmatch(pattern, printed, flags=re.S), (command, printed, done.stderr)


def test_all_flags_of_mine_are_explained() -> None:
    flags = set(re.findall(r"--[a-z][a-z-]+", run("mine", "--help").stdout)) - {"--help"}
    explained = set(re.findall(r"--[a-z][a-z-]+", (ROOT / "docs/command_line.md").read_text()))
    assert flags <= explained


def test_the_keys_of_a_job_file_are_explained() -> None:
    page = (ROOT / "docs/jobs.md").read_text()
    for name in JobSpec.__dataclass_fields__:
        assert re.search(rf"\b{name}\b", page), name


def test_the_job_of_the_page_is_valid(tmp_path: Path) -> None:
    (tmp_path / "spending.toml").write_text(blocks("jobs.md", "toml")[0])
    spec = JobSpec.from_file(tmp_path / "spending.toml")
    assert spec.group_by == ("city",)


@pytest.mark.parametrize("example", sorted(p.name for p in (ROOT / "examples").glob("*.toml")))
def test_the_examples_run(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("EVENTS", 20_000), ("CUSTOMERS", 2_000), ("RETURNS", 100), ("BROKEN", 2)):
        monkeypatch.setattr(shop, name, value)
    for folder in ("examples", "docs", "shop"):
        (tmp_path / folder).mkdir()
    shop.write_shop(tmp_path / "shop")
    for page in (ROOT / "docs").glob("*.md"):
        shutil.copy(page, tmp_path / "docs")
    path = Path(shutil.copy(ROOT / "examples" / example, tmp_path / "examples"))
    done = run("run", path)
    assert done.exit_code == 0, done.stderr
    spec = JobSpec.from_file(path)
    assert plan_of(spec).asked["algorithm"] == spec.algorithm
