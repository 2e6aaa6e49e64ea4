from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.algebra.tree import Node, climb
from motherlode.core.errors import JobError
from motherlode.jobs.checkpoint import Checkpoints
from motherlode.jobs.journal import Journal


class Place:
    """A folder with a journal, opened and closed like by processes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "states").mkdir(parents=True)
        self.log: Journal | None = None
        self.keeper = self.reopen()

    def reopen(self) -> Checkpoints:
        if self.log is not None:
            self.log.close()
        self.log = Journal(self.folder / "journal.jsonl")
        self.keeper = Checkpoints(self.folder / "states", self.log)
        return self.keeper

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "states").iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_was_flushed_is_there_for_the_next_process(place: Place) -> None:
    place.keeper.keep(0, {Node(0, 3): b"three", Node(0, 5): b"five"})
    again = place.reopen()
    assert sorted(again.nodes(0)) == [Node(0, 3), Node(0, 5)]
    assert again.load(0, Node(0, 3)) == b"three"
    assert again.nodes(1) == []


def test_a_higher_node_takes_the_place_of_those_under_it(place: Place) -> None:
    for rank in range(17):
        place.keeper.keep(0, {Node(0, rank): b"leaf"})
    assert len(place.files) == 17
    place.keeper.keep(0, {Node(4, 0): b"sixteen"})
    assert len(place.files) == 2
    assert sorted(place.reopen().nodes(0)) == [Node(0, 16), Node(4, 0)]


def test_a_model_ends_the_passes_before_it(place: Place) -> None:
    place.keeper.keep(0, {Node(0, 0): b"leaf"})
    place.keeper.keep_model(1, {"w": [1.5, float("inf")]}, b"account")
    place.keeper.keep(1, {Node(0, 2): b"later"})
    again = place.reopen()
    assert again.model() == (1, {"w": [1.5, float("inf")]})
    assert again.account() == b"account"
    assert again.nodes(0) == []
    assert again.nodes(1) == [Node(0, 2)]
    assert len(place.files) == 3


def test_a_damaged_or_missing_state_is_forgotten_so_that_it_is_folded_again(place: Place) -> None:
    place.keeper.keep(0, {Node(0, rank): b"state %d" % rank for rank in range(3)})
    first, second, third = place.files
    (place.folder / "states" / first).write_bytes(b"state 9")
    (place.folder / "states" / second).unlink()
    assert place.reopen().nodes(0) == [Node(0, 2)]
    assert place.files == [third]


def test_a_damaged_model_begins_anew(place: Place) -> None:
    place.keeper.keep_model(3, {"w": 1}, b"account")
    place.keeper.keep(3, {Node(0, 0): b"leaf"})
    model = next(name for name in place.files if "model" in name)
    (place.folder / "states" / model).write_bytes(b"")
    again = place.reopen()
    assert again.model() is None
    assert again.account() is None
    assert again.nodes(3) == []
    assert place.files == []


def test_files_that_the_journal_does_not_name_are_removed(place: Place) -> None:
    (place.folder / "states" / "000001-state.mlst").write_bytes(b"written, not yet named")
    (place.folder / "states" / ".x.tmp").write_bytes(b"half")
    place.reopen()
    assert place.files == []


def test_a_full_disk_leaves_what_was_durable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.keeper.keep(0, {Node(0, 0): b"zero"})

    def full(*_: Any, **__: Any) -> None:
        raise JobError("disk full")

    monkeypatch.setattr("motherlode.jobs.checkpoint.write_file", full)
    with pytest.raises(JobError):
        place.keeper.keep(0, {Node(4, 0): b"all"})
    monkeypatch.undo()
    again = place.reopen()
    assert again.nodes(0) == [Node(0, 0)]
    assert again.load(0, Node(0, 0)) == b"zero"


def test_keeping_takes_a_tenth_of_the_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("motherlode.jobs.checkpoint.time.perf_counter", lambda: clock[0])
    keeper = place.reopen()

    def slow(*_: Any, **__: Any) -> None:
        clock[0] += 1.0

    monkeypatch.setattr("motherlode.jobs.checkpoint.write_file", slow)
    assert not keeper.due()
    spent = 0
    for tick in range(1, 1_000):
        clock[0] = max(clock[0], 1_000 + tick / 10)
        if keeper.due():
            keeper.keep(0, {Node(0, tick): b"state"})
            spent += 1
    assert 9 <= spent <= 11


def test_a_model_waits_until_it_is_time_but_not_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.keeper.keep_model(0, {"start": 1}, None)
    place.keeper.keep_model(1, {"w": 1}, b"account")
    assert place.files == []
    place.keeper.flush()
    again = place.reopen()
    assert again.model() == (1, {"w": 1})
    assert again.account() == b"account"


class Trial:
    """A driver's tree, reduced to which nodes wait."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.waiting: set[Node] = set()

    def place(self, leaf: int) -> None:
        node = climb(Node(0, leaf), self.count)
        while node.sibling in self.waiting:
            self.waiting.remove(node.sibling)
            node = climb(node.parent, self.count)
        self.waiting.add(node)


@given(st.integers(1, 70).flatmap(lambda n: st.permutations(range(n))), st.data())
def test_after_a_crash_anywhere_the_last_forest_is_there(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], data: st.DataObject
) -> None:
    place = Place(tmp_path_factory.mktemp("job"))
    trial = Trial(len(order))
    kept: set[Node] = set()
    done = 0
    for position in range(data.draw(st.integers(0, len(order)))):
        trial.place(order[position])
        if data.draw(st.booleans()):
            fresh = trial.waiting - kept
            kept = set(trial.waiting)
            place.keeper.keep(0, {node: repr(node).encode() for node in fresh})
            done = position + 1
    again = place.reopen()
    assert set(again.nodes(0)) == kept
    leaves = [leaf for node in kept for leaf in node.leaves(len(order))]
    assert sorted(leaves) == sorted(order[:done])
    assert all(again.load(0, node) == repr(node).encode() for node in kept)
    assert len(place.files) == len(kept)
