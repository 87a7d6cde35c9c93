#!/usr/bin/env python3
"""The tasks of `proxist-bench query --columns` in Proxist, a plain loop, DuckDB and ClickHouse, on the same rows."""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BENCH = pathlib.Path(os.environ.get("PROXIST_BIN", ROOT / "build/release/bin")) / "proxist-bench"
TASKS = ["asof_join", "point_asof", "snapshot", "last_one", "vwap_bars_1m", "vwap_bars_1m_where", "rolling_vwap_5m",
         "rolling_mean_5m", "ema_0.1", "range_1m"]


def proxist(directory, passes, work):
    """By name, median seconds of Proxist and of the loop; of several threads as name/threads."""
    out = subprocess.run([BENCH, "query", "--columns", directory, "--dir", work, "--passes", str(passes)], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    lines = (line.split("\t") for line in out.splitlines())
    return {name if threads == "1" else f"{name}/{threads}": float(p50) * 1e-9
            for name, threads, _, p50, _, _ in lines}


def peer(script, directory, passes, work):
    """By name, median seconds on all threads and on one."""
    out = subprocess.run([sys.executable, HERE / script, directory, str(passes), work], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    lines = (line.split() for line in out.splitlines())
    return {name: (float(shared), float(alone)) for name, shared, alone in lines}


def show(seconds):
    for unit, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", help="a directory of arrays; made when it is left out")
    parser.add_argument("--passes", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="proxist-peers-", dir=ROOT / "build") as work:
        directory = arguments.columns or work + "/columns"
        if not arguments.columns:
            subprocess.run([BENCH, "gen", "--dir", directory], check=True)
        ours = proxist(directory, arguments.passes, work)
        duckdb = peer("duckdb_peer.py", directory, arguments.passes, work)
        clickhouse = peer("clickhouse_peer.py", directory, arguments.passes, work)
    print("| task | Proxist, one thread | all threads | plain loop | DuckDB | on one thread | ClickHouse | on one thread "
          "| one thread / loop | all threads / loop | best peer / Proxist, one thread each | all threads each |")
    print("|---" * 12 + "|")
    for task in TASKS:
        loop = ours[task + ".loop"]
        alone = ours[task]
        shared = next((times for name, times in ours.items() if name.startswith(task + "/")), None)
        peers = [times.get(task, (None, None)) for times in (duckdb, clickhouse)]
        best_shared, best_alone = (min(filter(None, times), default=None) for times in zip(*peers))
        cells = [alone, shared, loop, *peers[0], *peers[1]]
        ratios = [alone / loop, shared and shared / loop, best_alone and best_alone / alone,
                  best_shared and shared and best_shared / shared]
        print("| " + " | ".join([task] + ["-" if cell is None else show(cell) for cell in cells]
                                + ["-" if ratio is None else f"{ratio:.3g}" for ratio in ratios]) + " |")


if __name__ == "__main__":
    main()
