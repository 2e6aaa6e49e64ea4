"""The embedded engine keeps the published contract, in threads and in processes."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from motherlode.core.errors import EngineError, Interrupted, ParameterError, UnknownNameError
from motherlode.core.errors import UsageError as Usage
from motherlode.core.events import PassStarted, SplitFailed, SplitFinished
from motherlode.data import Dataset
from motherlode.engines.local import LocalEngine
from motherlode.mining.statistics.count import Count
from motherlode.runtime import run
from motherlode.runtime.engine import engine
from motherlode.testing.cases import case, deal
from motherlode.testing.engine_suite import checks
from motherlode.testing.pieces import PieceSource
from tests.testing.specimens import Histogram, Median

ROWS = case("numbers", "many").rows


@pytest.mark.parametrize("check", checks(), ids=str)
def test_the_engine_suite(check):
    check(lambda workers: LocalEngine(workers=workers))


@pytest.mark.parametrize("algorithm", [Histogram(), Median()], ids=repr)
def test_the_answer_does_not_depend_on_workers_memory_or_batches(algorithm):
    digests = {
        run(algorithm, PieceSource(deal(ROWS, 13), size), workers=workers, memory=memory).digest
        for workers, memory, size in (
            (1, None, 900), (2, "16MB", 7), (7, "2GB", 64), (3, 10**8, 1), (1, "16MiB", 5),
        )
    }  # fmt: skip
    assert len(digests) == 1


class TestProcesses:
    """Python code goes to processes, where they can read the rows."""

    def mined(self, function, *, workers=2, splits=5, ships=True, retries=3):
        data = Dataset(PieceSource(deal(ROWS, splits), ships=ships))
        events = []
        result = run(
            Histogram(),
            data.map_batches(function, python=True),
            workers=workers,
            listener=events.append,
            retries=retries,
        )
        return result, events

    def workers_of(self, events):
        return {e.worker.split()[0] for e in events if isinstance(e, SplitFinished)}

    def test_lambdas_travel(self):
        result, events = self.mined(lambda frame: frame)
        assert self.workers_of(events) == {"process"}
        assert result.digest == run(Histogram(), PieceSource(deal(ROWS, 5))).digest
        assert result.rows.balanced

    def test_one_worker_needs_no_process(self):
        _, events = self.mined(lambda frame: frame, workers=1)
        assert "process" not in self.workers_of(events)

    def test_rows_that_are_held_here_stay_here(self):
        _, events = self.mined(lambda frame: frame, ships=False)
        assert "process" not in self.workers_of(events)

    def test_a_killed_worker_is_replaced(self, tmp_path):
        flag = tmp_path / "killed"
        here = os.getpid()

        def once(frame):
            if frame.height and not flag.exists() and os.getpid() != here:
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return frame

        result, events = self.mined(once)
        assert flag.exists()
        assert any(isinstance(e, SplitFailed) for e in events)
        assert result.digest == run(Histogram(), PieceSource(deal(ROWS, 5))).digest
        assert result.rows.used == len(ROWS)

    def test_a_split_that_kills_every_worker_ends_the_job(self):
        here = os.getpid()

        def always(frame):
            if frame.height and os.getpid() != here:
                os.kill(os.getpid(), signal.SIGKILL)
            return frame

        with pytest.raises(EngineError, match="worker process died"):
            self.mined(always, splits=2, retries=0)
        result, _ = self.mined(lambda frame: frame)
        assert result.rows.used == len(ROWS)


class TestStopping:
    @pytest.mark.parametrize("kind", [Interrupted, KeyboardInterrupt])
    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_listener_stops_the_job(self, kind, workers):
        def stop(event):
            if isinstance(event, SplitFinished):
                raise kind("enough")

        with LocalEngine(workers=workers) as mine:
            with pytest.raises(kind, match="enough"):
                run(Histogram(), PieceSource(deal(ROWS, 30)), on=mine, listener=stop)
            assert run(Count(), PieceSource(deal(ROWS, 4)), on=mine).rows.used == len(ROWS)

    def test_splits_under_way_stop_between_batches(self):
        started = threading.Event()

        class Slow(Count):
            updates = 0

            def update(self, state, batch):
                type(self).updates += 1
                started.set()
                time.sleep(0.01)
                return super().update(state, batch)

        def stop(event):
            if isinstance(event, PassStarted):
                return
            started.wait(5)
            raise Interrupted("enough")

        began = time.perf_counter()
        with pytest.raises(Interrupted):
            run(Slow(), PieceSource(deal(ROWS, 2), size=1), workers=2, listener=stop)
        assert time.perf_counter() - began < 2
        assert Slow.updates < len(ROWS) // 2

    def test_work_is_started_as_outcomes_are_taken(self):
        """States must not pile up while the driver is busy."""
        source = PieceSource(deal(ROWS, 30))
        with LocalEngine(workers=2) as mine:
            seen = []

            def look(event):
                if isinstance(event, SplitFinished):
                    seen.append((len(seen) + 1, sum(source.reads.values())))
                    time.sleep(0.001)

            run(Count(), source, on=mine, listener=look)
        assert all(started <= taken + 2 + 1 for taken, started in seen)


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "options", "workers"),
        [("local[3]", {}, 3), ("local", {"workers": 2}, 2), ("local[2]", {"workers": 2}, 2)],
    )
    def test_the_number_of_workers(self, url, options, workers):
        with engine(url, **options) as mine:
            assert mine.parallelism == workers

    def test_all_processors_by_default(self):
        assert engine().parallelism == len(os.sched_getaffinity(0))

    def test_an_engine_is_handed_through(self):
        with LocalEngine() as mine:
            assert engine(mine) is mine

    @pytest.mark.parametrize(
        ("url", "error", "message"),
        [
            ("lokal", UnknownNameError, "unknown engine 'lokal'; did you mean 'local'"),
            ("spork://host:7077", UnknownNameError, "unknown engine 'spork'"),
            ("local[two]", UnknownNameError, r"local\[2\]"),
            ("local[2", UnknownNameError, r"local\[2\]"),
            ("local[0]", ParameterError, "at least 1, got 0"),
            ("local://4", UnknownNameError, "engine URL"),
            ("", UnknownNameError, "unknown engine ''"),
            (3, Usage, "an engine is a URL"),
            (None, Usage, "an engine is a URL"),
        ],
    )
    def test_what_is_wrong_is_told(self, url, error, message):
        with pytest.raises(error, match=message):
            engine(url)

    def test_two_numbers_of_workers_are_refused(self):
        with pytest.raises(Usage, match="says 2 workers, workers=3"):
            engine("local[2]", workers=3)
        with pytest.raises(ParameterError, match="got True"):
            engine("local", workers=True)


def test_closing_twice_is_no_harm():
    mine = LocalEngine(workers=2)
    run(Count(), PieceSource(deal(ROWS, 3)), on=mine)
    mine.close()
    mine.close()
