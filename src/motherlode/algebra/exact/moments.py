"""Means, variances, skewnesses and kurtoses, as they follow from exact sums of powers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from motherlode.algebra.exact.limbs import Floats, Ints, rounded, rounded_root


def aligned(sums: list[tuple[list[int], int]]) -> tuple[list[list[int]], int]:
    """Return sums of powers of whole multiples of one power of two, and its exponent."""
    e = min(exponent // k for k, (_, exponent) in enumerate(sums, 1))
    numbers = [
        [number << exponent - k * e for number in numbers]
        for k, (numbers, exponent) in enumerate(sums, 1)
    ]
    return numbers, e


class Moments:
    """What follows from counts and sums of powers."""

    @property
    def counts(self) -> Ints:
        raise NotImplementedError

    def sums(self, power: int) -> tuple[list[int], int]:
        raise NotImplementedError

    def _each(self, powers: int, least: int, formula: Callable[..., float]) -> Floats:
        """Apply ``formula(n, e, sums...)`` where there are at least so many values, all finite."""
        sums, e = aligned([self.sums(k) for k in range(1, powers + 1)])
        n = self.counts[:, 0].tolist()
        result = np.full(len(n), np.nan)
        for g in np.flatnonzero((self.counts[:, 0] >= least) & ~self.counts[:, 1:].any(axis=1)):
            result[g] = formula(n[g], e, *(numbers[g] for numbers in sums))
        return result

    def _with_infinite(self, result: Floats) -> Floats:
        nan, above, below = (self.counts[:, k] != 0 for k in (1, 2, 3))
        result[above & ~below & ~nan] = np.inf
        result[below & ~above & ~nan] = -np.inf
        return result

    def sum(self) -> Floats:
        """Sums, rounded once; 0 of nothing, ±inf beyond the range, and IEEE's for NaN and inf."""
        return self._with_infinite(self._each(1, 0, lambda n, e, a: rounded(a, 1, e)))

    def mean(self) -> Floats:
        """Means, rounded once; NaN of nothing."""
        return self._with_infinite(self._each(1, 1, lambda n, e, a: rounded(a, n, e)))

    def variance(self, ddof: int = 0) -> Floats:
        """Variances with divisor ``n - ddof``, rounded once; NaN without more than ddof values."""

        def formula(n: int, e: int, a: int, b: int) -> float:
            return rounded(n * b - a * a, n * (n - ddof), 2 * e)

        return self._each(2, max(ddof, 0) + 1, formula)

    def std(self, ddof: int = 0) -> Floats:
        """Standard deviations: the roots of the exact variances, rounded once."""

        def formula(n: int, e: int, a: int, b: int) -> float:
            return rounded_root(n * b - a * a, n * (n - ddof), 2 * e)

        return self._each(2, max(ddof, 0) + 1, formula)

    def skewness(self, bias: bool = True) -> Floats:
        """Skewnesses as SciPy defines them, rounded once; NaN where all values are equal."""

        def formula(n: int, e: int, a: int, b: int, c: int) -> float:
            spread = n * b - a * a
            third = n * n * c - 3 * n * a * b + 2 * a**3
            if not spread:
                return math.nan
            above, below = (1, 1) if bias else (n * (n - 1), (n - 2) ** 2)
            root = rounded_root(third**2 * above, spread**3 * below, 0)
            return root if third > 0 else -root

        return self._each(3, 1 if bias else 3, formula)

    def kurtosis(self, fisher: bool = True, bias: bool = True) -> Floats:
        """Kurtoses as SciPy defines them, rounded once; NaN where all values are equal."""

        def formula(n: int, e: int, a: int, b: int, c: int, d: int) -> float:
            spread = (n * b - a * a) ** 2
            fourth = n**3 * d - 4 * n * n * a * c + 6 * n * a * a * b - 3 * a**4
            if not spread:
                return math.nan
            above, below = fourth - 3 * spread, spread
            if not bias:
                above = (n * n - 1) * fourth - 3 * (n - 1) ** 2 * spread
                below *= (n - 2) * (n - 3)
            return rounded(above + (0 if fisher else 3 * below), below, 0)

        return self._each(4, 1 if bias else 4, formula)
