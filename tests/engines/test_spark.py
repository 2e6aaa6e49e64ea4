"""What is particular to Spark, on a real cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import venv

import pyarrow as pa
import pytest

import motherlode as ml
from motherlode.core.errors import EngineError, UnknownNameError, UsageError
from motherlode.data import dataset
from motherlode.engines import spark_session
from motherlode.runtime import remote, run
from motherlode.runtime.engine import engine
from tests.engines.clusters import ROOT, free_port, require

pytestmark = [pytest.mark.xdist_group("clusters"), pytest.mark.timeout(400)]

NUMBERS = pa.table(
    {"n": list(range(1_000)), "x": [k * 0.5 for k in range(1_000)], "key": ["a", "b"] * 500}
)


class TestFrames:
    @pytest.fixture
    def frame(self, spark):
        return spark.session.createDataFrame(NUMBERS).repartitionByRange(5, "n")

    @pytest.mark.parametrize(
        "algorithm",
        [
            ml.Describe(),
            ml.GroupBy("key", ml.Moments(["x"])),
            ml.KMeans(n_clusters=2, random_state=0, features=["x", "n"]),
        ],
        ids=lambda algorithm: type(algorithm).__name__,
    )
    def test_they_are_mined_where_they_are(self, spark, frame, algorithm):
        data = ml.from_spark(frame)
        assert len(data.splits) == 5
        result = run(algorithm, data, on=spark.session)
        assert result.rows.used == 1_000
        assert result.digest == run(algorithm, data).digest

    def test_as_other_rows(self, spark, frame):
        data = ml.from_spark(frame).filter("x < 100").select("key", "x")
        result = run(ml.GroupBy("key", ml.Sum(["x"])), data, on=spark)
        here = dataset(NUMBERS).filter("x < 100").select("key", "x")
        assert result.digest == run(ml.GroupBy("key", ml.Sum(["x"])), here).digest
        assert result.rows.used == 200
        assert result.rows.filtered == 800

    def test_partitions_may_be_empty(self, spark):
        frame = spark.session.createDataFrame(NUMBERS.slice(0, 2)).repartition(4)
        assert run(ml.Count(), ml.from_spark(frame), on=spark).rows.used == 2

    def test_errors_of_functions_come_home(self, spark, frame):
        def wrong(rows):
            if rows.height and rows["n"][0] >= 400:
                raise KeyError("price")
            return rows

        with pytest.raises(ml.errors.UserFunctionError, match="wrong raised KeyError") as caught:
            run(ml.Count(), ml.from_spark(frame).map_batches(wrong), on=spark)
        assert isinstance(caught.value.__cause__, KeyError)

    def test_a_result_becomes_one(self, spark):
        result = run(ml.GroupBy("key", ml.Count()), NUMBERS)
        rows = result.to_spark(spark.session).orderBy("key").collect()
        assert [(row.key, row["count"]) for row in rows] == [("a", 500), ("b", 500)]

    def test_something_else_is_refused(self):
        with pytest.raises(UsageError, match="takes a Spark DataFrame, got Table"):
            ml.from_spark(NUMBERS)


class TestSessions:
    def test_one_that_is_open_is_used_and_left_open(self, spark):
        with engine(spark.session) as mine:
            assert run(ml.Count(), NUMBERS, on=mine).rows.used == 1_000
        assert spark.session.range(3).count() == 3

    def test_a_url_of_its_master_shares_it(self, spark, spark_cluster):
        with engine(spark_cluster.url) as mine:
            assert mine.session is spark.session
        assert spark.session.range(3).count() == 3

    def test_another_master_at_the_same_time_is_refused(self, spark):
        with pytest.raises(UsageError, match=r"has a Spark session on spark://.* already"):
            engine("spark-local[1]")

    def test_no_task_is_left_when_a_job_is_stopped(self, spark):
        def stop(event):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(ml.Count(), NUMBERS, on=spark, listener=stop)
        assert not spark.session.sparkContext.statusTracker().getActiveJobsIds()


class TestVersions:
    def test_of_the_package_must_be_the_drivers(self, spark, monkeypatch):
        monkeypatch.setattr(remote, "version", lambda package: "9.9")
        with pytest.raises(EngineError, match=r"workers have motherlode .*, the driver has .* 9.9"):
            engine(spark.session)

    def test_of_python_must_be_the_drivers(self, spark, monkeypatch):
        monkeypatch.setattr(spark.session.sparkContext, "pythonVer", "3.99")
        with pytest.raises(EngineError, match="executors do not run Python 3"):
            engine(spark.session)


def spoken(code, **environment):
    """Run a program of its own and return what it prints last."""
    require("pyspark")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "motherlode.core.errors" in line]
    return said[-1] if said else done.stdout + done.stderr


class TestOwnSession:
    def test_mining_on_this_machine(self, tmp_path):
        path = tmp_path / "words.txt"
        path.write_text("to be or not to be\n")
        code = f"""
