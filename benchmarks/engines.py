"""Engines: what a pass costs beside its work, and Spark MLlib on the same session and file.

    python -m benchmarks.engines [--only overhead|mllib] [--rows 1000000] [--repeat 3]

Needs what `make clusters` installs, and Java. One JSON line a measurement. *Overhead* is a pass
over rows that are kept from the pass before, with next to nothing to do for each: by number of
splits, the least and the median of 20 passes. For *MLlib*, both mine the same file in the same
`local[2]` session, which is warm: from the file to the model, the best of the repeats. `times` is
MLlib's time over ours; `cached` is MLlib's with the rows assembled and cached before, which ours
never are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motherlode.algebra.summary import Iterative, Summary, Traits
from motherlode.core.events import Event, PassFinished
from motherlode.data import Dataset, dataset
from motherlode.mining.catalogue import algorithm
from motherlode.runtime import run
from motherlode.runtime.engine import Engine, engine

DATA = Path(
    os.environ.get("MOTHERLODE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
URLS = ("local[2]", "ray-local[2]", "spark-local[2]")
PASSES = 22


class Idle(Iterative[int, pa.Table]):
    """Counts the rows, pass after pass."""

    traits = Traits("exact", "nothing to speak of", passes="k")

    def start(self, context: Any) -> int:
        return 0

    def pass_(self, model: int) -> Summary[Any, Any]:
        return algorithm("Count")()  # type: ignore[return-value]

    def advance(self, model: int, result: Any) -> int:
        return model + 1

    def done(self, model: int) -> bool:
        return model >= PASSES

    def table(self, value: Any) -> pa.Table:
        return pa.table({"passes": [value]})


@contextlib.contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Give an engine whose passing files are in a folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="mlb-") as folder:
        os.environ |= {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "RAY_AUTH_MODE": "disabled"}
        options: dict[str, Any] = {}
        if url.startswith("spark"):
            warehouse = {"spark.local.dir": folder, "spark.sql.warehouse.dir": folder}
            options["conf"] = {"spark.driver.memory": "4g", **warehouse}
        with engine(url, **options) as mine:
            yield mine


def overhead(on: Engine, url: str, splits: int) -> dict[str, Any]:
    """Time passes over kept rows."""
    rows = np.zeros((splits * 1_024, 4))
    seconds: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, PassFinished):
            seconds.append(event.seconds)

    run(Idle(), dataset(rows, split_rows=1_024), on=on, listener=listen)
    kept = seconds[2:]
    least, middle = (round(1e3 * f(kept), 1) for f in (min, statistics.median))
    return {"what": "pass", "engine": url, "splits": splits, "ms": least, "median_ms": middle}


def best(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        answer = work()
        times.append(time.perf_counter() - began)
    return min(times), answer


def points(folder: Path, rows: int) -> Path:
    """Write rows of 16 features around 8 centres, with the number of the centre."""
    path = folder / "points.parquet"
    chance = np.random.default_rng(7)
    label = chance.integers(0, 8, rows)
    block = chance.normal(size=(rows, 16)) + 4 * chance.normal(size=(8, 16))[label]
    columns: dict[str, Any] = {f"x{n}": block[:, n] for n in range(16)}
    table = pa.table({**columns, "label": label.astype(np.float64)})
    pq.write_table(table, path, row_group_size=131_072)
    return path


class Contest:
    """One learner of ours against MLlib's."""

    def __init__(self, on: Any, repeat: int) -> None:
        self.on = on
        self.session = on.session
        self.repeat = repeat

    def held(
        self, name: str, ours: Callable[[], Any], frame: Callable[[], Any], fit: Callable[..., Any]
    ) -> tuple[dict[str, Any], Any, Any]:
        own, mine = best(ours, self.repeat)
        theirs, model = best(lambda: fit(frame()), self.repeat)
        ready = frame().cache()
        ready.count()
        cached, _ = best(lambda: fit(ready), self.repeat)
        ready.unpersist()
        line = {
            "what": name,
            "ours_s": round(own, 3),
            "mllib_s": round(theirs, 3),
            "cached_s": round(cached, 3),
            "times": round(theirs / own, 1),
            "times_cached": round(cached / own, 1),
        }
        return line, mine, model

    def assembled(self, path: Path) -> Any:
        from pyspark.ml.feature import VectorAssembler

        names = [f"x{n}" for n in range(16)]
        rows = self.session.read.parquet(str(path))
        return (
            VectorAssembler(inputCols=names, outputCol="features")
            .transform(rows)
            .select("features", "label")
        )

    def k_means(self, path: Path) -> dict[str, Any]:
        from pyspark.ml.clustering import KMeans

        data: Dataset = dataset(path).drop("label")
        start = data.head(8).to_pandas().to_numpy()
        kind = algorithm("KMeans")
        lloyd = kind(n_clusters=8, init=start, max_iter=10, tol=0.0)  # type: ignore[call-arg]
        theirs = KMeans(k=8, maxIter=10, tol=0.0, initMode="random", seed=1)
        line, mine, model = self.held(
            "k-means, 10 steps",
            lambda: run(lloyd, data, on=self.on),
            lambda: self.assembled(path),
            theirs.fit,
        )
        local = run(lloyd, data).digest
        assert mine.digest == local, "Spark and local differ"
        return line | {"inertia": mine.value.inertia_, "theirs": model.summary.trainingCost}

    def naive_bayes(self, path: Path) -> dict[str, Any]:
        from pyspark.ml.classification import NaiveBayes

        bayes = algorithm("GaussianNB")(target="label")  # type: ignore[call-arg]
        line, mine, model = self.held(
            "naive Bayes",
            lambda: run(bayes, dataset(path), on=self.on),
            lambda: self.assembled(path),
            NaiveBayes(modelType="gaussian").fit,
        )
        # MLlib numbers the classes as they are labelled.
        assert np.allclose(mine.value.theta_, model.theta.toArray(), atol=1e-6)
        return line

    def itemsets(self, path: Path) -> dict[str, Any]:
        from pyspark.ml.fpm import FPGrowth
        from pyspark.sql import functions as f

        frequent = algorithm("FrequentItemsets")(min_support=0.001)  # type: ignore[call-arg]

        def baskets() -> Any:
            lines = self.session.read.text(str(path))
            return lines.select(f.array_distinct(f.split(f.trim("value"), " ")).alias("items"))

        def fit(rows: Any) -> int:
            growth = FPGrowth(minSupport=0.001, minConfidence=1.0)
            return int(growth.fit(rows).freqItemsets.count())

        line, mine, count = self.held(
            "itemsets of retail, 0.1 %",
            lambda: run(frequent, dataset(path, format="fimi"), on=self.on),
            baskets,
            fit,
        )
        assert mine.table.num_rows == count, (mine.table.num_rows, count)
        return line | {"itemsets": count}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", choices=("overhead", "mllib"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(arguments)
    for url in URLS if options.only != "mllib" else ():
        with opened(url) as on:
            for splits in (2, 8, 64):
                print(json.dumps(overhead(on, url, splits)), flush=True)
    if options.only == "overhead":
        return
    with opened("spark-local[2]") as on, tempfile.TemporaryDirectory() as folder:
        path = points(Path(folder), options.rows)
        contest = Contest(on, options.repeat)
        print(json.dumps(contest.k_means(path)), flush=True)
        print(json.dumps(contest.naive_bayes(path)), flush=True)
        print(json.dumps(contest.itemsets(DATA / "fimi" / "retail.dat")), flush=True)


if __name__ == "__main__":
    main()
