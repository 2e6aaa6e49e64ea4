import io
import sys

import pytest

from motherlode.core.events import (
    PassFinished,
    PassStarted,
    Progressed,
    SplitFailed,
    SplitFinished,
    silent,
)
from motherlode.jobs.mine import mine
from motherlode.jobs.progress import Clock, bars, both

STORY = [
    PassStarted(0, 4, 1, 4_000),
    Progressed(10, 1_000),
    SplitFinished(1, 10, 0.1, "w"),
    SplitFailed(2, 1, "OSError: [bold]gone[/bold]", "w"),
    Progressed(1_500_000, 2_000),
    SplitFinished(2, 20, 0.1, "w"),
    PassFinished(0, 30, 0.5),
    PassStarted(1, 0, 0, 0),
    PassFinished(1, 0, 0.0),
]


def test_the_clock_takes_the_passes_down() -> None:
    clock = Clock()
    for event in STORY:
        clock(event)
    first, second = clock.passes
    assert (first.splits, first.kept, first.rows, first.seconds) == (4, 1, 30, 0.5)
    assert (first.nbytes, first.retries) == (3_000, 1)
    assert second.number == 1


def test_nothing_is_drawn_when_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with bars(None) as listener:
        assert listener is silent
    mine({"x": [1, 2]}, "Count")
    assert capsys.readouterr().err == ""


def test_bars_tell_pass_splits_rows_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with bars(None) as listener:
        for event in STORY[:6]:
            listener(event)
        listener_again = both(listener)
        listener_again(STORY[6])
    shown = screen.getvalue()
    assert "pass 1" in shown
    assert "3/4 splits" in shown
    assert "1,500,010 rows" in shown
    assert "3.0kB" in shown
    assert "split 2: OSError: [bold]gone[/bold]; trying again" in shown
    assert shown.rstrip("\n").endswith("\x1b[2K")
