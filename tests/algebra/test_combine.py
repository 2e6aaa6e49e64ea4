"""Summaries of summaries: each answer is as if it had been mined alone."""

from __future__ import annotations

import pyarrow as pa
import pytest

from motherlode.algebra.combine import Mapped, Product, combined_traits
from motherlode.algebra.summary import Traits
from motherlode.core.errors import MotherlodeError, ParameterError, UsageError
from motherlode.runtime import run
from motherlode.testing.cases import case, deal
from motherlode.testing.laws import check
from motherlode.testing.pieces import PieceSource
from tests.testing.specimens import Histogram, Median, Variance

ROWS = case("numbers", "many").rows


def pieces(count=5):
    return PieceSource(deal(ROWS, count))


def test_a_product_gives_the_answers_of_its_parts():
    both = run(Product({"b": Histogram(), "a": Variance()}), pieces()).value
    assert both["b"] == run(Histogram(), pieces()).value
    assert both["a"] == run(Variance(), pieces()).value


@pytest.mark.parametrize(
    "algorithm",
    [
        Product({"counts": Histogram(), "spread": Variance()}),
        Product({"inner": Product({"n": Histogram()}), "x": Variance()}),
        Mapped(Histogram(), lambda table: table.slice(0, 1)),
        Product({"first": Mapped(Histogram(), lambda table: table.slice(0, 1))}),
    ],
    ids=["product", "nested", "mapped", "both"],
)
def test_combinations_keep_the_laws(algorithm):
    check(algorithm, [case("numbers", f) for f in ("ordinary", "empty", "extreme", "infinite")])


def test_states_do_not_depend_on_the_order_in_which_parts_are_given():
    one = run(Product({"a": Histogram(), "b": Variance()}), pieces())
    two = run(Product({"b": Variance(), "a": Histogram()}), pieces())
    assert one.digest == two.digest


def test_a_product_reads_what_its_parts_need():
    ready = Product({"a": Histogram("n"), "b": Histogram("n")}).prepare(ROWS.schema)
    assert ready.needs() == ("n",)
    assert Product({"a": Histogram("n"), "b": Variance()}).prepare(ROWS.schema).needs() is None


def test_what_needs_several_passes_is_refused():
    with pytest.raises(UsageError, match="'m' reads the rows more than once"):
        run(Product({"h": Histogram(), "m": Median()}), pieces())
    with pytest.raises(UsageError, match="at least one"):
        run(Product({}), pieces())


def test_parameters_of_parts_are_checked():
    with pytest.raises(ParameterError, match="'least'"):
        run(Product({"h": Histogram(least=0)}), pieces())
    with pytest.raises(ParameterError, match="'least'"):
        run(Mapped(Histogram(least=0), len), pieces())


def test_traits_are_the_weakest_of_the_parts():
    exact = Traits("exact", "", invertible=True, state_size="O(1)")
    bounded = Traits("bounded", "", streamable="online", state_size="O(k)", eps="1 %")
    slow = Traits("ordered", "", commutative=False, invertible=True, python=True)
    both = combined_traits([exact, bounded, slow], "all")
    assert (both.grade, both.invertible, both.commutative) == ("bounded", False, False)
    assert (both.streamable, both.eps, both.python) == ("refit", "1 %", True)
    assert both.state_size == "O(1) + O(k)"


def test_a_product_forgets_rows_only_if_all_parts_can():
    class Kept(Histogram):
        traits = Traits("exact", "counts", invertible=False)

    assert not Product({"a": Variance(), "b": Kept()}).traits.invertible
    assert Product({"a": Variance(), "b": Histogram()}).traits.invertible


def test_the_table_of_a_product_holds_those_of_its_parts():
    alone = run(Product({"n": Histogram()}), pieces())
    assert alone.table == run(Histogram(), pieces()).table
    both = run(Product({"n": Histogram(), "x": Variance()}), pieces()).table
    assert isinstance(both, pa.Table)
    assert both["part"].to_pylist() == ["n", "x"]


def test_an_answer_without_a_table_says_so():
    with pytest.raises(MotherlodeError, match="no table for int"):
        _ = run(Mapped(Histogram(), len), pieces()).table
