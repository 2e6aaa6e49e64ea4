import errno
import os
import stat
from pathlib import Path

import pytest

from motherlode.core.errors import JobError, UsageError
from motherlode.jobs.files import check_writable, replacing, write_file


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert not leftovers(tmp_path)


def test_a_file_is_as_before_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.write("half of the n")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(JobError, match="disk is full; make room"):
        write_file(tmp_path / "out.csv", b"data")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_followed_and_the_mode_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_file(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_private_files_are_the_owners_only(tmp_path: Path) -> None:
    write_file(tmp_path / "state", b"x", private=True)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600


def test_what_cannot_be_written_is_refused_before_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "new.csv", "output")
    with pytest.raises(UsageError, match="is a folder"):
        check_writable(tmp_path, "output")
    with pytest.raises(UsageError, match="there is no folder"):
        check_writable(tmp_path / "nowhere" / "out.csv", "output")
    with pytest.raises(UsageError, match="not a regular file"):
        check_writable(Path("/dev/null"), "output")
