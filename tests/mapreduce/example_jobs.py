"""Jobs of the kinds that every MapReduce course has, each in a few lines."""

from __future__ import annotations

import itertools
import re

from motherlode.mapreduce import MRJob, MRStep
from motherlode.mapreduce.protocol import JSONProtocol, JSONValueProtocol, TextProtocol

WORD = re.compile(r"[\w']+")


class WordFrequency(MRJob):
    """How often each word occurs."""

    def mapper(self, _, line):
        for word in WORD.findall(line):
            yield word.lower(), 1

    def combiner(self, word, counts):
        yield word, sum(counts)

    def reducer(self, word, counts):
        yield word, sum(counts)


class LineSizes(MRJob):
    """Characters, words and lines."""

    def mapper(self, _, line):
        yield "chars", len(line)
        yield "words", len(line.split())
        yield "lines", 1

    def reducer(self, key, values):
        yield key, sum(values)


class MostUsedWord(MRJob):
    """The most frequent word that is not a stop word: two steps."""

    def configure_args(self):
        super().configure_args()
        self.add_file_arg("--stop-words")

    def mapper_init(self):
        self.stop = set()
        if self.options.stop_words:
            with open(self.options.stop_words) as file:
                self.stop = set(file.read().split())

    def get_words(self, _, line):
        for word in WORD.findall(line):
            if word.lower() not in self.stop:
                yield word.lower(), 1

    def add(self, word, counts):
        yield word, sum(counts)

    def pair(self, word, counts):
        yield None, (sum(counts), word)

    def largest(self, _, pairs):
        yield max(pairs)

    def steps(self):
        return [
            MRStep(
                mapper_init=self.mapper_init,
                mapper=self.get_words,
                combiner=self.add,
                reducer=self.pair,
            ),
            MRStep(reducer=self.largest),
        ]


class NextWord(MRJob):
    """What share of a word's occurrences is followed by each other word.

    The values come sorted, so that the total, under the empty word, comes first and none is kept.
    """

    SORT_VALUES = True

    def mapper(self, _, line):
        words = WORD.findall(line.lower())
        for one, other in itertools.pairwise(words):
            yield one, ("", 1)
            yield one, (other, 1)

    def combiner(self, word, pairs):
        counts = {}
        for other, count in pairs:
            counts[other] = counts.get(other, 0) + count
        yield from ((word, pair) for pair in counts.items())

    def reducer(self, word, pairs):
        total = 0
        for other, group in itertools.groupby(pairs, key=lambda pair: pair[0]):
            count = sum(each for _, each in group)
            if not other:
                total = count
            else:
                yield (word, other), [count, total]


class PageRank(MRJob):
    """Page rank: each line is a node with its links; as many steps as asked for."""

    INPUT_PROTOCOL = JSONProtocol

    def configure_args(self):
        super().configure_args()
        self.add_passthru_arg("--iterations", type=int, default=5)
        self.add_passthru_arg("--damping", type=float, default=0.85)

    def send(self, node, page):
        yield node, ("page", page)
        for other, weight in page.get("links", []):
            yield other, ("score", page.get("score", 1) * weight)

    def receive(self, node, messages):
        page, total = {}, 0.0
        for kind, content in messages:
            if kind == "page":
                page = content
            else:
                total += content
        damping = self.options.damping
        yield node, {**page, "score": 1 - damping + damping * total}

    def steps(self):
        return [MRStep(mapper=self.send, reducer=self.receive)] * self.options.iterations


class ShortestTour(MRJob):
    """The shortest round trip: the first step shares out the beginnings, the second tries each."""

    INPUT_PROTOCOL = JSONValueProtocol
    OUTPUT_PROTOCOL = JSONProtocol

    def begin(self, _, graph):
        towns = range(len(graph["distances"]))
        for second in towns[1:]:
            yield (graph["name"], second), graph["distances"]

    def gather(self, start, graphs):
        yield start, next(graphs)

    def tours(self, start, distances):
        self.increment_counter("tours", "beginnings")
        name, second = start
        rest = [town for town in range(1, len(distances)) if town != second]
        for order in itertools.permutations(rest):
            self.increment_counter("tours", "tried")
            tour = [0, second, *order, 0]
            yield name, (sum(distances[a][b] for a, b in itertools.pairwise(tour)), tour)

    def shortest(self, name, tours):
        yield name, min(tours)

    def steps(self):
        return [
            MRStep(mapper=self.begin, reducer=self.gather),
            MRStep(mapper=self.tours, combiner=self.shortest, reducer=self.shortest),
        ]


class ShellCount(MRJob):
    """Words counted by shell commands alone."""

    OUTPUT_PROTOCOL = TextProtocol

    def mapper_cmd(self):
        return "tr -cs a-zA-Z '\\n' | grep ."

    def reducer_cmd(self):
        return "uniq -c | sed 's/^ *//'"


class Filtered(MRJob):
    """Lines that a command lets through, counted by Python."""

    def mapper_pre_filter(self):
        return "grep -v '^#'"

    def mapper(self, _, line):
        self.increment_counter("lines", "kept")
        yield line.split()[0], 1

    def reducer(self, word, counts):
        self.increment_counter("words", "kept")
        yield word, sum(counts)


class WholeFiles(MRJob):
    """The number of lines of each file."""

    def mapper_raw(self, path, uri):
        with open(path) as file:
            yield uri.rpartition("/")[2], len(file.readlines())


class Around(MRJob):
    """What is called before and after."""

    def mapper_init(self):
        self.lines = 0
        yield "mapper", "init"

    def mapper(self, _, line):
        self.lines += 1

    def mapper_final(self):
        yield "mapper", self.lines

    def reducer_init(self):
        assert not hasattr(self, "lines")  # each role has an object of its own
        self.keys = 0
        yield "reducer", "init"

    def reducer(self, key, values):
        self.keys += 1
        yield key, list(values)

    def reducer_final(self):
        yield "reducer", self.keys


class Failing(MRJob):
    """A reducer that cannot take one word."""

    def mapper(self, _, line):
        for word in line.split():
            yield word, 1

    def reducer(self, word, counts):
        if word == "poison":
            raise KeyError("no such word")
        yield word, sum(counts)


class FailingMapper(MRJob):
    """The mapper of the second step cannot take one word."""

    def steps(self):
        return [
            MRStep(mapper=lambda _, line: ((w, 1) for w in line.split()), reducer=self.add),
            MRStep(mapper=self.second, reducer=self.add),
        ]

    def add(self, word, counts):
        yield word, sum(counts)

    def second(self, word, count):
        if word == "poison":
            raise ValueError("bad word")
        yield word, count


class Unwritable(MRJob):
    """Yields what JSON cannot write."""

    def mapper(self, _, line):
        yield line, {1, 2}

    def reducer(self, key, values):
        yield key, list(values)
