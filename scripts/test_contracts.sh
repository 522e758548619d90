#!/usr/bin/env bash
# Runs the brownie tests of the contracts on a chain of their own: scripts/test_contracts.sh [pytest arguments].
# NETWORK=mixpay-anvil takes anvil instead of ganache. Brownie's files stay below build/, nothing is left in the user's home.
set -euo pipefail
cd "$(dirname "$0")/.."

export PATH="$PWD/node_modules/.bin:$PWD/.venv/bin:$PATH"
export SOLCX_BINARY_PATH="$PWD/scripts/solcx"
network=${NETWORK:-mixpay-ganache}
port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

# A home for each run, so that two runs at the same time do not take each other's port.
mkdir -p build
HOME=$(mktemp -d "$PWD/build/brownie-home.XXXXXX")
export HOME
trap 'rm -rf "$HOME"' EXIT

brownie networks import networks.yaml true >/dev/null
brownie networks modify "$network" port="$port" >/dev/null
[ $# -gt 0 ] || set -- tests/contracts
brownie test "$@" --network "$network"
