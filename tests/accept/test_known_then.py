"""A real day as it was known at each of its half hours: AIG quotes and trades of 2013-10-09, some of them corrected or cancelled later."""

import random
import sys
import pathlib
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/process"))

from proxist_process import Directory, Server  # noqa: E402
from test_aig_day import BEGIN, END, MIDNIGHT, QUOTES, TRADES, lines_of  # noqa: E402
from real_data import require  # noqa: E402

MINUTE = 60 * 10**9
FIRST, LAST, STEP = 9 * 60 + 30, 16 * 60, 30  # minutes of the day in New York
CHANGES = 300  # corrections and cancels of each table in each half hour

TABLES = """\
kind: Table
name: quotes
columns:
  - {name: bid, type: decimal(4)}
  - {name: bid_size, type: int64}
versions: all
seq: producer
hot: {retain: 24h}
---
kind: Table
name: trades
columns:
  - {name: price, type: decimal(4)}
  - {name: size, type: int64}
versions: all
seq: producer
hot: {retain: 24h}
"""
MAP = """\
map: %s
columns:
  symbol: {const: AIG}
  ts: {column: 1, unit: ns}
  seq: {column: 2}
  %s: {column: 3, scaled: 4}
  %s: {column: 4}
op: {column: 5}
"""


class Replay:
    """One table's rows in the order of their times, sent a part at a time, with changes of what was sent before."""

    def __init__(self, name, rows):
        self.name = name
        self.rows = sorted(rows)
        self.sent = 0
        self.known = {}  # (ts, seq): (value, size)

    def until(self, ts, dice):
        """Lines of the rows before ts that were not sent yet, and of changes."""
        first = self.sent
        while self.sent < len(self.rows) and self.rows[self.sent][0] < ts:
            self.sent += 1
        lines = [(*row, "put") for row in self.rows[first:self.sent]]
        earlier = range(min(CHANGES, first) and first)
        for index in dice.sample(earlier, min(CHANGES, first)):
            at, seq, value, size = self.rows[index]
            lines.append((at, seq, value, size, "cancel") if dice.random() < 0.3 else
                         (at, seq, value + dice.randrange(1, 50) * 100, size + 100, "put"))
        for at, seq, value, size, op in lines:
            if op == "put":
                self.known[at, seq] = (value, size)
            else:
                self.known.pop((at, seq), None)
        return lines

    def sums(self):
        return [str(len(self.known)), str(sum(size for _, size in self.known.values()))]


class KnownThen(unittest.TestCase):
    QUERIES = (
        ("bars", "trades", "--interval", "30m", "--zone", "America/New_York", "--symbols", "AIG", "--from", BEGIN,
         "--to", END, "--aggregates", "count,sum(size),vwap,min(price),max(price),first(price),last(price)"),
        ("bars", "quotes", "--interval", "30m", "--symbols", "AIG", "--from", BEGIN, "--to", END,
         "--aggregates", "count,sum(bid_size),max(bid),last(bid)"),
        ("last-by", "quotes", "--symbols", "AIG", "--count", "20"),
        ("first-by", "trades", "--symbols", "AIG", "--count", "20"),
        ("asof", "--left", "trades", "--right", "quotes", "--symbols", "AIG", "--from", "2013-10-09T09:30:00-04:00",
         "--to", "2013-10-09T10:05:00-04:00", "--columns", "price,size", "--right-columns", "bid,bid_size"),
        ("range", "trades", "--symbols", "AIG", "--from", BEGIN, "--to", END, "--where", "size > 5000"),
    )

    @classmethod
    def setUpClass(cls):
        require(QUOTES, TRADES)
        cls.replays = (
            Replay("quotes", [(MIDNIGHT + int(q[0]) * 10**6, seq, int(q[1]), int(q[2]))
                              for seq, q in enumerate(lines_of(QUOTES), 1) if int(q[1]) > 0]),
            Replay("trades", [(MIDNIGHT + int(t[0]) * 10**6, seq, int(t[1]), int(t[2]))
                              for seq, t in enumerate(lines_of(TRADES), 1)]))
        cls.directory = Directory()
        cls.server = Server(cls.directory).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.end()
        cls.directory.remove()

    def answers(self, *moment):
        return [self.server.pxctl("query", *query, *moment, "--output", "csv", "--time", "ns") for query in self.QUERIES]

    def sums(self, table, size, *moment):
        text = self.server.pxctl("query", "aggregate", table, "--symbols", "AIG", "--from", BEGIN, "--to", END,
                                 "--aggregates", f"count,sum({size})", *moment, "--output", "csv")
        return text.splitlines()[1].split(",")[-2:]

    def check(self, moments, where):
        for lsn, at, then, sums in moments:
            iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 10**9)) + f".{at % 10**9:09d}Z"
            for moment in (str(lsn), iso):
                for got, expected, query in zip(self.answers("--as-of-log", moment), then, self.QUERIES):
                    self.assertTrue(got == expected, f"{where}, known at {moment}: {query}")
            for (table, size), expected in zip((("quotes", "bid_size"), ("trades", "size")), sums):
                self.assertEqual(self.sums(table, size, "--as-of-log", str(lsn)), expected, f"{where}, {table} at {lsn}")
        print(f"{len(moments)} moments of the day, {where}: as they were known then", flush=True)

    def test_each_half_hour_as_it_was_known_then(self):
        s, d = self.server, self.directory
        dice = random.Random(20131009)
        s.pxctl("apply", "-f", d.file("tables.yaml", TABLES))
        maps = {"quotes": d.file("quotes.map.yaml", MAP % ("quotes", "bid", "bid_size")),
                "trades": d.file("trades.map.yaml", MAP % ("trades", "price", "size"))}
        moments = []
        for minute in range(FIRST, LAST + 1, STEP):
            for replay in self.replays:
                lines = replay.until(MIDNIGHT + minute * MINUTE, dice)
                text = "".join(",".join(map(str, line)) + "\n" for line in lines)
                s.pxctl("import", replay.name, "--file", d.file("rows.csv", text), "--map", maps[replay.name])
            lsn = s.status()["shards"][0]["published_lsn"]
            sums = [replay.sums() for replay in self.replays]
            for (table, size), expected in zip((("quotes", "bid_size"), ("trades", "size")), sums):
                self.assertEqual(self.sums(table, size), expected)
            moments.append((lsn, time.time_ns(), self.answers(), sums))
            time.sleep(0.005)
            if minute == 12 * 60:
                s.pxctl("flush", "--wait", "--timeout", "300s")
                for table in ("quotes", "trades"):
                    s.pxctl("evict", table, "--before", "2013-10-09T11:00:00-04:00")
            if minute == 14 * 60:
                s.kill()
                s.start()
        self.assertEqual(len({tuple(moment[2]) for moment in moments}), len(moments))
        self.check(moments, "the seam at 11:00 New York")
        s.pxctl("flush", "--wait", "--timeout", "300s")
        for table in ("quotes", "trades"):
            s.pxctl("evict", table, "--before", END)
        self.check(moments, "all cold")
        self.assertEqual(s.stop(), 0)


if __name__ == "__main__":
    unittest.main()
