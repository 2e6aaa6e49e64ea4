"""Two workers against one, where the work is computing.

    python -m benchmarks.workers [--repeat 3]

Each job runs with one and with two workers in turn, in one process, over data that are read
before; the answers must be bit-identical. One JSON line a job; `ratio` is the time of one worker
over that of two, and `limit` what two threads of plain arithmetic reach on this machine then.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl

from motherlode.data import dataset
from motherlode.mining.catalogue import algorithm
from motherlode.runtime import run


def jobs() -> dict[str, tuple[Any, Any]]:
    chance = np.random.default_rng(0)
    matrix = chance.normal(size=(1_000_000, 16))
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = np.array(["".join(chance.choice(letters, 6)) for _ in range(20_000)])
    picked = vocabulary[np.minimum(chance.zipf(1.3, 10_000_000), 20_000) - 1].reshape(-1, 20)
    lines = pl.DataFrame({"text": [" ".join(row) for row in picked.tolist()]})
    return {
        "Describe 1M x 16": (algorithm("Describe")(), dataset(matrix)),
        "Moments 1M x 16": (algorithm("Moments")(), dataset(matrix)),
        "KMeans 1M x 16, k = 50": (
            algorithm("KMeans")(n_clusters=50, max_iter=5, tol=0.0, random_state=0),
            dataset(matrix),
        ),
        "WordCount 10M words": (algorithm("WordCount")(), dataset(lines, split_rows=32_768)),
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def arithmetic_limit() -> float:
    """Return the speed-up of two threads that only compute, each on data of its own."""
    block = np.random.default_rng(0).random(1 << 16)

    def work() -> None:
        for _ in range(400):
            np.sin(block)

    alone = min(timed(lambda: (work(), work()))[0] for _ in range(3))
    with ThreadPoolExecutor(2) as pool:
        both = min(timed(lambda: list(pool.map(lambda _: work(), range(2))))[0] for _ in range(3))
    return alone / both


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    for name, (work, data) in jobs().items():
        best = {1: float("inf"), 2: float("inf")}
        digests = set()
        run(work, data)
        for _ in range(repeat):
            for workers in best:
                seconds, result = timed(lambda w=workers, a=work, d=data: run(a, d, workers=w))
                best[workers] = min(best[workers], seconds)
                digests.add(result.digest)
        if len(digests) != 1:
            print(f"error: {name} gave other bits on other workers", file=sys.stderr)
            return 1
        print(
            json.dumps(
                {
                    "job": name,
                    "seconds": {str(w): round(s, 3) for w, s in best.items()},
                    "ratio": round(best[1] / best[2], 2),
                    "limit": round(arithmetic_limit(), 2),
                }
            ),
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
