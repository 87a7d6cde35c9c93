#!/usr/bin/env bash
# Runs every measurement of proxist-bench in a temporary directory on this disk. Arguments go to each of them.
set -euo pipefail
cd "$(dirname "$0")/.."

bench=${PROXIST_BIN:-build/release/bin}/proxist-bench
mkdir -p build
work=$(mktemp -d build/bench.XXXXXX)
trap 'rm -rf "$work"' EXIT

"$bench" durability --dir "$work" "$@"
"$bench" ack --dir "$work" "$@"
"$bench" ingest --dir "$work" "$@"
"$bench" query --dir "$work" "$@"
"$bench" readers --dir "$work" "$@"
"$bench" history --dir "$work" "$@"
