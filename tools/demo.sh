#!/usr/bin/env bash
# The demo: feeds a simulated market to Proxist over an embedded ClickHouse, queries it, kills the server with
# SIGKILL, starts it again, and compares every answer byte for byte. Takes the seconds of feed as its argument.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-20}
bin=${PROXIST_BIN:-build/release/bin}
work=$PWD/build/demo
server=
grpc=

if [[ -t 1 ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' plain=''
fi

step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }
fail() {
  printf '%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
  exit 1
}

end_server() {
  if [[ -n $server ]]; then
    kill "-$1" "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
  fi
}
trap 'end_server TERM' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Starts proxistd and waits for its first line, which names its ports.
start_server() {
  rm -f "$work/ready"
  mkfifo "$work/ready"
  "$bin/proxistd" --data "$work/data" --grpc 127.0.0.1:0 --http 127.0.0.1:0 --history embedded \
    >"$work/ready" 2>>"$work/proxistd.log" &
  server=$!
  local line=
  exec 3<"$work/ready"
  read -r -t 120 line <&3 || true
  if [[ $line != "ready grpc="* ]]; then
    tail -n 5 "$work/proxistd.log" >&2
    fail "proxistd did not become ready: '$line'"
  fi
  grpc=${line#ready grpc=}
  grpc=${grpc%% *}
  note "$line"
}

pxctl() { "$bin/pxctl" --server "$grpc" "$@"; }

feed() {
  "$bin/proxist-bench" feed --server "$grpc" --rate 50000 --symbols 200 --venues 8 --late 0.02 "$@"
}

# The queries of the demo: a name, then what follows `pxctl query`. The feed covers ten minutes from 13:30.
queries=(
  "last-by|last-by quotes --symbols S000,S001,S002 --at 2024-03-15T13:38:00Z --by venue --columns venue,bid,bid_size,ask,ask_size"
  "first-by|first-by trades --symbols S000,S001,S002 --at 2024-03-15T13:35:00Z --columns venue,price,size"
  "asof|asof --left trades --right quotes --symbols S003 --from 2024-03-15T13:34:58Z --to 2024-03-15T13:35:02Z --columns venue,price,size --right-columns bid,ask --right-where 'bid > 0' --by venue --tolerance 5s"
  "bars|bars trades --symbols S000,S004 --from 2024-03-15T13:30:00Z --to 2024-03-15T13:40:00Z --interval 1m --aggregates open,high,low,close,volume,count,vwap"
  "rolling|rolling trades --symbols S005 --from 2024-03-15T13:34:30Z --to 2024-03-15T13:35:30Z --window 30s --aggregates vwap,max,ema(0.1)"
  "range|range quotes --symbols S006,S007 --from 2024-03-15T13:34:59Z --to 2024-03-15T13:35:01Z --where 'bid_size >= 1000'"
  "everything|range trades --from 2024-03-15T13:30:00Z --to 2024-03-15T13:42:00Z"
)

# Splits a query's text as a shell would, without expanding anything.
arguments_of() { xargs -n 1 printf '%s\n' <<<"$1"; }

# Saves every answer as CSV under $work/$1.
save_answers() {
  mkdir -p "$work/$1"
  local query arguments
  for query in "${queries[@]}"; do
    mapfile -t arguments < <(arguments_of "${query#*|}")
    pxctl query "${arguments[@]}" --output csv >"$work/$1/${query%%|*}.csv"
  done
}

show_answers() {
  local query arguments
  for query in "${queries[@]}"; do
    if [[ ${query%%|*} == everything ]]; then
      continue
    fi
    step "pxctl query ${query#*|}"
    mapfile -t arguments < <(arguments_of "${query#*|}")
    pxctl query "${arguments[@]}" --limit 8
  done
}

# Compares the answers saved under $1 and $2.
compare_answers() {
  local file rows
  for file in "$work/$1"/*.csv; do
    cmp "$file" "$work/$2/${file##*/}" || fail "${file##*/}: the answers differ ($1, $2)"
    rows=$(($(wc -l <"$file") - 1))
    [[ $rows -gt 0 ]] || fail "${file##*/}: the answer is empty"
    printf '   %-12s %8d rows  %sidentical%s\n' "$(basename "$file" .csv)" "$rows" "$green" "$plain"
  done
}

rm -rf "$work"
mkdir -p "$work"

step "Starting Proxist with an embedded ClickHouse"
start_server

step "Feeding $seconds seconds: 200 symbols on 8 venues; bursts, ties, late rows, corrections, cancels"
feed --seconds "$seconds" --market-seconds 600 --start 2024-03-15T13:30:00Z

step "Everything in memory: the answers"
show_answers
save_answers hot

step "Persisting everything, then dropping the first five minutes from memory: the seam is at 13:35"
pxctl flush --wait
pxctl evict quotes --before 2024-03-15T13:35:00Z
pxctl evict trades --before 2024-03-15T13:35:00Z
save_answers seam
pxctl query range quotes --symbols S006 --from 2024-03-15T13:34:59Z --to 2024-03-15T13:35:01Z --limit 8 --explain
note "The same queries, now from memory and ClickHouse together:"
compare_answers hot seam

step "Three more seconds of the feed, then kill -9 and a new start"
feed --seconds 3 --market-seconds 60 --start 2024-03-15T13:40:00Z
save_answers before
end_server KILL
start_server
save_answers restarted
compare_answers before restarted

step "Stopping"
pid=$server
kill -TERM "$pid"
wait "$pid" || fail "proxistd ended with status $?"
server=
printf '%sThe answers are the same in memory, across the seam, and after kill -9.%s\n' "$green" "$plain"
