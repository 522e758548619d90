#!/usr/bin/env bash
# Makes .venv with the pinned requirements (hashes checked) and this project in it. Idempotent: after an
# interrupted run the next one goes on. PYTHON=... chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "missing: $*" >&2; exit 1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "Python 3.11 or newer; install it (Debian, Ubuntu: apt install python3 python3-venv) or set PYTHON=/path/to/python"
}

if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  python=$(find_python)
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    die "the venv module of $python; install it (Debian, Ubuntu: apt install python3-venv)"
  echo "setup: virtual environment in .venv"
  "$python" -m venv .venv
fi

pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }

explain() {
  command -v cc >/dev/null || die "a C compiler, if a package above had to be built; install one (Debian, Ubuntu: apt install build-essential python3-dev)"
  echo "setup: installing the Python requirements failed, see above" >&2
  exit 1
}

echo "setup: Python requirements (about a minute the first time)"
# The compiled wheel of brownie has bugs that its plain build has not; its stateful tests and project networks need the latter.
BROWNIE_NOCOMPILE=1 pip install --require-hashes --no-binary eth-brownie -r requirements/dev.txt || explain
# Built with the pinned setuptools of above, not with the newest one that can be fetched.
pip install --no-deps --no-build-isolation --editable . || explain
