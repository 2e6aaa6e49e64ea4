"""Planted bugs: each is caught by the law that says it catches it, and its healthy twin passes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pytest

from motherlode.algebra.summary import Summary, Traits
from motherlode.core.errors import MotherlodeError, UnknownNameError
from motherlode.core.parameters import Integer
from motherlode.runtime import driver
from motherlode.testing.cases import case, cases
from motherlode.testing.laws import check, laws, trial
from motherlode.testing.subject import LawError
from tests.testing.specimens import Below, Histogram, Median, Shares, Variance

HEALTHY = [Histogram, Variance, Median, Shares]
LAWS = {str(law): law for law in laws()}


@pytest.mark.parametrize("kind", HEALTHY)
def test_the_healthy_twins_pass(kind):
    check(kind)


class SharedZero(Histogram):
    kept = None

    def zero(self):
        type(self).kept = self.kept or super().zero()
        return self.kept


class ChangesRight(Histogram):
    def merge(self, left, right):
        return super().merge(right, left)


class ReturnsRight(Histogram):
    def merge(self, left, right):
        return super().merge(left, right) if left["rows"] else right


class KeepsRightsCounts(Histogram):
    def merge(self, left, right):
        if not left["counts"]:
            left["counts"] = right["counts"]
            return super().merge(left, {**right, "counts": {}})
        return super().merge(left, right)


class DropsSingletons(Histogram):
    def merge(self, left, right):
        return left if right["rows"] == 1 else super().merge(left, right)


class LosesEmptySide(Histogram):
    def merge(self, left, right):
        return super().merge(left, right) if left["rows"] else self.zero()


class TrimsInMerge(Histogram):
    def merge(self, left, right):
        left = super().merge(left, right)
        left["counts"] = Counter(dict(left["counts"].most_common(4)))
        return left


class ExportsItself(Histogram):
    def export(self, state):
        state.setdefault("pairs", [])[:] = super().export(state)["counts"]
        return {"rows": state["rows"], "nulls": state["nulls"], "counts": state["pairs"]}

    def update(self, state, batch):
        state = super().update(state, batch)
        if "pairs" in state:
            self.export(state)
        return state


class ExportsInOrderOfArrival(Histogram):
    def export(self, state):
        return {**super().export(state), "counts": [list(p) for p in state["counts"].items()]}


class ExportLeavesOutNulls(Histogram):
    def export(self, state):
        return {**super().export(state), "nulls": 0}

    def finish(self, state):
        return super().finish({**state, "counts": state["counts"] + Counter({-1: state["nulls"]})})

    def update(self, state, batch):
        if state["nulls"]:
            state["rows"] += 1000
        return super().update(state, batch)


class LoadShares(Histogram):
    def export(self, state):
        values = sorted(state["counts"].items())
        return {**super().export(state), "counts": np.array(values, np.int64).reshape(-1, 2)}

    def load(self, exported):
        state = super().load({**exported, "counts": exported["counts"].tolist()})
        return {**state, "kept": exported["counts"]}

    def update(self, state, batch):
        if "kept" in state:
            state["kept"] += 1
        return super().update(state, batch)


class FinishTrims(Histogram):
    def finish(self, state):
        state["counts"].pop(3, None)
        return super().finish(state)


class AnswerIsState(Shares):
    def zero(self):
        return np.zeros(2, np.int64)

    def update(self, state, batch):
        state[:] = super().update(state, batch)
        return state

    def merge(self, left, right):
        return left + right

    def subtract(self, whole, part):
        return whole - part

    def finish(self, state):
        return state[:1]

    def table(self, value):
        return pa.table({"positive": value})

    def export(self, state):
        return state.copy()

    def load(self, exported):
        return exported.copy()


class ForgetsNulls(Histogram):
    def subtract(self, whole, part):
        return super().subtract(whole, {**part, "nulls": 0})


class LeavesZeros(Histogram):
    def subtract(self, whole, part):
        counts = whole["counts"].copy()
        counts.subtract(part["counts"])
        return {**super().subtract(whole, part), "counts": counts}


class CountsBatches(Histogram):
    def update(self, state, batch):
        state = super().update(state, batch)
        state["nulls"] += len(set(batch.column(self.column_).to_pylist())) > 2
        return state


class CountsEmptyBatches(Histogram):
    def update(self, state, batch):
        state = super().update(state, batch)
        state["nulls"] += len(batch) == 0
        return state


class CompactsTooMuch(Histogram):
    def compact(self, state):
        state["nulls"] = 0
        return state


class ReadsMore(Histogram):
    def update(self, state, batch):
        if "flag" in batch.schema.names:
            state["nulls"] += sum(v is True for v in batch.column("flag").to_pylist())
        return super().update(state, batch)


class IgnoresOffset(Histogram):
    def update(self, state, batch):
        array = batch.column(self.column_)
        values = np.frombuffer(array.buffers()[1], np.int64)[: len(array)].tolist()
        state["rows"] += len(values)
        state["counts"].update(values)
        return state


class CountsOnItself(Histogram):
    seen = 0

    def update(self, state, batch):
        type(self).seen += 1
        state["nulls"] += self.seen
        return super().update(state, batch)


class DoesNotTravel(Histogram):
    def prepare(self, schema):
        ready = super().prepare(schema)
        ready.lively = True
        return ready

    def __getstate__(self):
        return {k: v for k, v in vars(self).items() if k != "lively"}

    def update(self, state, batch):
        state["nulls"] += not hasattr(self, "lively")
        return super().update(state, batch)


class PreparesInPlace(Histogram):
    def prepare(self, schema):
        self.column = super().prepare(schema).column_
        return super().prepare(schema)


class NarrowsTwice(Histogram):
    def prepare(self, schema):
        ready = super().prepare(schema)
        ready.least_ = getattr(self, "least_", 0) + 1
        return ready

    def update(self, state, batch):
        state["nulls"] += self.least_
        return super().update(state, batch)


class Converts(Histogram):
    def __init__(self, column=None, least=1):
        super().__init__(column, [least])


class NeverValidates(Histogram):
    def validate(self):
        pass


class ConstrainsGhosts(Histogram):
    constraints = MappingProxyType({**Histogram.constraints, "most": Integer(1)})


class LooksLate(Histogram):
    def prepare(self, schema):
        ready = super().prepare(schema) if self.column is None else self
        if self.column is not None:
            ready.column_ = self.column
        return ready


class CannotSubtract(Below):
    traits = Traits("exact", "declared invertible", invertible=True)
    takes = "numbers"
    subtract = Summary.subtract

    def __init__(self):
        super().__init__(3)

    def finish(self, state):
        return pa.table({"below": [state[0]]})


class FloatSquares(Variance):
    def zero(self):
        return (0, 0.0, 0.0)

    def update(self, state, batch):
        values, valid = batch.numbers("x")
        kept = values if valid is None else values[valid]
        kept = kept[np.isfinite(kept) & (np.abs(kept) < 1e100)]
        return self.merge(state, (len(kept), float(kept.sum()), float((kept**2).sum())))

    def export(self, state):
        return list(state)

    def load(self, exported):
        return tuple(exported)


class BoundedSquares(FloatSquares):
    traits = Traits("bounded", "variance", eps="relative error of the variance <= 1e-6")

    def error(self, answer, rows):
        twin = Variance()
        true = twin.finish(twin.update(twin.zero(), rows))["variance"][0].as_py()
        if not true or true > 1e100:
            return 0.0
        return abs(answer["variance"][0].as_py() - true) / true / 1e-6


class UnmeasuredSquares(FloatSquares):
    traits = Traits("bounded", "variance", eps="small")


class OrderOfArrival(Histogram):
    """Declared commutative, but ties go to the value that came first."""

    traits = Traits("exact", "first most frequent number", commutative=True)

    def export(self, state):
        top = state["counts"].most_common(1)
        return {**super().export(state), "top": list(top[0]) if top else None}


class WritesRows(Shares):
    def update(self, state, batch):
        block = batch.matrix(dense=True)
        block += 1.0
        return super().update(state, batch)


class ZeroDivides(Shares):
    def finish(self, state):
        return pa.table({"share": [state[0] / state[1]]})


class ModelOnItself(Median):
    passes = 0

    def start(self, context):
        type(self).passes = 0
        return super().start(context)

    def advance(self, model, result):
        type(self).passes += 1
        return {**super().advance(model, result), "passes": self.passes}


class PassWritesModel(Median):
    def pass_(self, model):
        model["passes"] += 1
        return super().pass_(model)


class ModelNotPlain(Median):
    def start(self, context):
        return {**super().start(context), "schema": context.schema}

    def advance(self, model, result):
        return {**super().advance(model, result), "schema": model["schema"]}


class NeverDone(Median):
    def done(self, model):
        return model["low"] == model["high"] and model["low"] != 0


class CannotTell(Median):
    def finish(self, model):
        return pa.table({"median": [1 // model["low"]]})


class KnowsRows(Median):
    """Lets the memory at hand decide."""

    def start(self, context):
        return {**super().start(context), "memory": context.memory}

    def advance(self, model, result):
        return {**super().advance(model, result), "memory": model["memory"]}


MUTANTS = [
    (SharedZero, "fresh_zero"),
    (ChangesRight, "right_side"),
    (ReturnsRight, "right_side"),
    (KeepsRightsCounts, "right_side"),
    (DropsSingletons, "splitting"),
    (LosesEmptySide, "identity"),
    (TrimsInMerge, "associativity"),
    (ExportsItself, "exporting"),
    (ExportsInOrderOfArrival, "commutativity"),
    (ExportLeavesOutNulls, "encoding"),
    (LoadShares, "encoding"),
    (FinishTrims, "finishing"),
    (AnswerIsState, "finishing"),
    (ForgetsNulls, "inverse"),
    (LeavesZeros, "inverse"),
    (CountsBatches, "batching"),
    (CountsEmptyBatches, "batching"),
    (CompactsTooMuch, "compaction"),
    (ReadsMore, "projection"),
    (IgnoresOffset, "layout"),
    (CountsOnItself, "retries_once"),
    (CountsOnItself, "same_on_any_workers"),
    (DoesNotTravel, "shipping"),
    (PreparesInPlace, "parameters_kept"),
    (NarrowsTwice, "preparing_again"),
    (Converts, "parameters_kept"),
    (NeverValidates, "parameters_checked"),
    (ConstrainsGhosts, "parameters_checked"),
    (LooksLate, "columns_checked"),
    (CannotSubtract, "traits_told"),
    (FloatSquares, "splitting"),
    (FloatSquares, "grading"),
    (BoundedSquares, "grading"),
    (UnmeasuredSquares, "grading"),
    (OrderOfArrival, "commutativity"),
    (WritesRows, "rows_untouched"),
    (ZeroDivides, "answering"),
    (ModelOnItself, "models"),
    (PassWritesModel, "models"),
    (ModelNotPlain, "models"),
    (NeverDone, "passes_answer"),
    (CannotTell, "passes_answer"),
    (KnowsRows, "same_on_any_workers"),
]


@pytest.mark.parametrize(("kind", "law"), MUTANTS)
def test_a_mutant_is_caught_by_its_law(kind, law):
    with pytest.raises((LawError, MotherlodeError, ZeroDivisionError)) as caught:
        LAWS[law](trial(kind))
    assert kind.__name__ in str(caught.value) + str(caught.value.__notes__)


def test_a_tree_that_places_twice_is_caught(monkeypatch):
    """A driver that does not know what it has already counts a straggler's double."""

    def careless(self, node, part):
        if self.covered.isdisjoint(node.leaves(self.count)):
            return place(self, node, part)
        for waiting in self.waiting.values():
            waiting.state = self.summary.merge(waiting.state, part.state)
        return False

    place = driver.Tree.place
    monkeypatch.setattr(driver.Tree, "place", careless)
    with pytest.raises(LawError, match="not the reference"):
        LAWS["retries_once"](trial(Histogram))


