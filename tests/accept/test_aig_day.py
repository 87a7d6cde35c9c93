"""A real day: 1.4 million AIG quotes and 52 thousand trades of 2013-10-09, joined exactly wherever the seam lies."""

import bisect
import csv
import io
import pathlib
import sys
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/process"))

import market  # noqa: E402
from proxist_process import Directory, Server  # noqa: E402
from real_data import DATA, require  # noqa: E402

QUOTES = DATA / "equity_usa_tick_aig_20131009_quote.zip"
TRADES = DATA / "equity_usa_tick_aig_20131009_trade.zip"
MIDNIGHT = 1381291200 * 10**9  # 2013-10-09T00:00:00-04:00
BEGIN, END = "2013-10-09T00:00:00-04:00", "2013-10-10T00:00:00-04:00"

QUOTES_MAP = """\
map: quotes
columns:
  symbol: {const: AIG}
  ts: {column: 1, unit: ms, base: 2013-10-09T00:00:00, timezone: America/New_York}
  seq: {line: true}
  bid: {column: 2, scaled: 4}
  bid_size: {column: 3}
  ask: {column: 4, scaled: 4}
  ask_size: {column: 5}
  venue: {column: 6}
"""

TRADES_MAP = """\
map: trades
columns:
  symbol: {const: AIG}
  ts: {column: 1, unit: ms, base: 2013-10-09T00:00:00, timezone: America/New_York}
  seq: {line: true}
  price: {column: 2, scaled: 4}
  size: {column: 3}
  venue: {column: 4}
"""


def lines_of(path):
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        with archive.open(name) as file:
            return list(csv.reader(io.TextIOWrapper(file)))


class AigDay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        require(QUOTES, TRADES)
        quotes = lines_of(QUOTES)
        cls.quote_count = len(quotes)
        bids = [(MIDNIGHT + int(q[0]) * 10**6, seq, int(q[1]), int(q[2]), q[5])
                for seq, q in enumerate(quotes, 1) if int(q[1]) > 0]
        bids.sort()
        cls.trades = [(MIDNIGHT + int(t[0]) * 10**6, seq, int(t[1]), int(t[2]), t[3])
                      for seq, t in enumerate(lines_of(TRADES), 1)]
        cls.trades.sort()
        cls.expected = cls.naive_asof(cls.trades, {None: bids}, lambda venue: None)
        by_venue = {}
        for bid in bids:
            by_venue.setdefault(bid[4], []).append(bid)
        cls.expected_by_venue = cls.naive_asof(cls.trades, by_venue, lambda venue: venue)
        cls.directory = Directory()
        cls.server = Server(cls.directory).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.end()
        cls.directory.remove()

    @staticmethod
    def naive_asof(trades, groups, group_of):
        """The answer's lines: for each trade the last bid at or before it."""
        times = {group: [bid[0] for bid in bids] for group, bids in groups.items()}
        lines = []
        for ts, seq, price, size, venue in trades:
            group = group_of(venue)
            at = bisect.bisect_right(times.get(group, []), ts)
            match = groups[group][at - 1] if at else None
            lines.append(["AIG", str(ts), str(seq), market.decimal(price), str(size),
                          *((market.decimal(match[2]), str(match[3]), str(match[0])) if match else ("", "", ""))])
        return lines

    def asof(self, *flags):
        text = self.server.pxctl("query", "asof", "--left", "trades", "--right", "quotes", "--symbols", "AIG",
                                 "--from", BEGIN, "--to", END, "--columns", "price,size", "--right-columns",
                                 "bid,bid_size", "--right-where", "bid > 0", "--direction", "backward", *flags,
                                 "--output", "csv", "--time", "ns")
        rows = list(csv.reader(io.StringIO(text)))
        self.assertEqual(rows[0], ["symbol", "ts", "seq", "price", "size", "bid", "bid_size", "right_ts"])
        return rows[1:]

    def check(self, where):
        for flags, expected in (((), self.expected), (("--by", "venue"), self.expected_by_venue)):
            got = self.asof(*flags)
            self.assertEqual(len(got), len(expected), where)
            for index, (row, want) in enumerate(zip(got, expected)):
                self.assertEqual(row, want, f"{where} {flags}: row {index}")
        print(f"as-of of {len(self.trades)} trades, {where}: exact, also by venue", flush=True)

    def rows_hot(self):
        return {table["name"]: table["rows_hot"] for table in self.server.status()["tables"]}

    def test_the_day(self):
        d, s = self.directory, self.server
        s.pxctl("apply", "-f", d.file("tables.yaml", market.TABLES))
        imports = (("quotes", QUOTES, d.file("quotes.map.yaml", QUOTES_MAP)),
                   ("trades", TRADES, d.file("trades.map.yaml", TRADES_MAP)))
        for table, data, mapping in imports:
            print(s.pxctl("import", table, "--file", data, "--map", mapping).strip(), flush=True)
        self.assertEqual(self.rows_hot(), {"quotes": self.quote_count, "trades": len(self.trades)})
        self.check("all hot")
        s.kill()
        s.start()
        for table, data, mapping in imports:
            s.pxctl("import", table, "--file", data, "--map", mapping)
        s.pxctl("flush", "--wait", "--timeout", "300s")
        for table, count in (("quotes", self.quote_count), ("trades", len(self.trades))):
            self.assertEqual(int(s.clickhouse(f"SELECT count() FROM default.{table}_history FINAL")), count)
        noon = "2013-10-09T12:30:00.001-04:00"
        for table in ("quotes", "trades"):
            s.pxctl("evict", table, "--before", noon)
        hot = self.rows_hot()
        self.assertTrue(0 < hot["quotes"] < self.quote_count, hot)
        below = int(s.clickhouse(f"SELECT count() FROM default.quotes_history FINAL WHERE ts < '2013-10-09 16:30:00.001'"))
        self.assertGreaterEqual(hot["quotes"] + below, self.quote_count)
        self.check("the seam at 12:30 New York")
        for table in ("quotes", "trades"):
            s.pxctl("evict", table, "--before", END)
        self.assertEqual(self.rows_hot(), {"quotes": 0, "trades": 0})
        self.check("all cold")
        self.assertEqual(s.stop(), 0)


if __name__ == "__main__":
    unittest.main()
