"""Errors come home from other processes as they were raised, with their causes."""

from __future__ import annotations

import pickle

import pytest

from motherlode.core import errors
from motherlode.data import Dataset
from motherlode.mining.statistics.count import Count
from motherlode.runtime import run
from motherlode.testing.cases import case, deal
from motherlode.testing.pieces import PieceSource

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.MotherlodeError)
]
SPECIAL = {
    errors.UnknownNameError: ("column", "pirce", ["price", "size"]),
    errors.MissingExtraError: ("pyspark", "spark"),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_travels_whole(kind):
    error = kind(*SPECIAL.get(kind, ("what went wrong", "what to do")))
    error.__cause__ = ValueError("the cause")
    error.add_note("seen on the way")
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is kind
    assert str(there) == str(error)
    assert vars(there) == vars(error)
    assert there.args == error.args
    assert repr(there.__cause__) == "ValueError('the cause')"


def failing(raised):
    def function(frame):
        if frame.height:
            raise raised()
        return frame

    data = Dataset(PieceSource(deal(case("numbers").rows, 3), ships=True))
    return data.map_batches(function, python=True)


def test_what_cannot_be_pickled_is_told_as_text():
    class Stubborn(Exception):
        def __reduce__(self):
            raise TypeError("no")

    with pytest.raises(errors.UserFunctionError, match="Stubborn") as caught:
        run(Count(), failing(lambda: Stubborn("at all")), workers=2)
    assert caught.value.__cause__ is None


def test_an_error_of_ones_own_class_travels():
    class Mine(Exception):
        pass

    with pytest.raises(errors.UserFunctionError, match="Mine") as caught:
        run(Count(), failing(lambda: Mine("yes")), workers=2)
    assert type(caught.value.__cause__).__name__ == "Mine"


def test_an_algorithm_that_fails_in_a_process_fails_here():
    class Breaks(Count):
        def update(self, state, batch):
            raise IndexError("out")

    data = Dataset(PieceSource(deal(case("numbers").rows, 3), ships=True))
    with pytest.raises(errors.EngineError, match="IndexError: out") as caught:
        run(Breaks(), data.map_batches(lambda frame: frame, python=True), workers=2)
    assert isinstance(caught.value.__cause__, IndexError)
