#!/bin/sh
# Makes .venv from requirements/*.lock with nothing but a Python 3.11 or newer, and installs the
# project into it so that edits take effect at once. `make` calls it; PYTHON= names an interpreter.
set -eu
cd "$(dirname "$0")/.."

export PIP_DISABLE_PIP_VERSION_CHECK=1
new_enough='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'

usable() { "$1" -c "$new_enough" >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    {
        echo "error: motherlode needs Python 3.11 or newer, with its venv module"
        echo "  tried: ${PYTHON:-python3, python3.14, python3.13, python3.12, python3.11}"
        echo "  python3 here is: $(python3 --version 2>/dev/null || echo missing)"
        echo "  hint: install one, or name one: make PYTHON=/path/to/python3.12"
    } >&2
    return 1
}

if ! { usable .venv/bin/python && .venv/bin/python -c 'import pip' 2>/dev/null; }; then
    python=$(find_python)
    clusters=$(ls .venv/.clusters 2>/dev/null || true)
    rm -rf .venv
    "$python" -m venv .venv
    test -z "$clusters" || touch .venv/.clusters
fi
lock=requirements/dev.lock
test ! -e .venv/.clusters || lock=requirements/clusters.lock # make clusters
pip() { .venv/bin/python -m pip --quiet "$@"; }

# uv installs the lock in seconds; where it cannot be had, pip does the same more slowly.
with_uv() {
    pip install --require-hashes -r requirements/uv.lock &&
        .venv/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python .venv/bin/python "$lock"
}
if ! with_uv; then
    echo "uv cannot be used here (see above); trying pip" >&2
    pip install --require-hashes -r "$lock"
fi

pip install --no-deps --no-build-isolation --editable .
