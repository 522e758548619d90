#!/usr/bin/env bash
# Makes .venv-bench with what draws the bench's picture, alone; everything else of the bench runs in .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

explain() {
  {
    echo "missing: matplotlib, which draws docs/bench.png; it could not be fetched, see above"
    echo "  The figures need nothing of it: .venv/bin/python -m bench"
  } >&2
  rm -rf .venv-bench
  exit 1
}

echo "setup: matplotlib in .venv-bench"
.venv/bin/python -m venv --clear .venv-bench
.venv-bench/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --only-binary :all: \
  -r requirements/bench.txt || explain