import motherlode as ml
if __name__ == "__main__":
    result = ml.mine({str(path)!r}, ml.WordCount(), on="spark-local", workers=1)
    print(result.table.num_rows, "words")
"""
        assert "4 words" in spoken(code)

    def test_executors_without_the_package(self, tmp_path):
        venv.create(tmp_path / "bare")
        code = 'import motherlode as ml\nml.engine("spark-local[1]")'
        said = spoken(code, PYSPARK_PYTHON=str(tmp_path / "bare" / "bin" / "python"))
        assert "the executors have no package 'cloudpickle'" in said or "'motherlode'" in said
        assert "docs/engines.md" in said

    def test_executors_without_python(self):
        code = 'import motherlode as ml\nml.engine("spark-local[1]")'
        said = spoken(code, PYSPARK_PYTHON="python9")
        assert "the executors cannot run 'python9'" in said

    def test_a_cluster_without_free_processors(self, spark, spark_cluster):
        code = f"""
import motherlode as ml
ml.engine({spark_cluster.url!r}, patience=2, conf={spark_cluster.settings!r})
"""
        assert "took work within 2 s; has the cluster free cores" in spoken(code)

    def test_a_machine_without_java(self, tmp_path):
        code = 'import motherlode as ml\nml.engine("spark-local[1]")'
        said = spoken(code, JAVA_HOME=str(tmp_path))
        assert f"Spark needs Java 17 or newer, and there is none in {tmp_path}" in said


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "master"),
        [
            ("spark://host:7077", "spark://host:7077"),
            ("spark://a.b:7077,c-d:7077", "spark://a.b:7077,c-d:7077"),
            ("spark-local[3]", "local[3]"),
            ("spark-local[*]", "local[*]"),
            ("spark-local", "local[*]"),
            ("spark-yarn", "yarn"),
            ("spark-k8s://https://host:6443", "k8s://https://host:6443"),
        ],
    )
    def test_the_master(self, url, master):
        assert spark_session.master_of(url) == master

    @pytest.mark.parametrize("url", ["spark://host", "spark://", "spark-local[x]", "spark:host"])
    def test_a_wrong_one(self, url):
        with pytest.raises(UnknownNameError, match="unknown engine URL"):
            spark_session.master_of(url)

    def test_a_name_that_is_nearly_right(self):
        with pytest.raises(UnknownNameError, match="did you mean 'spark-local'"):
            engine("spark-lokal[2]")

    def test_two_numbers_of_workers(self):
        with pytest.raises(UsageError, match="says 2 workers, workers=3"):
            spark_session.master_of("spark-local[2]", 3)
        assert spark_session.master_of("spark-local", 3) == "local[3]"

    def test_a_master_that_cannot_be_reached(self):
        require("pyspark")
        said = spoken(f'import motherlode as ml\nml.engine("spark://127.0.0.1:{free_port()}")')
        assert "cannot reach a Spark master at spark://127.0.0.1" in said
        assert "is it running" in said

    def test_an_object_of_another_kind(self):
        with pytest.raises(UsageError, match="an engine is a URL"):
            engine(NUMBERS)
