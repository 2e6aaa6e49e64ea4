"""What is particular to Ray, on a real cluster."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

import motherlode as ml
from motherlode.core.errors import EngineError, UnknownNameError, UsageError
from motherlode.data import dataset
from motherlode.engines import ray_session, ray_shift
from motherlode.runtime import remote, run
from motherlode.runtime.engine import engine
from tests.engines.clusters import free_port, require

pytestmark = [pytest.mark.xdist_group("clusters"), pytest.mark.timeout(400)]

BLOCKS = [
    pa.table({"n": list(range(k * 100, k * 100 + 100)), "key": ["a", "b"] * 50}) for k in range(5)
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's data library, about itself
class TestDatasets:
    @pytest.fixture
    def rows(self, ray):
        import ray as library

        return library.data.from_arrow(BLOCKS)

    @pytest.mark.parametrize(
        "algorithm",
        [ml.Describe(), ml.GroupBy("key", ml.Moments(["n"])), ml.KMeans(2, random_state=0)],
        ids=lambda algorithm: type(algorithm).__name__,
    )
    def test_they_are_mined_where_they_are(self, ray, rows, algorithm):
        data = ml.from_ray(rows).select("n", "key")
        data = data.select("n") if isinstance(algorithm, ml.KMeans) else data
        result = run(algorithm, data, on=ray)
        assert result.rows.used == 500
        assert result.digest == run(algorithm, data).digest

    def test_something_else_is_refused(self):
        with pytest.raises(UsageError, match=r"takes a ray.data.Dataset, got Table"):
            ml.from_ray(BLOCKS[0])


class TestSessions:
    def test_a_connection_that_is_open_is_used_and_left_open(self, ray):
        import ray as library

        with engine("auto", workers=1) as mine:
            assert mine.parallelism == 1
            assert run(ml.Count(), BLOCKS[0], on=mine).rows.used == 100
        assert library.is_initialized()

    def test_work_of_others_is_not_kept_waiting(self, ray):
        import ray as library

        @library.remote(num_cpus=1)
        def one():
            return 1

        assert library.get([one.remote() for _ in range(4)], timeout=60) == [1] * 4

    def test_of_the_package_must_be_the_drivers(self, ray, monkeypatch):
        monkeypatch.setattr(remote, "version", lambda package: "9.9")
        with pytest.raises(EngineError, match=r"workers have motherlode .*, the driver has .* 9.9"):
            engine("auto")


def test_a_straggler_is_overtaken(ray, tmp_path, monkeypatch):
    """The first worker at a split hangs; an idle one folds it too, and it counts once."""
    monkeypatch.setattr(ray_shift, "LATE_SECONDS", 1.0)
    flag = tmp_path / "hung"

    def hang(frame):
        if frame.height and frame["n"][0] == 200 and not flag.exists():
            flag.touch()
            time.sleep(300)
        return frame

    data = dataset(pa.concat_tables(BLOCKS), split_rows=100).map_batches(hang)
    began = time.monotonic()
    result = run(ml.GroupBy("key", ml.Sum(["n"])), data, on=ray)
    assert time.monotonic() - began < 60
    assert flag.exists()
    assert result.rows.used == 500
    assert sum(result.table["n"].to_pylist()) == sum(range(500))


class TestUrls:
    @pytest.mark.parametrize("url", ["ray://host", "ray://", "ray-local[x]", "ray-local[]"])
    def test_a_wrong_one(self, url):
        require("ray")
        with pytest.raises(UnknownNameError, match="unknown engine URL"):
            engine(url)

    def test_two_numbers_of_workers(self):
        require("ray")
        with pytest.raises(UsageError, match="says 2 workers, workers=3"):
            engine("ray-local[2]", workers=3)

    def test_a_cluster_that_cannot_be_reached(self):
        with pytest.raises(EngineError, match=r"cannot reach a Ray cluster at ray://127\.0\.0\.1"):
            ray_session._knock(f"ray://127.0.0.1:{free_port()}")
