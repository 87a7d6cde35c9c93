#!/usr/bin/env bash
# Installs what is missing to build and run Proxist (run), also to test and lint it (dev), or to
# compare it with other databases (peers). Quick when nothing is missing. docs/dependencies.md says
# why each package is here.
set -euo pipefail
cd "$(dirname "$0")/.."

RUN_PACKAGES=(
  ca-certificates ccache cmake g++ libabsl-dev libarchive-dev libboost1.81-dev libcli11-dev
  libcurl4-openssl-dev libfmt-dev libgrpc++-dev libhwy-dev libprotobuf-dev libspdlog-dev libsqlite3-dev
  libssl-dev liburing-dev libxxhash-dev libyaml-cpp-dev ninja-build nlohmann-json3-dev pkg-config
  prometheus-cpp-dev protobuf-compiler protobuf-compiler-grpc tzdata zlib1g-dev
)
DEV_PACKAGES=(
  clang-16 clang-format-16 clang-tidy-16 curl git libclang-rt-16-dev libgmock-dev libgtest-dev python3
)
CLICKHOUSE_PACKAGE=@chdb/lib-linux-x64-gnu
CLIENT_PACKAGE=@clickhouse/client

# Prints those of its arguments that dpkg does not know as installed.
missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p' | sort -u) || true
  comm -23 <(printf '%s\n' "$@" | sort -u) <(printf '%s\n' "$installed")
}

# Runs its arguments as root, or says what is missing and stops.
as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    return 127
  fi
}

install_packages() {
  local missing
  if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not a Debian system: provide what docs/dependencies.md lists" >&2
    return 1
  fi
  mapfile -t missing < <(missing_packages "$@")
  if [[ ${#missing[@]} -eq 0 ]]; then
    return 0
  fi
  echo "setup: installing ${missing[*]}"
  if [[ $(id -u) -ne 0 ]] && ! command -v sudo >/dev/null; then
    echo "setup: these packages are missing and neither root nor sudo is there to install them:" >&2
    echo "  ${missing[*]}" >&2
    return 1
  fi
  if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}" >/dev/null; }; then
    echo "setup: these packages are missing and could not be installed: ${missing[*]}" >&2
    return 1
  fi
}

# The version that package.json names for a package; nothing when it names none.
pinned_version() {
  sed -n "s|^ *\"$1\": *\"\([^\"]*\)\".*|\1|p" package.json
}
installed_version() {
  sed -n 's|^ *"version": *"\([^"]*\)".*|\1|p' "node_modules/$1/package.json" 2>/dev/null | head -n 1
}
is_installed() {
  [[ -n $(installed_version "$1") && $(installed_version "$1") == "$(pinned_version "$1")" ]]
}

# Fetches what package.json pins: the ClickHouse library and, with "dev", what tests need.
install_npm_packages() {
  local library=node_modules/$CLICKHOUSE_PACKAGE/libchdb.so
  local what=("$CLICKHOUSE_PACKAGE") omit=(--omit=dev)
  if [[ $1 == dev ]] || is_installed "$CLIENT_PACKAGE"; then
    what+=("$CLIENT_PACKAGE")
    omit=()
  fi
  if [[ ! -f package.json ]] || { [[ -f $library ]] && is_installed "$CLICKHOUSE_PACKAGE" &&
    { [[ $1 != dev ]] || is_installed "$CLIENT_PACKAGE"; }; }; then
    return 0
  fi
  if ! command -v npm >/dev/null; then
    install_packages nodejs npm
  fi
  echo "setup: fetching ${what[*]}"
  # With the library in place only what is missing is added, beside servers that run from it.
  local how=ci
  if [[ -f $library ]] && is_installed "$CLICKHOUSE_PACKAGE"; then
    how=install
  fi
  npm "$how" "${omit[@]}" --no-audit --no-fund --loglevel=error
  if [[ ! -f $library ]]; then
    echo "setup: npm ended well, yet $library is not there" >&2
    return 1
  fi
}

install_peers() {
  npm ci --prefix bench/peers --no-audit --no-fund --loglevel=error
}

case "${1:-}" in
  run) install_packages "${RUN_PACKAGES[@]}" && install_npm_packages run ;;
  dev) install_packages "${RUN_PACKAGES[@]}" "${DEV_PACKAGES[@]}" && install_npm_packages dev ;;
  peers) install_packages "${RUN_PACKAGES[@]}" python3 && install_npm_packages run && install_peers ;;
  *)
    echo "usage: tools/setup.sh run|dev|peers" >&2
    exit 2
    ;;
esac
