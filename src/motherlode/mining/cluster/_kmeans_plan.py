"""The passes of k-means in their order: look, draw candidates, weigh them, then step and step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from motherlode.algebra.summary import Context, Iterative, Summary, Traits
from motherlode.core.batch import Schema
from motherlode.core.errors import DataError, ParameterError
from motherlode.mining import chance
from motherlode.mining.cluster._centers import Centers, Clusters, Extent, Floats
from motherlode.mining.cluster._kmeans_passes import Draw, Gather, Overview, Sample, Survey
from motherlode.mining.rows import Rows

Model = dict[str, Any]

SAMPLE = 1_024
"""Rows that the first pass draws, or ``PER_CLUSTER`` for each cluster if that is more."""
PER_CLUSTER = 20
CELLS = 1 << 22
"""Numbers that this sample may hold."""
POLISHING = 30
"""Steps of Lloyd's algorithm on the candidates of k-means||, which are few."""


class Lloyd(Iterative[Model, Model]):
    """The passes of k-means; parameters as of the estimator.

    The model holds the ``stage`` that the next pass belongs to (``survey``, ``draw``, ``weigh``,
    ``step``, ``relocate``, ``final``, then ``done``), the ``centers`` or candidates so far and the
    ``extent`` of the rows, what was counted on the way (``round``, ``iterations``), the
    ``tolerance`` in units of the data once it is known, whether there are rows to ``relocate``
    empty clusters to, and in the end ``weights`` and ``inertia`` of the clusters.
    """

    traits: ClassVar[Traits] = Traits("exact", "steps of Lloyd's algorithm", passes="k")

    rows_: Rows
    sparse_: bool

    def __init__(
        self,
        n_clusters: int,
        init: Any,
        oversampling: float,
        init_rounds: int,
        max_iter: int,
        tol: float,
        random_state: int | None,
        features: Sequence[str] | None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.oversampling = oversampling
        self.init_rounds = init_rounds
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.features = features

    def prepare(self, schema: Schema) -> Self:
        ready = copy.copy(super().prepare(schema))
        ready.rows_ = Rows.of("KMeans", schema, self.features)
        ready.sparse_ = schema.sparse and ready.rows_.features is None
        if not isinstance(self.init, str):
            wanted = (self.n_clusters, ready.rows_.width)
            if np.shape(self.init) != wanted:
                raise ParameterError(
                    f"KMeans: init must have shape {wanted}, one row a cluster and one column a "
                    f"feature, got {np.shape(self.init)}"
                )
        return ready

    def start(self, context: Context) -> Model:
        width = self.rows_.width
        return {
            "stage": "survey",
            "centers": np.empty((0, width)),
            "extent": {},
            "round": 0,
            "iterations": 0,
            "tolerance": math.nan,
            "relocate": True,
            "weights": np.empty(0),
            "inertia": math.nan,
        }

    def pass_(self, model: Model) -> Summary[Any, Any]:
        stage, centers = model["stage"], model["centers"]
        if stage == "survey":
            return Survey(self.rows_, self._sample_size(), self._seed, self.sparse_)
        if stage == "draw":
            size = math.ceil(self.oversampling * self.n_clusters)
            seed = int(chance.words(self._seed, f"round {model['round']}")[0] >> np.uint64(1))
            return Draw(self.rows_, centers, size, seed, self.sparse_, farthest=False)
        if stage == "relocate":
            held = model["weights"] > 0.0
            size = int((~held).sum())
            return Draw(self.rows_, centers[held], size, self._seed, self.sparse_, farthest=True)
        close = stage != "step" or math.isnan(model["tolerance"])
        return Gather(self.rows_, centers, Extent(**model["extent"]), self.sparse_, close)

    def advance(self, model: Model, result: Any) -> Model:
        after: dict[str, Callable[[Model, Any], Model]] = {
            "survey": self._after_survey,
            "draw": self._after_draw,
            "weigh": self._after_weigh,
            "step": self._after_step,
            "relocate": self._after_relocate,
            "final": self._after_final,
        }
        return {**model, **after[model["stage"]](model, result)}

    def done(self, model: Model) -> bool:
        return bool(model["stage"] == "done")

    def finish(self, model: Model) -> Model:
        return {**model, "features": self.rows_.features, "width": self.rows_.width}

    @property
    def _seed(self) -> int:
        return self.random_state or 0

    def _sample_size(self) -> int:
        if not isinstance(self.init, str):
            return 0
        if self.init == "random":
            return self.n_clusters
        most = max(self.n_clusters, CELLS // self.rows_.width)
        return min(max(SAMPLE, PER_CLUSTER * self.n_clusters), most)

    def _after_survey(self, model: Model, found: Overview) -> Model:
        if found.rows < self.n_clusters:
            raise DataError(
                f"there are fewer rows than clusters: n_samples={found.rows}, "
                f"n_clusters={self.n_clusters}",
                "choose fewer clusters",
            )
        found.extent.check()
        points = found.sample.points
        if not isinstance(self.init, str):
            centers = np.array(self.init, dtype=np.float64)
        elif self.init == "random":
            centers = points
        else:
            centers = self._spread(points, np.ones(len(points)))
        known = {"centers": centers, "extent": found.extent.export()}
        rounds = isinstance(self.init, str) and self.init == "k-means||" and self.init_rounds
        if rounds and len(points) == self._sample_size():
            return {**known, "stage": "draw"}
        return {**known, **self._begin(centers)}

    def _after_draw(self, model: Model, drawn: Sample) -> Model:
        centers = np.concatenate([model["centers"], drawn.points])
        rounds = model["round"] + 1
        more = rounds < self.init_rounds and len(drawn.points)
        return {"centers": centers, "round": rounds, "stage": "draw" if more else "weigh"}

    def _after_weigh(self, model: Model, found: Clusters) -> Model:
        held = found.weights > 0.0
        points, weights = found.centers[held], found.weights[held]
        centers = self._polished(self._spread(points, weights), points, weights)
        return {**self._begin(centers), "tolerance": self.tol * found.variance}

    def _begin(self, centers: Floats) -> Model:
        """Return the start of the steps; too few different rows are made up for by copies."""
        missing = self.n_clusters - len(centers)
        if missing:
            centers = np.concatenate([centers, np.repeat(centers[:1], missing, axis=0)])
        return {"centers": centers, "stage": "step" if self.max_iter else "final"}

    def _after_step(self, model: Model, found: Clusters) -> Model:
        tolerance = model["tolerance"]
        if math.isnan(tolerance):
            tolerance = self.tol * found.variance
        iterations = model["iterations"] + 1
        moved = float(((found.centers - model["centers"]) ** 2).sum())
        stage = "final" if moved <= tolerance or iterations >= self.max_iter else "step"
        if model["relocate"] and not found.weights.all():
            stage = "relocate"
        return {
            "centers": found.centers,
            "weights": found.weights,
            "tolerance": tolerance,
            "iterations": iterations,
            "stage": stage,
        }

    def _after_relocate(self, model: Model, drawn: Sample) -> Model:
        centers = model["centers"].copy()
        empty = np.flatnonzero(model["weights"] == 0.0)
        centers[empty[: len(drawn.points)]] = drawn.points
        over = model["iterations"] >= self.max_iter
        # With fewer different rows than clusters some stay empty: no use in asking again.
        enough = len(drawn.points) == len(empty)
        return {"centers": centers, "relocate": enough, "stage": "final" if over else "step"}

    def _after_final(self, model: Model, found: Clusters) -> Model:
        return {"weights": found.weights, "inertia": found.inertia, "stage": "done"}

    def _spread(self, points: Floats, weights: Floats) -> Floats:
        """Choose centres among points by greedy k-means++."""
        from motherlode.mining.cluster import _seeding_kernels as kernels

        trials = 2 + int(math.log(self.n_clusters))
        drawn = chance.uniform(self._seed, "spread", count=self.n_clusters * trials)
        chosen = np.empty(self.n_clusters, np.int64)
        chances = drawn.reshape(self.n_clusters, trials)
        found = kernels.spread_out(points, weights, chances, chosen)
        return points[chosen[:found]]

    def _polished(self, centers: Floats, points: Floats, weights: Floats) -> Floats:
        """Take the centres to the means of weighted points, over and over."""
        for _ in range(POLISHING):
            labels, _ = Centers(centers).assign(points)
            sums, totals = np.zeros_like(centers), np.zeros(len(centers))
            np.add.at(sums, labels, weights[:, None] * points)
            np.add.at(totals, labels, weights)
            held = totals > 0.0
            moved = centers.copy()
            moved[held] = sums[held] / totals[held, None]
            if np.array_equal(moved, centers):
                break
            centers = moved
        return centers
