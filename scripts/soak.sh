#!/usr/bin/env bash
# Kills a real browser FIRKIN_KILLS times (1,000) under a load of writes, and the leading one of eight tabs FIRKIN_LEADER_KILLS
# times (1,000); 0 leaves either out. Then has a server under load for FIRKIN_LOAD_SECONDS (60; 0 leaves it out). Then runs the
# seeded simulations of the store, of the database on failing disks and of whole replicas for as long as wanted: SOAK_SEEDS of
# them, or without an end, in rounds. A failure names its seed, and how to replay it is told at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"

# Which runs of a thousand seeds of each suite cost about the same.
suites=(storage_faults:1 database_faults:20 simulation:20)
round_seeds=${SOAK_ROUND:-10000}
first=${SOAK_FIRST:-0}
last=$((first + ${SOAK_SEEDS:-0}))

# How many kills one profile of a browser goes through: what is written and checked grows with them.
portion=50

# kill_browsers NAME COUNT FILE: the test in FILE with COUNT kills, as many of them at a time as it takes from the variable NAME.
kill_browsers() {
  local name=$1 left=$2 file=$3 kills
  while [ "$left" -gt 0 ]; do
    kills=$((left < portion ? left : portion))
    left=$((left - kills))
    printf 'soak: %s, %d kills, %d after them\n' "$file" "$kills" "$left"
    if ! env "$name=$kills" node --test --test-reporter=spec "tests/browser/$file"; then
      printf '\nsoak: failed. Where a seed N is named above, FIRKIN_SEED=N draws the same writes and pauses again:\n'
      printf '  %s=%d node --test tests/browser/%s\n' "$name" "$kills" "$file"
      exit 1
    fi
  done
}

run() {
  local suite=$1 first=$2 count=$3
  printf 'soak: %s, seeds %d to %d\n' "$suite" "$first" $((first + count - 1))
  if ! FIRKIN_FIRST_SEED=$first FIRKIN_SEEDS=$count cargo test --quiet --profile soak --package firkin-core --locked --test "$suite"; then
    printf '\nsoak: failed. Replay the seed N that is named above with\n'
    printf '  FIRKIN_FIRST_SEED=N FIRKIN_SEEDS=1 cargo test --profile soak --package firkin-core --test %s\n' "$suite"
    exit 1
  fi
}

kill_browsers FIRKIN_KILLS "${FIRKIN_KILLS:-1000}" kills.test.mjs
kill_browsers FIRKIN_LEADER_KILLS "${FIRKIN_LEADER_KILLS:-1000}" many-tabs.test.mjs

load_seconds=${FIRKIN_LOAD_SECONDS:-60}
if [ "$load_seconds" -gt 0 ]; then
  printf 'soak: 200 live clients and 50 writers for %d s, then 1,000 open feeds\n' "$load_seconds"
  FIRKIN_LOAD_SECONDS=$load_seconds cargo test --profile soak --package firkin-server --locked --test load -- --nocapture --test-threads 1
fi

while [ "${SOAK_SEEDS:-0}" = 0 ] || [ "$first" -lt "$last" ]; do
  count=$round_seeds
  if [ "${SOAK_SEEDS:-0}" != 0 ] && [ $((last - first)) -lt "$count" ]; then count=$((last - first)); fi
  for suite in "${suites[@]}"; do
    seeds=$((count / ${suite#*:}))
    run "${suite%:*}" "$first" $((seeds > 0 ? seeds : 1))
  done
  first=$((first + count))
done
