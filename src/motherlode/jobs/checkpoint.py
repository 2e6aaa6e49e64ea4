"""Checkpoints: the keeper that makes finished nodes and models durable in a job's folder.

What is kept is the forest of nodes that wait for a sibling: it holds all that was finished. Each
state goes into a file of its own (temporary name, fsync, rename), the folder is synced once, then
one write of journal lines names the files with their digests, and files of nodes that are covered
by newer ones go last. So a crash at any moment leaves every state that the journal names, or more
files than it names, which are ignored.

It is done as often as it costs at most a tenth of the time: after nearly each split where states
are small, every few seconds where they take long to write. What finished since is folded again
after a crash; where the job stops in good order, nothing is.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from motherlode.algebra import codec
from motherlode.algebra.tree import Node
from motherlode.core.errors import JobError
from motherlode.jobs.files import refuse, sync_folder, write_file
from motherlode.jobs.journal import Entry, Journal

SHARE = 10
"""Keeping may take one part in this many of the time."""

GRACE = 0.1
"""Seconds before the first time, so that small jobs keep nothing."""

Key = tuple[int, Node]


class Checkpoints:
    """Keeps the finished nodes and models of one job.

    Parameters
    ----------
    folder : Path
        Where the states are.
    journal : Journal
        Names them.
    shield : callable
        Gives a context in which no signal interrupts.
    """

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        shield: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.folder = folder
        self.journal = journal
        self._shield = shield
        self._nodes: dict[Key, Entry] = {}
        self._model: Entry | None = None
        self._account: Entry | None = None
        self._fresh: tuple[int, Any, bytes | None] | None = None
        self._began = time.perf_counter()
        self._due = self._began + GRACE
        self._sequence = 0
        for entry in journal.entries:
            self._recall(entry)
        self._verify()

    def nodes(self, number: int) -> list[Node]:
        return [node for each, node in self._nodes if each == number]

    def load(self, number: int, node: Node) -> bytes:
        return self._read(self._nodes[number, node])

    def due(self) -> bool:
        self._began = time.perf_counter()
        return self._began >= self._due

    def keep(self, number: int, documents: Mapping[Node, bytes]) -> None:
        with self._shield():
            self._write_all(number, documents)
        now = time.perf_counter()
        self._due = now + (SHARE - 1) * (now - self._began)

    def model(self) -> tuple[int, Any] | None:
        if self._model is None:
            return None
        return self._model["passes"], codec.decode(self._read(self._model))

    def keep_model(self, number: int, model: Any, first: bytes | None) -> None:
        self._fresh = (number, model, first)
        if self.due():
            self.keep(number, {})

    def account(self) -> bytes | None:
        return None if self._account is None else self._read(self._account)

    def flush(self) -> None:
        """Make the last model durable.

        Raises
        ------
        JobError
            If it cannot be written; what was durable stays so.
        """
        if self._fresh is not None:
            self.keep(self._fresh[0], {})

    def _write_all(self, number: int, documents: Mapping[Node, bytes]) -> None:
        entries = []
        if self._fresh is not None:
            passes, model, first = self._fresh
            if self._account is None and first is not None:
                entries.append(self._write({"event": "account"}, first))
            entries.append(self._write({"event": "model", "passes": passes}, codec.encode(model)))
        for node, document in documents.items():
            entry = {"event": "state", "pass": number, "level": node.level, "rank": node.rank}
            entries.append(self._write(entry, document))
        try:
            sync_folder(self.folder)
        except OSError as error:
            raise refuse(self.folder, error) from error
        self.journal.append(*entries, durable=True)
        self._fresh = None
        old = set(self._files())
        for entry in entries:
            self._recall(entry)
        for name in old - set(self._files()):
            with suppress(OSError):
                (self.folder / name).unlink()

    def _write(self, entry: Entry, document: bytes) -> Entry:
        self._sequence += 1
        name = f"{self._sequence:06}-{entry['event']}.mlst"
        write_file(self.folder / name, document, private=True, settled=False)
        return {**entry, "file": name, "bytes": len(document), "digest": _digest(document)}

    def _recall(self, entry: Entry) -> None:
        """Take in what an entry tells, and forget what it supersedes."""
        event = entry["event"]
        if event not in ("state", "model", "account"):
            return
        self._sequence = max(self._sequence, int(entry["file"].split("-")[0]))
        if event == "account":
            self._account = entry
        elif event == "model":
            self._model = entry
            self._nodes = {k: e for k, e in self._nodes.items() if k[0] >= entry["passes"]}
        else:
            node = Node(entry["level"], entry["rank"])
            if node.level:
                below = [k for k in self._nodes if k[0] == entry["pass"] and _under(k[1], node)]
                for key in below:
                    del self._nodes[key]
            self._nodes[entry["pass"], node] = entry

    def _files(self) -> Iterator[str]:
        for entry in (*self._nodes.values(), self._model, self._account):
            if entry is not None:
                yield entry["file"]

    def _verify(self) -> None:
        """Forget what is missing or damaged, so that it is done again; delete what is not named."""
        for entry in (self._model, self._account):
            if entry is not None and not self._sound(entry):
                self._model = self._account = None
                self._nodes.clear()
        self._nodes = {key: entry for key, entry in self._nodes.items() if self._sound(entry)}
        named = set(self._files())
        for path in self.folder.iterdir():
            if path.name not in named:
                path.unlink()

    def _sound(self, entry: Entry) -> bool:
        try:
            self._read(entry)
        except JobError:
            return False
        return True

    def _read(self, entry: Entry) -> bytes:
        path = self.folder / entry["file"]
        try:
            document: bytes = path.read_bytes()
        except OSError as error:
            raise JobError(f"the kept state {path} is missing", "mine again") from error
        if _digest(document) != entry["digest"]:
            raise JobError(f"the kept state {path} is damaged", "mine again")
        return document


def _digest(document: bytes) -> str:
    return hashlib.blake2b(document, digest_size=16).hexdigest()


def _under(node: Node, other: Node) -> bool:
    """Tell whether a node is a descendant of another."""
    up = other.level - node.level
    return up > 0 and node.rank >> up == other.rank
