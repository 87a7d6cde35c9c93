"""Ticks in, every query out, against naive models: hot, with the seam in the day, cold, and after a crash."""

import unittest
from fractions import Fraction

import market
import naive
from proxist_process import Directory, Server

HOUR = 3600 * 10**9
MINUTE = 60 * 10**9
MIDDAY = market.START + market.SESSION // 2


def number(cell):
    return int(cell) if cell != "" else None


def versions(lines, columns):
    """What the file means: (op, Tick) in file order, seq by line number from 1."""
    out = []
    for seq, line in enumerate(lines, 1):
        values = {name: (cell if name == "venue" else number(cell)) for name, cell in zip(columns, line[2:])}
        op = line[7] if len(line) > 7 else "put"
        out.append((op, naive.Tick(line[0], line[1], seq, values)))
    return out


class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = Directory()
        cls.server = Server(cls.directory, "--shards", 2).start()
        cls.quote_lines = market.quotes(20000)
        cls.trade_lines = market.trades(3000)
        d = cls.directory
        cls.tables = d.file("tables.yaml", market.TABLES)
        cls.quotes_map = d.file("quotes.map.yaml", market.QUOTES_MAP)
        cls.trades_map = d.file("trades.map.yaml", market.TRADES_MAP)
        cls.quotes_csv = d.file("quotes.csv", market.text(cls.quote_lines))
        cls.trades_csv = d.file("trades.csv", market.text(cls.trade_lines))
        cls.quotes = naive.resolve(
            versions(cls.quote_lines, ("venue", "bid", "bid_size", "ask", "ask_size")), ["venue"])
        cls.trades = naive.resolve(versions(cls.trade_lines, ("venue", "price", "size")), ["venue"])

    @classmethod
    def tearDownClass(cls):
        cls.server.end()
        cls.directory.remove()

    def import_all(self):
        for table, data, mapping in (("quotes", self.quotes_csv, self.quotes_map),
                                     ("trades", self.trades_csv, self.trades_map)):
            self.server.pxctl("import", table, "--file", data, "--map", mapping, "--chunk-rows", 1000)

    def check_last_by(self, at, first=False):
        name, model = ("first-by", naive.first_by) if first else ("last-by", naive.last_by)
        for by in ((), ("venue",)):
            got = self.server.query(name, "quotes", "--at", at, "--columns", "venue,bid,bid_size", "--where",
                                    "bid > 0", *(("--by", ",".join(by)) if by else ()))
            want = [{"symbol": t.symbol, "ts": str(t.ts), "seq": str(t.seq), "venue": t.values["venue"],
                     "bid": market.decimal(t.values["bid"]), "bid_size": str(t.values["bid_size"])}
                    for t in model(self.quotes, at, by, lambda t: (t.values["bid"] or 0) > 0)]
            want.sort(key=lambda row: (row["symbol"], int(row["ts"]), int(row["seq"]), row["venue"]))
            self.assertEqual(got, want, f"{name} at {at} by {by}")

    def check_asof(self, **options):
        flags = []
        if options.get("by"):
            flags += ["--by", ",".join(options["by"])]
        if options.get("strict"):
            flags += ["--strict"]
        if options.get("tolerance"):
            flags += ["--tolerance", f"{options['tolerance']}ns"]
        flags += ["--direction", "forward" if options.get("forward") else "backward"]
        left = [t for t in self.trades if MIDDAY - 2 * HOUR <= t.ts < MIDDAY + 2 * HOUR]
        got = self.server.query("asof", "--left", "trades", "--right", "quotes", "--from", MIDDAY - 2 * HOUR,
                                "--to", MIDDAY + 2 * HOUR, "--columns", "price,size", "--right-columns",
                                "bid,bid_size", "--right-where", "bid > 0", *flags)
        want = []
        for t, match in naive.asof(left, self.quotes, where=lambda q: (q.values["bid"] or 0) > 0, **options):
            want.append({"symbol": t.symbol, "ts": str(t.ts), "seq": str(t.seq),
                         "price": market.decimal(t.values["price"]), "size": str(t.values["size"]),
                         "bid": market.decimal(match.values["bid"]) if match else "",
                         "bid_size": str(match.values["bid_size"]) if match else "",
                         "right_ts": str(match.ts) if match else ""})
        self.assertEqual(got, want, f"asof {options}")

    def check_bars(self):
        got = self.server.query("bars", "trades", "--from", market.START, "--to", market.START + market.SESSION,
                                "--interval", "5m", "--aggregates", "open,high,low,close,volume,count,vwap",
                                "--fill", "none")
        model = naive.bars([t for t in self.trades if t.ts < market.START + market.SESSION], 5 * MINUTE)
        self.assertEqual([(row["symbol"], int(row["ts"])) for row in got], sorted(model))
        for row in got:
            want = model[row["symbol"], int(row["ts"])]
            for name in ("open", "high", "low", "close"):
                self.assertEqual(row[name], market.decimal(want[name]))
            self.assertEqual((int(row["volume"]), int(row["count"])), (want["volume"], want["count"]))
            self.assertAlmostEqual(Fraction(row["vwap"]) * 10**4 / want["vwap"], 1, delta=1e-12)

    def check_rolling(self, flag, **window):
        begin = MIDDAY - HOUR
        got = self.server.query("rolling", "trades", "--from", begin, "--to", MIDDAY + HOUR, "--window", flag,
                                "--aggregates", "sum(size)", "--columns", "size")
        want = [(t, total) for t, total in naive.rolling_sum(self.trades, "size", **window)
                if begin <= t.ts < MIDDAY + HOUR]
        self.assertEqual([(row["symbol"], int(row["ts"]), int(row["seq"]), int(row["size"])) for row in got],
                         [(t.symbol, t.ts, t.seq, t.values["size"]) for t, _ in want])
        sums = [name for name in got[0] if name.startswith("sum")]
        self.assertEqual(len(sums), 1)
        self.assertEqual([int(row[sums[0]]) for row in got], [total for _, total in want])

    def check_range(self):
        begin, end = MIDDAY - 20 * MINUTE, MIDDAY + 20 * MINUTE
        got = self.server.query("range", "quotes", "--from", begin, "--to", end, "--limit", 500)
        want = [t for t in self.quotes if begin <= t.ts < end][:500]
        self.assertEqual([(r["symbol"], int(r["ts"]), int(r["seq"]), r["venue"], r["bid"], r["ask"]) for r in got],
                         [(t.symbol, t.ts, t.seq, t.values["venue"], market.decimal(t.values["bid"]),
                           market.decimal(t.values["ask"])) for t in want])

    def check_everything(self):
        for at in (market.START - 1, MIDDAY - 1, MIDDAY, MIDDAY + 1, market.START + 2 * market.SESSION):
            self.check_last_by(at)
            self.check_last_by(at, first=True)
        self.check_asof()
        self.check_asof(by=("venue",))
        self.check_asof(strict=True, tolerance=5 * 10**9)
        self.check_asof(forward=True)
        self.check_asof(forward=True, strict=True, by=("venue",), tolerance=60 * 10**9)
        self.check_bars()
        self.check_rolling("10m", window_ns=10 * MINUTE)
        self.check_rolling("50rows", window_rows=50)
        self.check_range()

    def test_the_same_answers_hot_cold_at_seams_and_after_crashes(self):
        self.server.pxctl("apply", "-f", self.tables)
        self.import_all()
        self.assertEqual(self.hot_rows("quotes"), len(self.quote_lines))
        self.check_everything()
        self.server.kill()
        self.server.start()
        self.import_all()  # counts once
        self.assertEqual(self.hot_rows("quotes"), len(self.quote_lines))
        self.check_everything()
        self.server.pxctl("flush", "--wait")
        self.assertEqual(self.cold_rows("quotes"), len(self.quote_lines))
        self.assertEqual(self.cold_rows("trades"), len(self.trade_lines))
        for seam in (market.START + market.SESSION // 4, MIDDAY, MIDDAY + 1):
            for table in ("quotes", "trades"):
                self.server.pxctl("evict", table, "--before", seam)
            self.check_everything()
        self.server.kill()
        self.server.start()
        self.check_everything()
        self.write_late_rows_and_corrections()
        self.check_everything()
        self.server.pxctl("flush", "--wait")
        self.check_everything()
        for table in ("quotes", "trades"):
            self.server.pxctl("evict", table, "--before", market.START + 10 * market.SESSION)
        self.assertEqual(self.hot_rows("quotes"), 0)
        self.check_everything()
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.check_everything()
        self.assertEqual(self.server.stop(), 0)

    def write_late_rows_and_corrections(self):
        """New versions and cancels of old keys on both sides of the seam, and new keys below it."""
        lines = []
        changes = []
        columns = ("venue", "bid", "bid_size", "ask", "ask_size")
        for seq, line in enumerate(self.quote_lines, 1):
            if seq % 97 == 0:
                lines.append((seq, *line[:3], line[3] and line[3] + 100, *line[4:7], "put"))
            elif seq % 101 == 0:
                lines.append((seq, *line[:7], "cancel"))
            elif seq % 103 == 0:
                lines.append((seq + 10**6, *line[:7], "put"))
        for seq, *line in lines:
            values = {name: (cell if name == "venue" else number(cell)) for name, cell in zip(columns, line[2:7])}
            changes.append((line[7], naive.Tick(line[0], line[1], seq, values)))
        data = self.directory.file("changes.csv", market.text(lines))
        mapping = self.directory.file("changes.map.yaml", market.QUOTES_SEQ_MAP)
        self.server.pxctl("import", "quotes", "--file", data, "--map", mapping)
        self.__class__.quotes = naive.resolve(
            versions(self.quote_lines, ("venue", "bid", "bid_size", "ask", "ask_size")) + changes, ["venue"])

    def hot_rows(self, table):
        return next(t["rows_hot"] for t in self.server.status()["tables"] if t["name"] == table)

    def cold_rows(self, table):
        return int(self.server.clickhouse(f"SELECT count() FROM default.{table}_history FINAL"))


if __name__ == "__main__":
    unittest.main()
