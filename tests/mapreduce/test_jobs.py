"""Jobs as their authors wrote them: the same output inline and in worker processes."""

from __future__ import annotations

import io
import json
import re
import traceback
from collections import Counter
from itertools import pairwise, permutations

import pytest

from motherlode.core.errors import UnknownNameError, UsageError, UserFunctionError
from motherlode.engines.local import LocalEngine
from motherlode.mapreduce import MRJob, MRStep
from motherlode.mapreduce import runner as runner_module
from motherlode.testing.faults import Fail, FaultyEngine, Lose, Shuffle, Twice
from tests.mapreduce import example_jobs as jobs

TEXT = """To be, or not to be: that is the question:
Whether 'tis nobler in the mind to suffer
# a remark
The slings and arrows of outrageous fortune,
Or to take arms against a sea of troubles
"""
WORDS = re.findall(r"[\w']+", TEXT.lower())


def run(kind, text="", arguments=("-r", "inline"), **files):
    """Run a job over text; return its pairs and counters."""
    job = kind(list(arguments)).sandbox(io.BytesIO(text.encode()))
    with job.make_runner() as runner:
        runner.run()
        return list(job.parse_output(runner.cat_output())), runner.counters()


def both(kind, text, *arguments):
    """Run a job inline and in worker processes, over several partitions; both must agree."""
    more = ("--partitions", "3", *arguments)
    inline = run(kind, text, ("-r", "inline", *more))
    local = run(kind, text, ("-r", "local", "--workers", "2", *more))
    assert inline == local
    whole, counters = run(kind, text, ("-r", "inline", *arguments))
    assert sorted(map(repr, whole)) == sorted(map(repr, inline[0]))
    assert counters == inline[1]
    return whole, counters


class TestExamples:
    def test_word_frequency(self):
        pairs, _ = both(jobs.WordFrequency, TEXT)
        assert pairs == sorted(Counter(WORDS).items())

    def test_sizes(self):
        pairs, _ = both(jobs.LineSizes, TEXT)
        lines = TEXT.splitlines()
        assert dict(pairs) == {
            "chars": sum(map(len, lines)),
            "words": len(TEXT.split()),
            "lines": len(lines),
        }

    def test_most_used_word(self, tmp_path, monkeypatch):
        assert both(jobs.MostUsedWord, TEXT)[0] == [(4, "to")]
        (tmp_path / "stop.txt").write_text("to the of or be")
        monkeypatch.chdir(tmp_path)
        pairs, _ = both(jobs.MostUsedWord, TEXT, "--stop-words", "stop.txt")
        left = Counter(w for w in WORDS if w not in {"to", "the", "of", "or", "be"})
        assert pairs == [max((count, word) for word, count in left.items())]

    def test_next_word(self):
        pairs, _ = both(jobs.NextWord, TEXT)
        lines = [re.findall(r"[\w']+", line.lower()) for line in TEXT.splitlines()]
        follows = Counter(pair for line in lines for pair in pairwise(line))
        totals = Counter(word for line in lines for word in line[:-1])
        assert {tuple(key): value for key, value in pairs} == {
            pair: [count, totals[pair[0]]] for pair, count in follows.items()
        }

    def test_page_rank(self):
        links = {"a": ["b", "c"], "b": ["c"], "c": ["a"], "d": ["c"]}
        text = "".join(
            f"{json.dumps(n)}\t{json.dumps({'links': [[o, 1 / len(to)] for o in to]})}\n"
            for n, to in links.items()
        )
        pairs, _ = both(jobs.PageRank, text, "--iterations", "20", "--damping", "0.8")
        score = dict.fromkeys(links, 1.0)
        for _ in range(20):
            score = {
                node: 0.2 + 0.8 * sum(score[n] / len(to) for n, to in links.items() if node in to)
                for node in links
            }
        assert {n: page["score"] for n, page in pairs} == pytest.approx(score)

    def test_shortest_tour(self):
        towns = [(0, 0), (3, 0), (3, 4), (0, 4), (1, 2)]
        distances = [[round(abs(a - c) + abs(b - d), 1) for c, d in towns] for a, b in towns]
        graph = json.dumps({"name": "square", "distances": distances})
        pairs, counters = both(jobs.ShortestTour, graph + "\n")
        best = min(
            (sum(distances[a][b] for a, b in pairwise((0, *order, 0))), [0, *order, 0])
            for order in permutations(range(1, 5))
        )
        assert pairs == [("square", list(best))]
        assert counters == [{}, {"tours": {"beginnings": 4, "tried": 24}}]


