"""MapReduce as one call."""

from __future__ import annotations

import gc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import motherlode as ml
from motherlode.core.errors import UsageError, UserFunctionError
from motherlode.data import dataset


def words(line):
    for word in line.split():
        yield word, 1


def add(word, counts):
    yield word, sum(counts)


@settings(max_examples=20)
@given(
    st.lists(st.text("ab c", max_size=12), max_size=20), st.integers(1, 6), st.integers(1, 4),
    st.booleans(),
)  # fmt: skip
def test_any_cut_gives_the_same_pairs(lines, split_rows, partitions, combined):
    data = dataset({"text": lines}, split_rows=split_rows) if lines else dataset({"text": ["", ""]})
    made = ml.map_reduce(
        data, words, add, add if combined else None, partitions=partitions, on="local[1]"
    )
    assert dict(made) == Counter(" ".join(lines).split())


def test_rows_of_several_columns_are_dicts():
    sales = {"city": ["Bonn", "Ulm", "Bonn"], "price": [3.0, 4.0, 5.5]}
    made = ml.map_reduce(sales, lambda row: [((row["city"], 1), row["price"])], add)
    assert list(made) == [(("Bonn", 1), 8.5), (("Ulm", 1), 4.0)]
    assert list(made) == list(made)


def test_without_a_reducer_the_rows_keep_their_order():
    assert list(ml.map_reduce(["b a", "c"], words)) == [("b", 1), ("a", 1), ("c", 1)]


def test_files_in_worker_processes(tmp_path):
    (tmp_path / "a.txt").write_text("x y\nx\n")
    made = ml.map_reduce(str(tmp_path / "a.txt"), words, add, on="local[2]")
    assert dict(made) == {"x": 2, "y": 1}


def test_the_folder_goes_with_the_pairs(tmp_path):
    made = ml.map_reduce(["a"], words, add, scratch=str(tmp_path / "s"))
    assert len(list((tmp_path / "s").iterdir())) == 1
    del made
    gc.collect()
    assert list((tmp_path / "s").iterdir()) == []


def test_errors():
    with pytest.raises(UsageError, match="must be a function"):
        ml.map_reduce(["a"], "mapper")
    with pytest.raises(UsageError, match="must be a function"):
        ml.map_reduce(["a"], None)
    with pytest.raises(UserFunctionError, match=r"mapper raised ZeroDivisionError.*'a'"):
        ml.map_reduce(["a"], lambda line: [(line, 1 / 0)])
