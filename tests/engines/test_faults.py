"""Processes of real clusters are killed in mid-job: the same answer, nothing counted twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import motherlode as ml
from motherlode.core.errors import EngineError
from motherlode.core.events import SplitFailed, SplitFinished
from motherlode.data import dataset
from motherlode.jobs import journal
from motherlode.jobs.store import JobStore
from motherlode.runtime import run
from tests.engines import drive
from tests.engines.clusters import ROOT, wait_for

pytestmark = [pytest.mark.xdist_group("clusters"), pytest.mark.timeout(400)]

MARK = "line 1500 "
"""Begins the line at which something is killed."""


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {n} of {n % 7}\n" for n in range(3_000)))
    return path


def ancestor(generations):
    """Number of the process so many generations above this one."""
    pid = os.getpid()
    for _ in range(generations):
        stat = Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return pid


def killing(flag, generations, *, spared=""):
    """Return a step that once, at the marked line, kills a process above its own.

    ``spared`` names a Ray node on which it does not.
    """

    def strike(frame):
        if frame.height and frame["text"].str.starts_with(MARK).any() and not os.path.exists(flag):
            if spared:
                import ray

                if ray.get_runtime_context().get_node_id() == spared:
                    return frame
            Path(flag).touch()
            os.kill(ancestor(generations), signal.SIGKILL)
            time.sleep(20)
        return frame

    return strike


def mined(text, step, engine, **options):
    told = []
    data = dataset(text, split_bytes=drive.SPLIT_BYTES).map_batches(step)
    result = run(ml.WordCount(), data, on=engine, listener=told.append, **options)
    assert result.digest == run(ml.WordCount(), text).digest
    assert result.rows.used == 3_000
    finished = [event for event in told if isinstance(event, SplitFinished)]
    assert sum(event.splits for event in finished) == len(data.splits)
    return [event for event in told if isinstance(event, SplitFailed)]


@pytest.mark.parametrize(
    ("process", "generations"), [("Python worker", 0), ("executor", 2), ("worker", 3)]
)
def test_spark_loses(spark, text, tmp_path, process, generations):
    flag = tmp_path / "killed"
    repeated = mined(text, killing(str(flag), generations), spark)
    assert flag.exists()
    assert repeated
    assert "lost" in repeated[0].reason


@pytest.mark.parametrize(("process", "generations"), [("worker", 0), ("node", 1)])
def test_ray_loses(ray, text, tmp_path, process, generations):
    import ray as library

    flag = tmp_path / "killed"
    head = library.get_runtime_context().get_node_id() if process == "node" else ""

    def everywhere(frame):
        """Strike at any line, as the marked one may be read on the node that is spared."""
        renamed = frame.with_columns(text=MARK + frame["text"]) if head else frame
        strike(renamed)
        return frame

    strike = killing(str(flag), generations, spared=head)
    repeated = mined(text, everywhere, ray)
    assert flag.exists()
    assert repeated
    assert "lost" in repeated[0].reason


@pytest.mark.parametrize("name", ["spark", "ray"])
def test_the_split_that_kills_its_workers_is_named(request, text, name):
    engine = request.getfixturevalue(name)

    def poison(frame):
        if frame.height and frame["text"].str.starts_with(MARK).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return frame

    data = dataset(text, split_bytes=drive.SPLIT_BYTES)
    guilty = [
        split.number
        for split in data.splits
        if any(batch.frame()["text"].str.starts_with(MARK).any() for batch in data.batches(split))
    ]
    with pytest.raises(EngineError, match=rf"split {guilty[0]} failed 2 times, last on .*/"):
        run(ml.Count(), data.map_batches(poison), on=engine, retries=1)
    assert run(ml.Count(), data, on=engine).rows.used == 3_000


def entries(name):
    found = [job for job in JobStore().jobs() if job.header["name"] == name]
    return journal.read(found[-1].folder / "journal.jsonl") if found else []


def begun(driver, name):
    return driver.poll() is not None or any(e["event"] == "state" for e in entries(name))


def splits_done(events):
    return sum(event.get("splits", 1) for event in events if event["event"] == "split")


@pytest.mark.parametrize("name", ["spark", "ray"])
def test_a_killed_driver_is_resumed(request, text, name):
    engine = request.getfixturevalue(name)
    cluster = request.getfixturevalue(f"{name}_cluster")
    options = {"conf": cluster.settings} if name == "spark" else cluster.options
    if name == "spark":
        cluster.add_worker()  # the engine of the tests has taken the others
    program = "from tests.engines import drive; drive.main()"
    driver = subprocess.Popen(
        [sys.executable, "-c", program, cluster.url, json.dumps(options), str(text), name],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: begun(driver, name), "a kept state")
        assert driver.poll() is None
    finally:
        driver.kill()
        driver.wait()
    before = len(entries(name))
    result = drive.mined(text, name, engine)
    assert result.digest == run(ml.WordCount(), text).digest
    assert result.rows.used == 3_000
    after = entries(name)[before:]
    (resumed,) = (entry for entry in after if entry["event"] == "pass")
    assert 0 < resumed["kept"] < resumed["splits"]
    assert splits_done(after) == resumed["splits"] - resumed["kept"]
