from pathlib import Path
from typing import Any

import pytest

from motherlode.algebra import codec
from motherlode.core.errors import MotherlodeError, OverlapError, StateError, UsageError
from motherlode.jobs.execute import execute
from motherlode.jobs.mine import mine
from motherlode.jobs.plan import plan
from motherlode.jobs.state_file import SavedState, read_state, save_state, write_state
from tests.jobs.small import text_file


def saved(source: Any, path: Path, algorithm: Any = "ValueCounts", **more: Any) -> SavedState:
    save_state(execute(plan(source, algorithm, **more)), path)
    return read_state(path)


@pytest.fixture
def january(tmp_path: Path) -> Path:
    return text_file(tmp_path / "january.txt", lines=300, seed=1)


@pytest.fixture
def february(tmp_path: Path) -> Path:
    return text_file(tmp_path / "february.txt", lines=200, seed=2)


def test_a_state_comes_back_with_its_answer(tmp_path: Path, january: Path) -> None:
    result = mine(january, "ValueCounts")
    state = saved(january, tmp_path / "a.state")
    assert state.result().digest == result.digest
    assert state.result().table.equals(result.table)
    assert state.result().rows == result.rows
    assert state.request["algorithm"] == "ValueCounts"


def test_merged_states_are_the_state_of_all_rows(
    tmp_path: Path, january: Path, february: Path
) -> None:
    both = mine([january, february], "ValueCounts")
    merged = saved(january, tmp_path / "a").merge(saved(february, tmp_path / "b"))
    write_state(merged, tmp_path / "c")
    again = read_state(tmp_path / "c")
    assert again.result().digest == both.digest
    assert again.result().rows.used == 500


def test_a_part_that_was_subtracted_was_never_seen(
    tmp_path: Path, january: Path, february: Path
) -> None:
    whole = saved([january, february], tmp_path / "whole")
    part = saved(february, tmp_path / "part")
    rest = whole.subtract(part)
    assert rest.result().digest == mine(january, "ValueCounts").digest
    assert rest.part.tally.used == 300


def test_rows_of_one_person_are_forgotten_by_a_filter(tmp_path: Path, january: Path) -> None:
    one = "text LIKE 'w1%'"
    whole = saved(january, tmp_path / "whole")
    rest = whole.subtract(saved(january, tmp_path / "part", where=one))
    left = mine(january, "ValueCounts", where=f"NOT {one}")
    assert rest.result().digest == left.digest


def test_rows_are_not_counted_twice(tmp_path: Path, january: Path) -> None:
    state = saved(january, tmp_path / "a")
    with pytest.raises(OverlapError, match="count those rows twice"):
        state.merge(read_state(tmp_path / "a"))


def test_a_grouped_state_comes_back(tmp_path: Path) -> None:
    sales = {"city": ["Bonn", "Ulm", "Bonn"], "price": [3.0, 4.0, 5.0], "weight": [1, 2, 3]}
    asked: dict[str, Any] = {"group_by": "city", "columns": ["price"]}
    state = saved(sales, tmp_path / "a", "Moments", **asked)
    whole = mine(sales, "Moments", **asked)
    assert state.result().digest == whole.digest
    assert str(state.result().table) == str(whole.table)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"algorithm": "Count"}, "differ in algorithm: 'ValueCounts' and 'Count'"),
        ({"where": "text <> ''"}, "differ in where"),
        ({"columns": ["text"]}, "differ in columns"),
    ],
)
def test_states_made_otherwise_are_refused(
    tmp_path: Path, january: Path, february: Path, other: dict[str, Any], said: str
) -> None:
    state = saved(january, tmp_path / "a")
    with pytest.raises(StateError, match=said):
        state.merge(saved(february, tmp_path / "b", **other))


def test_states_of_other_columns_are_refused(tmp_path: Path) -> None:
    ints = saved({"x": [1, 2]}, tmp_path / "a", "Sum")
    floats = saved({"x": [1.5, 2.5]}, tmp_path / "b", "Sum")
    with pytest.raises(StateError, match=r"x: int64.*x: double"):
        ints.merge(floats)


def test_columns_that_are_not_read_may_differ(tmp_path: Path, january: Path) -> None:
    first = saved({"x": [1], "other": ["a"]}, tmp_path / "a", "ValueCounts", columns=["x"])
    second = saved({"x": [2], "other": [3.5]}, tmp_path / "b", "ValueCounts", columns=["x"])
    assert first.merge(second).part.tally.used == 2


def test_what_cannot_forget_says_so(tmp_path: Path, january: Path, february: Path) -> None:
    whole = saved([january, february], tmp_path / "a", "TopK")
    with pytest.raises(MotherlodeError, match="TopK cannot forget rows"):
        whole.subtract(saved(january, tmp_path / "b", "TopK"))


def test_files_that_are_no_states(tmp_path: Path, january: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        read_state(tmp_path / "nothing")
    for content in (b"", b"hello, world, this is no state", codec.encode({"kind": "other"})):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(StateError, match=str(tmp_path / "x")):
            read_state(tmp_path / "x")
    saved(january, tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    for damaged in (whole[:-1], whole[:200] + b"!" + whole[201:]):
        (tmp_path / "x").write_bytes(damaged)
        with pytest.raises(StateError, match="damaged"):
            read_state(tmp_path / "x")


@pytest.mark.parametrize(
    "request_",
    [
        {"algorithm": "NoSuchThing"},
        {"parameters": {"nonsense": 1}},
        {"parameters": None},
    ],
)
def test_a_state_that_asks_for_what_is_not_there(
    tmp_path: Path, january: Path, request_: dict[str, Any]
) -> None:
    saved(january, tmp_path / "a")
    plain = codec.decode((tmp_path / "a").read_bytes())
    plain["request"].update(request_)
    (tmp_path / "a").write_bytes(codec.encode(plain))
    with pytest.raises(StateError, match=str(tmp_path / "a")):
        read_state(tmp_path / "a")
