"""Sorting and grouping more rows than the memory limit: seconds and peak memory.

    python -m benchmarks.shuffle [--mb 2000] [--memory 1GB] [--workers 2]

A Parquet file of random numbers and strings, written a row group at a time, is shuffled by hash and
sorted by range, and read to its end, each in a process of its own. One JSON line each; it fails if
the peak resident size is above one and a half times the limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motherlode.core.settings import memory

ROWS = 1 << 20  # in a row group, of about 64 MB

CHILD = """
import json, resource, sys, time
import numpy as np
import motherlode as ml
path, how, sort, limit, workers = json.loads(sys.argv[1])
began = time.perf_counter()
made = ml.shuffle(path, "key", how=how, sort=sort, memory=limit, workers=workers)
written = time.perf_counter() - began
rows, last = 0, -1
for split in made.splits:
    for batch in made.batches(split):
        rows += len(batch)
        if sort:
            keys = batch.columns.column(0).to_numpy()
            assert keys[0] >= last and (np.diff(keys) >= 0).all()
            last = keys[-1]
seconds = time.perf_counter() - began
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(json.dumps({"rows": rows, "partitions": len(made.splits), "write_seconds": round(written, 2),
                  "seconds": round(seconds, 2), "peak_bytes": peak}))
"""


def table(path: Path, megabytes: int) -> int:
    """Write the file and return its rows."""
    chance = np.random.default_rng(0)
    names = pa.array([f"customer-{n:07d}" for n in range(100_000)])
    groups = max(1, round(megabytes / 64))
    schema = pa.schema(
        [("key", pa.int64()), ("a", pa.float64()), ("b", pa.float64()), ("c", pa.float64()),
         ("name", pa.string()), ("n", pa.int64())]
    )  # fmt: skip
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for _ in range(groups):
            columns = [
                chance.integers(0, 1 << 60, ROWS),
                *chance.random((3, ROWS)),
                names.take(pa.array(chance.integers(0, len(names), ROWS))),
                chance.integers(0, 1 << 60, ROWS),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROWS)
    return groups * ROWS


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mb", type=int, default=2000)
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="motherlode-shuffle-") as folder:
        path = Path(folder) / "rows.parquet"
        rows = table(path, options.mb)
        for how, sort in (("hash", False), ("range", True)):
            asked = json.dumps([str(path), how, sort, options.memory, options.workers])
            done = subprocess.run(
                [sys.executable, "-c", CHILD, asked], check=True, stdout=subprocess.PIPE, text=True
            )
            figures = json.loads(done.stdout)
            assert figures["rows"] == rows
            kept = figures["peak_bytes"] <= 1.5 * memory(options.memory)
            missed += not kept
            figures |= {"how": how, "sorted": sort, "file_bytes": path.stat().st_size}
            figures |= {"ns_a_row": round(figures["seconds"] * 1e9 / rows), "kept": kept}
            print(json.dumps(figures), flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
