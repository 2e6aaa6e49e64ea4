"""Correlation: how far columns depend on each other linearly, exactly."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from motherlode.algebra.exact import ExactGram
from motherlode.algebra.summary import Traits
from motherlode.mining.statistics.covariance import Comoments


class Correlation(Comoments):
    """The matrix of Pearson's correlation coefficients of columns.

    The sums of the columns and of all products of two of them are kept to the last bit; each
    coefficient is the true one, rounded once, so that it is never beyond 1 or -1.

    Parameters
    ----------
    columns : list of str or None
        Which columns; None takes all that hold numbers.

    Returns
    -------
    pyarrow.Table
        ``column``, then a float64 column for each, a row for each. A row of the data counts if
        it has a finite number in every column; how many did, had something missing or NaN, or
        had an infinity, is in the table's metadata as ``rows``, ``rows_with_missing`` and
        ``rows_with_infinite``. NaN where a column is constant.

    Notes
    -----
    Integers beyond 2**53 and decimals are taken as the nearest float64. Time: about ten times
    that of ``X.T @ X``. State: some 60 bytes a pair of columns. Grade: exact.

    References
    ----------
    R. M. Neal, "Fast exact summation using small and large superaccumulators",
    arXiv:1505.05571, 2015.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.runtime import run
    >>> sizes = pa.table({"height": [1.0, 2.0, 3.0], "weight": [2.0, 4.0, 6.0]})
    >>> for row in run(Correlation(), sizes).table.to_pylist():
    ...     print(row)
    {'column': 'height', 'height': 1.0, 'weight': 1.0}
    {'column': 'weight', 'height': 1.0, 'weight': 1.0}
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "correlation matrix of columns",
        invertible=True,
        state_size="columns**2",
        reference="Neal, arXiv:1505.05571, 2015",
    )

    def cells(self, state: ExactGram) -> NDArray[np.float64]:
        return state.correlation()
