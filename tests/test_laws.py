"""Every algorithm that can be found keeps every law; a new algorithm's file is enough."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from motherlode.algebra.combine import Mapped, Product
from motherlode.algebra.keyed import GroupBy
from motherlode.algebra.summary import Algorithm, Summary
from motherlode.core.errors import MotherlodeError
from motherlode.mining import catalogue
from motherlode.mining.statistics.count import Count
from motherlode.mining.statistics.distinct import Distinct
from motherlode.mining.statistics.moments import Moments
from motherlode.mining.statistics.sum import Sum
from motherlode.mining.statistics.value_counts import ValueCounts
from motherlode.runtime import run
from motherlode.testing import strategies
from motherlode.testing.cases import accepts, case, example, kinds
from motherlode.testing.laws import laws, trial
from motherlode.testing.subject import Trial
from tests.testing.digests import digests
from tests.testing.specimens import Histogram

# Learners say so when a few awkward rows do not suit them.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ALGORITHMS = catalogue.algorithms()
DRAWING = (Phase.explicit, Phase.reuse, Phase.generate)  # the rows are few: no need to shrink
FLAVOURS = ("ordinary", "empty", "extreme", "infinite")
COMBINED = {
    "Product": (Product({"n": Count(), "m": Moments(), "d": Distinct("n")}), "numbers"),
    "Mapped": (Mapped(Moments(), lambda table: table.slice(0, 1)), "numbers"),
    "GroupBy": (GroupBy("n", Count()), "numbers"),
    "GroupBy two keys": (GroupBy(["flag", "city"], {"n": Count(), "s": Sum("x")}), "table"),
    "GroupBy moments": (GroupBy("word", Moments(["x", "n"])), "table"),
    "GroupBy anything": (GroupBy("flag", ValueCounts("n")), "numbers"),
    "GroupBy of one's own": (GroupBy("flag", Histogram("n")), "numbers"),
    "GroupBy in GroupBy": (GroupBy("flag", GroupBy("n", Count())), "numbers"),
    "Product of GroupBy": (Product({"g": GroupBy("flag", Count()), "n": Count()}), "numbers"),
}
TRIALS = {
    name: Trial(algorithm, [case(kind, flavour) for flavour in FLAVOURS])
    for name, (algorithm, kind) in COMBINED.items()
}


@pytest.mark.parametrize("law", laws(), ids=str)
@pytest.mark.parametrize("kind", ALGORITHMS, ids=lambda kind: kind.__name__)
def test_an_algorithm_keeps_a_law(kind, law):
    law(trial(kind))


@pytest.mark.parametrize("law", laws(), ids=str)
@pytest.mark.parametrize("name", TRIALS)
def test_a_combination_keeps_a_law(name, law):
    law(TRIALS[name])


@pytest.mark.parametrize("kind", ALGORITHMS, ids=lambda kind: kind.__name__)
@settings(max_examples=max(3, settings.default.max_examples // 12), phases=DRAWING)
@given(data=st.data())
def test_laws_hold_for_drawn_rows(kind, data):
    algorithm = example(kind)
    drawn = data.draw(strategies.cases(kinds(algorithm)[0], max_rows=12))
    tried = Trial(algorithm, [drawn])
    for law in laws():
        if not law.whole:
            law(tried)


@pytest.mark.parametrize("kind", ALGORITHMS, ids=lambda kind: kind.__name__)
def test_a_group_has_the_answer_of_its_rows(kind):
    """GroupBy gives each group what the summary gives its rows alone, vectorised or not."""
    algorithm = example(kind).plan()
    rows = case("numbers", "infinite").rows
    if (
        not isinstance(algorithm, Summary)
        or algorithm.traits.grade != "exact"
        or not accepts(algorithm, rows)
    ):
        return
    table = pa.table(rows.columns)
    answer = run(GroupBy("flag", algorithm), table).table
    for value in (True, False, None):
        mask = pc.is_null(table["flag"]) if value is None else pc.equal(table["flag"], value)
        alone = run(algorithm, table.filter(mask)).table
        its = answer.filter(
            pc.is_null(answer["flag"]) if value is None else pc.equal(answer["flag"], value)
        )
        its = its.drop_columns("flag").rename_columns(alone.schema.names)
        assert str(its.to_pylist()) == str(alone.to_pylist())


def test_states_do_not_depend_on_the_order_of_hashes():
    """Strings hash differently in every process: another process gives the same digests."""
    seed = "7" if os.environ.get("PYTHONHASHSEED") != "7" else "8"
    there = subprocess.run(
        [sys.executable, "-m", "tests.testing.digests"],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
    )
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout) == digests()


def test_no_file_hides_its_algorithm():
    """A class whose name does not follow from its file's would vanish without a word."""
    found = {kind.__module__ for kind in ALGORITHMS}
    for name in set(catalogue.modules().values()) - found:
        hidden = [
            key
            for key, value in vars(importlib.import_module(name)).items()
            if isinstance(value, type)
            and issubclass(value, Algorithm)
            and value.__module__ == name
            and not key.startswith("_")
        ]
        assert hidden == [], f"{name} should be named after its algorithm"


def test_there_is_a_law_for_every_algorithm_and_no_algorithm_without_rows():
    for kind in ALGORITHMS:
        names = [str(subject) for subject in trial(kind).subjects]
        assert any("/ordinary" in name for name in names), kind
        assert any("/empty" in name for name in names) or len(names) > 1, kind


def test_rows_that_no_algorithm_takes_are_told():
    class Picky(Count):
        def prepare(self, schema):
            raise MotherlodeError("no")

    with pytest.raises(MotherlodeError, match="Picky accepts none of the kinds"):
        kinds(Picky())
