"""What a driver of its own runs on a cluster, to be killed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

import motherlode as ml
from motherlode.data import Dataset, dataset

SPLIT_BYTES = 1_500


def unhurried(frame: pl.DataFrame) -> pl.DataFrame:
    """Take a while for each split."""
    if frame.height:
        time.sleep(0.15)
    return frame


def lines(path: str | Path) -> Dataset:
    return dataset(path, split_bytes=SPLIT_BYTES).map_batches(unhurried)


def mined(path: str | Path, name: str, on: Any) -> Any:
    return ml.mine(lines(path), ml.WordCount(), job=name, on=on, progress=False)


def main() -> None:
    url, options, text, job = sys.argv[1:]
    mined(text, job, ml.engine(url, **json.loads(options)))
