"""How likely rows are under each class, once the classes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from motherlode.mining.naive_bayes._counts import Floats
from motherlode.mining.rows import fixed

NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True)
class Likelihood:
    """Joint log-likelihoods of rows and classes, under one model or under several side by side.

    Parameters
    ----------
    starts : ndarray of shape (models, classes), float64
        What does not depend on the row.
    slopes : ndarray of shape (models, classes, d), float64
        Log-probabilities of the features, or their means where there are ``scales``.
    scales : ndarray of shape (models, classes, d), float64, or None
        One over the variances, for normal distributions.
    """

    starts: Floats
    slopes: Floats
    scales: Floats | None = None

    @classmethod
    def beside(cls, models: Sequence[Likelihood]) -> Self:
        """Return several models of the same classes side by side."""
        scales = [model.scales for model in models if model.scales is not None]
        return cls(
            np.concatenate([model.starts for model in models]),
            np.concatenate([model.slopes for model in models]),
            np.concatenate(scales) if scales else None,
        )

    def joint(self, block: Any, which: NDArray[np.int64] = NOTHING) -> Floats:
        """Return the joint log-likelihoods, shape (n_rows, n_classes), each row by its model."""
        from motherlode.mining.naive_bayes import _likelihood_kernels as kernels

        if not isinstance(block, np.ndarray):
            return self._joint_sparse(block, which)
        found = np.empty((block.shape[0], self.starts.shape[1]))
        if self.scales is None:
            kernels.linear(fixed(block), which, self.slopes, self.starts, found)
        else:
            kernels.gaussian(fixed(block), which, self.slopes, self.scales, self.starts, found)
        return found

    def most_likely(self, block: Any, which: NDArray[np.int64] = NOTHING) -> NDArray[np.int64]:
        """Return the place of the most likely class of each row."""
        from motherlode.mining.naive_bayes import _likelihood_kernels as kernels

        joint = self.joint(block, which)
        codes = np.empty(len(joint), np.int64)
        kernels.most_likely(joint, codes)
        return codes

    def _joint_sparse(self, block: Any, which: NDArray[np.int64]) -> Floats:
        from motherlode.mining.naive_bayes import _likelihood_kernels as kernels

        turned, starts = self._by_fours
        found = np.empty((block.shape[0], starts.shape[1]))
        parts = fixed(block.data), fixed(block.indices), fixed(block.indptr)
        kernels.linear_sparse(*parts, which, turned, starts, found)
        return found[:, : self.starts.shape[1]]

    @cached_property
    def _by_fours(self) -> tuple[Floats, Floats]:
        """Return slopes and starts as the kernel for sparse rows takes them."""
        models, classes, width = self.slopes.shape
        groups = -(-classes // 4)
        starts = np.zeros((models, 4 * groups))
        starts[:, :classes] = self.starts
        slopes = np.zeros((models, 4 * groups, width))
        slopes[:, :classes] = self.slopes
        turned = slopes.reshape(models, groups, 4, width).transpose(0, 1, 3, 2)
        return np.ascontiguousarray(turned), starts
