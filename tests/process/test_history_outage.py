"""ClickHouse dies, is stopped or is never there: ingest and hot queries go on, and it catches up."""

import os
import signal
import threading
import time
import unittest

import market
from proxist_process import Directory, Server, wait_for


class HistoryOutage(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.mapping = self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP)
        self.rows = 0

    def launch(self, **options):
        self.server = Server(self.directory, **options).start()
        self.addCleanup(self.server.end)
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES))

    def load(self, count=5000):
        lines = market.numbered(market.quotes(count, seed=self.rows), self.rows + 1)
        data = self.directory.file(f"quotes-{self.rows}.csv", market.text(lines))
        self.server.pxctl("import", "quotes", "--file", data, "--map", self.mapping)
        self.rows += count

    def hot_answer(self):
        return self.server.query("last-by", "quotes", "--symbols", "AIG", "--at", "now", "--columns", "bid,ask")

    def assert_all_persisted(self):
        self.server.pxctl("flush", "--wait", "--timeout", "90s")
        counts = self.server.clickhouse(
            "SELECT count(), uniqExact(symbol, ts, seq, venue) FROM default.quotes_history FINAL")
        self.assertEqual(counts.split(), [str(self.rows)] * 2)

    def test_a_killed_clickhouse_comes_back_and_catches_up(self):
        self.launch()
        self.load()
        self.assert_all_persisted()
        for _ in range(3):
            pid = self.server.clickhouse_pid()
            os.kill(pid, signal.SIGKILL)
            self.load()
            self.assertEqual(len(self.hot_answer()), 1)
            wait_for("a new ClickHouse child", lambda: self.server.clickhouse_pid() not in (0, pid))
        self.assert_all_persisted()
        status, health = self.server.http_get("/health")
        self.assertEqual(status, 200, health)

    def test_a_stopped_clickhouse_holds_nothing_up(self):
        self.launch()
        self.load()
        pid = self.server.clickhouse_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            self.load()
            self.assertEqual(len(self.hot_answer()), 1)
            self.assertGreaterEqual(self.server.status()["shards"][0]["backlog_rows"], 5000)
            time.sleep(1)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assert_all_persisted()

    def test_a_url_that_nobody_answers(self):
        self.launch(history="http://127.0.0.1:9")
        self.load()
        self.assertEqual(len(self.hot_answer()), 1)
        wait_for("the error to be shown", lambda: self.server.status()["history"]["last_error"])
        status, health = self.server.http_get("/health")
        self.assertEqual(status, 503)
        self.assertIn("history", health)
        code, _, err = self.server.pxctl("flush", "--wait", "--timeout", "300ms", check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("LSN", err)

    def test_an_emptied_clickhouse_halts_the_flush(self):
        self.launch()
        self.load()
        self.assert_all_persisted()
        self.server.clickhouse("DROP DATABASE proxist SYNC")
        self.server.stop()
        self.server.start()
        wait_for("the halt to be shown", lambda: "emptied" in self.server.http_get("/health")[1])
        self.load()
        self.assertEqual(len(self.hot_answer()), 1)
        code, _, err = self.server.pxctl("flush", "--wait", "--timeout", "300ms", check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("emptied", err)
        self.assertEqual(5000, int(self.server.clickhouse("SELECT count() FROM default.quotes_history FINAL")))

    def test_a_stop_does_not_wait_for_those_who_wait_for_history(self):
        self.launch(history="http://127.0.0.1:9")
        self.load(100)
        waiting = []
        thread = threading.Thread(target=lambda: waiting.append(
            self.server.pxctl("flush", "--wait", "--timeout", "600s", check=False)))
        thread.start()
        time.sleep(0.5)
        self.assertEqual(self.server.stop(), 0)
        thread.join(30)
        self.assertEqual(waiting[0][0], 24, waiting)

    def test_no_history_at_all(self):
        self.launch(history="none")
        self.load()
        self.assertEqual(len(self.hot_answer()), 1)
        code, _, err = self.server.pxctl("flush", "--wait", check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("--history none", err)

    def test_another_directory_s_history_is_refused(self):
        self.launch()
        self.load()
        self.assert_all_persisted()
        url, user, password = self.server.clickhouse_address()
        other = Directory()
        self.addCleanup(other.remove)
        thief = Server(other, history=url.replace("//", f"//{user}:{password}@"))
        self.addCleanup(thief.end)
        with self.assertRaisesRegex(AssertionError, "belongs to data directory"):
            thief.start()
        self.assertEqual(self.rows, int(self.server.clickhouse("SELECT count() FROM default.quotes_history FINAL")))


if __name__ == "__main__":
    unittest.main()
