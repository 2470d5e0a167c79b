#!/usr/bin/env bash
# Installs what the build and the tests need, or says plainly what is missing and how to get it.
# Usage: scripts/setup.sh rust|node|browser ...
# Each step only looks where everything is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"

fail() {
  printf 'firkin: %s\n' "$@" >&2
  exit 1
}

# The toolchain, components and targets are those of rust-toolchain.toml.
setup_rust() {
  command -v rustup >/dev/null || fail "rustup is missing. Install it (https://rustup.rs), open a new shell and try again."
  command -v cc >/dev/null || install_debian "a C linker" gcc libc6-dev
  local channel
  channel=$(toolchain_value channel)
  rustup toolchain list | grep -q "^$channel-" ||
    rustup toolchain install "$channel" --profile minimal ||
    fail "Rust $channel could not be installed by rustup."
  local installed wanted
  installed=$(rustup target list --installed --toolchain "$channel")
  for wanted in $(toolchain_value targets); do
    grep -qx "$wanted" <<<"$installed" || rustup target add --toolchain "$channel" "$wanted" ||
      fail "The Rust target $wanted could not be installed by rustup."
  done
  installed=$(rustup component list --installed --toolchain "$channel")
  for wanted in $(toolchain_value components); do
    grep -q "^$wanted" <<<"$installed" || rustup component add --toolchain "$channel" "$wanted" ||
      fail "The Rust component $wanted could not be installed by rustup."
  done
}

# The value of a key of rust-toolchain.toml, without quotes, brackets and commas.
toolchain_value() {
  sed -n "s/^$1 *= *//p" rust-toolchain.toml | tr -d '[]",'
}

setup_node() {
  command -v node >/dev/null || fail "Node.js is missing. Install version 20 or newer, with npm, and try again."
  local version
  version=$(node --version)
  version=${version#v}
  [ "${version%%.*}" -ge 20 ] || fail "Node.js $version is too old: version 20 or newer is needed."
  command -v npm >/dev/null || fail "npm is missing: Node.js is there, but its package manager is not."
}

setup_browser() {
  if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    install_debian "Chromium and its driver" chromium chromium-driver
  fi
  # A test makes a certificate.
  command -v openssl >/dev/null || install_debian "openssl" openssl
}

# install_debian WHAT PACKAGE...: installs packages of the distribution, as root or through sudo.
install_debian() {
  local what=$1 sudo=()
  shift
  command -v apt-get >/dev/null ||
    fail "$what is missing, and this is no system with apt-get." "Install by hand what Debian packages as: $*"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
      fail "$what is missing, and only root may install it." "Run as root: apt-get install $*"
    sudo=(sudo)
  fi
  echo "firkin: installing $*"
  { "${sudo[@]}" apt-get update --quiet=2 && "${sudo[@]}" apt-get install --quiet=2 --yes --no-install-recommends "$@"; } </dev/null ||
    fail "$what could not be installed." "Run as root: apt-get install $*"
}

[ $# -gt 0 ] || fail "usage: scripts/setup.sh rust|node|browser ..."
for step in "$@"; do
  case "$step" in
    rust | node | browser) "setup_$step" ;;
    *) fail "unknown step: $step" ;;
  esac
done