class TestKindsOfSteps:
    def test_shell_commands_alone(self):
        job = jobs.ShellCount(["-r", "inline"]).sandbox(io.BytesIO(b"b a, b\nc b a\n"))
        with job.make_runner() as runner:
            runner.run()
            assert b"".join(runner.cat_output()) == b"2 a\n3 b\n1 c\n"

    def test_a_pre_filter(self):
        pairs, counters = both(jobs.Filtered, TEXT)
        assert dict(pairs) == {"To": 1, "Whether": 1, "The": 1, "Or": 1}
        assert counters == [{"lines": {"kept": 4}, "words": {"kept": 4}}]

    def test_a_pre_filter_may_be_all_of_a_mapper(self):
        class Job(MRJob):
            def steps(self):
                return [
                    MRStep(mapper=lambda _, line: [(line, 1)], reducer=lambda k, v: [(k, sum(v))]),
                    MRStep(mapper_pre_filter="grep a", reducer=lambda k, v: [(k, list(v))]),
                ]

        assert run(Job, "a\nb\nab\na\n")[0] == [("a", [2]), ("ab", [1])]

    def test_a_combiner_may_have_a_filter(self):
        class Job(MRJob):
            def steps(self):
                add = lambda key, values: [(key, sum(values))]  # noqa: E731
                return [
                    MRStep(
                        mapper=lambda _, line: [(line, 1)],
                        combiner=add,
                        combiner_pre_filter="grep -v x",
                        reducer=add,
                    )
                ]

        assert run(Job, "a\nx\na\n")[0] == [("a", 2)]

    def test_whole_files(self, tmp_path):
        for name, lines in (("one.txt", 1), ("three.txt", 3)):
            (tmp_path / name).write_text("line\n" * lines)
        paths = [str(tmp_path / "one.txt"), str(tmp_path / "three.txt")]
        for kind in ("inline", "local"):
            assert run(jobs.WholeFiles, "", ["-r", kind, *paths])[0] == [
                ("one.txt", 1),
                ("three.txt", 3),
            ]
        with pytest.raises(UsageError, match="standard input"):
            run(jobs.WholeFiles, "x")

    def test_before_and_after(self):
        pairs, _ = run(jobs.Around, "a\nb\nc\n")
        assert pairs == [("reducer", "init"), ("mapper", ["init", 3]), ("reducer", 1)]

    def test_a_mapper_alone_keeps_the_order(self):
        class Upper(MRJob):
            def mapper(self, _, line):
                yield None, line.upper()

        assert run(Upper, "c\na\nb\n")[0] == [(None, "C"), (None, "A"), (None, "B")]

    def test_a_reducer_alone_reads_pairs(self):
        class Total(MRJob):
            INPUT_PROTOCOL = jobs.JSONProtocol

            def reducer(self, key, values):
                yield key, sum(values)

        assert run(Total, '"a"\t1\n"b"\t2\n"a"\t3\n')[0] == [("a", 4), ("b", 2)]

    def test_values_are_sorted_and_keys_of_all_kinds_kept_apart(self):
        class Job(MRJob):
            SORT_VALUES = True

            def mapper(self, _, line):
                for key in (1, 1.0, True, None, "1", [1], {"a": 1}):
                    yield key, line

            def combiner(self, key, values):
                yield from ((key, value) for value in values)

            def reducer(self, key, values):
                yield key, list(values)

        pairs, _ = run(Job, "b\na\nc\n")
        assert len(pairs) == 7
        assert all(values == ["a", "b", "c"] for _, values in pairs)
        assert sorted(repr(key) for key, _ in pairs) == sorted(
            map(repr, (1, 1.0, True, None, "1", [1], {"a": 1}))
        )


class TestSizes:
    def test_a_small_memory_changes_nothing(self, monkeypatch):
        from motherlode.mapreduce import collector
        from motherlode.runtime import shuffle, spill

        text = "\n".join(f"w{n % 97} w{n % 11} w{n}" for n in range(2_000))
        whole = run(jobs.WordFrequency, text)
        monkeypatch.setattr(collector, "PAIRS", 50)
        monkeypatch.setattr(shuffle, "RUN_BYTES", 2_000)
        monkeypatch.setattr(spill, "BLOCK_ROWS", 16)
        monkeypatch.setattr(spill, "SORTED_BYTES", 0)
        monkeypatch.setattr(spill, "FAN_IN", 8)
        assert run(jobs.WordFrequency, text) == whole

    def test_values_stream(self):
        class First(MRJob):
            def mapper(self, _, line):
                yield "key", line

            def reducer(self, key, values):
                assert iter(values) is iter(values)
                yield key, next(values)

        assert run(First, "a\nb\n")[0] == [("key", "a")]


