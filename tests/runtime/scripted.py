"""Engines and keepers for tests of the driver: without threads, files or chance."""

from __future__ import annotations

from motherlode.algebra.tree import Node
from motherlode.runtime.engine import Done, Engine, Failed


class InlineEngine(Engine):
    """Folds splits one after another, here; ``spoil`` may change each outcome."""

    def __init__(self, spoil=lambda outcome: [outcome]):
        self.spoil = spoil
        self.asked = []

    @property
    def parallelism(self):
        return 1

    def fold(self, task, splits, report):
        self.asked.append([split.number for split in splits])
        for split in splits:
            try:
                outcome = Done(Node(0, split.number), task(split, report), "here", 0.0)
            except Exception as error:
                outcome = Failed(split.number, error, "here")
            yield from self.spoil(outcome)

    def close(self):
        pass


class MemoryKeeper:
    """Keeps everything it was ever given, and the newest of each."""

    def __init__(self, due=lambda: True):
        self.due = due
        self.documents = {}
        self.kept_model = None
        self.first = None

    def nodes(self, number):
        nodes = [node for each, node in self.documents if each == number]
        return [n for n in nodes if not any(a != n and above(a, n) for a in nodes)]

    def load(self, number, node):
        return self.documents[number, node]

    def due(self):
        return True

    def keep(self, number, documents):
        for node, document in documents.items():
            self.documents[number, node] = document

    def model(self):
        return self.kept_model

    def keep_model(self, number, model, first):
        self.kept_model = (number, model)
        self.first = first or self.first

    def account(self):
        return self.first


def above(high, low):
    return high.level > low.level and high.rank == low.rank >> (high.level - low.level)
