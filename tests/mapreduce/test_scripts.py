"""A job's file run as a script, and its options."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from motherlode.core.errors import UnknownNameError, UsageError
from motherlode.mapreduce import MRJob
from tests.mapreduce.example_jobs import MostUsedWord, WordFrequency

SCRIPT = '''
import re
import sys
from motherlode.mapreduce import MRJob

PATTERN = re.compile("[a-z]+")


def words(line):
    return PATTERN.findall(line.lower())


class Words(MRJob):
    """Counts words."""

    def configure_args(self):
        super().configure_args()
        self.add_passthru_arg("--least", type=int, default=1)
        self.add_file_arg("--stop")

    def mapper_init(self):
        self.stop = open(self.options.stop).read().split() if self.options.stop else []

    def mapper(self, _, line):
        for word in words(line):
            if word not in self.stop:
                self.increment_counter("words", "seen")
                yield word, 1

    def combiner(self, word, counts):
        yield word, sum(counts)

    def reducer(self, word, counts):
        assert self.is_task()
        total = sum(counts)
        if word == "poison":
            raise ValueError("cannot take it")
        if total >= self.options.least:
            yield word, total


if __name__ == "__main__":
    Words.run()
'''


@pytest.fixture
def script(tmp_path):
    (tmp_path / "words.py").write_text(SCRIPT)
    (tmp_path / "in.txt").write_text("b a b\na c b\n")
    (tmp_path / "more.txt").write_text("b a b\na c b\n")
    (tmp_path / "stop.txt").write_text("c")

    def call(*arguments, stdin=""):
        return subprocess.run(
            [sys.executable, "words.py", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "MOTHERLODE_SCRATCH": str(tmp_path / "scratch")},
            check=False,
        )

    return call


class TestAScript:
    def test_in_worker_processes_with_all_sorts_of_options(self, script, tmp_path):
        """The class is defined in ``__main__``, which workers cannot import."""
        done = script("-r", "local", "--workers", "2", "--least", "2", "--stop", "stop.txt",
                      "in.txt", "more.txt")  # fmt: skip
        assert (done.returncode, done.stdout) == (0, '"a"\t4\n"b"\t6\n')
        assert "seen: 10" in done.stderr
        assert list((tmp_path / "scratch").iterdir()) == []

    def test_from_standard_input_into_a_folder(self, script, tmp_path):
        done = script("-o", "out", "-q", "--partitions", "2", stdin="x y x\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        parts = sorted((tmp_path / "out").iterdir())
        assert all(part.name.startswith("part-0000") for part in parts)
        lines = sorted(line for part in parts for line in part.read_text().splitlines())
        assert lines == ['"x"\t2', '"y"\t1']
        again = script("-o", "out", stdin="x")
        assert again.returncode == 2
        assert "out exists already" in again.stderr

    @pytest.mark.parametrize(
        ("arguments", "code", "told"),
        [
            (["--lest", "2"], 2, "--lest"),
            (["--partitions", "two"], 2, "invalid int"),
            (["-r", "hadoop"], 2, "invalid choice"),
            (["missing.txt"], 1, "missing.txt"),
            (["--stop-words", "nowhere", "in.txt"], 1, "there is no file"),
        ],
    )
    def test_errors_are_one_line(self, arguments, code, told, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["job.py", *arguments])
        with pytest.raises(SystemExit) as left:
            MostUsedWord.run()
        shown = capsys.readouterr().err
        assert left.value.code == code
        assert shown.startswith("error: ")
        assert told in shown
        assert shown.count("\n") == 1

    def test_what_the_job_raised_is_shown_with_its_lines(self, script):
        done = script(stdin="good poison\n")
        assert done.returncode == 1
        assert 'raise ValueError("cannot take it")' in done.stderr
        assert "error: reducer raised ValueError: cannot take it; the record was 'poison'" in (
            done.stderr
        )


class TestOptions:
    def test_a_configuration_names_engines(self, tmp_path):
        path = tmp_path / "runners.toml"
        path.write_text('[runners.local]\nworkers = 1\nmemory = "1GB"\n')
        job = WordFrequency(["-r", "local", "-c", str(path), "--memory", "2GB"])
        with job.make_runner() as runner:
            assert runner.settings == {"engine": "local", "workers": 1, "memory": "2GB"}

    @pytest.mark.parametrize(
        ("text", "error", "match"),
        [
            ("[runners.local]\nworker = 1", UnknownNameError, "did you mean 'workers'"),
            ("[runer]", UnknownNameError, "did you mean 'runners'"),
            ("not toml", UsageError, "is not TOML"),
        ],
    )
    def test_a_wrong_configuration(self, tmp_path, text, error, match):
        (tmp_path / "c.toml").write_text(text)
        with pytest.raises(error, match=match):
            WordFrequency(["-r", "local", "-c", str(tmp_path / "c.toml")]).make_runner()

    def test_files_may_be_given_several_times(self, tmp_path, monkeypatch):
        class Job(MRJob):
            def configure_args(self):
                super().configure_args()
                self.add_file_arg("--list", action="append")

        monkeypatch.chdir(tmp_path)
        job = Job(["--list", "a", "--list", "/b"])
        assert job.options.list == [str(tmp_path / "a"), "/b"]
        assert Job().options.list is None

    def test_only_declared_options_pass_through(self):
        job = MRJob()
        job.pass_arg_through("--runner")
        with pytest.raises(UsageError, match="no option"):
            job.pass_arg_through("--other")

    def test_a_job_reads_no_command_line_of_its_own(self, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["prog", "--nonsense"])
        assert WordFrequency().options.args == []

    def test_status(self, capsys):
        MRJob().set_status("half way")
        assert "half way" in capsys.readouterr().err
