#!/usr/bin/env bash
# Runs every suite, each within its time budget, and sums up. A suite that fails does not stop the others, but the build
# does: nothing after it could say anything.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

passed=0
failed=0
summary=()

# suite NAME MINUTES COMMAND...
suite() {
  local name=$1 minutes=$2 started=$SECONDS status=0 verdict
  shift 2
  printf '\n=== %s\n' "$name"
  timeout --kill-after=10 "${minutes}m" "$@" </dev/null || status=$?
  case $status in
    0) verdict=passed passed=$((passed + 1)) ;;
    124 | 137) verdict="FAILED: over $minutes minutes" failed=$((failed + 1)) ;;
    *) verdict="FAILED" failed=$((failed + 1)) ;;
  esac
  summary+=("$(printf '%-44s %5d s  %s' "$name" $((SECONDS - started)) "$verdict")")
  return $status
}

finish() {
  printf '\n=== Summary\n'
  printf '%s\n' "${summary[@]}"
  printf 'suites: %d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
  exit
}

suite "set-up" 10 scripts/setup.sh rust node browser || finish
suite "build: package, demo, server" 15 make build || finish
suite "format, lints, types, licences" 20 make check
suite "core for a target without std" 5 cargo build --package firkin-core --target wasm32v1-none --locked
suite "Rust: units, properties, golden data" 20 cargo test --workspace --locked --no-fail-fast
suite "the store on failing disks, 10,000 seeds" 10 env FIRKIN_SEEDS=10000 cargo test --profile soak --package firkin-core --locked --test storage_faults
suite "replicas on failing disks and networks, 2,000 seeds" 10 env FIRKIN_SEEDS=2000 cargo test --profile soak --package firkin-core --locked --test simulation
suite "imports of the module" 2 cargo run --quiet --package firkin-xtask -- imports
suite "platform layer in Chromium" 10 cargo run --quiet --package firkin-xtask --features test-runner -- test-browser
suite "npm package: types and units" 5 npm test --workspace firkin
suite "npm package: packed and installed" 5 node --test tests/packaging/*.test.mjs
suite "demo" 5 npm test --workspace firkin-demo
suite "end to end in Chromium" 15 npm test --workspace firkin-tests
suite "bench: all adapters, answers checked" 5 npm run test-bench --workspace firkin-tests
finish
