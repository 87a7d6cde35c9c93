"""A count over live views, at any moment of ingest, flush and corrections, is that of one moment."""

import os
import subprocess
import threading
import time
import unittest

import market
from live_views import SqlError, SqlServer
from proxist_process import BIN, wait_for

# Counts of each test: make soak asks for more.
COUNTS = int(os.environ.get("PROXIST_SOAK_COUNTS", "30"))
# Of these, so many of one server: its tables have ever more rows to count.
ONE_SERVER = 500

SWAPS = """\
kind: Table
name: swaps
columns:
  - {name: size, type: int64}
seq: producer
hot: {retain: 24h}
"""
SWAPS_MAP = """\
map: swaps
columns:
  seq: {column: 1}
  symbol: {column: 2}
  ts: {column: 3, unit: ns}
  size: {column: 4}
op: {column: 5}
"""


def feed(server, *options):
    """The simulated market, sent until it is ended."""
    return subprocess.Popen([str(BIN / "proxist-bench"), "feed", "--server", server.grpc, *map(str, options)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class LiveViews(unittest.TestCase):
    def test_counts_lie_between_what_was_acked_before_and_what_was_sent_after(self):
        for begun in range(0, COUNTS, ONE_SERVER):
            with self.subTest(counts=begun):
                self.count(min(ONE_SERVER, COUNTS - begun))

    def count(self, turns):
        sql = SqlServer(self, "--shards", 2, tables=None)
        market_feed = feed(sql.server, "--rate", 50000, "--seconds", 86400, "--symbols", 100, "--venues", 4,
                           "--corrections", 0, "--cancels", 0)
        try:
            sql.wait_for_views(2)
            wait_for("rows in ClickHouse", lambda: sql.numbers("SELECT count() FROM quotes_history")[0] > 10000)
            last, in_history = 0, set()
            for turn in range(turns):
                before = sql.published()
                # Two views, one of them twice, now and then joined with itself: all of one moment.
                again = ("SELECT count() FROM trades AS a ANY JOIN trades AS b USING (symbol, ts, seq, venue)"
                         if turn % 10 == 0 else "SELECT count() FROM (SELECT ts FROM trades)")
                quotes, trades, same = sql.numbers(
                    f"SELECT (SELECT count() FROM quotes), (SELECT count() FROM trades), ({again})")
                after = sql.published()
                self.assertGreaterEqual(quotes + trades, before)
                self.assertLessEqual(quotes + trades, after)
                self.assertGreaterEqual(quotes + trades, last)
                self.assertEqual(same, trades)
                last = quotes + trades
                in_history.add(sql.status()["history"]["rows"])
            self.assertGreater(len(in_history), 1, "no flush while it was counted")
            self.assertIsNone(market_feed.poll(), "the feed ended early")
        finally:
            market_feed.kill()
            market_feed.wait()
            sql.server.stop()

    def test_corrections_and_cancels_in_flight_are_seen_whole(self):
        # Each batch cancels one hundred keys and puts another hundred: at any moment one of both sets is there.
        sql = SqlServer(self, tables=SWAPS, views=["swaps"])
        stop = threading.Event()
        failed = []

        def swap():
            sets = [range(1, 101), range(101, 201)]
            batch = 0
            while not stop.is_set():
                lines = []
                for batch in range(batch, batch + 200):
                    gone, there = sets[batch % 2], sets[(batch + 1) % 2]
                    lines += [(seq, "S", market.START + seq % 7, batch, "put") for seq in there]
                    lines += [(seq, "S", market.START + seq % 7, 0, "cancel") for seq in gone]
                batch += 1
                try:
                    sql.load("swaps", SWAPS_MAP, lines, "--chunk-rows", 200)
                except Exception as error:  # pylint: disable=broad-except
                    failed.append(error)
                    return

        thread = threading.Thread(target=swap)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        wait_for("the first batch", lambda: sql.numbers("SELECT count() FROM swaps")[0] == 100)
        wait_for("versions in ClickHouse", lambda: sql.numbers("SELECT count() FROM swaps_history")[0] > 1000)
        seen, overtaken, last = set(), 0, -1
        answers = 0
        while answers < COUNTS and overtaken < 10 * COUNTS:
            try:
                count, low, high, first, newest, doubled = sql.numbers(
                    "SELECT count(), min(seq), max(seq), min(size), max(size), (SELECT count() FROM swaps AS a "
                    "JOIN swaps AS b USING (symbol, ts, seq, size)) FROM swaps")
            except SqlError as error:
                self.assertIn("a correction went to history while the query was planned", error.text)
                overtaken += 1
                continue
            answers += 1
            self.assertEqual((count, doubled), (100, 100))
            self.assertEqual((low, high), (101, 200) if newest % 2 == 0 else (1, 100))
            self.assertEqual(first, newest)
            self.assertGreaterEqual(newest, last)
            last = newest
            seen.add((newest, sql.status()["history"]["inserts"]))
            self.assertFalse(failed)
        self.assertGreater(len(seen), 2, "nothing changed while it was counted")
        self.assertEqual(answers, COUNTS, "nearly every query was overtaken by a correction")

    def test_rows_are_those_of_the_query_engine(self):
        # Late rows, corrections and cancels, partly in ClickHouse: SQL and a range say the same.
        sql = SqlServer(self, "--flush-min-ms", 1)
        lines = market.numbered(market.quotes(4000, seed=3), 1)
        sql.load("quotes", market.QUOTES_SEQ_MAP, lines)
        sql.server.pxctl("flush", "--wait", "--timeout", "60s")
        changed = [(*line[:4], 1, 2, 3, 4, "put") for line in lines[:3000:7]]
        changed += [(*line[:4], "", "", "", "", "cancel") for line in lines[1:3000:11] if line not in lines[:3000:7]]
        keys = {line[0] for line in lines[:3000:7]}
        changed = [line for index, line in enumerate(changed) if line[8] == "put" or line[0] not in keys]
        sql.load("quotes", market.QUOTES_SEQ_MAP, changed)
        settings = {"output_format_decimal_trailing_zeros": 1}
        query = ("SELECT symbol, toUnixTimestamp64Nano(ts), seq, venue, bid, ask_size FROM quotes "
                 "ORDER BY ts, seq, symbol, venue FORMAT TSV")
        expected = [
            "\t".join(row[name] if row[name] else "\\N" for name in ("symbol", "ts", "seq", "venue", "bid", "ask_size"))
            for row in sql.server.query("range", "quotes", "--symbols", "AIG,IBM", "--from", "2013-01-01",
                                        "--to", "2014-01-01", "--columns", "venue,bid,ask_size")]
        self.assertGreater(len(expected), 3000)
        for _ in range(3):
            self.assertEqual(sorted(sql.sql(query, **settings).split("\n")), sorted(expected))
            self.assertEqual(sql.numbers("SELECT count() FROM quotes WHERE bid > 0 AND symbol = 'IBM'")[0],
                             len([row for row in expected if row.startswith("IBM") and not row.split("\t")[4] in ("\\N",)
                                  and float(row.split("\t")[4]) > 0]))
            sql.server.pxctl("flush", "--wait", "--timeout", "60s")
            sql.server.clickhouse("OPTIMIZE TABLE default.quotes_history FINAL")

    def test_views_follow_tables_ports_and_accidents(self):
        sql = SqlServer(self)
        sql.load("trades", market.TRADES_MAP, market.trades(100))
        wider = market.TABLES + "  "
        wider = market.TABLES.replace("  - {name: size, type: int64}\nseq",
                                      "  - {name: size, type: int64}\n  - {name: flag, type: bool, nullable: true}\nseq")
        sql.server.pxctl("apply", "-f", sql.directory.file("wider.yaml", wider))
        # The embedded server's default database replaces a view in two steps.
        wait_for("the new column", lambda: "flag" in sql.sql(
            "SELECT name FROM system.columns WHERE database = 'default' AND table = 'trades'"))
        self.assertEqual(sql.numbers("SELECT count(), countIf(flag IS NULL) FROM trades"), [100, 100])
        # A restart takes another port; the views go where it is.
        sql.server.stop()
        sql.server.start()
        sql.wait_for_views(2)
        self.assertEqual(sql.numbers("SELECT count() FROM trades"), [100])
        # What Proxist did not make it does not touch.
        sql.server.clickhouse("CREATE TABLE default.mine (a Int32) ENGINE = Memory")
        sql.server.clickhouse("INSERT INTO default.mine VALUES (7)")
        sql.server.pxctl("apply", "-f", sql.directory.file("mine.yaml", SWAPS.replace("swaps", "mine")))
        wait_for("the problem to be shown", lambda: "did not make" in sql.server.http_get("/health")[1])
        self.assertEqual(sql.sql("SELECT a FROM mine"), "7")
        sql.server.clickhouse("RENAME TABLE default.mine TO default.mine_before")
        sql.wait_for_views(3)
        self.assertEqual(sql.server.http_get("/health")[0], 200)

    def test_the_token_opens_nothing_else(self):
        sql = SqlServer(self)
        for path in ("seam", "rows", "keys", "check"):
            status, body = sql.server.http_get(f"/live/{path}?table=1&schema=1&query=1.a")
            self.assertEqual((status, "token" in body), (403, True))
        token = sql.token()
        self.assertEqual(len(token), 32)
        self.assertNotIn(token, sql.sql("SELECT create_table_query FROM system.tables WHERE name = 'trades'"))
        self.assertEqual(sql.server.http_get(f"/live/seam?token={token}&table=1&schema=1&query=1.a")[0], 200)
        self.assertEqual(sql.server.http_get(f"/live/rows?token={token}&table=1&schema=1&query=1.gone")[0], 404)
        self.assertEqual(sql.server.http_get(f"/live/rows?token={token}&table=99&schema=1&query=1.a")[0], 404)
        self.assertEqual(sql.server.http_get(f"/live/rows?token={token}&table=x&schema=1&query=1.a")[0], 400)
        self.assertEqual(sql.server.http_get(f"/live/other?token={token}&table=1&schema=1&query=1.a")[0], 404)

    def test_bounds_of_pins_refuse_and_give_way(self):
        sql = SqlServer(self, "--live-max-queries", 2, "--live-pin-s", 1)
        token = sql.token()

        def seam(query):
            return sql.server.http_get(f"/live/seam?token={token}&table=1&schema=1&query=1.{query}")

        self.assertEqual([seam(query)[0] for query in "aab"], [200, 200, 200])
        status, body = seam("c")
        self.assertEqual((status, "--live-max-queries" in body), (400, True))
        with self.assertRaisesRegex(SqlError, "live-max-queries"):
            sql.sql("SELECT count() FROM trades")
        wait_for("the pins to be let go", lambda: sql.status()["live_views"]["queries_pinned"] == 0)
        self.assertEqual(sql.numbers("SELECT count() FROM trades"), [0])
        self.assertEqual(sql.status()["live_views"]["queries_pinned"], 0, "Proxist knows when its own query is over")

    def test_the_old_analyzer_is_refused(self):
        sql = SqlServer(self)
        with self.assertRaises(SqlError):
            sql.sql("SELECT count() FROM trades", enable_analyzer=0)

    def test_without_views_history_remains(self):
        sql = SqlServer(self, "--live-views", "false", views=[])
        sql.load("trades", market.TRADES_MAP, market.trades(100))
        sql.server.pxctl("flush", "--wait", "--timeout", "60s")
        self.assertEqual(sql.numbers("SELECT count() FROM trades_history FINAL"), [100])
        with self.assertRaises(SqlError):
            sql.sql("SELECT count() FROM trades")
        self.assertIn("--live-views", sql.status()["live_views"]["why_none"])

    def test_an_address_that_clickhouse_cannot_reach_is_an_error(self):
        sql = SqlServer(self, "--public-http", "http://127.0.0.1:9")
        began = time.monotonic()
        with self.assertRaisesRegex(SqlError, "Connection refused"):
            sql.sql("SELECT count() FROM trades")
        self.assertLess(time.monotonic() - began, 60)
        self.assertEqual(sql.numbers("SELECT count() FROM trades_history"), [0])


if __name__ == "__main__":
    unittest.main()
