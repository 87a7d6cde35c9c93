"""Real market days with the seam moving through them: every query's answer stays what it was all-hot.

PROXIST_SOAK_SECONDS (60) is the time spent on moving the seam; at least five seams are tried.
"""

import gzip
import json
import os
import pathlib
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/process"))
sys.path.insert(0, str(ROOT / "tests/accept"))

import market  # noqa: E402
import naive  # noqa: E402
import test_aig_day as aig  # noqa: E402
from proxist_process import Directory, Server  # noqa: E402

BINANCE = aig.DATA / "binance_usdm_btcusdt_20240808.gz"
MINUTE = 60 * 10**9
SEAMS = 50


def aig_lines():
    """Trades and quotes of the day as lines of market's files."""
    trades = [("AIG", aig.MIDNIGHT + int(t[0]) * 10**6, t[3], int(t[1]), int(t[2])) for t in aig.lines_of(aig.TRADES)]
    quotes = [("AIG", aig.MIDNIGHT + int(q[0]) * 10**6, q[5], int(q[1]), int(q[2]), int(q[3]), int(q[4]), "put")
              for q in aig.lines_of(aig.QUOTES)]
    return trades, quotes


def binance_lines():
    """Trades and best quotes by exchange time, which is out of order in one row of six."""
    def scaled(text):
        return int(text.replace(".", "")) * 10 ** (4 - len(text.partition(".")[2]))

    trades, quotes = [], []
    with gzip.open(BINANCE, "rt") as file:
        for line in file:
            data = json.loads(line.partition(" ")[2]).get("data", {"e": "a snapshot of the book", "T": 0})
            at = int(data["T"]) * 10**6
            if data["e"] == "trade":
                trades.append(("BTCUSDT", at, data.get("X", "M"), scaled(data["p"]), scaled(data["q"])))
            elif data["e"] == "bookTicker":
                quotes.append(("BTCUSDT", at, "B", scaled(data["b"]), scaled(data["B"]), scaled(data["a"]),
                               scaled(data["A"]), "put"))
    return trades, quotes


class Seams(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.server = Server(self.directory, "--shards", 2).start()
        self.addCleanup(self.directory.remove)
        self.addCleanup(self.server.end)
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES))
        self.quotes_map = self.directory.file("quotes.map.yaml", market.QUOTES_MAP)
        self.trades_map = self.directory.file("trades.map.yaml", market.TRADES_MAP)

    def load(self, trades, quotes):
        d, s = self.directory, self.server
        s.pxctl("import", "trades", "--file", d.file("trades.csv", market.text(trades)), "--map", self.trades_map)
        s.pxctl("import", "quotes", "--file", d.file("quotes.csv", market.text(quotes)), "--map", self.quotes_map)
        # An exact copy of keys is the same row; file order numbers them.
        return [naive.Tick(line[0], line[1], seq, {"venue": line[2], "price": line[3], "size": line[4]})
                for seq, line in enumerate(trades, 1)]

    def suite(self, begin, end):
        """Each query's text answer, by name."""
        middle = (begin + end) // 2
        span = ("--from", begin, "--to", end)
        few = ("--from", middle, "--to", middle + 2 * MINUTE)
        queries = {
            "last": ("last-by", "quotes", "--at", middle, "--by", "venue"),
            "last where": ("last-by", "quotes", "--at", middle, "--where", "bid > 0 and bid_size >= 2"),
            "first": ("first-by", "quotes", "--at", begin + 1, "--by", "venue", "--where", "ask > 0"),
            "range": ("range", "quotes", *few),
            "range where": ("range", "quotes", *span, "--where", "bid_size > 40 and bid > 0", "--columns", "bid,venue"),
            "asof": ("asof", "--left", "trades", "--right", "quotes", *few, "--right-where", "bid > 0"),
            "nearest": ("asof", "--left", "trades", "--right", "quotes", *few, "--direction", "nearest", "--by", "venue"),
            "window join": ("window-join", "--left", "trades", "--right", "quotes", *few, "--before", "2s", "--after",
                            "1s", "--aggregates", "max(bid),count"),
            "bars": ("bars", "trades", *span, "--interval", "5m", "--aggregates",
                     "open,high,low,close,volume,count,vwap"),
            "bars by venue": ("bars", "quotes", *span, "--interval", "1h", "--by", "venue", "--aggregates",
                              "count,sum(bid_size),min(ask),max(bid),last(bid)"),
            "whole": ("aggregate", "trades", *span, "--aggregates", "count,vwap,sum(size),median(price)"),
            "rolling": ("rolling", "trades", *few, "--window", "5m", "--aggregates", "vwap,sum(size)"),
        }
        return {name: self.server.pxctl("query", *query, "--output", "csv", "--time", "ns")
                for name, query in queries.items()}

    def move_the_seam(self, trades, quotes):
        ticks = sorted(self.load(trades, quotes), key=lambda tick: tick.order(["venue"]))
        moments = sorted(tick.ts for tick in ticks)
        begin, end = moments[0], moments[-1] + 1
        expected = self.suite(begin, end)
        self.check_bars(expected["bars"], ticks)
        self.server.pxctl("flush", "--wait", "--timeout", "300s")
        times = [moments[len(moments) * i // (SEAMS // 2)] for i in range(1, SEAMS // 2)]
        # Just below a time that rows share, just above it, and beyond everything.
        seams = [t + step for t in times for step in (0, 1)] + [end]
        until = time.monotonic() + int(os.environ.get("PROXIST_SOAK_SECONDS", "60"))
        chosen = seams[::max(1, len(seams) // 5)]
        for index, seam in enumerate(seams):
            if seam not in chosen and seam != end and time.monotonic() > until:
                continue
            for table in ("quotes", "trades"):
                self.server.pxctl("evict", table, "--before", seam)
            for name, answer in self.suite(begin, end).items():
                self.assertEqual(answer, expected[name], f"{name} with the seam at {seam} ({index})")
            self.assertIn("no difference", self.server.pxctl("verify-seam", "trades", "--max-rows", 100000))

    def check_bars(self, text, ticks):
        """The bars of one symbol are the model's."""
        model = naive.bars(ticks, 5 * MINUTE)
        lines = text.strip().splitlines()[1:]
        self.assertEqual(len(lines), len(model))
        for line in lines:
            symbol, ts, *values = line.split(",")
            want = model[symbol, int(ts)]
            self.assertEqual(values[:4], [market.decimal(want[name]) for name in ("open", "high", "low", "close")])
            self.assertEqual((int(values[4]), int(values[5])), (want["volume"], want["count"]))

    def test_a_day_of_generated_ticks(self):
        self.move_the_seam(market.trades(20000), market.quotes(60000))

    @unittest.skipUnless(aig.TRADES.exists() and aig.QUOTES.exists(), "the real data is not here")
    def test_a_day_of_aig(self):
        self.move_the_seam(*aig_lines())

    @unittest.skipUnless(BINANCE.exists(), "the real data is not here")
    def test_an_afternoon_of_binance(self):
        self.move_the_seam(*binance_lines())


if __name__ == "__main__":
    unittest.main()
