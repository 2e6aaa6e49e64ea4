"""Run all benchmarks, each in a process of its own: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import benchmarks


def main() -> int:
    known = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name[0] != "_")
    chosen = sys.argv[1:] or known
    unknown = [name for name in chosen if name not in known]
    if unknown:
        print(f"error: unknown benchmark {unknown[0]!r}; there is {', '.join(known)}")
        return 2
    failed = 0
    for name in chosen:
        print(f"== {name}", flush=True)
        failed |= subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], check=False
        ).returncode
    return int(failed != 0)


if __name__ == "__main__":
    sys.exit(main())
