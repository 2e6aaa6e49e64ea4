"""The command as a process of its own: signals, pipes, full disks, what it imports."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motherlode.jobs import journal
from motherlode.jobs.mine import mine
from tests.jobs.small import text_file
from tests.jobs.test_kill import durable, read

MOTHERLODE = [sys.executable, "-c", "from motherlode.cli.main import main; main()"]
SMALL = ("-o", "split_bytes=512")


class Shell:
    """Runs the command with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "MOTHERLODE_HOME": str(home)}

    def start(self, *args: Any, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*MOTHERLODE, *map(str, args)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def run(self, *args: Any, **more: Any) -> tuple[int, str, str]:
        process = self.start(*args, **more)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def journal(self) -> Path | None:
        """Return the journal of the newest job."""
        found = sorted(self.home.glob("jobs/*/journal.jsonl"))
        return found[-1] if found else None

    def entries(self) -> list[dict[str, Any]]:
        path = self.journal()
        assert path is not None
        return journal.read(path)

    def wait_for(self, event: str, process: subprocess.Popen[str]) -> None:
        """Wait until the journal tells of an event."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            path = self.journal()
            if path is not None and f'"event":"{event}"' in path.read_text():
                return
            time.sleep(0.005)
        raise AssertionError(process.communicate())


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "home")


@pytest.fixture(scope="module")
def long_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_file(tmp_path_factory.mktemp("long") / "long.txt", lines=15_000)


@pytest.fixture(scope="module")
def whole(long_text: Path) -> str:
    """Return the digest that every job over the long text has to end with."""
    return mine(long_text, "ValueCounts").digest


def digest(shell: Shell, *args: Any) -> str:
    code, out, err = shell.run(*args)
    assert code == 0, err
    return str(json.loads(out)["digest"])


@pytest.mark.parametrize(
    ("signal_", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_a_stopped_or_killed_job_is_resumed_to_the_same_digest(
    shell: Shell, long_text: Path, whole: str, signal_: signal.Signals, code: int
) -> None:
    asked = ("mine", "ValueCounts", long_text, *SMALL, "--json")
    process = shell.start(*asked)
    shell.wait_for("state", process)
    process.send_signal(signal_)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    path = shell.journal()
    assert path is not None
    job = path.parent.name
    if code == 130:
        assert err == f"stopped; go on with: motherlode jobs resume {job}\n"
        assert shell.entries()[-1]["event"] == "stopped"
    before = shell.entries()
    resumed = digest(shell, "jobs", "resume", job, "--json")
    after = shell.entries()[len(before) :]
    splits = before[0]["splits"]
    kept = durable(before, 0, splits)
    assert kept
    assert sorted(read(after)[0]) == sorted(set(range(splits)) - kept)
    assert resumed == whole


def limited(nbytes: int) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, nbytes))

    return limit


def test_a_file_that_grows_too_large_fails_clearly_and_is_resumed(
    shell: Shell, long_text: Path, whole: str
) -> None:
    asked = ("mine", "ValueCounts", long_text, "--json")
    code, out, err = shell.run(*asked, preexec_fn=limited(100_000))
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"error: cannot write \S+: the file would exceed the size limit \(ulimit -f\); "
        r"motherlode jobs resume \S+\n",
        err,
    )
    job = err.split()[-1]
    assert digest(shell, "jobs", "resume", job, "--json") == whole


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_fails_clearly_and_the_job_is_resumed(
    tiny_disk: Path, long_text: Path, whole: str
) -> None:
    shell = Shell(tiny_disk / "home")
    asked = ("mine", "ValueCounts", long_text, *SMALL, "--json")
    code, out, err = shell.run(*asked)
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert "the disk is full; make room and run it again, then: motherlode jobs resume" in line
    assert shell.entries()
    subprocess.run(["mount", "-o", "remount,size=64m", str(tiny_disk)], check=True)
    assert digest(shell, "jobs", "resume", line.split()[-1], "--json") == whole


def test_a_file_that_changes_during_the_job_stops_it(shell: Shell, tmp_path: Path) -> None:
    source = text_file(tmp_path / "moving.txt", lines=15_000)
    process = shell.start("mine", "ValueCounts", source, *SMALL)
    shell.wait_for("split", process)
    with open(source, "a") as file:
        file.write("one more\n")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("error: ")
    assert str(source) in err
    assert "changed" in err
    code, _, again = shell.run("jobs", "resume", "latest")
    assert code == 1
    assert f"{source} changed since job" in again
    assert len(again.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_error(shell: Shell) -> None:
    process = shell.start("algorithms", "WordCount")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_help_and_version_import_nothing_heavy(shell: Shell) -> None:
    heavy = ["numpy", "pyarrow", "polars", "sklearn", "scipy", "numba", "plotly", "rich.console"]
    for args in (["--help"], ["mine", "--help"], ["--version"], ["jobs", "list"]):
        program = (
            "import sys\nfrom motherlode.cli.main import main\n"
            f"sys.argv[1:] = {args}\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            f"print('imported:', *[name for name in {heavy} if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=shell.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "imported:"


def test_mining_does_without_pandas(long_text: Path) -> None:
    program = (
        "import sys\nfrom motherlode.cli.main import main\n"
        f"sys.argv[1:] = ['mine', 'ValueCounts', {str(long_text)!r}, '--quiet', '--no-journal']\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code\n"
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_wrong_flags_are_one_line_and_exit_2(shell: Shell) -> None:
    for args, said in (
        (["--nonsense"], "error: no such option: --nonsense; see motherlode --help\n"),
        (["mine", "--nonsense"], "error: no such option: --nonsense"),
        (["mien"], "error: no such command 'mien'. Did you mean"),
        (["mine"], "error: missing argument 'ALGORITHM'; see motherlode mine --help\n"),
    ):
        code, out, err = shell.run(*args)
        assert (code, out) == (2, "")
        assert err.startswith(said)
        assert len(err.splitlines()) == 1
