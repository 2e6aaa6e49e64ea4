"""The contract of every mining algorithm: a mergeable summary, or passes of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

import pyarrow as pa

from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import MotherlodeError, UnknownNameError
from motherlode.core.parameters import Constraint, check_parameters

S = TypeVar("S")
R = TypeVar("R")
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Traits:
    """Facts about an algorithm, as data: engines, laws, documentation and commands read them.

    Parameters
    ----------
    grade : str
        ``exact``: bit-identical for every partitioning, order, engine and number of workers.
        ``ordered``: bit-identical for the same splits on any engine and number of workers.
        ``bounded``: within the declared error ``eps`` (a sketch).
    summary : str
        One line for tables of algorithms.
    invertible : bool
        Whether ``subtract`` is there and gives the state of never having seen the rows.
    commutative : bool
        Whether the order of merging does not matter to the state.
    passes : str
        How often the rows are read: ``1``, ``2``, ``k``.
    streamable : str
        ``exact`` (the stream's answer is the batch's), ``online`` (a sequential variant) or
        ``refit`` (kept rows are fitted again).
    state_size : str
        A formula in the quantities of the data.
    reference : str
        The paper or source.
    eps : str
        For ``bounded``: the declared error.
    python : bool
        Whether rows pass through Python code that holds the interpreter lock, so that workers
        must be processes.
    """

    grade: str
    summary: str
    invertible: bool = False
    commutative: bool = True
    passes: str = "1"
    streamable: str = "exact"
    state_size: str = "O(1)"
    reference: str = ""
    eps: str = ""
    python: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """The picture that suits a result table.

    Parameters
    ----------
    kind : {'bar', 'histogram', 'heatmap', 'scatter', 'line', 'box'}
        Sort of picture.
    x, y : str
        Columns of the result table; for a heatmap ``y`` holds the row names and the other
        numeric columns are the cells.
    top : int
        At most this many rows, the first ones.
    color, size : str
        Columns for colour and size, where the kind has them.
    """

    kind: str
    x: str
    y: str
    top: int = 40
    color: str = ""
    size: str = ""


class Algorithm:
    """What summaries, iterative algorithms and estimators share: traits and parameters.

    Constructor parameters are stored unchanged under their own names and validated when the
    algorithm is prepared for a schema, before any row is read.

    ``takes`` names the kind of rows it mines, of :data:`motherlode.testing.cases.KINDS`, and
    ``example`` parameters to try it with on a few rows; the laws and engine tests need them only
    where the kind cannot be told from what ``prepare`` accepts, or the defaults do not do.
    """

    traits: ClassVar[Traits]
    constraints: ClassVar[Mapping[str, Constraint]] = {}
    chart: ClassVar[Chart | None] = None
    takes: ClassVar[str] = ""
    example: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def parameter_names(cls) -> list[str]:
        """Names of the constructor's parameters, in order."""
        signature = inspect.signature(cls.__init__)
        return [p for p in signature.parameters if p not in ("self", "args", "kwargs")]

    def parameters(self) -> dict[str, Any]:
        """Return the constructor's parameters with their values."""
        return {name: getattr(self, name) for name in self.parameter_names()}

    def validate(self) -> None:
        """Raise :class:`~motherlode.core.errors.ParameterError` for a bad parameter."""
        check_parameters(type(self).__name__, self.constraints, self.parameters())

    def plan(self) -> Summary[Any, Any] | Iterative[Any, Any]:
        """Return what is to be run; estimators return their summary or iteration."""
        raise NotImplementedError

    def conclude(self, value: Any) -> Any:
        """Turn the outcome of the plan into what the user gets; estimators become fitted."""
        return value

    def table(self, value: Any) -> pa.Table:
        """Return the result as a table for printing and writing."""
        if isinstance(value, pa.Table):
            return value
        raise MotherlodeError(f"{type(self).__name__} has no table for {type(value).__name__}")

    def __repr__(self) -> str:
        defaults = {
            p.name: p.default for p in inspect.signature(type(self).__init__).parameters.values()
        }
        shown = [
            f"{name}={value!r}"
            for name, value in self.parameters().items()
            if not (defaults.get(name) is value or defaults.get(name) == value)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


class Summary(Algorithm, Generic[S, R]):
    """What one pass over the rows keeps.

    A state may be any object; ``export`` turns it into plain data (None, bool, int, float, str,
    bytes, list, tuple, dict with string keys, NumPy arrays, Arrow arrays and tables) in a
    canonical form, so that equal states have equal digests, and ``load`` turns that back.

    The laws (:mod:`motherlode.testing.laws`) hold for every summary, up to its grade: ``zero`` is
    the identity of ``merge``; ``merge`` is associative, and commutative where declared; splitting
    the rows anywhere and merging gives the state of one pass; ``merge`` leaves its right side
    alone, ``finish`` and ``export`` leave the state alone; ``subtract`` undoes ``merge``.
    """

    def plan(self) -> Summary[Any, Any]:
        return self

    def prepare(self, schema: Schema) -> Self:
        """Return this summary made ready for rows of this schema.

        Parameters are validated and column choices resolved here, so that bad input fails before
        any row is read. Overriding methods call ``super().prepare(schema)`` first and return a
        copy (``copy.copy(self)``) with what they resolved under names that end in ``_``.
        Preparing a prepared summary for the same schema gives an equal summary.
        """
        self.validate()
        return self

    def needs(self) -> tuple[str, ...] | None:
        """Names of the columns that ``update`` reads; None for all of them."""
        return None

    def zero(self) -> S:
        """Return the state of having seen no rows; a fresh one at every call."""
        raise NotImplementedError

    def update(self, state: S, batch: Batch) -> S:
        """Return the state after these rows too; may consume ``state``, never ``batch``."""
        raise NotImplementedError

    def merge(self, left: S, right: S) -> S:
        """Return the state of both; may consume ``left``, never touches ``right``."""
        raise NotImplementedError

    def finish(self, state: S) -> R:
        """Return the answer; must not change the state."""
        raise NotImplementedError

    def subtract(self, whole: S, part: S) -> S:
        """Return the state without the rows of ``part``; may consume ``whole`` only.

        Raises
        ------
        MotherlodeError
            If the algorithm is not invertible.
        """
        raise MotherlodeError(
            f"{type(self).__name__} cannot forget rows: its state does not hold what it takes",
            "only algorithms whose traits say invertible can; see `motherlode algorithms`",
        )

    def fold(self, batches: Iterable[Batch]) -> S:
        """Return the state of all rows of one split.

        Only what has to see a split as one stream, as a reducer that is handed the values of a
        key one after another, overrides this.
        """
        state = self.zero()
        for batch in batches:
            state = self.update(state, batch)
        return self.compact(state)

    def compact(self, state: S) -> S:
        """Return an equivalent, smaller state; called when a split is finished."""
        return state

    def export(self, state: S) -> Any:
        """Return the state as plain data in canonical form; must not change the state."""
        return state

    def load(self, exported: Any) -> S:
        """Return a state from what ``export`` gave; must not keep references into it."""
        return exported  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Context:
    """What an iterative algorithm may know when it starts.

    Parameters
    ----------
    schema : Schema
        Columns of the rows.
    rows : int or None
        Number of rows, where the source knows it without reading.
    memory : int
        Bytes that states and models may take together.
    """

    schema: Schema
    rows: int | None = None
    memory: int = 1 << 30


class Iterative(Algorithm, Generic[M, R]):
    """Passes over the rows with a broadcast model in between.

    The model is plain data as the codec takes it: it is the checkpoint between passes.
    """

    def plan(self) -> Iterative[Any, Any]:
        return self

    def prepare(self, schema: Schema) -> Self:
        """Return this algorithm made ready for rows of this schema; as for summaries."""
        self.validate()
        return self

    def start(self, context: Context) -> M:
        """Return the model before the first pass."""
        raise NotImplementedError

    def pass_(self, model: M) -> Summary[Any, Any]:
        """Return the summary of the next pass; it carries what it needs of the model."""
        raise NotImplementedError

    def advance(self, model: M, result: Any) -> M:
        """Return the model after a pass whose ``finish`` gave ``result``."""
        raise NotImplementedError

    def done(self, model: M) -> bool:
        """Tell whether no further pass is needed."""
        raise NotImplementedError

    def finish(self, model: M) -> R:
        """Return the answer; must not change the model."""
        return model  # type: ignore[return-value]


def build(kind: type[Algorithm], parameters: Mapping[str, Any]) -> Algorithm:
    """Construct an algorithm from named parameters, with clear errors for unknown ones."""
    known = kind.parameter_names()
    for name in parameters:
        if name not in known:
            raise UnknownNameError(f"parameter of {kind.__name__}", name, known)
    algorithm = kind(**parameters)
    algorithm.validate()
    return algorithm
