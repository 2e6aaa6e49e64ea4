"""The laws that every summary keeps, executable; published for your own algorithms.

>>> from motherlode.mining.statistics.count import Count
>>> check(Count)

A law is a function; its docstring says which bug it catches. In pytest, one test a law::

    @pytest.mark.parametrize("law", laws(), ids=str)
    def test_my_algorithm(law):
        law(trial(MyAlgorithm))

Those in :mod:`motherlode.testing.state_laws` are about states and tried on every case, those in
:mod:`motherlode.testing.promises` about the algorithm as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from motherlode.algebra.summary import Algorithm
from motherlode.testing.cases import Case
from motherlode.testing.promises import PROMISES
from motherlode.testing.state_laws import STATE_LAWS
from motherlode.testing.subject import Law, LawError, Trial, instance

__all__ = ["Law", "LawError", "Trial", "check", "laws", "trial"]


def laws() -> list[Law]:
    """Return all laws."""
    return [*map(Law, STATE_LAWS), *(Law(promise, whole=True) for promise in PROMISES)]


def check(algorithm: Algorithm | type[Algorithm], cases: Sequence[Case] | None = None) -> None:
    """Try an algorithm on all laws.

    Parameters
    ----------
    algorithm : Algorithm or subclass
        A class is made with its ``example`` parameters.
    cases : sequence of Case, optional
        Rows; by default all that :mod:`motherlode.testing.cases` finds for it.

    Raises
    ------
    LawError
        If any law does not hold; the message lists them all.
    MotherlodeError
        If the algorithm refuses its rows.
    """
    tried = Trial(instance(algorithm), cases)
    if not tried.subjects:
        raise LawError(f"{tried}: there is no case to try it on")
    broken = []
    for law in laws():
        try:
            law(tried)
        except Exception as error:
            kind = "" if isinstance(error, LawError) else f"{type(error).__name__}: "
            broken.append(f"{law}: {kind}{error}")
    if broken:
        raise LawError("\n".join(broken))


@cache
def trial(algorithm: type[Algorithm]) -> Trial:
    """Return the trial of a class with its example parameters; the same one at every call."""
    return Trial(instance(algorithm))
