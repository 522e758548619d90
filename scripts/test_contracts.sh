#!/usr/bin/env bash
# Runs the brownie tests of the contracts: scripts/test_contracts.sh [file... [pytest option...]]. Without arguments all of them,
# in two halves at the same time, each on a chain of its own; the last line counts both. Options alone are for all files.
# NETWORK=mixpay-anvil takes anvil instead of ganache. Brownie's files stay below build/, nothing is left in the user's home or /tmp.
set -euo pipefail
cd "$(dirname "$0")/.."

export PATH="$PWD/node_modules/.bin:$PWD/.venv/bin:$PATH"
export SOLCX_BINARY_PATH="$PWD/scripts/solcx"
network=${NETWORK:-mixpay-ganache}

# A home for each run, so that two runs at the same time do not take each other's port.
mkdir -p build
homes=$(mktemp -d "$PWD/build/brownie-home.XXXXXX")
trap 'rm -rf "$homes"' EXIT

# home NAME: what brownie keeps of the user, and what ganache, which brownie kills, leaves behind
home() {
  export HOME="$homes/$1" TMPDIR="$homes/$1/tmp"
  mkdir -p "$TMPDIR"
}

# run NAME ARGUMENT...: brownie's tests with a home and a port of their own; to be called with &, for it becomes brownie
run() {
  local port
  home "$1"
  shift
  port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  brownie networks import networks.yaml true >/dev/null
  brownie networks modify "$network" port="$port" >/dev/null
  exec brownie test "$@" --network "$network"
}

# All in the background, for bash ends neither a foreground command nor its wait for one when it is told to stop.
pids=()
stop() {
  trap '' INT TERM
  kill "${pids[@]}" 2>/dev/null || true
  wait
  exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM

if [ $# -gt 0 ]; then
  run all "$@" <&0 &
  pids=($!)
  wait "${pids[0]}"
  exit
fi

# Once, not in both halves. The second time throws away what no contract of ours uses, which the halves would do at once.
(home compile && brownie compile && exec brownie compile) >"$homes/compile.log" 2>&1 &
pids=($!)
wait "${pids[0]}" || { status=$?; cat "$homes/compile.log"; exit "$status"; }
pids=()

# About as long as each other on ganache: the outsiders' calls and the passes take most of the first, the model of the second.
files=([1]="" [2]="")
for file in tests/contracts/test_*.py; do
  case $file in
    */test_governor.py | */test_pool_* | */test_court_[fo]* | */test_network.py) files[1]+="$file " ;;
    *) files[2]+="$file " ;;
  esac
done

for half in 1 2; do
  # shellcheck disable=SC2086 # names of ours, without spaces
  run "$half" ${files[half]} >"$homes/$half.log" 2>&1 &
  pids[half]=$!
done

status=0 failed=()
for half in 1 2; do
  if wait "${pids[half]}"; then
    echo "brownie, half $half:"
    cat "$homes/$half.log"
  else
    status=$? failed+=("$half")
  fi
done
for half in "${failed[@]}"; do # last, where one looks first
  echo "brownie, half $half FAILED:"
  cat "$homes/$half.log"
done
# count WORD: the sum over both halves of what pytest's last line says of it
count() {
  grep -hE '^[0-9].* in [0-9.]+s' "$homes"/[12].log | grep -oE "[0-9]+ $1" | awk '{ sum += $1 } END { print sum + 0 }'
}
which=${failed[*]:+; half ${failed[*]} FAILED}
echo "brownie: $(count passed) passed, $(count failed) failed, $(count error) errors in ${SECONDS}s$which"
exit "$status"
