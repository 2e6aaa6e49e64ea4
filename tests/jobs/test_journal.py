import errno
import json
import os
import stat
from pathlib import Path

import pytest

from motherlode.core.errors import JobError
from motherlode.jobs import journal
from motherlode.jobs.journal import Journal


def write(path: Path, count: int) -> None:
    with Journal(path) as log:
        for number in range(count):
            log.append({"event": "split", "split": number}, durable=number % 2 == 0)


def splits(path: Path) -> list[int]:
    return [entry["split"] for entry in journal.read(path)]


def test_entries_come_back_in_order_with_their_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    assert splits(path) == [0, 1, 2]
    assert all(entry["at"] > 1e9 for entry in journal.read(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_torn_last_line_is_skipped_by_readers_and_cut_off_by_the_next_writer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    whole = path.read_bytes()
    end_of_second = whole.rfind(b"\n", 0, -1) + 1
    for length in range(end_of_second, len(whole)):
        path.write_bytes(whole[:length])
        assert splits(path) == [0, 1]
        with Journal(path) as log:
            log.append({"event": "split", "split": 7})
        assert splits(path) == [0, 1, 7]


def test_damage_elsewhere_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"event": "spl\n' + lines[2])
    with pytest.raises(JobError, match="damaged in line 2"):
        journal.read(path)


def test_a_write_that_fails_halfway_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    real = os.write

    def half(handle: int, data: bytes) -> int:
        real(handle, bytes(data)[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with Journal(path) as log:
        log.append({"event": "split", "split": 0})
        monkeypatch.setattr(os, "write", half)
        with pytest.raises(JobError, match="disk is full"):
            log.append({"event": "split", "split": 1})
        monkeypatch.setattr(os, "write", real)
        log.append({"event": "split", "split": 2})
    assert splits(path) == [0, 2]


def test_text_of_any_kind_survives(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    hostile = 'Zoë "\n\u2028\x1b[31m\\'
    with Journal(path) as log:
        log.append({"event": "failed", "error": hostile})
    assert journal.read(path)[0]["error"] == hostile
    assert len(path.read_bytes().split(b"\n")) == 2
    assert json.loads(path.read_text().strip())["error"] == hostile
