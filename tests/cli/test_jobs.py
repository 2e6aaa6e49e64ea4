import re
from pathlib import Path
from typing import Any

import pytest

from motherlode.jobs.execute import execute
from motherlode.jobs.mine import job_for, mine
from motherlode.jobs.plan import plan_of
from motherlode.jobs.spec import JobSpec
from motherlode.jobs.store import Job, JobStore
from tests.cli.test_mine import run
from tests.jobs.small import Lengths, text_file
from tests.jobs.test_resume import after


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERLODE_HOME", str(tmp_path / "home"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return text_file(tmp_path / "lines.txt", lines=1_000)


def half_done(source: Path) -> Job:
    def fail() -> None:
        raise RuntimeError("power cut")

    values = {
        "source": str(source),
        "algorithm": "ValueCounts",
        "options": {"split_bytes": 1 << 10},
        "output": str(source.with_name("out.csv")),
    }
    ready = plan_of(JobSpec.of(values, Path("/"), "test"))
    job = job_for(ready, True)
    with pytest.raises(RuntimeError):
        execute(ready, job, after(7, fail))
    return job


def test_there_are_none() -> None:
    assert "there are no jobs in" in run("jobs", "list").stderr
    shown = run("jobs", "show", "latest")
    assert shown.exit_code == 2
    assert "unknown job 'latest'; there are no jobs" in shown.stderr


def test_a_finished_job_is_listed_and_shown_with_its_answer(source: Path) -> None:
    run("mine", "ValueCounts", source, "--where", "text < 'w2'")
    (job,) = JobStore().jobs()
    assert re.fullmatch(r"\d{8}-\d{6}-valuecounts-[0-9a-f]{4}", job.id)
    head, line = run("jobs", "list").stdout.splitlines()
    assert head.split() == ["job", "status", "splits", "rows", "time", "size", "source"]
    assert line.split()[:4] == [job.id, "done", "1/1", "1,000"]
    assert line.endswith("  lines.txt")
    shown = run("jobs", "show", job.id[-4:]).stdout
    for part in ("algorithm   ValueCounts", "where       text < 'w2'", "1,000 read: ", "digest"):
        assert part in shown
    assert shown.split("\n\n")[1].splitlines()[0].split() == ["text", "count"]


def test_a_failed_job_is_resumed_and_writes_its_output(source: Path) -> None:
    job = half_done(source)
    shown = run("jobs", "show", "latest")
    assert "RuntimeError('power cut')" in shown.stdout
    assert f"go on with: motherlode jobs resume {job.id}" in shown.stderr
    done = run("jobs", "resume", "latest")
    assert done.exit_code == 0, done.stderr
    assert "wrote" in done.stderr
    whole = mine(source, "ValueCounts")
    assert len(source.with_name("out.csv").read_text().splitlines()) == whole.table.num_rows + 1
    assert whole.digest in run("jobs", "show", "latest").stdout
    again = run("jobs", "resume", "latest")
    assert again.exit_code == 1
    assert f"job {job.id} is done" in again.stderr


def test_cancelled_is_cancelled(source: Path) -> None:
    job = half_done(source)
    assert run("jobs", "cancel", job.id).stderr == f"cancelled {job.id}\n"
    assert run("jobs", "list").stdout.splitlines()[1].split()[1] == "cancelled"
    assert run("jobs", "resume", job.id).exit_code == 1


def test_jobs_are_deleted(source: Path) -> None:
    for _ in range(2):
        run("mine", "Count", source)
    kept = half_done(source)
    assert run("jobs", "rm").exit_code == 2
    assert run("jobs", "rm", "--finished").stderr == "deleted 2 jobs\n"
    assert [job.id for job in JobStore().jobs()] == [kept.id]
    assert run("jobs", "rm", kept.id).stderr == "deleted 1 job\n"
    assert JobStore().jobs() == []


def test_a_job_from_python_is_resumed_there(source: Path) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    mine(source, Lengths(), job="mine")
    job = JobStore().jobs()[-1]
    (job.folder / "journal.jsonl").write_text(
        "".join(
            line + "\n"
            for line in (job.folder / "journal.jsonl").read_text().splitlines()
            if '"done"' not in line
        )
    )
    said = run("jobs", "resume", job.id)
    assert said.exit_code == 1
    assert "call mine() again there with job='mine'" in said.stderr


def test_which_of_several(source: Path) -> None:
    for _ in range(2):
        run("mine", "Count", source)
    said = run("jobs", "show", "20")
    assert said.exit_code == 2
    assert "2 jobs fit '20'" in said.stderr


def test_a_damaged_job_is_listed_and_can_be_deleted(source: Path) -> None:
    run("mine", "Count", source)
    (job,) = JobStore().jobs()
    path = job.folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"event":"started"', b'"event" "started"'))
    assert run("jobs", "list").stdout.splitlines()[1].split()[:2] == [job.id, "damaged"]
    shown = run("jobs", "show", job.id)
    assert shown.exit_code == 1
    assert "is damaged in line 2" in shown.stderr
    assert mine(source, "Count", job="again").rows.used == 1_000
    path.write_bytes(b'{"half a li')
    assert run("jobs", "list").stdout.splitlines()[1].split()[:2] == [job.id, "damaged"]
    assert run("jobs", "rm", job.id).exit_code == 0
