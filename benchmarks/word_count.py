"""Words counted in a text file: Motherlode, Polars, DuckDB, mrjob.

    python -m benchmarks.word_count [--mb 1000] [--mrjob-python PATH]

Every contestant reads the same file, lower-cases it and counts the runs of `[a-z]`, in a process of
its own with the file in the page cache; time is from the path to the counts, the best of the
repeats, without imports; processor time of all threads beside it, for machines that are not idle.
The counts must be the same. One JSON line a contestant is printed, and first the floor: what
reading the bytes alone takes, and how many words there are.

mrjob does not import on Python 3.13 and is dead; to measure its local runner, install it for an
older Python and name that with `--mrjob-python`. It runs on the first 16 MB only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DATA = Path(
    os.environ.get("MOTHERLODE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
BOOKS = ("shakespeare_collected-works", "republic")
SLICE_MB = 16  # of the file, for mrjob

JOB = """
import re
from mrjob.job import MRJob

class WordCount(MRJob):
    def mapper(self, _, line):
        for word in re.findall("[a-z]+", line.lower()):
            yield word, 1

    def combiner(self, word, counts):
        yield word, sum(counts)

    def reducer(self, word, counts):
        yield word, sum(counts)

if __name__ == "__main__":
    WordCount.run()
"""


def random_words(chance: np.random.Generator, count: int) -> list[str]:
    """Return words of 3 to 11 random letters."""
    lengths = chance.integers(3, 12, count).tolist()
    letters = chance.integers(97, 123, sum(lengths)).astype(np.uint8).tobytes().decode()
    ends = np.cumsum(lengths).tolist()
    return [letters[end - length : end] for length, end in zip(lengths, ends, strict=True)]


def made_up(megabytes: int) -> Iterator[bytes]:
    """Yield lines of some ten words, drawn by Zipf's law from a vocabulary of 100,000."""
    chance = np.random.default_rng(7)
    words = random_words(chance, 100_000)
    forms = [f"{w} " for w in words] + [f"{w}, " for w in words]
    forms += [f"{w.capitalize()} " for w in words] + [f"{w}.\n" for w in words]
    vocabulary = pa.array(forms, pa.large_string())
    weights = np.cumsum(1 / np.arange(1, len(words) + 1))
    left = megabytes * 10**6
    while left > 0:
        rank = np.searchsorted(weights, chance.random(1_000_000) * weights[-1])
        form = chance.choice(4, len(rank), p=[0.75, 0.08, 0.07, 0.1])
        drawn = vocabulary.take(pa.array(form * len(words) + rank))
        block = memoryview(drawn.buffers()[2])[: pc.sum(pc.binary_length(drawn)).as_py()]
        yield bytes(block)
        left -= len(block)
    yield b"\n"


def from_books(folder: Path, megabytes: int) -> Iterator[bytes]:
    """Yield copies of the books, each with 400 words of its own strewn in."""
    chance = np.random.default_rng(1)
    lines = [
        line
        for book in BOOKS
        for line in (folder / "texts" / f"{book}.txt").read_text(encoding="utf-8").split("\n")
    ]
    left = megabytes * 10**6
    while left > 0:
        copy = list(lines)
        for place, word in zip(
            chance.integers(0, len(copy), 400).tolist(), random_words(chance, 400), strict=True
        ):
            copy[place] += f" {word}"
        block = ("\n".join(copy) + "\n").encode()
        yield block
        left -= len(block)


def text_file(megabytes: int) -> Path:
    """Return the file to be counted; it is made once and kept in the temporary folder."""
    books = (DATA / "texts").is_dir()
    folder = Path(tempfile.gettempdir()) / "motherlode-benchmarks"
    folder.mkdir(exist_ok=True)
    path = folder / f"words-{'books' if books else 'zipf'}-{megabytes}.txt"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            for block in from_books(DATA, megabytes) if books else made_up(megabytes):
                file.write(block)
        unfinished.rename(path)
    return path


def with_motherlode(path: str) -> pa.Table:
    import motherlode as ml

    return ml.mine(path, ml.WordCount(token="[a-z]+")).table


def with_polars(path: str) -> pa.Table:
    import polars as pl

    words = pl.col("line").str.to_lowercase().str.extract_all("[a-z]+").alias("word")
    counts = (
        pl.scan_lines(path)
        .select(words)
        .explode("word")
        .drop_nulls()
        .group_by("word")
        .agg(pl.len().alias("count"))
    )
    return counts.collect(engine="streaming").to_arrow()


def with_polars_split(path: str) -> pa.Table:
    import polars as pl

    lowered = pl.col("line").str.to_lowercase()
    words = lowered.str.replace_all("[^a-z]+", " ").str.split(" ").alias("word")
    counts = (
        pl.scan_lines(path)
        .select(words)
        .explode("word")
        .filter(pl.col("word") != "")
        .group_by("word")
        .agg(pl.len().alias("count"))
    )
    return counts.collect(engine="streaming").to_arrow()


def with_duckdb(path: str, words: str = "regexp_extract_all(lower(line), '[a-z]+')") -> pa.Table:
    import duckdb

    lines = (
        f"read_csv('{path}', columns={{'line': 'VARCHAR'}}, header=false, auto_detect=false, "
        "delim=chr(1), quote='', escape='', strict_mode=false)"
    )
    query = f"""
        SELECT word, count(*) AS count
        FROM (SELECT unnest({words}) AS word FROM {lines})
        WHERE word <> '' GROUP BY word
    """
    found: pa.Table = duckdb.connect().sql(query).to_arrow_table()
    return found


