# Every command of this project; each does all its own set-up. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Where the demo and its replication server listen.
DEMO_PORT ?= 8080
SERVER_PORT ?= 5984

XTASK := cargo run --quiet --package firkin-xtask --
PACKAGES := node_modules/.package-lock.json

export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help up test build build-wasm build-js build-server check check-rust check-js check-licences bench bench-engine bench-memory bench-server fuzz soak size clean setup-rust

help: ## Lists the commands
	@sed -n 's/^\([a-z-]*\): .*## /  make \1\t/p' Makefile | expand -t 21

up: build ## Builds and serves the demo with its replication server; Ctrl-C ends both
	@DEMO_PORT=$(DEMO_PORT) SERVER_PORT=$(SERVER_PORT) scripts/up.sh

test: ## Runs every test there is
	@scripts/test.sh

build: build-js build-server ## Builds the npm package in js/, the demo and the server in target/release/

build-wasm: setup-rust $(PACKAGES)
	@$(XTASK) wasm

build-js: build-wasm
	@npm run build --workspaces --if-present

build-server: setup-rust
	@cargo build --release --package firkin-server

check: check-rust check-js check-licences ## Checks format, lints, types and licences

check-rust: setup-rust
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --locked -- --deny warnings
	cargo clippy --package firkin-wasm --all-targets --target wasm32-unknown-unknown --locked -- --deny warnings
	cargo clippy --package firkin-rescue --target wasm32-unknown-unknown --locked -- --deny warnings
	cargo clippy --package firkin-automerge --target wasm32-unknown-unknown --locked -- --deny warnings
	cargo clippy --package firkin-bench --lib --target wasm32-unknown-unknown --locked -- --deny warnings
	cargo clippy --package firkin-core --target wasm32v1-none --locked -- --deny warnings

check-js: build-wasm
	npm run lint
	npm run types --workspaces --if-present

check-licences: setup-rust
	@scripts/licences.sh

fuzz: setup-rust ## Feeds made-up input to what is read, FUZZ_SECONDS (60) for each target
	@scripts/fuzz.sh

bench: build ## Measures Firkin beside other databases; ONLY, DOCS, ROUNDS, PUBLISH choose what
	@scripts/setup.sh browser
	@node tests/bench/main.mjs

bench-engine: setup-rust $(PACKAGES) ## Times the engine alone, natively and in wasm; FILTER=find/ chooses cases
	@$(XTASK) bench-engine $(FILTER)

bench-memory: build-js ## Tells how much memory the engine takes at DOCS (1,000,000) small documents in a page
	@scripts/setup.sh browser
	@node tests/bench/memory-main.mjs

bench-server: build-server ## Times the server beside express-pouchdb over LevelDB
	@scripts/setup.sh node
	@cd tests/bench-server && npm ci --silent
	@node tests/bench-server/main.mjs

soak: build-js ## Kills browsers, FIRKIN_KILLS and FIRKIN_LEADER_KILLS times; a server under load; failing disks and networks, SOAK_SEEDS times
	@scripts/setup.sh browser
	@scripts/soak.sh

size: build ## Prints what a browser has to load
	@$(XTASK) size

clean: ## Removes all that was built; keeps the data of `make up` and the tools
	rm -rf target fuzz/target node_modules js/dist js/*.wasm js/*.tgz demo/dist

setup-rust:
	@scripts/setup.sh rust

$(PACKAGES): package-lock.json package.json .npmrc $(wildcard */package.json)
	@scripts/setup.sh node
	npm ci
	@touch $@
