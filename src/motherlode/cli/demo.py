"""``motherlode demo``: a web shop is mined from end to end, on this machine, for real."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motherlode.cli import lean, show

if TYPE_CHECKING:
    from motherlode.jobs.execute import Outcome
    from motherlode.jobs.spec import JobSpec

app = typer.Typer()

KILLED_AFTER = 9
"""Splits after which the demo pulls the plug."""


@app.command("demo")
def demo(
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="An empty folder to work in; a temporary one by default."
        ),
    ] = None,
) -> None:
    """See it work, in a minute."""
    from motherlode.core.errors import UsageError

    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="motherlode-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"the folder {folder} is not empty", "name a new one")
    os.environ["MOTHERLODE_HOME"] = str(folder / "home")
    lean.start()
    began = time.perf_counter()
    with contextlib.redirect_stderr(sys.stdout):
        _Story(folder.resolve()).tell()
    seconds = time.perf_counter() - began
    print(f"\nThat was {seconds:.0f} seconds. Everything is in {folder}")
    print("Next: motherlode describe YOUR-DATA, or motherlode algorithms")


class _Story:
    """The chapters, in order; each runs on what the ones before it wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def tell(self) -> None:
        chapters: list[Callable[[], None]] = [
            self._open_shop,
            self._look,
            self._account,
            self._group,
            self._bundles,
            self._words,
            self._customers,
            self._predict,
            self._pull_the_plug,
            self._draw,
        ]
        for chapter in chapters:
            chapter()

    def _open_shop(self) -> None:
        from motherlode.cli.shop import EVENTS, write_shop

        self._heading("A web shop opens")
        self._say(f"It has {EVENTS:,} events, baskets, returns and texts, the same on every run.")
        began = time.perf_counter()
        write_shop(self.folder)
        for path in sorted(self.folder.iterdir()):
            if path.is_file():
                print(f"  {path.name:<16} {show.size(path.stat().st_size):>8}")
        print(f"  {time.perf_counter() - began:.1f} s")

    def _look(self) -> None:
        self._heading("What is in there?")
        self._run({"algorithm": "Describe", "source": "events.parquet"})

    def _account(self) -> None:
        self._heading("Nothing is dropped silently")
        self._say("Some lines of the CSV file are broken. They are put aside, counted and named.")
        asked = {"algorithm": "Moments", "source": "returns.csv", "columns": ["price"]}
        self._run({**asked, "group_by": ["reason"], "quarantine": "broken.jsonl"})

    def _group(self) -> None:
        self._heading("Which country spends most on an order?")
        asked = {"algorithm": "Moments", "source": "events.parquet", "columns": ["amount"]}
        self._run({**asked, "where": "action = 'buy'", "group_by": ["country"]})

    def _bundles(self) -> None:
        self._heading("What is bought together?")
        self._run(
            {
                "algorithm": "FrequentItemsets",
                "source": "baskets.parquet",
                "params": {"min_support": 0.01, "min_size": 3},
            },
            rows=4,
        )
        self._run(
            {
                "algorithm": "AssociationRules",
                "source": "baskets.parquet",
                "params": {"min_support": 0.01, "min_confidence": 0.5, "sort_by": "lift"},
            },
            rows=4,
        )

    def _words(self) -> None:
        self._heading("What is the manual about?")
        self._say(
            "A real text for a change: the topics of the Python manual, as Python ships them."
        )
        params = {"top": 100, "min_length": 6, "token": "letters"}
        self._run({"algorithm": "WordCount", "source": "manual.txt", "params": params}, rows=5)

    def _customers(self) -> None:
        import numpy as np
        import pyarrow as pa

        import motherlode as ml

        self._heading("What kinds of customers are there?")
        self._say("In Python: orders and spending of each customer, in one pass, then k-means.")
        self._code('ml.mine("events.parquet", ml.GroupBy("customer", {"orders": ml.Count(), …}))')
        parts = {"orders": ml.Count(), "spent": ml.Sum(["amount"])}
        began = time.perf_counter()
        grouped = ml.mine(
            self.folder / "events.parquet", ml.GroupBy("customer", parts), where="action = 'buy'"
        )
        orders = grouped.table["orders"].to_numpy()
        spent = grouped.table["spent"].to_numpy()
        print(f"{len(orders):,} customers, {time.perf_counter() - began:.2f} s")
        points = pa.table({"log_orders": np.log(orders), "log_price": np.log(spent / orders)})
        self._code("ml.mine(points, ml.KMeans(n_clusters=4, random_state=0))")
        found = ml.mine(points, ml.KMeans(n_clusters=4, random_state=0))
        sizes, centers = found.table["size"], np.exp(found.value.cluster_centers_)
        rows = zip(sizes.to_pylist(), centers[:, 0], centers[:, 1], strict=True)
        shown = [(n, round(float(a), 1), round(float(b), 2)) for n, a, b in sorted(rows)]
        show.grid(("customers", "orders each", "money an order"), shown, right=[True] * 3)
        print(f"{found.passes} passes over {found.rows.used:,} rows")

    def _predict(self) -> None:
        from sklearn.datasets import load_breast_cancer

        import motherlode as ml

        self._heading("Can a diagnosis be foretold?")
        self._say("569 real patients, as scikit-learn ships them. Ten folds cost one pass for what")
        self._say("is learnt, not ten: the states of nine folds are merged.")
        X, y = load_breast_cancer(return_X_y=True)
        self._code("ml.cross_validate(ml.GaussianNB(), X, y, folds=10)")
        began = time.perf_counter()
        scores = ml.cross_validate(ml.GaussianNB(), X, y, folds=10)
        seconds = time.perf_counter() - began
        print(f"accuracy {scores.mean:.3f} ± {scores.std:.3f}, {seconds:.2f} s")

    def _pull_the_plug(self) -> None:
        from motherlode.cli.mine import resume
        from motherlode.core.errors import MotherlodeError
        from motherlode.jobs.store import JobStore

        self._heading("Pull the plug")
        self._say(f"A job is killed with SIGKILL after {KILLED_AFTER} splits, then resumed.")
        spec = {
            "algorithm": "Quantiles",
            "source": "events.parquet",
            "columns": ["amount"],
            "group_by": ["country", "device"],
            "options": {"split_bytes": (self.folder / "events.parquet").stat().st_size // 20},
        }
        code = "import sys; from motherlode.cli.demo import killed; killed(sys.argv[1])"
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(self._spec(spec).plain())], check=False
        )
        job = JobStore().open("latest")
        print(f"the process ended by signal {-done.returncode}")
        self._code(f"motherlode jobs resume {job.id}")
        resume(job, rows=4)
        entries = JobStore().open(job.id).entries
        kept = [entry for entry in entries if entry["event"] == "pass"][-1]
        print(f"{kept['kept']} of {kept['splits']} splits were kept and not read again")
        resumed = entries[-1]["digest"]
        whole = self._carry_out(self._spec(spec), rows=0).result.digest
        print(f"digest, resumed:      {resumed}\ndigest, uninterrupted: {whole}")
        if resumed != whole:
            raise MotherlodeError("the resumed job gave another answer", "please report this")
        print("bit for bit the same")

    def _draw(self) -> None:
        from importlib.util import find_spec

        self._heading("A page to show around")
        if find_spec("plotly") is None:
            self._say("Left out: it needs Plotly. pip install 'motherlode[plot]'")
            return
        asked = {"algorithm": "Moments", "source": "events.parquet", "columns": ["amount"]}
        asked |= {"where": "action = 'buy'", "group_by": ["country"], "report": "report.html"}
        self._carry_out(self._spec(asked), rows=0)
        print(f"open {self.folder / 'report.html'}")

    def _spec(self, asked: dict[str, Any]) -> JobSpec:
        from motherlode.jobs.spec import JobSpec

        return JobSpec.of(asked, self.folder, "the demo")

    def _run(self, asked: dict[str, Any], rows: int = 8) -> None:
        self._code(command(asked))
        self._carry_out(self._spec(asked), rows=rows)

    def _carry_out(self, spec: JobSpec, rows: int) -> Outcome:
        from motherlode.cli.mine import carry_out

        return carry_out(spec, rows=rows)

    def _heading(self, text: str) -> None:
        self.count += 1
        print(f"\n{show.bold(f'{self.count}. {text}')}")

    def _say(self, text: str) -> None:
        print(text)

    def _code(self, text: str) -> None:
        print(show.dim(f"$ {text}" if text.startswith("motherlode") else f">>> {text}"))


def command(asked: dict[str, Any]) -> str:
    """Return the command that does what a specification says."""
    words = ["motherlode mine", asked["algorithm"], asked["source"]]
    for name, value in asked.items():
        if name in ("params", "options"):
            words += [f"-{name[0]} {_quoted(f'{key}={each}')}" for key, each in value.items()]
        elif name not in ("algorithm", "source"):
            text = ",".join(value) if isinstance(value, list) else str(value)
            words.append(f"--{name.replace('_', '-')} {_quoted(text)}")
    return " ".join(words)


def _quoted(text: str) -> str:
    return text if shlex.quote(text) == text else f'"{text}"'


def killed(spec: str) -> None:
    """Run a job that kills its own process, without warning, after some splits."""
    from motherlode.core.events import Event, SplitFinished
    from motherlode.jobs.execute import execute
    from motherlode.jobs.mine import job_for
    from motherlode.jobs.plan import plan_of
    from motherlode.jobs.spec import JobSpec

    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, SplitFinished)
        if seen == KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)

    plan = plan_of(JobSpec.of(json.loads(spec), Path("/"), "the demo"))
    execute(plan, job_for(plan, True), listen)
