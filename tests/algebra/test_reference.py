"""The reference fold: plain, and the same as doing it by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest

from motherlode.algebra import reference
from motherlode.algebra.combine import Product
from motherlode.core.errors import UnknownNameError
from motherlode.testing.cases import batched, case, deal
from tests.testing.specimens import Histogram, Median

ROWS = case("numbers").rows


def readers(pieces, size=7):
    return [lambda p=p: batched(p, size) for p in pieces]


def test_of_no_pieces_there_is_the_empty_state():
    summary = Histogram().prepare(ROWS.schema)
    assert reference.fold(summary, []) == summary.zero()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40, 50])
def test_a_summary_is_folded_piece_by_piece(count):
    answer = reference.mine(Histogram(), ROWS.schema, readers(deal(ROWS, count)))
    wanted = pa.chunked_array([ROWS.column("n")]).value_counts()
    assert sorted(zip(*answer.to_pydict().values(), strict=True)) == sorted(
        (each["values"], each["counts"]) for each in wanted.to_pylist()
    )


@pytest.mark.parametrize("count", [1, 3, 8])
def test_an_iteration_goes_on_until_it_is_done(count):
    answer = reference.mine(Median(), ROWS.schema, readers(deal(ROWS, count)))
    values = sorted(ROWS.column("n").to_pylist())
    assert answer["median"].to_pylist() == [values[(len(values) - 1) // 2]]


def test_pieces_are_read_once_a_pass():
    reads = []

    def piece():
        reads.append(1)
        return [ROWS]

    reference.mine(Histogram(), ROWS.schema, [piece, piece])
    assert len(reads) == 2


def test_columns_are_checked_before_rows_are_read():
    def piece():
        raise AssertionError("rows were read")

    with pytest.raises(UnknownNameError, match="did you mean 'n'"):
        reference.mine(Histogram("N"), ROWS.schema, [piece])
    with pytest.raises(UnknownNameError):
        reference.mine(Product({"a": Histogram("N")}), ROWS.schema, [piece])
