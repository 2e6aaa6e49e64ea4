"""How long it takes to import the package, to print the help, and to mine a small table.

    python -m benchmarks.startup [--repeat 7]

Each is a fresh process, best of several; bytecode is compiled before. `python` is the interpreter
doing nothing, which is the floor. One JSON line each; `limit` is what it may take.
"""

from __future__ import annotations

import argparse
import compileall
import json
import subprocess
import sys
import time
from pathlib import Path

import motherlode

SMALL = "import motherlode as ml; ml.mine({'a': [1, 2, 3]}, ml.Count()).table"
CASES = {
    "python": (["-c", "pass"], None),
    "import motherlode": (["-c", "import motherlode"], 0.3),
    "motherlode --help": (["-c", "from motherlode.cli.main import main; main()", "--help"], 0.4),
    "mine a small table": (["-c", SMALL], 1.0),
    "mine with a kernel": (["-c", SMALL.replace("Count", "Moments")], 2.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    compileall.compile_dir(Path(motherlode.__file__).parent, quiet=1)
    late = 0
    for name, (arguments, limit) in CASES.items():
        times = []
        for _ in range(repeat):
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - began)
        late += limit is not None and min(times) > limit
        figures = {"case": name, "seconds": round(min(times), 3), "limit": limit}
        print(json.dumps(figures), flush=True)
    return int(late > 0)


if __name__ == "__main__":
    sys.exit(main())
