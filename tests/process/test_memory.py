"""A server with a memory limit takes in several times as much, answers as without one, and loses nothing."""

import json
import os
import pathlib
import signal
import threading
import time
import unittest

import market
from proxist_process import Directory, Server, wait_for

LIMIT_MB = 64
COUNT = 400_000
ROUNDS = 10


def anonymous_bytes(pid):
    """Memory of the process that the system cannot take back: mapped files are not among it."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


class Memory(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.mapping = self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP)
        self.rows = 0
        self.greatest = 0

    def launch(self, **options):
        self.server = Server(self.directory, "--memory-limit-mb", LIMIT_MB, "--shards", 2, **options).start()
        self.addCleanup(self.server.end)
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES))

    def load(self, count=COUNT):
        # Each load is a later session, as days follow each other.
        later = self.rows // COUNT * market.SESSION
        lines = [(symbol, at + later, *rest) for symbol, at, *rest in market.quotes(count, seed=self.rows)]
        lines = market.numbered(lines, self.rows + 1)
        data = self.directory.file("quotes.csv", market.text(lines))
        self.server.pxctl("import", "quotes", "--file", data, "--map", self.mapping)
        self.rows += count

    def status(self):
        return json.loads(self.server.http_get("/status")[1])

    def memory(self):
        return self.status()["memory"]

    def watch(self):
        """Notes the greatest anonymous memory until the returned event is set."""
        done = threading.Event()
        pid = self.server.process.pid

        def look():
            while not done.wait(0.05):
                try:
                    self.greatest = max(self.greatest, anonymous_bytes(pid))
                except (OSError, AssertionError):
                    return
        thread = threading.Thread(target=look)
        thread.start()

        def finish():
            done.set()
            thread.join()
        return finish

    def answers(self):
        ask = self.server.query
        return [
            ask("last-by", "quotes", "--at", "now", "--columns", "bid,ask"),
            ask("first-by", "quotes", "--at", "0", "--columns", "bid,ask,bid_size"),
            ask("bars", "quotes", "--interval", "5m", "--aggregates", "open,high,low,close,count", "--price", "bid",
                "--size", "bid_size"),
            # A predicate makes it read every row instead of totals.
            ask("bars", "quotes", "--interval", "1h", "--aggregates", "count,vwap,high", "--price", "bid",
                "--size", "bid_size", "--where", "bid_size > 10", "--by", "venue"),
            ask("range", "quotes", "--symbols", "AIG", "--limit", "20000"),
        ]

    def test_several_times_the_limit_without_history(self):
        self.launch(history="none")
        finish = self.watch()
        base = anonymous_bytes(self.server.process.pid)
        for _ in range(ROUNDS):
            self.load()
        # Overlays that a snapshot pins go when it is done.
        wait_for("memory below the limit", lambda: self.memory()["used_bytes"] < LIMIT_MB << 20)
        memory = self.memory()
        table = self.status()["tables"][0]
        finish()
        print(f"    rows {self.rows}, used {memory['used_bytes'] >> 20} MiB, spilled "
              f"{memory['spilled_bytes'] >> 20} MiB, refused {memory['refused_writes']}, "
              f"greatest RssAnon {self.greatest >> 20} MiB, at start {base >> 20} MiB")
        self.assertEqual(table["rows_hot"], self.rows)
        self.assertGreater(memory["spilled_bytes"], 2 * LIMIT_MB << 20)
        # Log frames, messages and queries come on top of the limit; without one it is far more.
        self.assertLess(self.greatest, base + 5 * (LIMIT_MB << 20))
        before = self.answers()
        self.assertTrue(all(before))
        self.server.kill()
        self.server.start()
        self.assertLess(self.memory()["used_bytes"], LIMIT_MB << 20)
        self.assertGreater(self.memory()["spilled_chunks"], 0)
        self.assertEqual(self.answers(), before)
        self.server.end()
        # A server without a limit reads all of it into memory, and says the same.
        free = Server(self.directory, "--memory-limit-mb", 0, history="none").start()
        self.addCleanup(free.end)
        self.server = free
        self.assertEqual(self.memory()["spilled_chunks"], 0)
        self.assertEqual(self.answers(), before)

    def test_a_stopped_clickhouse_costs_patience_and_no_rows(self):
        self.launch()
        self.load(50_000)
        pid = self.server.clickhouse_pid()
        os.kill(pid, signal.SIGSTOP)
        finish = self.watch()
        failures = []

        def load_rest():
            try:
                for _ in range(3):
                    self.load()
            except Exception as error:  # noqa: BLE001: shown by the test's own thread
                failures.append(error)
        loader = threading.Thread(target=load_rest)
        loader.start()
        try:
            wait_for("the memory to be full", lambda: self.memory()["refused_writes"] > 0)
            time.sleep(1)
            self.assertLess(self.memory()["used_bytes"], LIMIT_MB * 3 // 2 << 20)
            self.assertEqual(len(self.server.query("last-by", "quotes", "--symbols", "AIG", "--at", "now",
                                                   "--columns", "bid")), 1)
        finally:
            os.kill(pid, signal.SIGCONT)
            loader.join()
            finish()
        self.assertEqual(failures, [])
        self.server.pxctl("flush", "--wait", "--timeout", "120s")
        counts = self.server.clickhouse(
            "SELECT count(), uniqExact(symbol, ts, seq, venue) FROM default.quotes_history FINAL")
        self.assertEqual(counts.split(), [str(self.rows)] * 2)
        memory = self.memory()
        self.assertGreater(memory["evicted_rows"], 0)
        self.assertLess(self.greatest, 5 * (LIMIT_MB << 20))


if __name__ == "__main__":
    unittest.main()
