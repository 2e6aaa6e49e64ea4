"""A program for the kill tests: forks drivers, kills them at random moments, and resumes them.

Everything is imported once; then each driver is a fork, so that a trial takes a fraction of a
second. It prints one line of JSON a trial; the test that starts it judges them.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import motherlode as ml
from motherlode.jobs import checkpoint, journal
from motherlode.jobs.plan import plan
from motherlode.jobs.store import JobStore
from tests.jobs.small import Drift, Lengths


def drive(source: Path, name: str, algorithm: Any) -> str:
    """Run or resume the job of a name; return the digest of its state."""
    options = {"split_bytes": 1 << 10}
    return ml.mine(source, algorithm, job=name, workers=2, progress=False, **options).digest


def forked(source: Path, name: str, algorithm: Any, patience: float | None) -> str:
    """Drive in a fork that is killed when patience ends; return the digest, or nothing."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        try:
            os.write(writable, drive(source, name, algorithm).encode())
        finally:
            os._exit(0)
    os.close(writable)
    if patience is not None:
        time.sleep(patience)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(readable) as pipe:
        digest = pipe.read()
    os.waitpid(child, 0)
    return digest


def entries(name: str) -> list[dict[str, Any]]:
    """Journal entries of the job of a name."""
    for job in reversed(JobStore().jobs()):
        if job.header["name"] == name:
            return journal.read(job.folder / "journal.jsonl")
    return []


def trial(source: Path, number: int, algorithm: Any, seconds: float, chance: random.Random) -> Any:
    """Kill a driver at a random moment, once or twice, then let it end."""
    name = f"trial-{number}"
    kills = [chance.uniform(0.0, seconds) for _ in range(chance.choice((1, 1, 2)))]
    digest = ""
    for patience in kills:
        digest = digest or forked(source, name, algorithm, patience)
    before = len(entries(name))
    digest = digest or forked(source, name, algorithm, None)
    return {
        "algorithm": type(algorithm).__name__,
        "kills": [round(patience, 3) for patience in kills],
        "digest": digest,
        "before": before,
        "entries": entries(name),
    }


def warm_up(source: Path) -> None:
    """Import what a driver imports on its way, so that its forks need not."""
    plan(source, Lengths(), where="text <> ''")
    for algorithm in (Lengths(), Drift()):
        ml.mine({"text": ["a", "b"]}, algorithm, job=True, workers=1, progress=False)


def main() -> None:
    source, trials, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)
    algorithms = [Lengths(), Drift()]
    warm_up(source)
    checkpoint.GRACE, checkpoint.SHARE = 0.0, 3  # the jobs are short
    measured = []
    for algorithm in algorithms:
        began = time.perf_counter()
        digest = forked(source, f"whole-{type(algorithm).__name__}", algorithm, None)
        measured.append((digest, time.perf_counter() - began))
        print(json.dumps({"algorithm": type(algorithm).__name__, "whole": digest}), flush=True)
    for number in range(trials):
        which = number % len(algorithms)
        print(
            json.dumps(trial(source, number, algorithms[which], measured[which][1], chance)),
            flush=True,
        )


if __name__ == "__main__":
    main()
