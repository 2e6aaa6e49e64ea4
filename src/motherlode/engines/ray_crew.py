"""The workers on a Ray cluster: actors, each of which keeps what it decoded between passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from motherlode.core.errors import EngineError
from motherlode.data.source import Split
from motherlode.engines import ray_session
from motherlode.runtime import remote
from motherlode.runtime.remote import Order, Shipped

STILLBORN = 10
"""Workers that may fail, one after another, before they began."""
SETTLING_SECONDS = 10.0
"""How long the first worker waits for the others."""
Sized = tuple[tuple[list[Shipped], bool], list[Shipped]]
"""What comes home at once, with whether there is more, and what stays in the object store."""


class Worker:
    """Runs in a process of the cluster.

    Parameters
    ----------
    light_bytes : int
        States that hold no more come home at once.
    """

    def __init__(self, light_bytes: int) -> None:
        self._light_bytes = light_bytes

    def name(self) -> tuple[str, tuple[str, str]]:
        return remote.here(), remote.versions()

    def fold(self, order: Order, dataset: list[Any], splits: Sequence[Split]) -> Sized:
        """Fold splits; ``dataset`` wraps a reference, which is followed only where needed."""
        import ray

        found = remote.fold_chunk(order, lambda: ray.get(dataset[0]), splits)
        if sum(each.nbytes for each in found) <= self._light_bytes:
            return (found, False), []
        return _heavy(found)


def merge(order: Order, *parts: list[Shipped]) -> Sized:
    """Merge what stayed in the object store."""
    return _heavy(remote.merge_chunk(order, [each for part in parts for each in part]))


def _heavy(found: list[Shipped]) -> Sized:
    failures = [each for each in found if each.document is None]
    return (failures, True), [each for each in found if each.document is not None]


@dataclass(eq=False)
class Member:
    """One worker as the driver sees it.

    Parameters
    ----------
    actor : ray actor
        The process.
    node : str
        Where it was meant to be.
    name : str
        Host and process; empty until it has started.
    load : int
        Chunks it was given and has not finished.
    """

    actor: Any
    node: str
    name: str = ""
    load: int = 0


class Crew:
    """The workers; one that dies is replaced, when there is room for another.

    As Ray has it for actors, a worker is placed where a processor is free but does not reserve
    it: others' tasks are not kept from running while an engine stands idle.

    Parameters
    ----------
    ray : module
        Connected.
    size : int
        Their number.
    light_bytes : int
        As :class:`Worker` takes it.
    """

    def __init__(self, ray: Any, size: int, light_bytes: int) -> None:
        self._ray = ray
        self._light_bytes = light_bytes
        # A worker that dies is made anew here, so that its splits are told as failed.
        self._kind = ray.remote(max_restarts=0)(Worker)
        self.members: list[Member] = []
        self._starting: dict[Any, Member] = {}
        self._stillborn = 0
        for _ in range(size):
            self._enlist()

    def _enlist(self) -> None:
        """Start a worker on the node that has the fewest for its processors."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        taken = Counter(m.node for m in [*self.members, *self._starting.values()])
        nodes = {
            node["NodeID"]: node["Resources"]["CPU"]
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU")
        }
        if not nodes:
            raise EngineError("the Ray cluster has no processors", "start nodes with --num-cpus")
        node = min(nodes, key=lambda node: (taken[node] / nodes[node], node))
        place = NodeAffinitySchedulingStrategy(node_id=node, soft=True)
        member = Member(
            self._kind.options(scheduling_strategy=place).remote(self._light_bytes), node
        )
        self._starting[member.actor.name.remote()] = member

    def muster(self, seconds: float) -> None:
        """Take in the workers that have started; wait for the first, and a little for others."""
        if not self._starting:
            return
        starting = list(self._starting)
        ready, late = self._ray.wait(starting, num_returns=1, timeout=seconds)
        if seconds and ready and late:
            more, _ = self._ray.wait(late, num_returns=len(late), timeout=SETTLING_SECONDS)
            ready += more
        for reference in ready:
            self._take_in(reference)

    def _take_in(self, reference: Any) -> None:
        member = self._starting.pop(reference)
        try:
            member.name, versions = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            # Its node may have died before it began; what is wrong in itself fails every time.
            self._stillborn += 1
            if "never ran" in str(error) and self._stillborn <= STILLBORN:
                self._enlist()
                return
            raise ray_session.lost(error, "that was just started") from error
        remote.check_versions([versions], ray_session.ADVICE)
        self._stillborn = 0
        self.members.append(member)

    def dismiss(self, member: Member) -> None:
        """Give up a worker, whatever it is at, and start another."""
        if member in self.members:
            self.members.remove(member)
            self._ray.kill(member.actor)
            self._enlist()

    def close(self) -> None:
        for member in [*self.members, *self._starting.values()]:
            self._ray.kill(member.actor)
        self.members.clear()
        self._starting.clear()
