"""Exact mean and variance of the columns of a Parquet file, against Polars' rounded ones.

    python -m benchmarks.exact_moments [--rows 20000000] [--repeat 5]

Four float64 columns (normal, prices with two decimals, lognormal, uniform) are written once and
kept in the temporary folder. Both contestants read the file from the page cache with all
processors; they take turns in one process, and the best of the repeats counts. Their answers must
agree as far as Polars' rounding lets them. One JSON line a contestant is printed; `ratio` is to
Polars. The floor is what cannot be left out: the file's bytes from memory and two operations a
value. `reading` is Motherlode with a summary that looks at nothing, to tell reading from adding.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from motherlode.algebra.summary import Summary, Traits
from motherlode.core.batch import Batch
from motherlode.data import dataset
from motherlode.mining.statistics.moments import Moments
from motherlode.runtime import run

GROUP = 1 << 20
BANDWIDTH = 10e9
"""Bytes a second that are read from the page cache, for the floor."""

OPERATIONS = 4e9
"""Operations a second on one core without vectors, for the floor."""


def made_up(rows: int, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    chance = np.random.default_rng(seed)
    return {
        "normal": chance.normal(100.0, 15.0, rows),
        "price": chance.integers(1, 1_000_000, rows) / 100.0,
        "lognormal": np.exp(chance.normal(0.0, 2.0, rows)),
        "uniform": chance.random(rows),
    }


def parquet(rows: int) -> Path:
    """Return the file; it is made once and kept in the temporary folder."""
    folder = Path(tempfile.gettempdir()) / "motherlode-benchmarks"
    folder.mkdir(exist_ok=True)
    path = folder / f"moments-{rows}.parquet"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        schema = pa.schema([(name, pa.float64()) for name in made_up(1, 0)])
        with pq.ParquetWriter(unfinished, schema) as writer:
            for start in range(0, rows, GROUP):
                columns = made_up(min(GROUP, rows - start), start)
                writer.write_table(pa.table(columns, schema=schema), row_group_size=GROUP)
        unfinished.rename(path)
    return path


class Nothing(Summary[int, int]):
    """Counts the rows, but asks for all columns."""

    traits: ClassVar[Traits] = Traits("exact", "nothing")

    def zero(self) -> int:
        return 0

    def update(self, state: int, batch: Batch) -> int:
        return state + len(batch)

    def merge(self, left: int, right: int) -> int:
        return left + right

    def finish(self, state: int) -> int:
        return state


def with_motherlode(path: Path) -> dict[str, tuple[float, float]]:
    lines = run(Moments(up_to=2), dataset(path)).table.to_pylist()
    return {line["column"]: (line["mean"], line["variance"]) for line in lines}


def reading(path: Path) -> int:
    rows: int = run(Nothing(), dataset(path)).value
    return rows


def with_polars(path: Path) -> dict[str, tuple[float, float]]:
    both = pl.all().mean().name.suffix(" mean"), pl.all().var().name.suffix(" var")
    line = pl.scan_parquet(path).select(*both).collect().to_dicts()[0]
    return {name: (line[f"{name} mean"], line[f"{name} var"]) for name in made_up(1, 0)}


def compare(path: Path, rows: int, repeat: int) -> None:
    """Print a line a contestant."""
    contestants: dict[str, Callable[[Path], Any]] = {
        "polars": with_polars,
        "motherlode": with_motherlode,
        "motherlode, reading": reading,
    }
    best = dict.fromkeys(contestants, math.inf)
    for turn in range(repeat + 1):
        answers = {}
        for name, work in contestants.items():
            began = time.perf_counter()
            answers[name] = work(path)
            if turn:  # the first one compiles, and warms the page cache
                best[name] = min(best[name], time.perf_counter() - began)
        assert answers["motherlode, reading"] == rows
        for column, exact in answers["motherlode"].items():
            np.testing.assert_allclose(answers["polars"][column], exact, rtol=1e-9)
    values, size = 4 * rows, path.stat().st_size
    for name, seconds in best.items():
        shown = {"contestant": name, "seconds": round(seconds, 4)}
        nanoseconds = round(seconds / values * 1e9, 3)
        ratio = round(seconds / best["polars"], 3)
        print(json.dumps({**shown, "ns_per_value": nanoseconds, "ratio": ratio}), flush=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    least = size / BANDWIDTH + 2 * values / OPERATIONS / cores
    shown = {"contestant": "floor", "seconds": round(least, 4), "bytes": size}
    print(json.dumps({**shown, "operations": 2 * values, "values": values, "cores": cores}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    compare(parquet(arguments.rows), arguments.rows, arguments.repeat)
    return 0


if __name__ == "__main__":
    sys.exit(main())
