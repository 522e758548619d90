#!/usr/bin/env bash
# Runs commands at the same time: scripts/at_once.sh COMMAND... Shows what each said, in their order, once it has ended; fails
# if one of them fails, and names it. Told to stop, it ends all of them.
set -uo pipefail
set -m # each command is a process group of its own, so that all of it can be ended

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
pids=()
stop() {
  for pid in "${pids[@]}"; do kill -TERM -- "-$pid" 2>/dev/null; done
  wait
  exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM

for command in "$@"; do
  $command >"$logs/${#pids[@]}" 2>&1 </dev/null &
  pids+=($!)
done

failed=()
for place in "${!pids[@]}"; do
  wait "${pids[place]}" || failed+=("${*:place+1:1}")
  cat "$logs/$place"
done
[ ${#failed[@]} -eq 0 ] && exit
printf 'FAILED: %s\n' "${failed[@]}" >&2
exit 1
