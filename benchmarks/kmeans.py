"""Steps of Lloyd's algorithm over a matrix in memory, against scikit-learn's.

    python -m benchmarks.kmeans [--repeat 5] [--rows 1000000] [--width 16] [--clusters 8]

Without a shape, a few are tried. Both contestants start from the same centres and take as many
steps; they take turns in one process on all processors, and the best of the repeats counts. What
a step costs is the difference between a fit of eleven steps and one of one step, so that checking
the input and setting the labels are left out. The centres must agree. One JSON line a contestant
is printed; `ratio` is to scikit-learn. The floor is what cannot be left out of a step: reading the
rows once, and a multiplication and an addition for each row, centre and feature.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
import warnings
from typing import Any

import numpy as np
from sklearn.cluster import KMeans as Peer
from sklearn.exceptions import ConvergenceWarning

from motherlode.mining.cluster.kmeans import KMeans

SHAPES = (
    (1_000_000, 16, 8, np.float64),
    (1_000_000, 16, 10, np.float64),
    (1_000_000, 16, 8, np.float32),
    (200_000, 64, 100, np.float64),
    (200_000, 64, 100, np.float32),
)
FEW, MANY = 1, 11
"""Steps of the two fits whose difference is measured."""

BANDWIDTH = 10e9
"""Bytes a second that one core reads from memory, for the floor."""

OPERATIONS = {8: 50e9, 4: 100e9}
"""Operations a second of one core, by the bytes of a number, for the floor."""


def fitted(contestant: str, rows: Any, start: Any, steps: int) -> Any:
    clusters = len(start)
    if contestant == "motherlode":
        return KMeans(clusters, init=start, max_iter=steps, tol=0.0).fit(rows)
    return Peer(clusters, init=start, n_init=1, max_iter=steps, tol=0.0).fit(rows)


def compare(rows: int, width: int, clusters: int, kind: Any, repeat: int) -> None:
    """Print a line a contestant for one shape."""
    chance = np.random.default_rng(0)
    data = chance.normal(size=(rows, width)).astype(kind)
    start = data[:clusters].copy()
    names = ("scikit-learn", "motherlode")
    best = {(name, steps): math.inf for name in names for steps in (FEW, MANY)}
    for turn in range(repeat + 1):
        centers = []
        for (name, steps), fastest in best.items():
            began = time.perf_counter()
            model = fitted(name, data, start, steps)
            if turn:  # the first one compiles
                best[name, steps] = min(fastest, time.perf_counter() - began)
            if steps == FEW:
                centers.append(model.cluster_centers_)
        np.testing.assert_allclose(centers[0], centers[1], rtol=1e-3, atol=1e-3)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    step = {name: (best[name, MANY] - best[name, FEW]) / (MANY - FEW) for name in names}
    shape = {"rows": rows, "width": width, "clusters": clusters, "type": np.dtype(kind).name}
    for name in names:
        shown = {
            "contestant": name,
            **shape,
            "step_seconds": round(step[name], 5),
            "ns_per_row": round(step[name] / rows * 1e9, 2),
            "ratio": round(step[name] / step["scikit-learn"], 3),
            "other_seconds": round(best[name, FEW] - step[name], 4),
        }
        print(json.dumps(shown), flush=True)
    size, operations = data.nbytes, 2 * rows * width * clusters
    least = max(size / BANDWIDTH, operations / OPERATIONS[data.itemsize]) / cores
    floor = {"contestant": "floor", **shape, "step_seconds": round(least, 5), "bytes": size}
    print(json.dumps({**floor, "operations": operations, "cores": cores}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--clusters", type=int, default=8)
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    shapes = SHAPES
    if given.rows:
        shapes = ((given.rows, given.width, given.clusters, np.float64),)
    for rows, width, clusters, kind in shapes:
        compare(rows, width, clusters, kind, given.repeat)
    return 0


if __name__ == "__main__":
    sys.exit(main())
