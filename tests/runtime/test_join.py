"""Joins against the obvious loop: same rows however they are cut, whichever way they are joined."""

from __future__ import annotations

from datetime import date

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import motherlode as ml
from motherlode.core.errors import ParameterError, UnknownNameError, UsageError
from motherlode.data import dataset
from motherlode.runtime import join as module
from motherlode.runtime.join import join

HOWS = ["inner", "left", "semi", "anti"]
WAYS = ["broadcast", "shuffle"]
NAN = float("nan")


def same(a, b):
    """Whether two keys are equal: null to nothing, NaN to NaN."""
    return all(
        x is not None and y is not None and (x == y or (x != x and y != y))
        for x, y in zip(a, b, strict=True)
    )


def oracle(left, right, on, how):
    """The rows of the join of two lists of dicts; right columns are renamed beforehand."""
    made = []
    others = [name for name in (right[0] if right else {"r": 0}) if name not in on]
    for row in left:
        partners = [r for r in right if same([row[n] for n in on], [r[n] for n in on])]
        if how in ("semi", "anti"):
            made += [row] * (bool(partners) == (how == "semi"))
            continue
        made += [{**row, **{n: partner[n] for n in others}} for partner in partners]
        if how == "left" and not partners:
            made.append({**row, **dict.fromkeys(others)})
    return made


keys = st.none() | st.integers(0, 6)
floats = st.none() | st.sampled_from([0.0, -0.0, NAN, 1.0, 2.5])


def table(name, keys, kind=None):
    return pa.table({"k": pa.array(keys, kind), name: range(len(keys))})


class TestAgainstTheLoop:
    @pytest.mark.parametrize("how", HOWS)
    @settings(max_examples=25)
    @given(
        lefts=st.lists(keys, max_size=30), rights=st.lists(keys, max_size=20),
        split_rows=st.integers(1, 20), most=st.sampled_from([1, 7, 1 << 17]),
    )  # fmt: skip
    def test_any_cut_either_way(self, how, lefts, rights, split_rows, most):
        left, right = table("l", lefts, pa.int64()), table("r", rights, pa.int64())
        expected = oracle(left.to_pylist(), right.to_pylist(), ["k"], how)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "JOINED_ROWS", most)
            sides = dataset(left, split_rows=split_rows), dataset(right, split_rows=3)
            whole = join(*sides, "k", how, "broadcast").to_arrow()
            cut = join(*sides, "k", how, "shuffle", partitions=3, engine="local[1]").to_arrow()
        assert whole.to_pylist() == expected
        assert sorted(cut.to_pylist(), key=repr) == sorted(expected, key=repr)
        assert cut.schema == whole.schema

    @pytest.mark.parametrize("how", HOWS)
    @settings(max_examples=15)
    @given(lefts=st.lists(floats, max_size=8), rights=st.lists(floats, max_size=8))
    def test_floats_and_their_odd_values(self, how, lefts, rights):
        left, right = table("l", lefts, pa.float64()), table("r", rights, pa.float32())
        expected = oracle(left.to_pylist(), right.to_pylist(), ["k"], how)
        for way in WAYS:
            found = join(left, right, "k", how, way, partitions=2, engine="local[1]").to_arrow()
            assert sorted(map(repr, found.to_pylist())) == sorted(map(repr, expected))

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("how", HOWS)
    def test_several_keys_of_several_types(self, how, way):
        left = pa.table(
            {
                "a": pa.array(["x", "y", "x", None, "x"]).dictionary_encode(),
                "b": [date(2024, 1, d) for d in (1, 2, 1, 1, 3)],
                "l": range(5),
            }
        )
        right = pa.table(
            {
                "b": [date(2024, 1, d) for d in (1, 1, 2)],
                "r": ["p", "q", "s"],
                "a": pa.array(["x", "x", "z"], pa.large_string()),
            }
        )
        found = join(left, right, ["a", "b"], how, way, partitions=2).to_arrow()
        expected = oracle(left.to_pylist(), right.to_pylist(), ["a", "b"], how)
        assert sorted(found.to_pylist(), key=repr) == sorted(expected, key=repr)

    def test_widths_of_integers_may_differ(self):
        found = join(table("l", [1, 200], pa.uint8()), table("r", [200], pa.int64()), "k")
        assert found.to_arrow().to_pylist() == [{"k": 200, "l": 1, "r": 0}]