def with_duckdb_split(path: str) -> pa.Table:
    return with_duckdb(path, "string_split_regex(lower(line), '[^a-z]+')")


CONTESTANTS: dict[str, Callable[[str], pa.Table]] = {
    "motherlode": with_motherlode,
    "polars": with_polars,
    "polars, split": with_polars_split,
    "duckdb": with_duckdb,
    "duckdb, split": with_duckdb_split,
}


def answer(table: pa.Table) -> dict[str, Any]:
    """Return what must be the same for all: words, distinct words, a digest of the counts."""
    word = table["word"].combine_chunks().cast(pa.large_string())
    count = table["count"].combine_chunks().cast(pa.int64())
    order = pc.sort_indices(word)
    digest = hashlib.blake2b(digest_size=8)
    digest.update("\n".join(word.take(order).to_pylist()).encode())
    digest.update(count.take(order).to_numpy().tobytes())
    words = int(pc.sum(count).as_py() or 0)
    return {"words": words, "distinct": len(word), "digest": digest.hexdigest()}


def measure(name: str, path: str, repeats: int) -> dict[str, Any]:
    """Time one contestant in this process."""
    seconds, processor = [], []
    for _ in range(repeats):
        begin, used = time.perf_counter(), time.process_time()
        table = CONTESTANTS[name](path)
        seconds.append(time.perf_counter() - begin)
        processor.append(time.process_time() - used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    times = {"seconds": min(seconds), "first": seconds[0], "cpu_seconds": min(processor)}
    return {**times, "peak_mb": peak, **answer(table)}


def apart(name: str, path: Path, repeats: int) -> dict[str, Any]:
    """Time one contestant in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.word_count", "--only", name]
    command += ["--file", str(path), "--repeats", str(repeats)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def floor(path: Path, workers: int = 2) -> float:
    """Return the seconds that reading the file takes, by two threads."""
    size = path.stat().st_size

    def read(part: int) -> None:
        block = bytearray(1 << 20)
        with path.open("rb", buffering=0) as file:
            file.seek(size * part // workers)
            left = size * (part + 1) // workers - size * part // workers
            while left > 0 and (got := file.readinto(block)):
                left -= got

    best = []
    for _ in range(3):
        begin = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(read, range(workers)))
        best.append(time.perf_counter() - begin)
    return min(best)


def with_mrjob(python: str, path: Path) -> tuple[Path, dict[str, Any]]:
    """Time mrjob's local runner on the beginning of the file; return that beginning too."""
    part = path.with_name(f"{path.stem}-slice.txt")
    with path.open("rb") as file:
        part.write_bytes(file.read(SLICE_MB * 10**6) + file.readline())
    job = path.parent / "mrjob_word_count.py"
    job.write_text(JOB)
    begin = time.perf_counter()
    done = subprocess.run(
        [python, str(job), "-r", "local", "--quiet", str(part)],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    pairs = [line.split("\t") for line in done.stdout.splitlines()]
    words = [json.loads(word) for word, _ in pairs]
    table = pa.table({"word": words, "count": [int(count) for _, count in pairs]})
    return part, {"seconds": seconds, "first": seconds, **answer(table)}


def line(name: str, nbytes: int, result: dict[str, Any]) -> dict[str, Any]:
    """Return what is printed of a contestant."""
    speed = nbytes / 1e6 / result["seconds"]
    shown = {"contestant": name, "mb_per_s": round(speed, 1)}
    shown |= {
        key: round(result[key], 3) for key in ("seconds", "first", "cpu_seconds") if key in result
    }
    shown |= {
        key: result[key] for key in ("peak_mb", "words", "distinct", "digest") if key in result
    }
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mb", type=int, default=1000, help="size of the file")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--mrjob-python", help="a Python that can import mrjob")
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.only:
        print(json.dumps(measure(options.only, options.file, options.repeats)))
        return
    path = text_file(options.mb)
    nbytes = path.stat().st_size
    lines = []
    for name in CONTESTANTS:
        repeats = options.repeats + (name == "motherlode")  # its first also compiles or loads
        lines.append(line(name, nbytes, apart(name, path, repeats)))
    ours = lines[0]
    reading = floor(path)
    print(json.dumps({
        "contestant": "floor", "bytes": nbytes, "words": ours["words"],
        "distinct": ours["distinct"], "mb_per_s": round(nbytes / 1e6 / reading, 1),
        "seconds": round(reading, 3),
        "operations": "read every byte; a hash, a look-up and an addition a word",
    }))  # fmt: skip
    for each in lines:
        assert each["digest"] == ours["digest"], f"{each['contestant']} counts otherwise"
        each["times_motherlode"] = round(each["seconds"] / ours["seconds"], 2)
        each["times_cpu"] = round(each["cpu_seconds"] / ours["cpu_seconds"], 2)
        print(json.dumps(each))
    if options.mrjob_python:
        part, result = with_mrjob(options.mrjob_python, path)
        size = part.stat().st_size
        small = apart("motherlode", part, options.repeats + 1)
        each = line("mrjob, local runner", size, result)
        assert each["digest"] == small["digest"], "mrjob counts otherwise"
        each["bytes"] = size
        each["times_motherlode"] = round(result["seconds"] / small["seconds"], 2)
        each["seconds_for_all"] = round(result["seconds"] * nbytes / size)
        print(json.dumps(each))


if __name__ == "__main__":
    main()
