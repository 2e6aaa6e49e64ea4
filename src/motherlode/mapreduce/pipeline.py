"""The pipeline: a job's steps as stages, one after another, with a shuffle in between."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from motherlode.core.errors import UsageError
from motherlode.data import Dataset
from motherlode.mapreduce.stage import PAIR_SCHEMA, Counters, Output, Stage, added
from motherlode.mapreduce.step import MRStep
from motherlode.runtime.run import run
from motherlode.runtime.shuffle import PARTITION_BYTES
from motherlode.runtime.spill import Segment, ShuffledSource

MOST_PARTITIONS = 64


@dataclass(slots=True)
class Finished:
    """What a job wrote and counted.

    Parameters
    ----------
    lines : list of Segment
        Where the output lines are, in order.
    counters : list of dict
        For each step, counts by group and name.
    """

    lines: list[Segment]
    counters: list[Counters] = field(default_factory=list)


def check_steps(steps: Sequence[MRStep]) -> None:
    """Raise :class:`UsageError` if the steps cannot follow each other."""
    for number, step in enumerate(steps):
        if number and step.mapper.raw is not None:
            raise UsageError(f"step {number + 1} has a mapper_raw", "only the first step may")
        if number < len(steps) - 1 and not step.shuffles:
            raise UsageError(
                f"step {number + 1} of {len(steps)} has no reducer",
                "join its mapper to the next step's, or give it a reducer",
            )


def execute(
    job: Any, data: Dataset, folder: str, partitions: int | None = None, **options: Any
) -> Finished:
    """Run all stages of a job.

    Parameters
    ----------
    job : object
        As :class:`~motherlode.mapreduce.stage.Stage` takes it.
    data : Dataset
        The input.
    folder : str
        Where runs are written; the caller removes it when the output has been read.
    partitions : int, optional
        Reducers of each step; by default one for each 64 MiB of input.
    **options
        As :func:`motherlode.runtime.run` takes them.
    """
    steps = job.steps()
    check_steps(steps)
    size = sum(split.nbytes for split in data.splits)
    count = partitions or min(MOST_PARTITIONS, max(1, -(-size // PARTITION_BYTES)))
    by = ("key", "value") if job.sort_values() else ("key",)
    stages = len(steps) + 1 if steps[-1].shuffles else len(steps)
    counters: list[Counters] = [{} for _ in steps]
    output = Output([])
    for number in range(stages):
        where = os.path.join(folder, f"stage-{number}")
        stage = Stage(job, number, count, where)
        output = run(stage, data, **options).value
        for step, counted in output.counters.items():
            counters[int(step)] = added(counters[int(step)], counted)
        shuffled = ShuffledSource(output.segments, PAIR_SCHEMA.columns, by, count, True, where)
        data = Dataset(shuffled)
    return Finished(output.segments, counters)