class TestCounters:
    @pytest.mark.parametrize(
        "script", [[Fail(0, tries=2)], [Lose(0, tries=2)], [Twice(0), Shuffle(1)]]
    )
    def test_each_task_counts_once_whatever_happens(self, script, monkeypatch):
        def faulty(url, **options):
            return FaultyEngine(LocalEngine(workers=1), script)

        expected = run(jobs.Filtered, TEXT, ["--partitions", "2"])
        monkeypatch.setattr(runner_module, "engine", faulty)
        assert run(jobs.Filtered, TEXT, ["--partitions", "2"]) == expected

    def test_they_belong_to_their_step(self):
        class Job(MRJob):
            def steps(self):
                return [
                    MRStep(mapper=self.one, reducer=self.two),
                    MRStep(mapper=self.three, reducer=self.four),
                ]

            def _counted(self, name, key, values):
                self.increment_counter("calls", name)
                yield key, 1

            def one(self, _, line):
                return self._counted("one", line, None)

            def two(self, key, values):
                return self._counted("two", key, values)

            def three(self, key, value):
                return self._counted("three", key, value)

            def four(self, key, values):
                return self._counted("four", key, values)

        _, counters = run(Job, "a\nb\na\n")
        assert counters == [
            {"calls": {"one": 3, "two": 2}},
            {"calls": {"three": 2, "four": 2}},
        ]

    def test_only_whole_numbers_count(self):
        with pytest.raises(UsageError, match="whole numbers"):
            MRJob().increment_counter("a", "b", 0.5)


class TestErrors:
    @pytest.mark.parametrize("where", ["inline", "local"])
    def test_a_reducer_that_raises_is_named_with_its_record(self, where):
        with pytest.raises(UserFunctionError, match=r"reducer raised KeyError.*'poison'") as caught:
            run(jobs.Failing, "good poison", ["-r", where, "--workers", "2"])
        assert isinstance(caught.value.__cause__, KeyError)

    def test_so_is_the_mapper_of_a_later_step(self):
        with pytest.raises(UserFunctionError, match=r"mapper raised ValueError.*poison") as caught:
            run(jobs.FailingMapper, "good poison")
        frames = traceback.extract_tb(caught.value.__cause__.__traceback__)
        assert frames[-1].name == "second"

    def test_a_combiner(self):
        class Job(MRJob):
            def mapper(self, _, line):
                yield line, 1

            def combiner(self, key, values):
                raise ZeroDivisionError("no")

            def reducer(self, key, values):
                yield key, 1

        with pytest.raises(UserFunctionError, match=r"combiner raised ZeroDivisionError.*'a'"):
            run(Job, "a\n")

    def test_what_a_protocol_cannot_write(self):
        with pytest.raises(
            UserFunctionError, match=r"mapper yielded cannot be written by JSONProtocol.*line"
        ):
            run(jobs.Unwritable, "line\n")

    def test_what_a_protocol_cannot_read(self):
        with pytest.raises(UserFunctionError, match=r"mapper raised JSONDecodeError.*no json"):
            run(jobs.PageRank, "no json\n")

    def test_a_command_that_fails(self):
        class Job(MRJob):
            def mapper_cmd(self):
                return "exit 3"

        with pytest.raises(UserFunctionError, match="exit code 3"):
            run(Job, "a\n")

    def test_steps_that_cannot_be(self):
        with pytest.raises(UsageError, match="defines no mapper"):
            run(MRJob)
        with pytest.raises(UnknownNameError, match="did you mean 'mapper'"):
            MRStep(maper=lambda _, line: [])
        with pytest.raises(UsageError, match="not several"):
            MRStep(mapper=lambda _, line: [], mapper_cmd="cat")
        with pytest.raises(UsageError, match="needs a mapper"):
            MRStep()

    def test_a_raw_mapper_in_a_later_step(self):
        class Job(MRJob):
            def steps(self):
                return [
                    MRStep(reducer=lambda k, v: [(k, 1)]),
                    MRStep(mapper_raw=lambda path, uri: []),
                ]

        with pytest.raises(UsageError, match="step 2 has a mapper_raw"):
            run(Job, "x")

    def test_output_before_the_run(self):
        from motherlode.core.errors import JobError

        with jobs.WordFrequency().make_runner() as runner, pytest.raises(JobError, match=r"run\("):
            list(runner.cat_output())
