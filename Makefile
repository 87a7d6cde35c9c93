# The commands of this project. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev build test lint lint-full fmt demo bench bench-peers accept soak sim clean
JOBS := $(shell nproc)
# Compiled objects are shared between build trees and checkouts: paths below the source count as relative.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
# Stages of `make test`, all when empty: rules process asan tsan fuzz
STAGES :=
# The simulator's first seed and how many (0: without end)
SEED := 1
COUNT := 0
# How long each of the long tests goes on
SECONDS_ := 300
# Counts of each test over live views in `make soak`
COUNTS := 10000

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## install what building and running need (Debian packages, the ClickHouse library)
	@tools/setup.sh run

setup-dev: ## install what tests and lint need as well
	@tools/setup.sh dev

build: setup ## build the release binaries into build/release/bin/
	@cmake --preset release >/dev/null
	@cmake --build --preset release --parallel $(JOBS)

test: setup-dev ## run all tests: real processes, sanitizers, fuzzers (STAGES="asan tsan" runs some)
	@python3 tools/run_tests.py $(STAGES)

lint: setup-dev ## check format, tidy rules, scripts, and changed files with clang-tidy
	@python3 tools/lint.py

lint-full: setup-dev ## check every file with all of clang-tidy, and that each header compiles alone
	@python3 tools/lint.py --full

fmt: setup-dev ## format the C++ sources
	@git ls-files -z --cached --others --exclude-standard '*.h' '*.cc' | xargs -0 clang-format-16 -i

demo: build ## simulate a market for 20 seconds, query it, kill -9, compare the answers
	@tools/demo.sh

bench: build ## measure acks, ingest and queries, each beside its floor
	@tools/bench.sh

bench-peers: build ## measure the operators beside a plain loop, DuckDB and ClickHouse on the same rows
	@tools/setup.sh peers
	@python3 bench/peers/peers.py

accept: build setup-dev ## verify a day of real ticks from ../shared/data against a naive model
	@python3 tests/process/run.py --accept

soak: build setup-dev ## run the long tests, SECONDS_= each: every seam of random worlds and of real days, outages; COUNTS= over live views
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev --parallel $(JOBS) --target seam_test
	@PROXIST_SEAM_SECONDS=$(SECONDS_) build/dev/bin/seam_test
	@PROXIST_SOAK_SECONDS=$(SECONDS_) python3 tests/process/run.py --soak
	@PROXIST_SOAK_COUNTS=$(COUNTS) python3 tests/process/run.py test_live_views

sim: setup-dev ## simulate crashes from SEED= on, COUNT= runs or until interrupted
	@cmake --preset sim >/dev/null
	@cmake --build --preset sim --parallel $(JOBS) --target proxist-sim
	@build/sim/bin/proxist-sim --seed $(SEED) --count $(COUNT)

clean: ## remove everything that was built (node_modules stays)
	@rm -rf build
