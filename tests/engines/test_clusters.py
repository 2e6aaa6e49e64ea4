"""What Spark and Ray must both do, on real clusters."""

from __future__ import annotations

import gzip
import os
import shutil
from collections import Counter

import numpy as np
import polars as pl
import pytest

import motherlode as ml
from motherlode.core.errors import (
    DataError,
    EngineError,
    MemoryLimitError,
    UsageError,
    UserFunctionError,
)
from motherlode.core.events import PassStarted, Progressed, SplitFinished
from motherlode.data import dataset
from motherlode.engines.ray import RayEngine
from motherlode.runtime import remote, run
from motherlode.testing.engine_suite import checks
from tests.engines.clusters import Borrowed

pytestmark = [pytest.mark.xdist_group("clusters"), pytest.mark.timeout(400)]


@pytest.fixture(params=["spark", "ray"])
def engine(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def lines(tmp_path):
    """A text of 30 splits."""
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {n} of {n % 7}\n" for n in range(3_000)))
    splits = dataset(path, split_bytes=1_500)
    assert 25 < len(splits.splits) < 40
    return splits


@pytest.fixture(scope="module")
def connections(shared_data, tmp_path_factory):
    """The rows of kddcup99 in 10 splits."""
    path = tmp_path_factory.mktemp("kdd") / "connections.csv"
    packed = shared_data("kddcup99/kddcup.data_10_percent.gz")
    with gzip.open(packed) as source, open(path, "wb") as plain:
        shutil.copyfileobj(source, plain)
    return dataset(path, header=False, quote=None, split_bytes=8 << 20)


# Every algorithm is tried through trouble; once more without takes long here and finds no more.
CHECKS = [check for check in checks() if str(check) != "every_algorithm"]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_the_engine_suite(engine, check):
    check(lambda workers: Borrowed(engine))


class TestRealData:
    """The same digest as here, and the published answers."""

    def same(self, engine, data, algorithm):
        result = run(algorithm, data, on=engine)
        assert result.digest == run(algorithm, data).digest
        assert result.rows.balanced
        return result

    def test_words_of_texts(self, engine, shared_data):
        texts = [shared_data(f"texts/{n}.txt") for n in ("republic", "shakespeare_collected-works")]
        result = self.same(
            engine, dataset(texts, split_bytes=200_000), ml.WordCount(token="[a-z]+")
        )
        assert sum(result.table["count"].to_pylist()) == 259_221 + 220_513

    def test_itemsets_of_baskets(self, engine, shared_data):
        baskets = dataset(shared_data("fimi/retail.dat"), split_bytes=500_000)
        result = self.same(engine, baskets, ml.FrequentItemsets(min_support=0.005))
        assert result.table.num_rows == 580

    @pytest.mark.parametrize(
        "algorithm",
        [
            ml.GroupBy("c41", ml.Moments(["c4", "c5"])),
            ml.ValueCounts(["c1", "c2", "c41"]),
            ml.Describe(),
            ml.KMeans(n_clusters=5, max_iter=4, random_state=0, features=["c4", "c5", "c22"]),
        ],
        ids=lambda algorithm: type(algorithm).__name__,
    )
    def test_connections(self, engine, connections, algorithm):
        assert self.same(engine, connections, algorithm).rows.used == 494_021


def test_rows_held_by_the_driver_travel(engine):
    rows = np.random.default_rng(3).normal(size=(5_000, 4))
    data = dataset(rows, split_rows=500)
    algorithm = ml.KMeans(n_clusters=3, max_iter=4, random_state=0)
    assert run(algorithm, data, on=engine).digest == run(algorithm, data).digest


def test_rows_are_kept_between_passes(engine, lines, tmp_path):
    """Splits are folded where they were read; a scheduler may move a few, not all in each pass."""
    seen = str(tmp_path / "reads")

    def told(frame):
        if frame.height:
            with open(seen, "a") as file:
                file.write(f"{frame['n'][0]}\n")
        return frame

    numbers = lines.with_columns(n=pl.col("text").str.extract(r"(\d+)").cast(pl.Int64))
    data = numbers.select("n").map_batches(told)
    result = run(ml.KMeans(n_clusters=3, max_iter=4, tol=0, random_state=0), data, on=engine)
    assert result.passes >= 4
    with open(seen) as file:
        reads = Counter(file.read().split())
    assert len(reads) == len(lines.splits)
    assert sum(reads.values()) <= 1.5 * len(lines.splits)


def test_large_states_are_merged_where_they_are(engine, lines, monkeypatch):
    monkeypatch.setattr(remote, "FAN", 2)
    monkeypatch.setattr("motherlode.engines.spark.MERGED_BYTES", 0)
    monkeypatch.setattr("motherlode.engines.ray.LIGHT_BYTES", 0)
    told = []
    own = ml.engine("auto") if isinstance(engine, RayEngine) else Borrowed(engine)
    with own:
        result = run(ml.WordCount(), lines, on=own, listener=told.append)
    assert result.digest == run(ml.WordCount(), lines).digest
    finished = [event for event in told if isinstance(event, SplitFinished)]
    assert sum(event.splits for event in finished) == len(lines.splits)
    assert len(finished) <= len(lines.splits) // 4


def test_progress_adds_up(engine, lines):
    told = []
    run(ml.Count(), lines, on=engine, listener=told.append)
    (started,) = (event for event in told if isinstance(event, PassStarted))
    progress = [event for event in told if isinstance(event, Progressed)]
    assert sum(event.rows for event in progress) == 3_000
    assert sum(event.nbytes for event in progress) == started.nbytes


@pytest.mark.parametrize("kind", [KeyboardInterrupt, EngineError])
def test_a_job_is_stopped_and_the_engine_goes_on(engine, lines, kind):
    def stop(event):
        if isinstance(event, SplitFinished):
            raise kind("enough")

    with pytest.raises(kind, match="enough"):
        run(ml.Count(), lines, on=engine, listener=stop)
    assert run(ml.Count(), lines, on=engine).rows.used == 3_000


class TestErrors:
    def test_of_a_function_come_home_whole(self, engine, lines):
        class Poisoned(Exception):
            def __init__(self, row, why):
                super().__init__(f"row {row}: {why}")
                self.row = row

        def careful(frame):
            for text in frame["text"]:
                if text.startswith("line 1234 "):
                    raise Poisoned(text, "is poison")
            return frame

        with pytest.raises(UserFunctionError, match="careful raised Poisoned on split") as caught:
            run(ml.Count(), lines.map_batches(careful), on=engine)
        assert "{'text': 'line 1234 of 2'}" in str(caught.value)
        assert "is poison" in str(caught.value)
        kinds = []
        error = caught.value
        while error := error.__cause__:
            kinds.append(type(error).__name__)
        assert kinds[-1] == "RemoteTraceback"

    def test_their_exception_is_the_users_own(self, engine, lines):
        def wrong(frame):
            if frame.height:
                raise KeyError("price")
            return frame

        with pytest.raises(UserFunctionError) as caught:
            run(ml.Count(), lines.map_batches(wrong), on=engine)
        assert isinstance(caught.value.__cause__, KeyError)
        assert caught.value.__cause__.args == ("price",)
        shown = str(caught.value.__cause__.__cause__)
        assert "in wrong" in shown
        assert 'raise KeyError("price")' in shown

    def test_a_function_that_cannot_be_sent(self, engine, lines, tmp_path):
        with open(tmp_path / "log", "w") as log:

            def logged(frame):
                log.write("seen")
                return frame

            with pytest.raises(UsageError, match="logged cannot be sent to other processes"):
                run(ml.Count(), lines.map_batches(logged, schema={"text": "string"}), on=engine)

    def test_a_package_that_the_workers_do_not_have(self, engine, lines, tmp_path, monkeypatch):
        (tmp_path / "only_here.py").write_text("def same(frame):\n    return frame\n")
        monkeypatch.syspath_prepend(tmp_path)
        import only_here

        with pytest.raises(EngineError, match="no package 'only_here'"):
            run(ml.Count(), lines.map_batches(only_here.same), on=engine, retries=0)

    def test_more_rows_held_here_than_can_be_sent(self, engine, monkeypatch):
        monkeypatch.setattr(remote, "HELD_BYTES", 1_000)
        with pytest.raises(MemoryLimitError, match="GB of rows are held by this process"):
            run(ml.Count(), np.zeros((1_000, 2)), on=engine)

    def test_a_file_that_goes_away(self, engine, lines):
        os.remove(lines.splits[0].location.removeprefix("file://"))
        with pytest.raises(DataError, match="all workers must see the same files"):
            run(ml.Count(), lines, on=engine)
