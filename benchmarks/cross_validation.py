"""Ten-fold cross-validation of naive Bayes, against one fit and against scikit-learn's.

    python -m benchmarks.cross_validation [--rows 1000000] [--repeat 5]

Two sorts of rows: 30 dense features for Gaussian naive Bayes, and sparse counts, 2,000 features of
which 100 are there, for the multinomial one (a fifth as many rows). Each contestant fits once and
cross-validates; they take turns in one process on all processors, and the best of the repeats
counts (scikit-learn, which takes long, is tried once). The mean scores must agree. One JSON line
a contestant is printed; `fits` is what cross-validation costs in fits of one's own, `ratio` is to
scikit-learn. The floor is what cannot be left out of one's own cross-validation: reading the rows
twice, and a few operations for each number (an addition or two; two or three for each class).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import sklearn.naive_bayes as peers
from sklearn.model_selection import cross_val_score

from motherlode.mining.naive_bayes.gaussian_nb import GaussianNB
from motherlode.mining.naive_bayes.multinomial_nb import MultinomialNB
from motherlode.mining.validation.cross_validate import cross_validate

FOLDS, CLASSES = 10, 3
WIDTH, PRESENT = 2_000, 100

BANDWIDTH = 10e9
"""Bytes a second that one core reads from memory, for the floor."""

OPERATIONS = 10e9
"""Operations a second of one core, for the floor."""


def dense(rows: int) -> tuple[Any, Any]:
    chance = np.random.default_rng(0)
    label = chance.integers(0, CLASSES, rows)
    return chance.normal(size=(rows, 30)) + 0.2 * label[:, None], label


def sparse(rows: int) -> tuple[Any, Any]:
    chance = np.random.default_rng(0)
    label = chance.integers(0, CLASSES, rows)
    first = chance.integers(0, WIDTH // PRESENT, (rows, PRESENT))
    columns = first + np.arange(PRESENT) * (WIDTH // PRESENT)  # one of each 20, in order
    counts = chance.integers(1, 5, rows * PRESENT) + (columns.ravel() % CLASSES == 0)
    bounds = np.arange(0, rows * PRESENT + 1, PRESENT)
    block = scipy.sparse.csr_array(
        (counts.astype(np.float64), columns.ravel().astype(np.int32), bounds), shape=(rows, WIDTH)
    )
    return block, label


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def compare(name: str, ours: Any, peer: Any, data: tuple[Any, Any], repeat: int) -> None:
    """Print a line a contestant for one sort of rows."""
    X, y = data
    works: dict[tuple[str, str], Callable[[], Any]] = {
        ("motherlode", "fit"): lambda: ours.fit(X, y),
        ("scikit-learn", "fit"): lambda: peer.fit(X, y),
        ("motherlode", "cv"): lambda: cross_validate(ours, X, y, folds=FOLDS),
        ("scikit-learn", "cv"): lambda: cross_val_score(peer, X, y, cv=FOLDS),
    }
    best = dict.fromkeys(works, math.inf)
    found: dict[tuple[str, str], Any] = {}
    for turn in range(repeat + 1):
        for key, work in works.items():
            if key == ("scikit-learn", "cv") and turn != 1:
                continue
            took, found[key] = seconds(work)
            if turn:  # the first one compiles
                best[key] = min(best[key], took)
    np.testing.assert_allclose(
        found["motherlode", "cv"].mean, found["scikit-learn", "cv"].mean(), atol=0.01
    )
    for contestant in ("scikit-learn", "motherlode"):
        fit, cv = best[contestant, "fit"], best[contestant, "cv"]
        shown = {
            "contestant": contestant,
            "rows": name,
            "fit_seconds": round(fit, 4),
            "cv_seconds": round(cv, 4),
            "fits": round(cv / fit, 2),
            "fit_ratio": round(fit / best["scikit-learn", "fit"], 3),
            "ratio": round(cv / best["scikit-learn", "cv"], 3),
        }
        print(json.dumps(shown), flush=True)
    stored = scipy.sparse.issparse(X)
    numbers = X.nnz if stored else X.size
    size = X.data.nbytes + X.indices.nbytes if stored else X.nbytes
    operations = numbers * ((1 + 2 * CLASSES) if stored else (3 + 3 * CLASSES))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    least = (2 * size / BANDWIDTH + operations / OPERATIONS) / cores
    floor = {"contestant": "floor", "rows": name, "cv_seconds": round(least, 4)}
    print(json.dumps({**floor, "bytes": 2 * size, "operations": operations, "cores": cores}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    rows = given.rows
    compare("dense", GaussianNB(), peers.GaussianNB(), dense(rows), given.repeat)
    data = sparse(max(rows // 5, 1))
    compare("sparse", MultinomialNB(), peers.MultinomialNB(), data, given.repeat)
    return 0


if __name__ == "__main__":
    sys.exit(main())
