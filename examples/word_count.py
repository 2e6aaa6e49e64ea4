"""How often each word occurs: `python examples/word_count.py -r local FILE...`."""

from motherlode.mapreduce import MRJob


class WordFrequency(MRJob):
    """Counts words, regardless of case."""

    def mapper(self, _, line):
        yield from ((word.lower(), 1) for word in line.split())

    def combiner(self, word, counts):
        yield word, sum(counts)

    def reducer(self, word, counts):
        yield word, sum(counts)


if __name__ == "__main__":
    WordFrequency.run()
