"""Who folds what on a Ray cluster, without one."""

from __future__ import annotations

import pytest

from motherlode.data.source import Split
from motherlode.engines import ray_shift
from motherlode.engines.ray_crew import Member
from motherlode.engines.ray_shift import Job, Shift


def split(number):
    return Split(number, "here", number, number + 1, "rows")


def chunks(count, size=1):
    return [[split(k * size + i) for i in range(size)] for k in range(count)]


@pytest.fixture
def two():
    return [Member(None, "node", name) for name in ("a", "b")]


def begin(shift, member):
    """Give a worker its next chunk; return the job, or None."""
    chunk = shift.next(member)
    if chunk is None:
        return None
    job = Job(chunk, object(), None, member)
    shift.begin(job)
    return job


def begin_all(shift, members):
    return [job for m in members for job in iter(lambda m=m: begin(shift, m), None)]


def test_all_chunks_are_folded_once_and_a_worker_has_two_ahead(two):
    shift = Shift(chunks(7), {}, two)
    done = []
    while not shift.over:
        begin_all(shift, two)
        assert all(member.load <= ray_shift.AHEAD for member in two)
        job = next(iter(shift.under_way.values()))
        assert shift.end(job)
        done.append(job.key[0])
    assert sorted(done) == list(range(7))
    assert [member.load for member in two] == [0, 0]


def test_a_worker_gets_what_it_had_in_the_pass_before(two):
    places = {}
    first = Shift(chunks(8), places, two)
    while not first.over:
        begin_all(first, two)
        for job in list(first.under_way.values()):
            first.end(job)
    owners = dict(places)
    assert {member.name for member in owners.values()} == {"a", "b"}
    second = Shift(chunks(8), places, two)
    while not second.over:
        for job in begin_all(second, two):
            assert job.member is owners[job.key[0]]
        for job in list(second.under_way.values()):
            second.end(job)


def test_an_idle_worker_takes_what_another_has_waiting(two):
    places = dict.fromkeys(range(6), two[0])
    shift = Shift(chunks(6), places, two)
    begin_all(shift, two[:1])
    assert begin(shift, two[1]).key == (2, False)
    assert begin(shift, two[1]) is None


def test_what_a_lost_worker_had_is_free(two):
    places = dict.fromkeys(range(4), Member(None, "node", "lost"))
    shift = Shift(chunks(4), places, two)
    assert len(begin_all(shift, two)) == 4


class TestLosses:
    def test_the_chunk_at_hand_is_blamed_and_the_next_put_back(self, two):
        shift = Shift(chunks(2), {}, two[:1])
        at, ahead = begin_all(shift, two[:1])
        assert shift.jobs_of(two[0]) == [at, ahead]
        assert shift.end(at, lost=True)
        shift.put_back(ahead)
        assert not shift.over
        assert begin(shift, two[1]).splits == ahead.splits

    def test_an_outcome_counts_once(self, two, monkeypatch):
        monkeypatch.setattr(ray_shift, "LATE_SECONDS", 0.0)
        shift = Shift(chunks(1), {}, two)
        slow = begin(shift, two[0])
        assert shift.late() == [slow]
        double = Job(slow.splits, object(), None, two[1])
        shift.begin(double)
        assert shift.late() == []
        assert shift.end(double)
        assert shift.over
        assert shift.late() == []
        assert not shift.end(slow)

    def test_a_loss_counts_when_its_double_is_lost_too(self, two):
        shift = Shift(chunks(1), {}, two)
        first = begin(shift, two[0])
        double = Job(first.splits, object(), None, two[1])
        shift.begin(double)
        assert not shift.end(first, lost=True)
        assert not shift.over
        assert shift.end(double, lost=True)
        assert shift.over


class TestGathering:
    def test_eight_siblings_are_merged_when_the_last_has_come(self, two):
        shift = Shift(chunks(12, size=2), {}, two)
        gathered = {}
        while not shift.over:
            for job in begin_all(shift, two):
                shift.end(job)
                if jobs := shift.gather(job, more=True):
                    gathered[job.key[0]] = [each.key[0] for each in jobs]
        assert [sorted(keys) for keys in gathered.values()] == [
            list(range(0, 16, 2)), list(range(16, 24, 2)),
        ]  # fmt: skip

    def test_small_and_lost_ones_are_not_waited_for(self, two):
        shift = Shift(chunks(3), {}, two)
        jobs = begin_all(shift, two)
        shift.end(jobs[0])
        assert shift.gather(jobs[0], more=True) == []
        shift.end(jobs[1])
        assert shift.gather(jobs[1], more=False) == []
        shift.end(jobs[2], lost=True)
        assert shift.gather(jobs[2], more=False) == [jobs[0]]

    def test_a_merge_is_not_gathered_again(self, two):
        shift = Shift(chunks(1), {}, two)
        job = begin(shift, two[0])
        shift.end(job)
        assert shift.gather(job, more=True) == [job]
        merge = Job(job.splits, object(), None)
        shift.begin(merge)
        assert not shift.over
        assert shift.end(merge)
        assert shift.gather(merge, more=True) == []
        assert shift.over
