"""What ClickHouse can do to the flush: hang, empty out, fill its disk, refuse, slow down, drift, fail over."""

import json
import os
import re
import shutil
import signal
import time
import unittest
import urllib.parse

import market
from clickhouse_proxy import Proxy
from lone_clickhouse import LoneClickHouse
from proxist_process import Directory, Server, wait_for

HISTORY = "default.quotes_history"


class HistoryFaults(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.mapping = self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP)
        self.trades_mapping = self.directory.file("trades.map.yaml", market.TRADES_MAP)
        self.rows = 0

    def launch(self, *options, history="embedded"):
        self.server = Server(self.directory, *options, history=history).start()
        self.addCleanup(self.server.end)
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES))

    def load(self, count=3000):
        lines = market.numbered(market.quotes(count, seed=self.rows), self.rows + 1)
        data = self.directory.file(f"quotes-{self.rows}.csv", market.text(lines))
        self.server.pxctl("import", "quotes", "--file", data, "--map", self.mapping)
        self.rows += count

    def load_trades(self, count=2000):
        data = self.directory.file("trades.csv", market.text(market.trades(count)))
        self.server.pxctl("import", "trades", "--file", data, "--map", self.trades_mapping)

    def history_state(self):
        return self.server.status()["history"]

    def hot_answer(self):
        return self.server.query("last-by", "quotes", "--symbols", "AIG", "--at", "now", "--columns", "bid,ask")

    def cold_query(self):
        """Of the day before the rows: nothing that memory knows of once they were evicted."""
        return self.server.pxctl("query", "range", "quotes", "--symbols", "AIG", "--from", "2013-10-09", "--to",
                                 "2013-10-09T14:00:00Z", check=False)

    def assert_all_persisted(self, clickhouse=None, timeout="90s"):
        self.server.pxctl("flush", "--wait", "--timeout", timeout)
        counts = (clickhouse or self.server.clickhouse)(
            f"SELECT count(), uniqExact(symbol, ts, seq, venue) FROM {HISTORY}")
        self.assertEqual(counts.split(), [str(self.rows)] * 2)

    def sql(self, text):
        """(status, answer) of SQL over Proxist's HTTP port."""
        code, answer = self.server.http_get("/?" + urllib.parse.urlencode({"query": text}))
        return code, answer.strip()

    def assert_hot_part(self):
        """Every row is asked for, and what memory holds comes, marked and counted."""
        before = self.server.status()["partial_answers"]
        code, out, err = self.server.pxctl("query", "range", "quotes", "--output", "csv", "--allow-partial",
                                           check=False)
        self.assertEqual(code, 0, err)
        self.assertRegex(err, r"^partial answer: history is away; rows of quotes \(shard 0\) through 2013-10-\S+ "
                              r"may be missing\n$")
        hot = self.server.status()["tables"][0]["rows_hot"]
        self.assertGreaterEqual(len(out.splitlines()) - 1, hot)
        self.assertLess(len(out.splitlines()) - 1, self.rows)
        self.assert_partial_answers(before + 1)

    def assert_partial_answers(self, count):
        self.assertEqual(self.server.status()["partial_answers"], count)
        self.assertIn(f"partial answers: {count} since", self.server.pxctl("status"))
        self.assertEqual(json.loads(self.server.http_get("/status")[1])["partial_answers"], count)
        self.assertIn(f"\nproxist_queries_partial_total {count}\n", self.server.http_get("/metrics")[1])

    def test_a_hung_clickhouse_is_found_out_and_restarted(self):
        self.launch("--history-hang-s", "3")
        self.load()
        self.assert_all_persisted()
        self.server.pxctl("evict", "quotes", "--before", "2013-10-10")
        pid = self.server.clickhouse_pid()
        os.kill(pid, signal.SIGSTOP)
        self.load()
        self.assertEqual(len(self.hot_answer()), 1)
        wait_for("the probe to find out", lambda: not self.history_state()["reachable"], 20)
        began = time.monotonic()
        code, _, err = self.cold_query()
        self.assertEqual(code, 24, err)
        self.assertIn("history", err)
        self.assertLess(time.monotonic() - began, 5, "it waits for its timeout")
        self.assert_hot_part()
        wait_for("the restart", lambda: self.history_state()["restarts"] >= 1, 60)
        self.assert_all_persisted()
        # The flush may be back before the probe, which lets cold queries through again.
        wait_for("the probe to find it again", lambda: self.cold_query()[0] == 0, 20)
        code, out, err = self.server.pxctl("query", "range", "quotes", "--output", "csv", "--allow-partial",
                                           check=False)
        self.assertEqual((code, err, len(out.splitlines()) - 1), (0, "", self.rows))
        self.assert_partial_answers(1)  # a whole answer does not count, whoever asks

    def test_an_emptied_clickhouse_is_filled_again_with_what_is_left(self):
        self.launch()
        self.load()
        self.assert_all_persisted()
        self.server.pxctl("evict", "quotes", "--before", "2013-10-09T15:00:00Z")
        gone = self.rows - self.server.status()["tables"][0]["rows_hot"]
        self.assertGreater(gone, 0)
        for database in ("proxist", "default"):
            self.server.clickhouse(f"DROP DATABASE {database} SYNC")
        wait_for("the halt", lambda: "emptied" in self.history_state()["halted"])
        self.load()
        code, _, err = self.server.pxctl("evict", "quotes", "--before", "now", check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("emptied", err)
        self.assertEqual(self.server.http_get("/health")[0], 503)
        out = self.server.pxctl("history", "resend")
        self.assertEqual(int(re.match(r"(\d+) rows sent", out)[1]), self.rows - 3000 - gone, out)
        self.assertRegex(out, r"table default\.quotes, shard 0: \d+ series had rows in history alone")
        self.server.pxctl("flush", "--wait", "--timeout", "60s")
        count = self.server.clickhouse(f"SELECT count(), uniqExact(version) FROM {HISTORY}")
        self.assertEqual(count.split(), [str(self.rows - gone)] * 2)
        wait_for("health", lambda: self.server.http_get("/health")[0] == 200)
        # Again there is nothing to send.
        self.assertRegex(self.server.pxctl("history", "resend"), r"^0 rows sent")

    def test_refusing_with_too_many_parts(self):
        self.launch()
        self.load()
        self.assert_all_persisted()
        self.server.clickhouse(f"SYSTEM STOP MERGES {HISTORY}")
        self.server.clickhouse(f"ALTER TABLE {HISTORY} MODIFY SETTING parts_to_throw_insert = 1, "
                               "parts_to_delay_insert = 1")
        self.load()
        wait_for("the refusal", lambda: "252" in self.history_state()["last_error"])
        self.load()
        self.assertEqual(len(self.hot_answer()), 1)
        self.assertGreaterEqual(self.server.status()["shards"][0]["backlog_rows"], 3000)
        self.server.clickhouse(f"ALTER TABLE {HISTORY} RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
        self.server.clickhouse(f"SYSTEM START MERGES {HISTORY}")
        self.assert_all_persisted()

    def test_active_parts_stay_below_the_limit(self):
        self.launch("--flush-max-parts", "8")
        self.load(100)
        self.assert_all_persisted()
        self.server.clickhouse(f"SYSTEM STOP MERGES {HISTORY}")
        wait_for("the limit",
                 lambda: self.history_state()["flush_state"] == "held back by parts" or self.load(100), 120)
        parts = f"SELECT count() FROM system.parts WHERE active AND database || '.' || table = '{HISTORY}'"
        self.assertLessEqual(int(self.server.clickhouse(parts)), 8)
        self.assertIn("active parts", self.server.http_get("/health")[1])
        self.server.clickhouse(f"SYSTEM START MERGES {HISTORY}")
        self.assert_all_persisted()

    def test_a_table_that_drifted_is_held_and_the_others_are_not(self):
        self.launch()
        self.load()
        self.assert_all_persisted()
        self.server.clickhouse(f"ALTER TABLE {HISTORY} MODIFY COLUMN bid_size Nullable(Int32)")
        self.load()
        wait_for("the hold", lambda: self.history_state()["held_tables"] or self.load(100), 60)
        held = self.history_state()["held_tables"][0]
        self.assertEqual(held["name"], "quotes")
        self.assertIn("bid_size", held["why"])
        self.assertIn("bid_size", self.server.http_get("/health")[1])
        self.load_trades()
        wait_for("the trades", lambda: self.server.clickhouse(
            "SELECT count() FROM default.trades_history" if self.server.clickhouse(
                "EXISTS default.trades_history") == "1" else "SELECT 0") == "2000")
        # Also over a restart.
        self.server.stop()
        self.server.start()
        self.load()
        self.assertEqual(len(self.hot_answer()), 1)
        self.server.clickhouse(f"ALTER TABLE {HISTORY} MODIFY COLUMN bid_size Nullable(Int64)")
        self.assert_all_persisted()
        self.assertEqual(self.server.clickhouse("SELECT count() FROM default.trades_history"), "2000")
        self.assertEqual(self.history_state()["held_tables"], [])

    def test_a_wrong_password_is_said_and_holds_nothing_up(self):
        host, port = LoneClickHouse(self).address
        self.launch(history=f"http://proxist:wrong@{host}:{port}")
        self.load()
        self.assertEqual(len(self.hot_answer()), 1)
        wait_for("the error", lambda: re.search("password|Authentication", self.history_state()["last_error"]))
        self.assertNotIn("wrong@", str(self.history_state()))

    def test_a_slow_clickhouse_gets_fewer_larger_inserts(self):
        lone = LoneClickHouse(self)
        proxy = Proxy(lone.address)
        self.addCleanup(proxy.close)
        self.launch(history=lone.scheme + proxy.address)
        self.load()
        self.assert_all_persisted(lone.ask)
        proxy.delay = 0.5
        before = self.history_state()["inserts"]
        for _ in range(5):
            self.load(500)
        self.assertEqual(len(self.hot_answer()), 1)
        self.assert_all_persisted(lone.ask)
        self.assertLess(self.history_state()["inserts"] - before, 25)

    def test_another_way_to_clickhouse_is_taken(self):
        lone = LoneClickHouse(self)
        first, second = Proxy(lone.address), Proxy(lone.address)
        self.addCleanup(first.close)
        self.addCleanup(second.close)
        self.launch(history=f"{lone.scheme}{first.address},{lone.scheme}{second.address}")
        self.load()
        self.assert_all_persisted(lone.ask)
        self.assertIn(first.address, self.history_state()["url"])
        first.close()
        self.load()
        self.assert_all_persisted(lone.ask)
        self.assertIn(second.address, self.history_state()["url"])
        # It stays there.
        first.listen()
        self.load()
        self.assert_all_persisted(lone.ask)
        self.assertIn(second.address, self.history_state()["url"])

    def test_sql_goes_where_history_is(self):
        # Two servers with the same history, as replication would make them; the first one is killed.
        first, second = LoneClickHouse(self), LoneClickHouse(self)
        urls = ["{}{}:{}".format(lone.scheme, *lone.address) for lone in (first, second)]
        self.launch(history=",".join(urls))
        self.load()
        self.assert_all_persisted(first.ask)
        wait_for("the views", lambda: self.sql("SELECT count() FROM quotes") == (200, str(self.rows)))
        for name in ("proxist.incarnation", HISTORY):
            second.ask(f"CREATE DATABASE IF NOT EXISTS {name.split('.')[0]}")
            second.ask(first.ask(f"SHOW CREATE TABLE {name} FORMAT TSVRaw"))
            second.ask(f"INSERT INTO {name} VALUES " + first.ask(f"SELECT * FROM {name} FORMAT Values"))
        os.kill(first.pid, signal.SIGKILL)
        self.load()
        # Rows of both servers' time, through the second one's own view.
        wait_for("SQL at the second server", lambda: self.sql("SELECT count() FROM quotes") == (200, str(self.rows)))
        self.assert_all_persisted(second.ask)
        self.assertEqual(self.sql("SELECT count() FROM quotes"), (200, str(self.rows)))
        self.assertEqual(second.ask("SELECT count() FROM system.tables WHERE database = 'default' AND engine = 'View'"),
                         "2")

    def test_a_full_disk_of_clickhouse(self):
        import loop_disk
        self.launch()
        self.server.stop()
        disk, aside = self.directory.data / "clickhouse", self.directory.path / "aside"
        disk.rename(aside)
        disk.mkdir()
        refused = loop_disk.run("mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", disk)
        if refused:
            self.skipTest(f"no tmpfs can be mounted here: {refused}")
        self.addCleanup(loop_disk.run, "umount", "-l", disk)
        shutil.copytree(aside, disk, dirs_exist_ok=True, symlinks=True)
        self.server.start()
        self.load()
        self.assert_all_persisted()
        ballast = disk / "ballast"
        with open(ballast, "wb") as out:
            try:
                while True:
                    out.write(b"\xa5" * (1 << 20))
                    out.flush()
            except OSError:
                pass
        self.load(20000)
        self.load(20000)
        self.assertEqual(len(self.hot_answer()), 1)
        wait_for("the error", lambda: self.history_state()["last_error"], 90)
        ballast.unlink()
        self.assert_all_persisted(timeout="120s")


if __name__ == "__main__":
    unittest.main()