class TestTheDataset:
    @pytest.mark.parametrize("way", WAYS)
    def test_the_account_counts_the_rows_made(self, way):
        left, right = table("l", [1, 1, 2, 3]), table("r", [1, 1, 1, 2])
        made = join(dataset(left, split_rows=2), right, "k", strategy=way, partitions=2)
        result = ml.mine(made.filter(pl.col("r") > 0), ml.Sum(["r"]))
        assert result.table.to_pylist() == [{"r": 2 * (1 + 2) + 3}]
        assert (result.rows.read, result.rows.used, result.rows.filtered) == (7, 5, 2)
        assert made.count() == 7

    @pytest.mark.parametrize("way", WAYS)
    def test_columns_and_counts_alone(self, way):
        made = join(table("l", [1, 1]), table("r", [1, 1, 1]), "k", strategy=way)
        assert made.select("r").to_arrow().to_pydict() == {"r": [0, 1, 2] * 2}
        assert ml.mine(made, ml.Count()).table.to_pylist() == [{"count": 6}]

    def test_a_key_of_many_partners_is_made_in_pieces(self, monkeypatch):
        monkeypatch.setattr(module, "JOINED_ROWS", 1_000)
        made = join(table("l", [1] * 50), table("r", [1] * 300), "k")
        sizes = [len(batch) for split in made.splits for batch in made.batches(split)]
        assert sum(sizes) == 15_000
        assert max(sizes) <= 1_000

    def test_steps_of_both_sides_are_taken(self):
        left = dataset(table("l", [1, 2, 3])).filter(pl.col("k") > 1)
        right = dataset(table("r", [1, 2, 3])).with_columns(twice=pl.col("r") * 2)
        found = join(left, right, "k").to_arrow().to_pylist()
        assert found == [{"k": 2, "l": 1, "r": 1, "twice": 2}, {"k": 3, "l": 2, "r": 2, "twice": 4}]

    @pytest.mark.parametrize("way", WAYS)
    def test_files_are_joined_in_processes(self, tmp_path, way):
        for name in ("l", "r"):
            frame = pl.DataFrame({"k": [n % 10 for n in range(40)], name: range(40)})
            frame.write_parquet(tmp_path / f"{name}.parquet")
        made = join(str(tmp_path / "l.parquet"), str(tmp_path / "r.parquet"), "k", strategy=way,
                    partitions=3)  # fmt: skip
        odd = made.map_batches(lambda f: f.filter(pl.col("r") % 2 == 1), python=True)
        result = ml.mine(odd, ml.Count(), on="local[2]")
        assert result.table.to_pylist() == [{"count": 80}]

    def test_small_sides_are_broadcast_and_large_ones_not(self, monkeypatch):
        left, right = table("l", [1, 2]), table("r", [2])
        assert isinstance(join(left, right, "k").source.right, pa.Table)
        monkeypatch.setattr(module, "BROADCAST_BYTES", 3)
        assert not isinstance(join(left, right, "k").source.right, pa.Table)

    def test_the_fingerprint_follows_the_right_side(self):
        left = dataset(table("l", [1]))
        prints = {join(left, table("r", keys), "k").fingerprint for keys in ([1], [2], [1, 1])}
        assert len(prints) == 3

    def test_names_that_both_have_get_a_suffix(self):
        left = pa.table({"k": [1], "v": [2], "v_right": [3]})
        right = pa.table({"k": [1], "v": [4]})
        with pytest.raises(UsageError, match="give another suffix"):
            join(left, right, "k")
        found = join(left, right, "k", suffix="_2").to_arrow()
        assert found.to_pylist() == [{"k": 1, "v": 2, "v_right": 3, "v_2": 4}]
        assert join(left, right, "k", "semi").to_arrow().to_pylist() == left.to_pylist()


class TestRefusals:
    @pytest.mark.parametrize(
        ("left", "right"),
        [
            (pa.int64(), pa.string()),
            (pa.int64(), pa.float64()),
            (pa.timestamp("s"), pa.timestamp("ms")),
            (pa.int64(), pa.uint64()),
            (pa.decimal128(5, 1), pa.decimal128(5, 2)),
        ],
        ids=str,
    )
    def test_keys_of_other_types(self, left, right):
        sides = [pa.table({"k": pa.array([], kind)}) for kind in (left, right)]
        with pytest.raises(UsageError, match=r"the key 'k' holds .* on the left and .* cast"):
            join(*sides, "k")

    def test_a_nested_key(self):
        nested = pa.table({"k": [[1]]})
        with pytest.raises(UsageError, match="no single values"):
            join(nested, nested, "k")

    @pytest.mark.parametrize("on", ["key", ["k", "v"]])
    def test_an_unknown_key(self, on):
        with pytest.raises(UnknownNameError, match="unknown column"):
            join({"k": [1], "v": [1]}, {"k": [1]}, on)

    @pytest.mark.parametrize("wrong", [{"how": "outer"}, {"strategy": "sort"}])
    def test_a_wrong_word(self, wrong):
        with pytest.raises(ParameterError, match="must be"):
            join({"k": [1]}, {"k": [1]}, "k", **wrong)

    def test_no_keys(self):
        with pytest.raises(UsageError, match="on='column'"):
            join({"k": [1]}, {"k": [1]}, [])
