"""Rows as learners want them: a block of features, labels and weights, however they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.core.batch import Batch, Schema, is_numeric
from motherlode.core.errors import DataError, UsageError


@dataclass(frozen=True, slots=True)
class Rows:
    """Where a learner finds what it needs in a batch.

    Parameters
    ----------
    features : tuple of str or None
        The columns of the features, in order; None for the feature block of a matrix.
    width : int
        How many features there are.
    target : str or None
        The column of the labels; None for labels beside a matrix, or none at all.
    """

    features: tuple[str, ...] | None
    width: int
    target: str | None = None

    @classmethod
    def of(
        cls,
        owner: str,
        schema: Schema,
        features: Sequence[str] | None = None,
        target: str | None = None,
        *,
        supervised: bool = False,
    ) -> Rows:
        """Return where the rows of this schema have their features and labels.

        Parameters
        ----------
        owner : str
            The learner, for errors.
        schema : Schema
            What the rows hold.
        features : sequence of str, optional
            Columns to learn from; by default the matrix, or all numeric columns but the target.
        target : str, optional
            Column of the labels.
        supervised : bool
            Whether there must be labels.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        UsageError
            If there are no labels, no features, or features that are not numbers.
        """
        if target is not None:
            schema.require(target)
        elif supervised and not schema.has_target:
            raise UsageError(
                f"{owner}: which column holds the labels?",
                "name it: target='label', or fit(data, y='label')",
            )
        if features is None and schema.n_features is not None:
            return cls(None, schema.n_features, target)
        names = features if features is not None else schema.numeric()
        chosen = tuple(name for name in names if features is not None or name != target)
        schema.require(*chosen)
        for name in chosen:
            if not is_numeric(schema.type(name)):
                raise UsageError(
                    f"{owner}: column {name!r} holds {schema.type(name)}, not numbers",
                    "leave it out of features, or encode it with with_columns",
                )
        if not chosen:
            raise UsageError(f"{owner}: there is no numeric column to learn from")
        return cls(chosen, len(chosen), target)

    def needs(self) -> tuple[str, ...]:
        """Return the columns to be read."""
        return (*(self.features or ()), *((self.target,) if self.target is not None else ()))

    def block(self, batch: Batch) -> Any:
        """Return the features: a C-contiguous float matrix, or a CSR array."""
        return batch.matrix(self.features)

    def labels(self, batch: Batch) -> pa.Array | NDArray[Any]:
        """Return the labels as they came.

        Raises
        ------
        DataError
            If one is missing.
        """
        if self.target is None:
            assert batch.target is not None
            return batch.target
        labels = batch.column(self.target)
        if labels.null_count:
            missing = int(np.flatnonzero(labels.is_null().to_numpy(zero_copy_only=False))[0])
            raise DataError(
                f"row {batch.start + missing} of split {batch.split} has no {self.target!r}",
                "leave such rows out with filter",
            )
        return labels

    def refuse(self, batch: Batch, row: int) -> NoReturn:
        """Raise the :class:`DataError` for a row with a number that is missing or infinite."""
        block = self.block(batch)
        values = block[[row]].toarray()[0] if hasattr(block, "toarray") else block[row]
        column = int(np.flatnonzero(~np.isfinite(values))[0])
        name = f"column {self.features[column]!r}" if self.features else f"feature {column}"
        raise DataError(
            f"row {batch.start + row} of split {batch.split} has {values[column]} in {name}",
            "fill such values in with with_columns, or leave the rows out with filter",
        )


def fixed(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that kernels are compiled for one kind of array."""
    view = array.view()
    view.flags.writeable = False
    return view
