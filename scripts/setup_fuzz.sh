#!/usr/bin/env bash
# Makes .venv-fuzz with the coverage-guided fuzzer alone; what is fuzzed is taken from .venv, whose interpreter it shares.
set -euo pipefail
cd "$(dirname "$0")/.."

explain() {
  {
    echo "missing: atheris, the fuzzer. It has no wheel for $(.venv/bin/python -V), $(uname -s) $(uname -m), or it could not be fetched (see above)."
    echo "  make fuzz needs CPython 3.11, 3.12 or 3.13 on Linux x86_64: there, rm -r .venv && make fuzz PYTHON=python3.12"
    echo "  The short form runs everywhere, without it: .venv/bin/python -m pytest tests/unit/test_fuzz_targets.py"
  } >&2
  rm -rf .venv-fuzz
  exit 1
}

echo "setup: atheris in .venv-fuzz"
.venv/bin/python -m venv --clear .venv-fuzz
.venv-fuzz/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --only-binary :all: \
  -r requirements/fuzz.txt || explain
