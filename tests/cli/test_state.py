import json
from pathlib import Path

import pytest

from tests.cli.test_mine import run
from tests.jobs.small import text_file


@pytest.fixture
def states(tmp_path: Path) -> tuple[Path, Path]:
    paths = []
    for name, seed in (("jan", 1), ("feb", 2)):
        source = text_file(tmp_path / f"{name}.txt", lines=200, seed=seed)
        state = tmp_path / f"{name}.state"
        run("mine", "ValueCounts", source, "--save-state", state, "--quiet")
        paths.append(state)
    return paths[0], paths[1]


def shown(path: Path) -> list[dict[str, object]]:
    return list(json.loads(run("state", "show", path, "--json").stdout))


def test_show_tells_what_it_is_of_and_its_answer(states: tuple[Path, Path]) -> None:
    text = run("state", "show", states[0]).stdout
    assert "algorithm   ValueCounts" in text
    assert "rows        200 used of 200 read" in text
    assert "covers      1 pieces of data" in text
    assert "text" in text.split("\n\n")[1].splitlines()[0]


def test_merge_and_subtract_go_there_and_back(states: tuple[Path, Path], tmp_path: Path) -> None:
    january, february = states
    both, rest = tmp_path / "both.state", tmp_path / "rest.state"
    done = run("state", "merge", january, february, "--output", both)
    assert done.exit_code == 0
    assert f"wrote {both}: 400 rows" in done.stderr
    whole = run(
        "mine", "ValueCounts", tmp_path / "jan.txt", tmp_path / "feb.txt", "--json", "--no-journal"
    )
    assert shown(both) == json.loads(whole.stdout)["result"]
    assert run("state", "subtract", both, february, "-o", rest).exit_code == 0
    assert shown(rest) == shown(january)


def test_what_does_not_go_together(states: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.state"
    twice = run("state", "merge", states[0], states[0], "-o", out)
    assert twice.exit_code == 1
    assert "count those rows twice" in twice.stderr
    one = run("state", "merge", states[0], "-o", out)
    assert (one.exit_code, one.stderr) == (
        2,
        "error: there is nothing to merge; name two state files or more\n",
    )
    assert run("state", "show", tmp_path / "jan.txt").exit_code == 1
    assert run("state", "show", tmp_path / "nothing").exit_code == 2
    assert not out.exists()
