#!/usr/bin/env bash
# Runs the fuzz targets of fuzz/, FUZZ_SECONDS each (60 by default); all of them, or those that are named.
# What it finds on its way is kept in .cache/fuzz. An input that breaks something stops the run and is written to
# tests/vectors/fuzz/<target>/: commit it with the repair, and every test run replays it.
#
# cargo-fuzz is built once into .cache/tools. It runs with the toolchain of rust-toolchain.toml: the core has no unsafe code,
# so the sanitizers of a nightly toolchain would have little to look at.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.2
seconds=${FUZZ_SECONDS:-60}
tools=$PWD/.cache/tools
targets=("$@")
[ $# -gt 0 ] || targets=(json query pattern records blocks parts)

command -v c++ >/dev/null || {
  echo "firkin: a C++ compiler is missing, which libFuzzer is built with. On Debian: apt-get install g++" >&2
  exit 1
}
if [ "$("$tools/bin/cargo-fuzz" --version 2>/dev/null)" != "cargo-fuzz $version" ]; then
  echo "firkin: building cargo-fuzz $version, once"
  cargo install --quiet --locked --version "$version" --root "$tools" --target-dir "$tools/target" cargo-fuzz
  rm -rf "$tools/target"
fi

export PATH="$tools/bin:$PATH"
for target in "${targets[@]}"; do
  seeds=tests/vectors/fuzz/$target
  found=.cache/fuzz/$target
  mkdir -p "$found"
  options=(-max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -artifact_prefix="$seeds/")
  [ ! -f "fuzz/dictionaries/$target.txt" ] || options+=(-dict="fuzz/dictionaries/$target.txt")
  printf '\n=== fuzzing %s for %s s\n' "$target" "$seconds"
  cargo fuzz run --sanitizer none "$target" "$found" "$seeds" -- "${options[@]}" -verbosity=0 -print_final_stats=1
done