def test_a_driver_that_drops_a_failed_split_is_caught(monkeypatch):
    monkeypatch.setattr(driver.Tree, "missing", property(lambda self: []))
    with pytest.raises(KeyError):
        LAWS["retries_once"](trial(Histogram))


def test_every_law_says_what_it_catches():
    for law in laws():
        assert "Catches" in law.function.__doc__ or "declared" in law.function.__doc__, law


def test_every_law_is_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "laws.md").read_text()
    assert [str(law) for law in laws() if f"`{law}`" not in page] == []


def test_check_lists_all_broken_laws():
    with pytest.raises(LawError) as caught:
        check(ForgetsNulls)
    assert "inverse: " in str(caught.value)
    assert "ForgetsNulls() on numbers/missing" in str(caught.value)
    assert "state['nulls'] is" in str(caught.value)


def test_check_takes_rows_of_ones_own():
    check(Histogram(column="target"), [case("edges"), case("edges", "one")])
    with pytest.raises(UnknownNameError, match="target"):
        check(Histogram(column="target"), [case("numbers")])


def test_the_kinds_of_rows_are_found_from_what_an_algorithm_accepts():
    class Undeclared(Histogram):
        takes = ""

    names = [str(case) for case in cases(Undeclared())]
    assert names[:2] == ["numbers/ordinary", "numbers/empty"]
    assert "text/ordinary" not in names
    assert "table/ordinary" in names
