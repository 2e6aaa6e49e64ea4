"""Compiled kernel that deals rows into folds; imported only for cross-validation."""

from typing import Any

from numba import njit


@njit(nogil=True, cache=True)
def in_turn(classes: Any, following: Any, folds: Any, dealt: Any) -> None:
    """Deal the rows of each class in turn.

    Parameters
    ----------
    classes : int64 array, shape (n,)
        Class of each row.
    following : int64 array, shape (n_classes,)
        The fold of the next row of each class; updated.
    folds : int
        How many there are.
    dealt : int64 array, shape (n,)
        Filled.
    """
    for i in range(len(classes)):
        c = classes[i]
        fold = following[c]
        dealt[i] = fold
        following[c] = fold + 1 if fold + 1 < folds else 0
