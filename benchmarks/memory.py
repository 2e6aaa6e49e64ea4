"""Peak memory while a source ten times the memory limit is mined.

    python -m benchmarks.memory [--limit 100MB]

A Parquet file, a CSV file and a text file, each of ten times the limit as it lies on disk, are
mined in a fresh process each; the peak resident size of the process is compared with the limit
plus 300 MB. One JSON line a job.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from motherlode.core.settings import memory

ALLOWANCE = 300_000_000

CHILD = """
import json, resource, sys, time
import motherlode as ml
path, algorithm, params, group_by, limit = json.loads(sys.argv[1])
began = time.perf_counter()
result = ml.mine(path, getattr(ml, algorithm)(**params), group_by=group_by, memory=limit)
seconds = time.perf_counter() - began
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(json.dumps({"rows": result.rows.read, "seconds": round(seconds, 2), "peak_bytes": peak}))
"""


def parquet(path: Path, size: int) -> None:
    """Write random floats, which do not compress, in row groups of 64 MB."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = np.random.default_rng(0)
    rows = 1 << 20
    schema = pa.schema([(f"x{n}", pa.float64()) for n in range(8)])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while not path.exists() or path.stat().st_size < size:
            columns = {name: chance.random(rows) for name in schema.names}
            writer.write_table(pa.table(columns), row_group_size=rows)


def csv(path: Path, size: int) -> None:
    chance = np.random.default_rng(0)
    rows = 500_000
    with path.open("wb") as file:
        header = True
        while file.tell() < size:
            frame = pl.DataFrame(
                {
                    "user": chance.integers(0, 5_000, rows),
                    "price": chance.integers(1, 100_000, rows) / 100,
                    "score": chance.normal(size=rows),
                    "city": chance.choice(["Rome", "Bonn", "Lyon", "Oslo"], rows),
                }
            )
            frame.write_csv(file, include_header=header)
            header = False


def text(path: Path, size: int) -> None:
    chance = np.random.default_rng(0)
    words = np.array([f"word{n}" for n in range(50_000)])
    with path.open("w") as file:
        while file.tell() < size:
            picked = words[np.minimum(chance.zipf(1.2, 1_000_000), 50_000) - 1].reshape(-1, 10)
            file.writelines(" ".join(row) + "\n" for row in picked)


JOBS: list[tuple[str, Callable[[Path, int], None], str, dict[str, object], str | None]] = [
    ("numbers.parquet", parquet, "Describe", {}, None),
    ("numbers.parquet", parquet, "KMeans", {"n_clusters": 5, "max_iter": 2}, None),
    ("sales.csv", csv, "Describe", {}, None),
    ("sales.csv", csv, "Moments", {"columns": ["price"]}, "user"),
    ("words.txt", text, "WordCount", {}, None),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", default="100MB")
    limit = memory(parser.parse_args().limit)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="motherlode-memory-") as folder:
        for name, write, algorithm, params, group_by in JOBS:
            path = Path(folder) / name
            if not path.exists():
                write(path, 10 * limit)
            asked = json.dumps([str(path), algorithm, params, group_by, limit])
            done = subprocess.run(
                [sys.executable, "-c", CHILD, asked], check=True, capture_output=True, text=True
            )
            figures = json.loads(done.stdout)
            kept = figures["peak_bytes"] <= limit + ALLOWANCE
            missed += not kept
            figures |= {"job": f"{algorithm} {name}" + (f" by {group_by}" if group_by else "")}
            figures |= {"file_bytes": path.stat().st_size, "limit": limit, "kept": kept}
            print(json.dumps(figures), flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
