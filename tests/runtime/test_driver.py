"""The driver: retries, accounting, what is kept and what is told, on scripted engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.algebra import codec, reference
from motherlode.core import events as ev
from motherlode.core.errors import (
    DataError,
    EngineError,
    Interrupted,
    JobError,
    OverlapError,
    QuarantineError,
    StateError,
)
from motherlode.data.quarantine import BadRecord, Tolerance
from motherlode.data.source import Tally
from motherlode.runtime import run
from motherlode.runtime.engine import Done, Failed
from motherlode.runtime.part import Part, merge_parts, subtract_parts
from motherlode.testing.cases import batched, case, deal
from motherlode.testing.faults import Fail, FaultyEngine, Late, Lose, Shuffle, Twice
from motherlode.testing.pieces import PieceSource
from tests.runtime.scripted import InlineEngine, MemoryKeeper
from tests.testing.specimens import Histogram, Median

ROWS = case("numbers", "infinite").rows
READY = Histogram().prepare(ROWS.schema)


def wanted(splits):
    pieces = [lambda p=p: batched(p, 1 << 16) for p in deal(ROWS, splits)]
    return codec.digest(READY.export(reference.fold(READY, pieces)))


def mined(script=(), splits=5, **options):
    engine = FaultyEngine(InlineEngine(), script)
    return run(Histogram(), PieceSource(deal(ROWS, splits)), on=engine, **options), engine


faults = st.lists(
    st.builds(Fail, st.integers(0, 8), st.integers(1, 3))
    | st.builds(Lose, st.integers(0, 8), st.integers(1, 3))
    | st.builds(Twice, st.integers(0, 8))
    | st.builds(Late, st.integers(0, 8))
    | st.builds(Shuffle, st.integers(0, 99)),
    max_size=8,
)


@given(faults, st.integers(1, 9))
def test_whatever_goes_wrong_each_row_counts_once(script, splits):
    result, _ = mined(script, splits, retries=10)
    assert result.digest == wanted(splits)
    assert result.rows.balanced
    assert result.rows.used == len(ROWS)


class TestRetries:
    def test_a_split_is_tried_as_often_as_allowed(self):
        _, engine = mined([Fail(2, tries=3)], retries=3)
        assert engine.tries == {0: 1, 1: 1, 2: 4, 3: 1, 4: 1}

    def test_then_the_job_ends_with_the_error(self):
        with pytest.raises(EngineError, match="scripted failure of split 2, try 4"):
            mined([Fail(2, tries=4)], retries=3)

    def test_an_error_of_the_file_system_may_pass(self):
        _, engine = mined([Fail(2, error=OSError)])
        assert engine.tries[2] == 2
        with pytest.raises(
            EngineError, match="split 2 failed 4 times, last on scripted: OSError"
        ) as it:
            mined([Fail(2, tries=9, error=OSError)])
        assert isinstance(it.value.__cause__, OSError)

    @pytest.mark.parametrize("error", [ValueError, ZeroDivisionError, MemoryError])
    def test_an_error_in_the_code_is_not_tried_again(self, error):
        with pytest.raises(EngineError, match=f"failed 1 times.*{error.__name__}") as caught:
            mined([Fail(2, error=error)])
        assert isinstance(caught.value.__cause__, error)

    @pytest.mark.parametrize("error", [DataError, StateError, Interrupted])
    def test_an_error_that_says_what_is_wrong_is_handed_on(self, error):
        with pytest.raises(error, match="scripted failure of split 2, try 1"):
            mined([Fail(2, error=error)])

    def test_only_what_is_missing_is_asked_for_again(self):
        inner = InlineEngine()
        run(Histogram(), PieceSource(deal(ROWS, 5)), on=FaultyEngine(inner, [Lose(1), Lose(3)]))
        assert inner.asked == [[0, 1, 2, 3, 4], [1, 3]]

    def test_failures_are_told(self):
        told = []
        mined([Fail(2, tries=2)], listener=told.append)
        failed = [e for e in told if isinstance(e, ev.SplitFailed)]
        assert [(e.number, e.attempt) for e in failed] == [(2, 1), (2, 2)]
        assert "scripted failure" in failed[0].reason

    def test_an_engine_that_hands_back_nothing_does_not_hang_the_job(self):
        with pytest.raises(EngineError, match="handed back nothing"):
            run(Histogram(), PieceSource([ROWS]), on=InlineEngine(lambda outcome: []))

    def test_nor_does_one_that_gives_up_after_a_failure(self):
        calls = []

        def spoil(outcome):
            calls.append(outcome)
            return [Failed(0, EngineError("once"), "here")] if len(calls) == 1 else []

        with pytest.raises(EngineError, match="handed back nothing"):
            run(Histogram(), PieceSource([ROWS]), on=InlineEngine(spoil))

    def test_nor_does_one_that_repeats_what_is_there(self):
        kept = []

        def spoil(outcome):
            kept.append(outcome)
            return [kept[0]]

        with pytest.raises(EngineError, match="handed back nothing"):
            run(Histogram(), PieceSource(deal(ROWS, 2)), on=InlineEngine(spoil))


class TestTheAccount:
    def test_the_events_of_a_pass(self):
        told = []
        mined(splits=3, listener=told.append)
        size = sum(piece.nbytes for piece in deal(ROWS, 3))
        assert told[0] == ev.PassStarted(0, 3, 0, size)
        assert isinstance(told[-1], ev.PassFinished)
        assert told[-1].rows == len(ROWS)
        assert sum(e.rows for e in told if isinstance(e, ev.Progressed)) == len(ROWS)
        assert sum(e.nbytes for e in told if isinstance(e, ev.Progressed)) == size
        finished = [e for e in told if isinstance(e, ev.SplitFinished)]
        assert [(e.number, e.rows) for e in finished] == [(0, 8), (1, 8), (2, 8)]

    def test_rows_that_do_not_add_up_stop_the_job(self):
        def lose_a_row(outcome):
            outcome.part.tally.used -= 1
            return [outcome]

        with pytest.raises(DataError, match="rows do not add up"):
            run(Histogram(), PieceSource([ROWS]), on=InlineEngine(lose_a_row))

    def test_passes_of_an_iteration_count_their_rows_once(self):
        result = run(Median(), PieceSource(deal(ROWS, 3), bad={1: 2}), on=InlineEngine())
        assert result.passes == 64
        assert (result.rows.read, result.rows.used) == (len(ROWS) + 2, len(ROWS))
        assert len(result.quarantine) == 2

    def test_no_rows_at_all(self):
        result, _ = mined(splits=1)
        empty = run(Histogram(), PieceSource([ROWS.slice(0, 0)]), on=InlineEngine())
        assert empty.rows == Tally()
        assert empty.table.schema == result.table.schema


class TestQuarantine:
    def bad(self, counts, rows=None, **tolerance):
        """Mine with so many unreadable records in each split."""
        rows = case("numbers", "many").rows if rows is None else rows
        source = PieceSource(deal(rows, len(counts)), bad=dict(enumerate(counts)))
        return run(Histogram(), source, on=InlineEngine(), tolerance=Tolerance(**tolerance))

    def test_what_is_unreadable_is_counted_and_kept_in_order(self):
        result = self.bad([0, 3, 2])
        assert (result.rows.read, result.rows.used, result.rows.quarantined) == (905, 900, 5)
        assert result.quarantine == sorted(result.quarantine)
        assert result.quarantine[0] == BadRecord("piece:1", 0, "unreadable by script", b"\xff")

    def test_some_records_are_let_through_whatever_their_share(self):
        assert self.bad([5, 5], ROWS.slice(0, 4)).rows.quarantined == 10
        with pytest.raises(QuarantineError, match=r"11 of 15 records.*piece:0 at byte 0"):
            self.bad([6, 5], ROWS.slice(0, 4))

    def test_the_share_is_of_all_rows(self):
        assert self.bad([0, 18], fraction=0.02, floor=0).rows.quarantined == 18
        with pytest.raises(QuarantineError):
            self.bad([0, 19], fraction=0.02, floor=0)

    def test_none_is_tolerated_where_none_is_allowed(self):
        with pytest.raises(QuarantineError, match="the first is piece:1 at byte 0"):
            self.bad([0, 1], fraction=0, floor=0, records=0)

    def test_reading_stops_at_the_absolute_bound(self):
        pieces = deal(case("numbers", "many").rows, 20)
        source = PieceSource(pieces, bad=dict.fromkeys(range(20), 4))
        with pytest.raises(QuarantineError):
            run(Histogram(), source, on=InlineEngine(), tolerance=Tolerance(1.0, records=10))
        assert len(source.reads) == 3

    def test_and_within_a_split(self):
        with pytest.raises(QuarantineError):
            self.bad([11, 0], fraction=1.0, records=10)


class TestKeeping:
    def test_each_node_is_kept_as_it_was_when_it_was_made(self):
        """A merge may consume its left side: what is written after it holds rows twice."""
        count = 40
        keeper = MemoryKeeper()
        engine = FaultyEngine(InlineEngine(), [Shuffle(3)])
        run(Histogram(), PieceSource(deal(ROWS, count)), on=engine, keeper=keeper)
        assert {node.level for _, node in keeper.documents} == {0, 1, 2, 3, 4, 5, 6}
        pieces = [lambda p=p: batched(p, 1 << 16) for p in deal(ROWS, count)]
        for (_, node), document in keeper.documents.items():
            part = Part.from_bytes(READY, document)
            leaves = node.leaves(count)
            state = reference.fold(READY, [pieces[n] for n in leaves])
            assert READY.export(part.state) == READY.export(state)
            assert len(part.covers) == len(leaves)

    def test_what_is_finished_is_kept_when_the_job_fails(self):
        keeper = MemoryKeeper(due=lambda: False)
        source = PieceSource(deal(ROWS, 7))
        script = [Late(5), Lose(5, tries=9)]
        with pytest.raises(EngineError, match="split 5 was lost"):
            run(
                Histogram(),
                source,
                on=FaultyEngine(InlineEngine(), script),
                keeper=keeper,
                retries=0,
            )
        inner = InlineEngine()
        result = run(Histogram(), source, on=inner, keeper=keeper)
        assert inner.asked == [[5]]
        assert result.digest == wanted(7)
        assert result.rows.used == len(ROWS)

    def test_a_keeper_that_fails_does_not_hide_why_the_job_did(self):
        class Full(MemoryKeeper):
            def keep(self, number, documents):
                raise JobError("no space left")

        with pytest.raises(DataError, match="try 1"):
            mined([Late(2), Fail(2, error=DataError)], keeper=Full(due=lambda: False))
        with pytest.raises(JobError, match="no space left"):
            mined(keeper=Full())

    @given(st.data())
    def test_any_part_of_a_job_resumes_to_the_same_end(self, data):
        count = data.draw(st.integers(1, 40))
        order = Shuffle(data.draw(st.integers(0, 9)))
        keeper = MemoryKeeper(due=lambda: data.draw(st.booleans()))
        source = PieceSource(deal(ROWS, count))
        first = run(Histogram(), source, on=FaultyEngine(InlineEngine(), [order]), keeper=keeper)
        found = sorted(keeper.documents)
        kept = data.draw(st.sets(st.sampled_from(found))) if found else set()
        keeper.documents = {key: keeper.documents[key] for key in kept}
        covered = {leaf for _, node in kept for leaf in node.leaves(count)}
        inner = InlineEngine()
        keeper.due = lambda: True
        result = run(Histogram(), source, on=inner, keeper=keeper)
        assert result.digest == first.digest == wanted(count)
        assert result.rows == first.rows
        asked = {n for numbers in inner.asked for n in numbers}
        assert asked == set(range(count)) - covered

    def test_ready_made_nodes_are_kept_as_they_come(self):
        class Pairs(InlineEngine):
            def fold(self, task, splits, report):
                done = list(super().fold(task, splits, report))
                for left, right in zip(done[::2], done[1::2], strict=True):
                    part = merge_parts(task.summary, left.part, right.part)
                    yield Done(left.node.parent, part, "here", 0.0)

        keeper = MemoryKeeper()
        result = run(Histogram(), PieceSource(deal(ROWS, 4)), on=Pairs(), keeper=keeper)
        assert result.digest == wanted(4)
        assert {node.level for _, node in keeper.documents} == {1, 2}

    @pytest.mark.parametrize("passes", [0, 1, 30, 63])
    def test_an_iteration_goes_on_from_its_model(self, passes):
        source = PieceSource(deal(ROWS, 3), bad={1: 2})
        whole = run(Median(), source, on=InlineEngine())

        class Crash(MemoryKeeper):
            def keep_model(self, number, model, first):
                if number > passes:
                    raise Interrupted("crash")
                super().keep_model(number, codec.decode(codec.encode(model)), first)

        keeper = Crash()
        with pytest.raises(Interrupted):
            run(Median(), source, on=InlineEngine(), keeper=keeper)
        engine = InlineEngine()
        keeper.__class__ = MemoryKeeper
        result = run(Median(), source, on=engine, keeper=keeper)
        assert result.digest == whole.digest
        assert result.rows == whole.rows
        assert result.quarantine == whole.quarantine
        assert result.passes == whole.passes == 64
        # The pass that the crash interrupted was folded already.
        assert len(engine.asked) == 64 - passes - 1


class TestParts:
    def part(self, *numbers):
        pieces = deal(ROWS, 4)
        tally = Tally(*(sum(len(pieces[n]) for n in numbers),) * 2)
        state = READY.fold([pieces[n] for n in numbers])
        return Part(state, frozenset(map(str, numbers)), tally, [BadRecord("f", 3, "r", b"x")])

    def test_a_part_is_written_and_read_again(self):
        part = self.part(0, 1)
        again = Part.from_bytes(READY, part.to_bytes(READY))
        assert READY.export(again.state) == READY.export(part.state)
        assert replace(again, state=None) == replace(part, state=None)

    def test_parts_that_share_rows_are_not_merged(self):
        with pytest.raises(OverlapError, match="1 of the same pieces"):
            merge_parts(READY, self.part(0, 1), self.part(1, 2))

    def test_merging_leaves_the_right_part_alone(self):
        right = self.part(1)
        before = right.to_bytes(READY)
        merged = merge_parts(READY, self.part(0), right)
        assert right.to_bytes(READY) == before
        assert merged.tally.used == 12
        assert len(merged.bad) == 2

    def test_subtracting_takes_the_rows_off_the_account(self):
        left = subtract_parts(READY, self.part(0, 1), self.part(1))
        assert READY.export(left.state) == READY.export(self.part(0).state)
        assert left.tally.balanced
        assert left.tally.used == 6

    def test_a_part_of_another_algorithm_is_refused(self):
        document = self.part(0).to_bytes(READY)
        for other in (Median().pass_({"low": 0, "high": 4}), READY):

            class Other(type(other)):
                def load(self, exported):
                    return exported["weights"]

            summary = Other.__new__(Other)
            with pytest.raises(StateError, match="does not fit Other"):
                Part.from_bytes(summary, document)
        with pytest.raises(StateError, match="does not fit"):
            Part.from_bytes(READY, codec.encode({"state": {}, "covers": []}))
