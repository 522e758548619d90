#!/usr/bin/env bash
# Makes .venv-api with schemathesis alone: it needs newer versions of libraries than brownie lets the rest have.
set -euo pipefail
cd "$(dirname "$0")/.."

explain() {
  echo "missing: schemathesis, which tests the issuer's interface. It could not be fetched (see above); make test-api needs it." >&2
  rm -rf .venv-api
  exit 1
}

echo "setup: schemathesis in .venv-api"
.venv/bin/python -m venv --clear .venv-api
.venv-api/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --only-binary :all: \
  -r requirements/api.txt || explain
