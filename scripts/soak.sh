#!/usr/bin/env bash
# Runs the seeded simulations of the store, of the database and of whole replicas for as long as wanted: SOAK_SEEDS of them,
# or without an end, in rounds. A failure names its seed, and how to replay it is told at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"

# Which runs of a thousand seeds of each suite cost about the same.
suites=(storage_faults:1 database_faults:20 simulation:20)
round_seeds=${SOAK_ROUND:-10000}
first=${SOAK_FIRST:-0}
last=$((first + ${SOAK_SEEDS:-0}))

run() {
  local suite=$1 first=$2 count=$3
  printf 'soak: %s, seeds %d to %d\n' "$suite" "$first" $((first + count - 1))
  if ! FIRKIN_FIRST_SEED=$first FIRKIN_SEEDS=$count cargo test --quiet --profile soak --package firkin-core --locked --test "$suite"; then
    printf '\nsoak: failed. Replay the seed N that is named above with\n'
    printf '  FIRKIN_FIRST_SEED=N FIRKIN_SEEDS=1 cargo test --profile soak --package firkin-core --test %s\n' "$suite"
    exit 1
  fi
}

while [ "${SOAK_SEEDS:-0}" = 0 ] || [ "$first" -lt "$last" ]; do
  count=$round_seeds
  if [ "${SOAK_SEEDS:-0}" != 0 ] && [ $((last - first)) -lt "$count" ]; then count=$((last - first)); fi
  for suite in "${suites[@]}"; do
    seeds=$((count / ${suite#*:}))
    run "${suite%:*}" "$first" $((seeds > 0 ? seeds : 1))
  done
  first=$((first + count))
done
