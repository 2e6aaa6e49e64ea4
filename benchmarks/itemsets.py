"""Frequent itemsets against mlxtend and, if asked for, Spark MLlib, in one run on the same data.

    python -m benchmarks.itemsets
    python -m benchmarks.itemsets --spark --spark-python /path/to/python/with/pyspark

One JSON line a contestant. Motherlode is timed from the file to the result table, with its
kernels compiled before; mlxtend only while it mines, from a frame of the frequent items that is
made for it beforehand; Spark while it mines a cached frame in a session that is up. The itemsets
of all are the same, or this fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motherlode.data import dataset
from motherlode.mining.patterns.frequent_itemsets import FrequentItemsets, min_count
from motherlode.runtime import run

DATA = Path(
    os.environ.get("MOTHERLODE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
CASES = (("retail", 0.001), ("chess", 0.7))
BANDWIDTH = 10e9
"""Bytes a second that one core reads, for the floor."""

STEP = 1e-9
"""Seconds for one step of counting, for the floor."""

Found = dict[frozenset[int], int]


def motherlode(path: Path, share: float) -> Any:
    return run(FrequentItemsets(share), dataset(path, format="fimi")).table


def sets_of(table: Any) -> Found:
    pairs = zip(table["items"].to_pylist(), table["support"].to_pylist(), strict=True)
    return {frozenset(items): support for items, support in pairs}


def frequent_frame(baskets: list[list[int]], least: int) -> Any:
    """Return a boolean frame of the frequent items, as mlxtend takes it."""
    import pandas as pd
    from mlxtend.preprocessing import TransactionEncoder

    counts = Counter(item for basket in baskets for item in basket)
    kept = [[item for item in basket if counts[item] >= least] for basket in baskets]
    encoder = TransactionEncoder()
    return pd.DataFrame(encoder.fit_transform(kept), columns=encoder.columns_)


def mlxtend(frame: Any, share: float) -> Any:
    from mlxtend.frequent_patterns import fpgrowth

    return fpgrowth(frame, min_support=share, use_colnames=True)


def sets_of_frame(found: Any, rows: int) -> Found:
    pairs = zip(found["itemsets"], found["support"], strict=True)
    return {frozenset(items): round(support * rows) for items, support in pairs}


SPARK = """
import json, sys, time
from pyspark.ml.fpm import FPGrowth
from pyspark.sql import SparkSession

path, share = sys.argv[1], float(sys.argv[2])
spark = SparkSession.builder.master("local[*]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
lines = spark.sparkContext.textFile(path).map(lambda line: ([int(i) for i in line.split()],))
frame = lines.toDF(["items"]).cache()
frame.count()
seconds = []
for _ in range(2):
    began = time.perf_counter()
    rows = FPGrowth(minSupport=share).fit(frame).freqItemsets.collect()
    seconds.append(time.perf_counter() - began)
print(json.dumps({"seconds": min(seconds), "sets": [[row.items, row.freq] for row in rows]}))
"""


def spark(python: str, path: Path, share: float) -> tuple[float, Found] | None:
    """Return the seconds and itemsets of MLlib; None where pyspark is not there."""
    if subprocess.run([python, "-c", "import pyspark"], capture_output=True).returncode:
        return None
    # MLlib compares shares; this one lies between two counts, so that rounding does not matter.
    done = subprocess.run(
        [python, "-c", SPARK, str(path), repr(share)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYSPARK_PYTHON": python},
    )
    result = json.loads(done.stdout.splitlines()[-1])
    return result["seconds"], {frozenset(items): count for items, count in result["sets"]}


def timed(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Return the least seconds of several runs, and the last result."""
    best, found = float("inf"), None
    for _ in range(repeat):
        began = time.perf_counter()
        found = work()
        best = min(best, time.perf_counter() - began)
    return best, found


def floor(path: Path, baskets: list[list[int]], least: int) -> dict[str, float]:
    """Return what has to be done at least: the file read once, each item and pair counted."""
    counts = Counter(item for basket in baskets for item in basket)
    lengths = [sum(counts[item] >= least for item in basket) for basket in baskets]
    steps = sum(counts.values()) + sum(n * (n - 1) // 2 for n in lengths)
    size = path.stat().st_size
    return {"seconds": size / BANDWIDTH + steps * STEP, "bytes": size, "operations": steps}


def compare(name: str, share: float, spark_python: str | None) -> None:
    """Print a line a contestant; ours before and after the peer, so that both have quiet times."""
    path = DATA / "fimi" / f"{name}.dat"
    baskets = [sorted({int(item) for item in line.split()}) for line in path.open()]
    least = min_count(share, len(baskets))
    between = (least - 0.5) / len(baskets)
    frame = frequent_frame(baskets, least)
    timed(lambda: motherlode(path, share), 1)
    seconds, table = timed(lambda: motherlode(path, share), 5)
    peer, raw = timed(lambda: mlxtend(frame, between), 2)
    ours = min(seconds, timed(lambda: motherlode(path, share), 5)[0])
    wanted = sets_of(table)

    def say(contestant: str, seconds: float, **more: Any) -> None:
        shown = {"contestant": contestant, "case": f"{name} {share:.1%}"}
        took = {"seconds": round(seconds, 4), "ratio": round(seconds / ours, 3)}
        print(json.dumps({**shown, **took, **more}), flush=True)

    say("motherlode", ours, itemsets=len(wanted), includes="reading, mining, the table")
    least_work = floor(path, baskets, least)
    say("floor", least_work.pop("seconds"), **least_work)
    assert sets_of_frame(raw, len(frame)) == wanted, "mlxtend found other itemsets"
    say("mlxtend fpgrowth", peer, itemsets=len(raw), includes="mining only")
    if spark_python is not None:
        outcome = spark(spark_python, path, between)
        if outcome is None:
            print(json.dumps({"contestant": "spark", "skipped": f"no pyspark in {spark_python}"}))
            return
        seconds, found = outcome
        assert found == wanted, "spark found other itemsets"
        say("spark mllib FPGrowth", seconds, itemsets=len(found), includes="mining only")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spark", action="store_true", help="also run Spark MLlib")
    parser.add_argument("--spark-python", default=sys.executable, help="interpreter with pyspark")
    arguments = parser.parse_args()
    if not (DATA / "fimi").exists():
        print(f"no reference data in {DATA} (MOTHERLODE_TEST_DATA)", file=sys.stderr)
        return 1
    for name, share in CASES:
        compare(name, share, arguments.spark_python if arguments.spark else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
