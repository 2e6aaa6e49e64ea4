"""A word count as a job of Python functions: Motherlode's local runner, its built-in, mrjob's.

    python -m benchmarks.mapreduce [--mb 200] [--mrjob-python PATH] [--workers 2]

The same job file, but for its import, runs as a script over the same file in the page cache; time
is that of the whole process, with imports, and for the built-in `WordCount` that of the call, the
better of two (`first` also loads or compiles). The counts must be the same. One JSON line a
contestant.

mrjob does not import on Python 3.13; install it for an older one and name that with
`--mrjob-python`. Its local runner uses as many processes as there are processors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.word_count import JOB, text_file

BUILT_IN = """
import json, sys, time
import motherlode as ml
seconds = []
for _ in range(2):
    began = time.perf_counter()
    table = ml.mine(sys.argv[1], ml.WordCount(token="[a-z]+"), workers=int(sys.argv[2])).table
    seconds.append(time.perf_counter() - began)
names = table.column_names
print(json.dumps([seconds, sorted(zip(*(table[name].to_pylist() for name in names)))]))
"""


def digest(counts: list[tuple[str, int]]) -> str:
    return hashlib.blake2b(json.dumps(sorted(counts)).encode(), digest_size=8).hexdigest()


def script(python: str, job: Path, path: Path, *options: str) -> dict[str, Any]:
    """Time a job run as a script."""
    began = time.perf_counter()
    done = subprocess.run(
        [python, str(job), "-r", "local", *options, str(path)],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    pairs = [line.split("\t") for line in done.stdout.splitlines()]
    return {"seconds": seconds, "digest": digest([(json.loads(w), int(n)) for w, n in pairs])}


def built_in(path: Path, workers: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", BUILT_IN, str(path), str(workers)],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    seconds, counts = json.loads(done.stdout)
    found = digest([(word, count) for word, count in counts])
    return {"seconds": min(seconds), "first": round(seconds[0], 3), "digest": found}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mb", type=int, default=200, help="size of the file")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--mrjob-python", help="a Python that can import mrjob")
    options = parser.parse_args(arguments)
    path = text_file(options.mb)
    job = path.parent / "motherlode_word_count.py"
    job.write_text(JOB.replace("from mrjob.job", "from motherlode.mapreduce.job"))
    workers = str(options.workers)
    results = {
        "motherlode, MRJob": script(sys.executable, job, path, "-q", "--workers", workers),
        "motherlode, WordCount": built_in(path, options.workers),
    }
    if options.mrjob_python:
        other = path.parent / "mrjob_word_count.py"
        other.write_text(JOB)
        results["mrjob, local runner"] = script(options.mrjob_python, other, path, "--quiet")
    slowest = list(results.values())[-1]["seconds"] if options.mrjob_python else None
    for name, result in results.items():
        assert result["digest"] == results["motherlode, WordCount"]["digest"], f"{name} differs"
        result["mb_per_s"] = round(path.stat().st_size / 1e6 / result["seconds"], 2)
        if slowest is not None:
            result["times_faster_than_mrjob"] = round(slowest / result["seconds"], 1)
        result["seconds"] = round(result["seconds"], 2)
        print(json.dumps({"contestant": name, **result}))


if __name__ == "__main__":
    main()
