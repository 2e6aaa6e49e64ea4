"""The kits themselves: data that is what it says, equality that is neither blind nor fussy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motherlode.algebra import codec
from motherlode.core.batch import Schema
from motherlode.core.errors import MotherlodeError, UnknownNameError
from motherlode.mining.statistics.count import Count
from motherlode.runtime import run
from motherlode.testing import strategies
from motherlode.testing.cases import (
    KINDS,
    Case,
    batched,
    case,
    cases,
    cut,
    deal,
    example,
    fixed,
    kinds,
    relaid,
)
from motherlode.testing.faults import Fail, FaultyEngine, Late, Lose, Shuffle, Twice
from motherlode.testing.pieces import PieceSource
from motherlode.testing.rows import FLAVOURS, rows_of
from motherlode.testing.sameness import close, difference
from motherlode.testing.subject import subjects
from tests.runtime.scripted import InlineEngine
from tests.testing.specimens import Histogram, Shares


def plain(rows):
    block = rows.features
    if block is not None and not isinstance(block, np.ndarray):
        block = block.toarray()
    return codec.encode([rows.columns, block, rows.target])


class TestCases:
    @pytest.mark.parametrize("kind", KINDS)
    def test_rows_are_of_their_kind_in_every_flavour(self, kind):
        for each in fixed(kind):
            assert each.rows.schema == KINDS[kind]
            each.rows.columns.validate(full=True)
        sizes = {each.name: len(each.rows) for each in fixed(kind)}
        assert sizes[f"{kind}/empty"] == 0
        assert sizes[f"{kind}/one"] == 1

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_same_rows_at_every_call(self, kind):
        assert plain(case(kind).rows) == plain(case(kind).rows)
        assert plain(case(kind).rows) != plain(case(kind, seed=1).rows)

    def test_flavours_are_awkward_as_they_say(self):
        numbers = {flavour: case("numbers", flavour).rows for flavour in FLAVOURS}
        assert numbers["missing"].column("x").null_count == 5
        assert len(set(numbers["equal"].column("x").to_pylist())) == 1
        values, valid = numbers["infinite"].numbers("x")
        assert np.isnan(values[valid]).any()
        assert np.isinf(values[valid]).any()
        assert not valid.all()
        extreme = numbers["extreme"].numbers("x")[0]
        assert np.isfinite(extreme).all()
        assert (np.abs(extreme) > 1e300).any()
        assert np.signbit(extreme[extreme == 0]).any()
        assert (numbers["offset"].numbers("x")[0] > 9e8).all()
        assert max(numbers["extreme"].column("n").to_pylist()) > 2**53

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("flavour", FLAVOURS)
    def test_relaid_rows_are_the_same_rows(self, kind, flavour):
        rows = case(kind, flavour).rows
        other = relaid(rows)
        assert plain(other) == plain(rows)
        if rows.columns.num_columns and len(rows):
            moved = [array.offset for array in other.columns.columns]
            assert any(moved) or pa.types.is_null(rows.columns.schema[0].type)

    @given(st.integers(0, 20), st.integers(1, 30))
    def test_pieces_hold_all_rows_once(self, seed, count):
        rows = rows_of(KINDS["numbers"], seed=seed)
        pieces = deal(rows, count)
        assert len(pieces) == count
        assert [piece.split for piece in pieces] == list(range(count))
        assert all(piece.start == 0 for piece in pieces)
        together = pa.Table.from_batches([piece.columns for piece in pieces])
        assert together == pa.Table.from_batches([rows.columns])

    def test_cut_makes_empty_pieces_where_told(self):
        rows = case("numbers").rows
        assert [len(piece) for piece in cut(rows, [0, 5, 5, 40])] == [0, 5, 0, 35, 0]

    def test_batches_know_where_they_start(self):
        piece = cut(case("numbers").rows, [5])[1]
        assert [(b.split, b.start, len(b)) for b in batched(piece, 15)] == [
            (1, 0, 15),
            (1, 15, 15),
            (1, 30, 5),
        ]

    def test_unknown_kinds_and_flavours_are_told(self):
        with pytest.raises(UnknownNameError, match="did you mean 'baskets'"):
            case("basket")
        with pytest.raises(UnknownNameError, match="did you mean 'infinite'"):
            case("numbers", "infinit")
        with pytest.raises(MotherlodeError, match="no small data for columns of month_day_nano"):
            rows_of(Schema(pa.schema([("m", pa.month_day_nano_interval())])))


class TestDiscovery:
    def test_the_declared_kind_is_taken(self):
        assert kinds(Shares()) == ["matrix"]
        names = [str(each) for each in cases(Shares())]
        assert names == [f"matrix/{flavour}" for flavour in FLAVOURS]

    def test_an_undeclared_kind_is_what_prepare_accepts(self):
        assert set(kinds(Count())) == set(KINDS)

    def test_an_unknown_kind_is_told(self):
        class Typo(Histogram):
            takes = "number"

        with pytest.raises(UnknownNameError, match="did you mean 'numbers'"):
            kinds(Typo())

    def test_a_required_parameter_wants_an_example(self):
        class Needy(Histogram):
            def __init__(self, column, least=1):
                super().__init__(column, least)

        with pytest.raises(MotherlodeError, match=r"Needy cannot be made.*`example`"):
            example(Needy)
        Needy.example = {"column": "n"}
        assert example(Needy).column == "n"

    def test_awkward_rows_may_be_refused_but_not_ordinary_ones(self):
        names = [str(subject) for subject in subjects(Shares())]
        assert not any("/missing" in name or "/infinite" in name for name in names)
        with pytest.raises(MotherlodeError, match="NaN"):
            subjects(Shares(), [Case("mine/ordinary", case("matrix", "infinite").rows)])


class TestStrategies:
    @pytest.mark.parametrize("kind", KINDS)
    @settings(max_examples=5)
    @given(data=st.data())
    def test_rows_are_of_their_kind(self, kind, data):
        rows = data.draw(strategies.batches(kind, max_rows=6))
        assert len(rows) <= 6
        assert rows.schema == KINDS[kind]
        rows.columns.validate(full=True)

    @settings(max_examples=15)
    @given(strategies.batches("numbers", finite=True))
    def test_finite_rows_are_finite(self, rows):
        values, valid = rows.numbers("x")
        assert valid is None
        assert np.isfinite(values).all()


class TestSameness:
    @pytest.mark.parametrize(
        ("left", "right", "same"),
        [
            (0.1 + 0.2, 0.3, True),
            (1.0, 1.001, False),
            (float("nan"), float("nan"), True),
            (float("inf"), float("-inf"), False),
            (1, 1.0, False),
            ([1.0, "a"], [1.0 + 1e-12, "a"], True),
            ([1.0], [1.0, 2.0], False),
            ({"a": 1}, {"b": 1}, False),
            (np.array([1e9, 1.0]), np.array([1e9, 1.0 + 1e-5]), True),
            (np.array([1.0]), np.array([1.0], np.float32), False),
            (np.array([1]), np.array([2]), False),
            (pa.array([1.0, None]), pa.array([1.0, None]), True),
            (pa.table({"a": [0.3]}), pa.table({"a": [0.1 + 0.2]}), True),
            (pa.table({"a": [1]}), pa.table({"a": [2]}), False),
        ],
    )
    def test_close_forgives_rounding_only(self, left, right, same):
        assert close(left, right) is same
        assert close(right, left) is same

    def test_the_first_difference_is_told(self):
        left = {"n": 1, "table": pa.table({"k": ["a", "b"], "v": [1, 2]})}
        right = {"n": 1, "table": pa.table({"k": ["a", "b"], "v": [1, 3]})}
        assert difference(left, right) == "state['table']['v'][1] is 2 but should be 3"
        assert difference([1], [1, 2]) == "state is [1] but should be [1, 2]"
        assert difference(np.zeros(1), [0.0]) == "state differs in type only"
        assert len(difference("x" * 999, "y")) < 200


class TestFaults:
    def mined(self, *script, splits=5):
        inner = InlineEngine()
        engine = FaultyEngine(inner, script)
        told = []
        source = PieceSource(deal(case("numbers").rows, splits))
        result = run(Count(), source, on=engine, listener=told.append)
        assert result.value["count"].to_pylist() == [40]
        order = [e.number for e in told if type(e).__name__ == "SplitFinished"]
        return engine, inner.asked, order

    def test_a_split_that_fails_is_not_folded(self):
        engine, asked, order = self.mined(Fail(3))
        assert asked == [[0, 1, 2, 4], [3]]
        assert order == [0, 1, 2, 4, 3]
        assert engine.tries[3] == 2

    def test_a_split_that_is_lost_was_folded(self):
        _, asked, order = self.mined(Lose(3))
        assert asked == [[0, 1, 2, 3, 4], [3]]
        assert order == [0, 1, 2, 4, 3]

    def test_a_late_split_comes_last(self):
        assert self.mined(Late(1))[2] == [0, 2, 3, 4, 1]

    def test_a_shuffle_is_the_same_each_time(self):
        first = self.mined(Shuffle(5))[2]
        assert first == self.mined(Shuffle(5))[2] != [0, 1, 2, 3, 4]
        assert sorted(first) == [0, 1, 2, 3, 4]

    def test_what_comes_twice_is_told_once(self):
        assert self.mined(Twice(1), Twice(2))[2] == [0, 1, 2, 3, 4]

    def test_all_at_once(self):
        engine, _, order = self.mined(Fail(0, 2), Lose(0, 3), Twice(0), Late(2), Shuffle(1))
        assert engine.tries == {0: 4, 1: 1, 2: 1, 3: 1, 4: 1}
        assert order[-2:] == [2, 0]

    def test_closing_closes_the_inner_engine(self):
        closed = []

        class Closing(InlineEngine):
            def close(self):
                closed.append(True)

        with FaultyEngine(Closing(), []) as engine:
            assert engine.parallelism == 1
        assert closed
