#!/usr/bin/env bash
# Checks licences, bans and sources of the Rust dependencies (deny.toml) with cargo-deny, which is built once into
# .cache/tools. The advisory database lies outside the package registries and is not asked.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
tools=$PWD/.cache/tools
deny=$tools/bin/cargo-deny

if [ "$("$deny" --version 2>/dev/null)" != "cargo-deny $version" ]; then
  echo "firkin: building cargo-deny $version, once"
  cargo install --quiet --locked --version "$version" --no-default-features --root "$tools" \
    --target-dir "$tools/target" cargo-deny
  rm -rf "$tools/target"
fi
"$deny" --locked check licenses bans sources
