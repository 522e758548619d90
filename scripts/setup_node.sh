#!/usr/bin/env bash
# Installs the pinned npm packages (compiler, local chains, Solidity libraries) into node_modules.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "missing: $*" >&2; exit 1; }

node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null ||
  die "Node 20 or newer; install it from your system's packages or https://nodejs.org"
command -v npm >/dev/null || die "npm, which comes with Node; install it (Debian, Ubuntu: apt install npm)"
echo "setup: npm packages"
npm ci --ignore-scripts --loglevel=error # the packages work without their install scripts, so none runs
