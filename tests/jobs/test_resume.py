import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from motherlode.core.errors import Interrupted, JobError, SourceChangedError
from motherlode.core.events import Event, SplitFinished
from motherlode.jobs import journal
from motherlode.jobs.execute import execute
from motherlode.jobs.interrupt import Stopped
from motherlode.jobs.mine import job_for, mine
from motherlode.jobs.plan import Plan, plan, plan_of
from motherlode.jobs.spec import JobSpec
from motherlode.jobs.store import Job, JobStore
from tests.jobs.small import Drift, Lengths, text_file

SPLITS = {"split_bytes": 1 << 10}


@pytest.fixture(autouse=True)
def keep_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every split kept as soon as it is finished, however short the job."""
    monkeypatch.setattr("motherlode.jobs.checkpoint.SHARE", 1)
    monkeypatch.setattr("motherlode.jobs.checkpoint.GRACE", 0.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return text_file(tmp_path / "lines.txt", lines=2_000)


def planned(source: Path, algorithm: Any, **more: Any) -> Plan:
    return plan(source, algorithm, options=SPLITS, workers=2, **more)


def after(splits: int, act: Callable[[], Any]) -> Callable[[Event], None]:
    """Listen, and act once when so many splits have finished."""
    seen = [0]

    def listen(event: Event) -> None:
        seen[0] += isinstance(event, SplitFinished)
        if seen[0] == splits:
            seen[0] += 1
            act()

    return listen


def broken_off(source: Path, algorithm: Any, splits: int, name: str = "nightly") -> Job:
    """Begin a job and have it fail after so many splits."""

    def fail() -> None:
        raise RuntimeError("power cut")

    ready = planned(source, algorithm)
    job = job_for(ready, name)
    with pytest.raises(RuntimeError):
        execute(ready, job, after(splits, fail))
    return JobStore().open(job.id)


def read(job: Job) -> list[tuple[int, int]]:
    entries = journal.read(job.folder / "journal.jsonl")
    return [(e["pass"], e["split"]) for e in entries if e["event"] == "split"]


@pytest.mark.parametrize(("algorithm", "splits"), [(Lengths(), 17), (Drift(), 40)])
def test_a_failed_job_goes_on_where_it_was(source: Path, algorithm: Any, splits: int) -> None:
    whole = mine(source, algorithm, **SPLITS)
    job = broken_off(source, algorithm, splits)
    assert job.status == "failed"
    before = set(read(job))
    result = mine(source, algorithm, job="nightly", **SPLITS)
    assert result.digest == whole.digest
    assert result.table.equals(whole.table)
    assert result.rows == whole.rows
    again = read(job)[len(before) :]
    assert before
    assert not before & set(again)
    done = JobStore().open(job.id)
    assert done.status == "done"
    assert not done.states.exists()
    assert done.header["name"] == "nightly"
    JobStore().remove(done)


def test_a_finished_name_begins_a_new_job(source: Path) -> None:
    for _ in range(2):
        mine(source, Lengths(), job="twice", **SPLITS)
    jobs = [job for job in JobStore().jobs() if job.header["name"] == "twice"]
    assert [job.status for job in jobs] == ["done", "done"]


def test_the_folder_is_the_owners_only(source: Path) -> None:
    job = broken_off(source, Lengths(), 5, "private")
    assert stat.S_IMODE(job.folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in job.states.iterdir())


def test_a_changed_file_is_named_and_refused(source: Path) -> None:
    broken_off(source, Lengths(), 5, "changed")
    with open(source, "a") as file:
        file.write("one more line\n")
    with pytest.raises(SourceChangedError, match=r"lines\.txt changed since job"):
        mine(source, Lengths(), job="changed", **SPLITS)


def test_files_that_came_or_went_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(3):
        text_file(folder / f"{number}.txt", lines=300, seed=number)
    broken_off(folder, Lengths(), 5, "folder")
    text_file(folder / "3.txt", lines=3)
    with pytest.raises(SourceChangedError, match=r"3\.txt was added since"):
        mine(folder, Lengths(), job="folder", **SPLITS)
    (folder / "3.txt").unlink()
    (folder / "1.txt").unlink()
    with pytest.raises(SourceChangedError, match=r"1\.txt is gone since"):
        mine(folder, Lengths(), job="folder", **SPLITS)


def test_a_file_that_changes_during_the_job_stops_it_and_cannot_be_resumed(source: Path) -> None:
    def rewrite() -> None:
        os.utime(source, ns=(1, 1))

    ready = planned(source, Lengths())
    with pytest.raises(SourceChangedError, match=r"lines\.txt"):
        execute(ready, job_for(ready, "moving"), after(3, rewrite))
    with pytest.raises(SourceChangedError, match=r"lines\.txt"):
        mine(source, Lengths(), job="moving", **SPLITS)


def test_another_request_is_refused_in_the_users_words(source: Path) -> None:
    broken_off(source, Lengths(), 5, "request")
    with pytest.raises(JobError, match=r"parameters = .*'scale': 1.*not .*'scale': 2"):
        mine(source, Lengths(2), job="request", **SPLITS)
    with pytest.raises(JobError, match="where = None, not text <> ''"):
        mine(source, Lengths(), job="request", where="text <> ''", **SPLITS)
    with pytest.raises(JobError, match="algorithm = Lengths, not Drift"):
        mine(source, Drift(), job="request", **SPLITS)


def test_changed_code_is_refused(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_off(source, Lengths(), 5, "code")
    monkeypatch.setattr("motherlode.jobs.plan.code_digest", lambda _: "0000")
    with pytest.raises(JobError, match="the code of Lengths changed since job"):
        mine(source, Lengths(), job="code", **SPLITS)


def test_other_workers_and_memory_may_go_on(source: Path) -> None:
    whole = mine(source, Drift(), **SPLITS)
    for splits in (5, 40):
        # Drift starts from the memory it is given: what it started from has to be kept.
        broken_off(source, Drift(), splits, "moved")
        again = mine(source, Drift(), job="moved", workers=1, memory="64MB", **SPLITS)
        assert again.digest == whole.digest


def test_a_job_that_another_process_runs_is_refused(source: Path) -> None:
    job = broken_off(source, Lengths(), 5, "held")
    hold = (
        "import fcntl, os, sys\n"
        "lock = open(sys.argv[1], 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('elsewhere', os.getpid(), end='', file=lock, flush=True)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(job.folder / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert JobStore().open(job.id).status == "running"
        with pytest.raises(JobError, match=f"run by process {holder.pid} on elsewhere"):
            mine(source, Lengths(), job="held", **SPLITS)
        with pytest.raises(JobError, match="is running"):
            JobStore().remove(job)
        with pytest.raises(JobError, match="has not stopped yet"):
            JobStore().cancel(job, wait=0.1)
        holder.kill()
    assert JobStore().open(job.id).status == "failed"
    with open(job.folder / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_ctrl_c_keeps_what_is_finished(source: Path) -> None:
    ready = planned(source, Lengths())
    job = job_for(ready, "interrupted")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Stopped, match=f"motherlode jobs resume {job.id}"):
        execute(ready, job, after(20, lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert signal.getsignal(signal.SIGINT) is before
    assert JobStore().open(job.id).status == "stopped"
    finished = set(read(job))
    whole = mine(source, Lengths(), **SPLITS)
    assert mine(source, Lengths(), job="interrupted", **SPLITS).digest == whole.digest
    assert len(finished) >= 20
    assert len(read(job)) == len(set(read(job))) == len(ready.data.splits)


def test_a_running_job_is_cancelled_from_elsewhere(source: Path) -> None:
    ready = planned(source, Lengths())
    job = job_for(ready, "unwanted")
    caught: list[BaseException] = []
    begun = threading.Event()

    def slow(event: Event) -> None:
        begun.set()
        time.sleep(0.02)

    def work() -> None:
        try:
            execute(ready, job, slow)
        except BaseException as error:
            caught.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    assert begun.wait(10)
    JobStore().cancel(JobStore().open(job.id), wait=10)
    worker.join(10)
    assert isinstance(caught[0], Interrupted)
    assert "cancelled" in str(caught[0])
    cancelled = JobStore().open(job.id)
    assert cancelled.status == "cancelled"
    assert not cancelled.states.exists()
    with pytest.raises(JobError, match="is cancelled already"):
        JobStore().cancel(cancelled)


def test_a_job_that_fell_over_is_cancelled_too(source: Path) -> None:
    job = broken_off(source, Lengths(), 5, "given up")
    JobStore().cancel(job)
    assert JobStore().open(job.id).status == "cancelled"
    assert JobStore().unfinished("given up") is None


def test_a_full_disk_leaves_the_job_to_be_resumed(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise JobError("cannot write it: the disk is full", "make room and run it again")

    whole = mine(source, Lengths(), **SPLITS)
    ready = planned(source, Lengths())
    job = job_for(ready, "full")
    with monkeypatch.context() as patch:
        ruin = after(20, lambda: patch.setattr("motherlode.jobs.checkpoint.write_file", full))
        with pytest.raises(JobError, match=f"disk is full; .*motherlode jobs resume {job.id}"):
            execute(ready, job, ruin)
    finished = set(read(job))
    assert JobStore().open(job.id).status == "failed"
    assert mine(source, Lengths(), job="full", **SPLITS).digest == whole.digest
    assert len(finished - set(read(job)[len(finished) :])) >= 15


def test_an_output_that_cannot_be_written_leaves_the_job_to_be_resumed(source: Path) -> None:
    def fail(outcome: Any) -> None:
        raise JobError("cannot write out.csv: the disk is full", "make room")

    job = job_for(planned(source, Lengths()), "output")
    with pytest.raises(JobError, match=f"make room, then: motherlode jobs resume {job.id}"):
        execute(planned(source, Lengths()), job, deliver=fail)
    count = len(read(job))
    assert JobStore().open(job.id).status == "failed"
    mine(source, Lengths(), job="output", **SPLITS)
    assert len(read(job)) == count


def test_a_job_that_ends_while_it_is_cancelled_is_done(source: Path) -> None:
    ready = planned(source, Lengths())
    job = job_for(ready, "too late")
    seen = JobStore().open(job.id)
    assert seen.status == "broken off"
    execute(ready, job)
    with pytest.raises(JobError, match="was done before it could be cancelled"):
        JobStore().cancel(seen)


def test_secrets_of_a_store_are_not_told(source: Path) -> None:
    ready = plan(source, Lengths(), options={"storage_options": {"secret": "hush"}})
    assert ready.asked["options"] == {"storage_options": ["secret"]}
    assert ready.spec is None


def test_a_job_from_python_that_a_file_could_describe_is_resumed_anywhere(source: Path) -> None:
    job = broken_off(source, "ValueCounts", 7, "named")
    kept = job.header["spec"]
    assert (kept["algorithm"], kept["source"]) == ("ValueCounts", [str(source)])
    assert kept["options"] == {"split_bytes": 1024}
    again = execute(plan_of(JobSpec.of(kept, Path("/"), "the job")), JobStore().open(job.id))
    assert again.result.digest == mine(source, "ValueCounts").digest
    assert len(read(job)) == len(set(read(job)))
    assert planned(source, Lengths()).spec is None
    assert planned(source, "Count", where=pl.col("text") != "").spec is None
    assert plan({"x": [1]}, "Count").spec is None
