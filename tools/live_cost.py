#!/usr/bin/env python3
"""What a live view costs beside the history table under it: medians of the same questions, asked in turns."""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/process"))

from live_views import SqlServer  # noqa: E402
from proxist_process import BIN, wait_for  # noqa: E402

QUESTIONS = {
    "count": "SELECT count() FROM {}",
    "by symbol": "SELECT symbol, avg(price), max(ts) FROM {} GROUP BY symbol FORMAT Null",
    "one symbol": "SELECT sum(size) FROM {} WHERE symbol = (SELECT any(symbol) FROM trades_history)",
    "last minute": "SELECT count() FROM {} WHERE ts > (SELECT max(ts) FROM trades_history) - 60",
}


class Cost(unittest.TestCase):
    """A test case for its clean-ups alone."""

    def runTest(self):
        self.sql = SqlServer(self, tables=None)
        self.feed(self.options.seconds, corrections=self.options.corrections).wait()
        self.sql.wait_for_views(2)
        self.sql.server.pxctl("flush", "--wait", "--timeout", "120s")
        rows = self.sql.numbers("SELECT count() FROM trades_history")[0]
        print(f"{rows} trades, nothing above the seam")
        self.measure()
        # On another day: the same keys again would be corrections.
        running = self.feed(86400, corrections=self.options.corrections, start="2031-01-06T14:30:00Z")
        wait_for("more rows", lambda: self.sql.numbers("SELECT count() FROM trades_history")[0] > rows)
        print(f"while {self.options.rate} rows/s arrive (a fifth of them trades)")
        self.measure()
        running.kill()
        running.wait()

    def feed(self, seconds, corrections, start="2031-01-03T14:30:00Z"):
        feed = subprocess.Popen([str(BIN / "proxist-bench"), "feed", "--server", self.sql.server.grpc, "--rate",
                                 str(self.options.rate), "--seconds", str(seconds), "--symbols", "200", "--cancels", "0",
                                 "--corrections", str(corrections), "--start", start], stderr=subprocess.DEVNULL)
        self.addCleanup(feed.wait)
        self.addCleanup(feed.kill)
        return feed

    def measure(self):
        print(f"  {'question':12} {'history ms':>10} {'view ms':>10} {'more ms':>8} {'ratio':>6}")
        for name, text in QUESTIONS.items():
            times = {"trades_history": [], "trades": []}
            for turn in range(self.options.turns + 2):
                for table, taken in times.items():
                    began = time.perf_counter()
                    self.sql.ask(text.format(table))
                    if turn >= 2:
                        taken.append((time.perf_counter() - began) * 1e3)
            history, view = (statistics.median(taken) for taken in times.values())
            print(f"  {name:12} {history:10.1f} {view:10.1f} {view - history:8.1f} {view / history:6.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=100000, help="rows a second")
    parser.add_argument("--seconds", type=int, default=20, help="of feed before the first measurement")
    parser.add_argument("--turns", type=int, default=25)
    parser.add_argument("--corrections", type=float, default=0.0, help="share of rows")
    Cost.options = parser.parse_args()
    result = unittest.TextTestRunner(verbosity=0).run(Cost())
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
