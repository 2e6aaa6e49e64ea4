"""The laws about states, tried on every case; see :mod:`motherlode.testing.laws`."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from motherlode.algebra import codec
from motherlode.core.batch import Batch
from motherlode.core.errors import MotherlodeError
from motherlode.testing.cases import batched, deal, relaid
from motherlode.testing.subject import LawError, Subject

SMALL = 12
"""Up to so many rows, every row is also tried as a batch and as a split of its own."""


def identity(subject: Subject) -> None:
    """A state of no rows changes nothing, on either side of a merge and beside another one.

    Catches means and variances that divide by a count of 0, extremes that start at 0 rather than
    at nothing, and a dropped state where one side is empty.
    """
    summary = subject.summary
    for rows in ([], subject.pieces[:1], [subject.rows]):
        wanted = subject.document(subject.state(*rows))
        right = summary.merge(subject.state(*rows), summary.zero())
        subject.same_document(subject.document(right), wanted, "merged with an empty state")
        left = summary.merge(summary.zero(), subject.state(*rows))
        subject.same_document(subject.document(left), wanted, "merged into an empty state")


def associativity(subject: Subject) -> None:
    """Merging may be bracketed in any way: (a b) c = a (b c).

    Catches averages of averages, and states that are trimmed at each merge.
    """
    merge, state = subject.summary.merge, subject.state
    for a, b, c in zip(subject.pieces, subject.pieces[1:], subject.pieces[2:], strict=False):
        left = merge(merge(state(a), state(b)), state(c))
        right = merge(state(a), merge(state(b), state(c)))
        subject.equal(left, right, "(a b) c differs from a (b c)")


def commutativity(subject: Subject) -> None:
    """Where declared, the sides of a merge may change places.

    Catches a wrong ``commutative=True`` (it is the default), ties broken by who came first, and
    keys kept in the order of arrival.
    """
    if not subject.summary.traits.commutative:
        return
    merge, state = subject.summary.merge, subject.state
    for a, b in pairwise(subject.pieces):
        subject.equal(merge(state(a), state(b)), merge(state(b), state(a)), "a b differs from b a")


def splitting(subject: Subject) -> None:
    """However the rows are cut, the merged states are that of one pass.

    Catches what is kept a split and lost in the merge: sums of squares of small differences,
    counts of what stands at a border, rows that are alone in their piece.
    """
    whole = subject.state(subject.rows)
    ways = [subject.pieces, [subject.rows.slice(0, 0), subject.rows], deal(subject.rows, 2)]
    if 2 < len(subject.rows) <= SMALL:
        ways.append(deal(subject.rows, len(subject.rows)))
    for pieces in ways:
        lengths = [len(piece) for piece in pieces]
        subject.equal(subject.merged(*pieces), whole, f"cut into {lengths} and merged")
        subject.equal(subject.tree(pieces), whole, f"cut into {lengths} and merged in a tree")


def batching(subject: Subject) -> None:
    """A split's state does not depend on how its rows come in batches.

    Catches work done a batch (a batch's mean, its distinct values, a buffer flushed at its end),
    and an empty batch that counts.
    """
    whole = subject.document(subject.state(subject.rows))
    sizes = [7, 64] if len(subject.rows) > SMALL else [1, 3]
    for size in sizes:
        batches = list(batched(subject.rows, size))
        batches.insert(1, subject.rows.slice(0, 0))
        subject.same_document(
            subject.document(subject.state(*batches)), whole, f"in batches of {size} rows"
        )


def compaction(subject: Subject) -> None:
    """A compacted state, as each finished split's is, stands for the same rows.

    Catches a ``compact`` that forgets what was buffered.
    """
    summary = subject.summary
    a, b = deal(subject.rows, 2)
    left, right = (summary.compact(subject.state(piece)) for piece in (a, b))
    wanted = summary.merge(subject.state(a), subject.state(b))
    subject.equal(summary.merge(left, right), wanted, "merged after compact")
    going_on = summary.update(summary.compact(subject.state(a)), b)
    subject.equal(going_on, subject.state(a, b), "updated after compact")


def folding(subject: Subject) -> None:
    """A split folded in one go has the state of its batches one after another, compacted.

    Catches a ``fold`` of one's own that differs from ``update``.
    """
    summary = subject.summary
    for size in (7, max(1, len(subject.rows))):
        folded = summary.fold(batched(subject.rows, size))
        one_by_one = summary.compact(subject.state(*batched(subject.rows, size)))
        subject.identical(folded, one_by_one, f"folded in batches of {size} rows")


def right_side(subject: Subject) -> None:
    """A merge leaves its right side alone, then and later.

    Catches a merge that returns or keeps the right state, or arrays of it, so that a split kept
    for a resume, a pane of a window or a fold of a cross-validation changes behind one's back.
    """
    summary = subject.summary
    for given in ([], subject.pieces[-1:]):
        right = subject.state(subject.rows)
        before = subject.document(right)
        merged = summary.merge(subject.state(*given), right)
        subject.same_document(subject.document(right), before, "the right side after a merge")
        together = subject.document(merged)
        merged = summary.update(merged, subject.rows)
        merged = summary.merge(merged, subject.state(subject.rows))
        subject.same_document(
            subject.document(right), before, "the right side after the merged state went on"
        )
        merged = summary.merge(subject.state(*given), right)
        right = summary.update(right, subject.rows)
        subject.same_document(
            subject.document(merged), together, "the merged state after the right side went on"
        )


def finishing(subject: Subject) -> None:
    """Taking an answer changes nothing: not the state, nor later the answer.

    Catches a ``finish`` that sorts, divides or flushes in place, which a stream's second window
    shows, and an answer that is a view of the state.
    """
    summary = subject.summary
    state = subject.state(*subject.pieces)
    before = subject.document(state)
    answer = summary.finish(state)
    subject.same_document(subject.document(state), before, "the state after finish")
    given = _encoded(answer)
    state = summary.update(state, subject.rows)
    summary.finish(state)
    if given is not None and _encoded(answer) != given:
        raise LawError(f"{subject}: an answer changed when the state went on")


def exporting(subject: Subject) -> None:
    """Exporting changes nothing, and what was exported stays as it was.

    Catches exports that are the live state, or views of its arrays, and exports that flush.
    """
    summary = subject.summary
    state = subject.state(*subject.pieces)
    exported = summary.export(state)
    before = codec.encode(exported)
    subject.same_document(subject.document(state), before, "the second export")
    state = summary.update(state, subject.rows)
    state = summary.merge(state, subject.state(subject.rows))
    summary.compact(state)
    subject.same_document(
        codec.encode(exported), before, "what was exported, when the state went on"
    )


def encoding(subject: Subject) -> None:
    """A state that was written and read again is the same state, and goes on as it would have.

    Catches what ``export`` leaves out, what ``load`` gets in another type, and a loaded state
    that shares memory with the document.
    """
    summary = subject.summary
    for pieces in ([], subject.pieces):
        document = subject.document(subject.state(*pieces))
        plain = codec.decode(document)
        subject.same_document(codec.encode(plain), document, "decoded and encoded again")
        subject.same_document(
            subject.document(summary.load(plain)), document, "loaded and exported again"
        )
        updated = summary.update(summary.load(plain), subject.rows)
        wanted = subject.document(subject.state(*pieces, subject.rows))
        subject.same_document(subject.document(updated), wanted, "updated after loading")
        both = subject.document(summary.merge(subject.state(subject.rows), subject.state(*pieces)))
        right = summary.merge(subject.state(subject.rows), summary.load(plain))
        subject.same_document(subject.document(right), both, "merged from a loaded state")
        left = summary.merge(summary.load(plain), subject.state(subject.rows))
        both = subject.document(summary.merge(subject.state(*pieces), subject.state(subject.rows)))
        subject.same_document(subject.document(left), both, "merged into a loaded state")
        subject.same_document(codec.encode(plain), document, "the document after its state went on")


def fresh_zero(subject: Subject) -> None:
    """Each ``zero()`` is a state of its own.

    Catches a state made once, in the constructor or as a default argument, and shared by all
    splits.
    """
    summary = subject.summary
    first, second = summary.zero(), summary.zero()
    empty = subject.document(second)
    summary.merge(summary.update(first, subject.rows), subject.state(subject.rows))
    subject.same_document(subject.document(second), empty, "a zero beside one that went on")
    subject.same_document(subject.document(summary.zero()), empty, "a later zero")


def rows_untouched(subject: Subject) -> None:
    """Rows are not written to.

    Catches sorting, scaling or filling in place of a block that the cache keeps for the next
    pass and that belongs to the user.
    """
    before = _snapshot(subject.rows)
    state = subject.state(subject.rows, *subject.pieces)
    subject.summary.finish(subject.summary.compact(state))
    if _snapshot(subject.rows) != before:
        raise LawError(f"{subject}: the rows changed")


def projection(subject: Subject) -> None:
    """The columns that ``needs`` names are all that ``update`` reads.

    Catches a column that is read but not declared, which no file reader will deliver.
    """
    needs = subject.summary.needs()
    if needs is None or not subject.rows.columns.num_columns:
        return
    subject.rows.schema.require(*needs)
    narrow = replace(subject.rows, columns=subject.rows.columns.select(list(needs)), _matrices={})
    subject.identical(
        subject.state(narrow), subject.state(subject.rows), f"given only the columns {needs}"
    )


def layout(subject: Subject) -> None:
    """Equal rows count alike however they lie in memory.

    Catches buffers read without their offset, values that a null hides, and a matrix taken to
    begin where its memory does.
    """
    other = subject.state(relaid(subject.rows))
    subject.equal(other, subject.state(subject.rows), "sliced, with values under the nulls")


def inverse(subject: Subject) -> None:
    """Where declared, ``subtract`` gives the state of never having seen the rows.

    Catches forgotten nulls and counters, keys left behind with a count of 0, and sums that
    cancel.
    """
    summary = subject.summary
    if not summary.traits.invertible:
        return
    for gone in (2, 4):
        kept = [piece for number, piece in enumerate(subject.pieces) if number != gone]
        part = subject.state(subject.pieces[gone])
        before = subject.document(part)
        left = summary.subtract(subject.merged(*subject.pieces), part)
        subject.equal(left, subject.merged(*kept), "after subtracting a piece")
        subject.same_document(subject.document(part), before, "what was subtracted")
        left = summary.merge(left, part)
        subject.equal(left, subject.merged(*kept, subject.pieces[gone]), "after adding it again")
        subject.same_document(subject.document(part), before, "what was subtracted, later")
    left = summary.subtract(subject.state(subject.rows), subject.state(subject.rows))
    subject.equal(left, summary.zero(), "after subtracting everything")


def grading(subject: Subject) -> None:
    """The grade is as declared, for 1, 3 and 64 splits and, where exact, shuffled rows.

    ``exact``: one digest for all. Where ``eps`` is declared, as ``bounded`` must, answers are
    within it; the algorithm's own ``error(answer, rows)`` measures how far they are off, as a
    multiple of the bound. Catches float sums that follow the partitioning, seeds taken from
    split numbers, and bounds that hold on friendly data only. (``ordered`` is a promise about
    engines: see ``same_on_any_workers``.)
    """
    counts = (1, 3, 64) if len(subject.rows) > SMALL else (1, 3)
    states = {f"in {n} splits": subject.tree(deal(subject.rows, n)) for n in counts}
    if subject.grade == "exact":
        if subject.summary.traits.commutative:
            order = np.random.default_rng(5).permutation(len(subject.rows))
            states["shuffled"] = subject.tree(deal(subject.rows.take(order), 3))
        whole = subject.state(subject.rows)
        for way, state in states.items():
            subject.identical(state, whole, f"declared exact, {way}")
    if subject.summary.traits.eps and subject.algorithm is not None:
        for way, state in states.items():
            off = _error(subject, state)
            if not off <= 1.0:
                raise LawError(f"{subject}: {way}, the error is {off} times the declared bound")


def answering(subject: Subject) -> None:
    """There is an answer, and a table of it, for any rows taken, and of none a clear refusal.

    Catches a crash, or a warning of NumPy's, on empty and on constant data.
    """
    if subject.algorithm is None:
        return
    for state in (subject.state(subject.rows), subject.summary.zero()):
        try:
            table = subject.algorithm.table(
                subject.algorithm.conclude(subject.summary.finish(state))
            )
        except MotherlodeError:
            continue
        if not isinstance(table, pa.Table):
            raise LawError(f"{subject}: table() gave {type(table).__name__}, not a pyarrow.Table")
        table.validate(full=True)


STATE_LAWS = (
    identity, associativity, commutativity, splitting, batching, compaction, folding, right_side,
    finishing, exporting, encoding, fresh_zero, rows_untouched, projection, layout, inverse,
    grading, answering,
)  # fmt: skip


def _error(subject: Subject, state: Any) -> float:
    """Return how far the answer is off, as a multiple of the declared bound."""
    algorithm = subject.algorithm
    assert algorithm is not None
    measure = getattr(algorithm, "error", None)
    if measure is None:
        raise LawError(
            f"{subject}: declares {algorithm.traits.eps!r}, but has no method error(answer, rows) "
            "that returns how far an answer is off, as a multiple of that bound"
        )
    return float(measure(algorithm.conclude(subject.summary.finish(state)), subject.rows))


def _encoded(answer: Any) -> bytes | None:
    try:
        return codec.encode(answer)
    except MotherlodeError:
        return None


def _snapshot(rows: Batch) -> bytes:
    block = rows.features
    if block is not None and not isinstance(block, np.ndarray):
        block = [block.data, block.indices, block.indptr]
    return codec.encode([rows.columns, block, rows.target, rows.weights])
