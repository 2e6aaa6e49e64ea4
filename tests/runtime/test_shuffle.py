"""The shuffle: equal keys share a partition, whatever the cut, the failures and the sizes."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import motherlode as ml
from motherlode.core.errors import DataError, EngineError, ParameterError, UsageError
from motherlode.data import dataset
from motherlode.engines.local import LocalEngine
from motherlode.runtime import run, spill
from motherlode.runtime import shuffle as module
from motherlode.runtime.shuffle import Scatter, shuffle
from motherlode.testing.faults import Fail, FaultyEngine, Lose, Shuffle, Twice
from tests.runtime.scripted import InlineEngine, MemoryKeeper

NAN = float("nan")
KEYS = {
    "integers": st.none() | st.integers(-5, 5),
    "floats": st.none() | st.sampled_from([0.0, -0.0, NAN, 1.5, -2.0, float("inf")]),
    "strings": st.none() | st.sampled_from(["", "a", "b", "ab", "é", "z\U0001f600", "\uffff"]),
}
TYPES = {"integers": pa.int64(), "floats": pa.float64(), "strings": pa.string()}


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTHERLODE_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def parts(data):
    """The rows of each split, in order."""
    return [[row for b in data.batches(s) for row in b.columns.to_pylist()] for s in data.splits]


def order(value):
    """The place of a key in the documented order, as something Python can sort by."""
    if value is None:
        return (2, 0)
    if value != value:
        return (1, 0)
    return (0, value)


def plain(value):
    return "nan" if isinstance(value, float) and value != value else value


def numbered(keys, kind=None):
    return pa.table({"k": pa.array(keys, kind), "n": range(len(keys))})


@st.composite
def keyed_rows(draw):
    name = draw(st.sampled_from(sorted(KEYS)))
    return numbered(draw(st.lists(KEYS[name], max_size=60)), TYPES[name])


class TestHash:
    def test_golden_partitions(self):
        """These never change: stored partitions and other versions rely on them."""
        words = ["to", "be", "or", "not", None, "ä"]
        found = parts(shuffle({"k": words}, "k", partitions=7))
        places = {row["k"]: n for n, rows in enumerate(found) for row in rows}
        assert [places[word] for word in words] == GOLDEN_WORDS
        found = parts(shuffle({"k": list(range(8))}, "k", partitions=5))
        places = {row["k"]: n for n, rows in enumerate(found) for row in rows}
        assert [places[n] for n in range(8)] == GOLDEN_NUMBERS

    def test_every_process_agrees(self):
        code = (
            "from motherlode.runtime.shuffle import shuffle\n"
            "d = shuffle({'k': ['to', 'be', 'or', 'not']}, 'k', partitions=7)\n"
            "print([split.rows for split in d.splits])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == [0, 2, 0, 1, 0, 1, 0]

    @settings(max_examples=30)
    @given(keyed_rows(), st.integers(1, 5), st.integers(1, 30))
    def test_equal_keys_share_a_partition_and_no_row_is_lost(self, table, count, split_rows):
        data = shuffle(dataset(table, split_rows=split_rows), "k", partitions=count, on="local[1]")
        found = parts(data)
        assert len(found) == count
        assert sorted(row["n"] for rows in found for row in rows) == list(range(len(table)))
        homes = {}
        for number, rows in enumerate(found):
            for row in rows:
                assert homes.setdefault(plain(row["k"]), number) == number
            # Within a partition rows keep their order.
            assert all(a["n"] < b["n"] for a, b in pairwise(rows))

    def test_equal_numbers_of_other_types_share_a_partition(self):
        kinds = [pa.int8(), pa.int64(), pa.float64(), pa.uint32()]
        found = [
            [[row["n"] for row in rows] for rows in parts(shuffle(numbered(range(9), k), "k",
             partitions=3))]
            for k in kinds
        ]  # fmt: skip
        assert all(each == found[0] for each in found)


class TestSort:
    @settings(max_examples=40)
    @given(
        keyed_rows(), st.integers(1, 3), st.integers(1, 30), st.sampled_from([1, 200, 1 << 25]),
        st.booleans(),
    )  # fmt: skip
    def test_any_cut_and_any_memory_give_the_stable_sort(
        self, table, count, split_rows, run_bytes, merged
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "RUN_BYTES", run_bytes)
            patch.setattr(spill, "BLOCK_ROWS", 3)
            patch.setattr(spill, "FAN_IN", 3)
            if merged:
                patch.setattr(spill, "SORTED_BYTES", 0)
            cut = dataset(table, split_rows=split_rows)
            found = parts(shuffle(cut, "k", partitions=count, sort=True, on="local[1]"))
        apart = parts(shuffle(table, "k", partitions=count, on="local[1]"))
        expected = [sorted(rows, key=lambda row: order(row["k"])) for rows in apart]
        assert [[r["n"] for r in rows] for rows in found] == [
            [r["n"] for r in rows] for rows in expected
        ]

    def test_several_keys(self):
        table = pa.table({"a": [2, 1, 2, 1], "b": ["x", None, "a", "b"]})
        found = shuffle(table, ["a", "b"], partitions=1, sort=True).to_polars().rows()
        assert found == [(1, "b"), (1, None), (2, "a"), (2, "x")]

    def test_ranges_make_a_total_order(self):
        keys = [(n * 7919) % 10_007 for n in range(5_000)]
        keys[::50] = [None] * 100
        data = shuffle(
            dataset({"k": keys}, split_rows=300), "k", how="range", partitions=6, sort=True
        )
        found = [row["k"] for rows in parts(data) for row in rows]
        assert found == sorted(keys, key=order)
        sizes = [split.rows for split in data.splits]
        assert min(sizes) > 0.4 * len(keys) / 6

    def test_ranges_of_one_key_fill_one_partition(self):
        data = shuffle({"k": ["same"] * 100}, "k", how="range", partitions=4)
        assert sorted(split.rows for split in data.splits) == [0, 0, 0, 100]

    def test_a_key_larger_than_a_block_streams(self, monkeypatch):
        monkeypatch.setattr(module, "RUN_BYTES", 4_000)
        monkeypatch.setattr(spill, "BLOCK_ROWS", 64)
        monkeypatch.setattr(spill, "SORTED_BYTES", 0)
        held = []
        together = spill.together

        def watched(blocks, order):
            held.append(sum(block.num_rows for block in blocks))
            return together(blocks, order)

        data = shuffle(
            dataset(numbered([7] * 20_000 + [3]), split_rows=500), "k", partitions=1, sort=True
        )
        runs = len(data.source.segments)
        assert runs > 20
        monkeypatch.setattr(spill, "together", watched)
        found = [row["n"] for row in parts(data)[0]]
        assert found == [20_000, *range(20_000)]
        assert max(held, default=0) <= runs * 64

    def test_types_that_polars_lacks_go_through(self):
        table = pa.table(
            {
                "k": pa.array([2, 1, 2], pa.int8()),
                "d": pa.array(["x", "y", "x"]).dictionary_encode(),
                "m": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int32())),
            }
        )
        data = shuffle(table, "k", partitions=1, sort=True)
        found = data.to_arrow()
        assert found.schema == dataset(table).schema.columns
        assert found.to_pylist() == [table.to_pylist()[n] for n in (1, 0, 2)]

    def test_blocks_are_small_when_rows_are_large(self):
        wide = pa.table({"k": range(40), "v": ["x" * 200_000] * 40})
        data = shuffle(wide, "k", partitions=1, sort=True)
        sizes = [len(batch) for split in data.splits for batch in data.batches(split)]
        assert sum(sizes) == 40
        assert max(sizes) <= 6


class TestOtherWays:
    def test_round_robin_is_even(self):
        data = shuffle(
            dataset({"k": range(1_000)}, split_rows=101), how="round_robin", partitions=4
        )
        sizes = [split.rows for split in data.splits]
        assert sum(sizes) == 1_000
        assert max(sizes) - min(sizes) <= 10

    def test_weights_are_shares(self):
        data = shuffle({"k": range(10_000)}, how="weighted", weights=[1, 2, 7])
        sizes = [split.rows for split in data.splits]
        assert sum(sizes) == 10_000
        assert sizes == pytest.approx([1_000, 2_000, 7_000], abs=30)

    def test_a_matrix_becomes_columns(self):
        import numpy as np

        data = shuffle(np.arange(6.0).reshape(3, 2), "x0", partitions=2)
        assert sorted(data.to_polars().rows()) == [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)]

    def test_steps_columns_and_filters_go_on(self):
        data = shuffle({"k": [1, 2, 3, 4], "v": [1.0, 2.0, 3.0, 4.0]}, "k", partitions=2)
        result = ml.mine(data.filter(pl.col("k") > 1), ml.Sum(["v"]))
        assert result.table.to_pylist() == [{"v": 9.0}]
        assert (result.rows.read, result.rows.used, result.rows.filtered) == (4, 3, 1)

    def test_no_rows(self):
        data = shuffle({"k": pa.array([], pa.int64())}, "k", partitions=3, sort=True)
        assert parts(data) == [[], [], []]

    def test_dataset_travels(self):
        import cloudpickle

        data = shuffle(numbered([3, 1, 2]), "k", partitions=1, sort=True)
        again = cloudpickle.loads(cloudpickle.dumps(data))
        assert parts(again) == parts(data)


class TestFaults:
    @pytest.mark.parametrize(
        "script",
        [[Fail(0, tries=2)], [Lose(1, tries=2)], [Twice(1), Shuffle(3)], [Lose(2), Twice(0)]],
    )
    def test_nothing_is_lost_or_doubled(self, script):
        table = numbered([n % 17 for n in range(900)])
        cut = dataset(table, split_rows=200)
        engine = FaultyEngine(LocalEngine(workers=2), script)
        with engine:
            found = parts(shuffle(cut, "k", partitions=3, sort=True, on=engine))
        assert found == parts(shuffle(cut, "k", partitions=3, sort=True))

    def test_the_folder_goes_with_the_dataset(self, scratch):
        data = shuffle({"k": [1, 2]}, "k").filter(pl.col("k") > 1)
        assert len(list(scratch.iterdir())) == 1
        assert data.count() == 1
        del data
        gc.collect()
        assert list(scratch.iterdir()) == []

    def test_the_folder_goes_when_the_shuffle_fails(self, scratch):
        engine = FaultyEngine(LocalEngine(workers=1), [Fail(0, tries=99)])
        with engine, pytest.raises(EngineError):
            shuffle({"k": [1, 2]}, "k", on=engine)
        assert list(scratch.iterdir()) == []

    def test_merged_runs_are_removed(self, scratch, monkeypatch):
        monkeypatch.setattr(module, "RUN_BYTES", 100)
        monkeypatch.setattr(spill, "SORTED_BYTES", 0)
        monkeypatch.setattr(spill, "FAN_IN", 2)
        data = shuffle(dataset(numbered(range(60)), split_rows=6), "k", partitions=1, sort=True)
        before = sorted(scratch.rglob("*"))
        batches = data.batches(data.splits[0])
        next(batches)
        assert len(list(scratch.rglob("merged-*"))) > 1
        batches.close()
        gc.collect()
        assert sorted(scratch.rglob("*")) == before

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
    def test_a_full_disk_says_so(self, monkeypatch):
        monkeypatch.setattr(spill.os.path, "join", lambda *parts: "/dev/full")
        monkeypatch.setattr(spill.Path, "unlink", lambda *_, **__: None)
        table = pa.table({"k": range(1_000)})
        with pytest.raises(DataError, match=r"No space left on device.*scratch="):
            spill.write_run("/tmp", "x", (0, 0), [(0, table)])

    def test_a_folder_that_cannot_be_made_says_so(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match="cannot write rows to"):
            shuffle({"k": [1]}, "k", scratch=str(tmp_path / "file" / "under"))

    def test_lost_files_are_an_error(self, scratch):
        data = shuffle({"k": [1, 2]}, "k", partitions=1)
        for file in scratch.rglob("*.arrows"):
            file.unlink()
        with pytest.raises(DataError, match="cannot be read"):
            data.to_arrow()

    def test_it_resumes_where_it_failed(self, tmp_path):
        cut = dataset(numbered([n % 5 for n in range(100)]), split_rows=20)
        keeper = MemoryKeeper()
        broken = FaultyEngine(InlineEngine(), [Fail(3, tries=99)])
        asked = {"partitions": 2, "sort": True, "scratch": str(tmp_path / "kept"), "keeper": keeper}
        with pytest.raises(EngineError):
            shuffle(cut, "k", on=broken, **asked)
        second = InlineEngine()
        found = parts(shuffle(cut, "k", on=second, **asked))
        assert second.asked == [[3]]
        assert found == parts(shuffle(cut, "k", partitions=2, sort=True))

    def test_resuming_needs_a_folder(self):
        with pytest.raises(UsageError, match="scratch="):
            shuffle({"k": [1]}, "k", keeper=MemoryKeeper())

    def test_the_state_survives_its_codec(self, tmp_path):
        from motherlode.algebra import codec

        table = numbered([3, 1, 2])
        scatter = Scatter(("k",), "hash", 2, str(tmp_path), True)
        result = run(scatter, table)
        ready = scatter.prepare(dataset(table).schema)
        document = codec.encode(ready.export(ready.load(ready.export(result.part.state))))
        assert ready.finish(ready.load(codec.decode(document))) == result.value


class TestRefusals:
    @pytest.mark.parametrize(
        ("asked", "match"),
        [
            ({"by": "key"}, "did you mean 'k'|there is"),
            ({}, "needs key columns"),
            ({"by": "k", "how": "hsah"}, "how must be"),
            ({"by": "k", "partitions": 0}, "at least 1"),
            ({"by": "k", "partitions": True}, "at least 1"),
            ({"how": "weighted"}, "weights"),
            ({"how": "weighted", "weights": [1, -1]}, "weights"),
            ({"how": "weighted", "weights": [1, 1], "partitions": 3}, "not 3"),
            ({"how": "round_robin", "sort": True}, "sorting needs"),
        ],
    )
    def test_a_wrong_request(self, asked, match):
        with pytest.raises((ParameterError, UsageError), match=match):
            shuffle({"k": [1]}, **asked)

    def test_a_nested_key(self):
        with pytest.raises(UsageError):
            shuffle({"k": [[1], [2]]}, "k")


GOLDEN_WORDS = [1, 3, 5, 1, 5, 4]
GOLDEN_NUMBERS = [0, 0, 0, 3, 3, 3, 2, 2]
