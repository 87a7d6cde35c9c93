"""One outage of ClickHouse after the other under ingest: nothing lost, nothing twice, hot queries go on.

PROXIST_SOAK_SECONDS (60) is the time spent on outages, of each test; every kind of outage happens at least once.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/process"))

from clickhouse_proxy import Proxy  # noqa: E402
from lone_clickhouse import LoneClickHouse  # noqa: E402
from proxist_process import BIN, Directory, Server, wait_for  # noqa: E402

SECONDS = float(os.environ.get("PROXIST_SOAK_SECONDS", "60"))
HISTORY = "default.quotes_history"


class Outages(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)

    def launch(self, *options, history="embedded"):
        self.server = Server(self.directory, *options, history=history).start()
        self.addCleanup(self.server.end)
        self.ask = self.ask or self.server.clickhouse
        self.feed = subprocess.Popen(
            [str(BIN / "proxist-bench"), "feed", "--server", self.server.grpc, "--rate", "20000", "--seconds", "86400",
             "--symbols", "100", "--venues", "4", "--corrections", "0", "--cancels", "0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.feed.wait)
        self.addCleanup(self.feed.kill)
        wait_for("rows in ClickHouse", lambda: self.state()["rows"] > 10000)

    ask = None

    def status(self):
        return json.loads(self.server.http_get("/status")[1])

    def state(self):
        return self.status()["history"]

    def hot_answer(self):
        rows = self.server.query("last-by", "quotes", "--at", "now", "--columns", "bid,ask", "--timeout", "10s")
        self.assertGreater(len(rows), 0)

    def run_outages(self, kinds):
        end, rng, turn = time.monotonic() + SECONDS, random.Random(1), 0
        while turn < len(kinds) or time.monotonic() < end:
            kind = kinds[turn] if turn < len(kinds) else rng.choice(kinds)
            print(f"    outage {turn}: {kind.__name__}", flush=True)
            kind(rng)
            self.assertIsNone(self.feed.poll(), "the feed ended")
            self.server.pxctl("flush", "--wait", "--timeout", "120s")
            turn += 1
        self.feed.kill()
        self.feed.wait()
        # What was on its way when the feed ended is published or not; then it stays as it is.
        wait_for("the end", self.at_rest)
        self.server.pxctl("flush", "--wait", "--timeout", "120s")
        held = self.ask("SELECT (SELECT count() FROM default.quotes_history) + (SELECT count() FROM "
                        "default.trades_history), (SELECT uniqExact(shard, version) FROM default.quotes_history) + "
                        "(SELECT uniqExact(shard, version) FROM default.trades_history)").split()
        self.assertEqual(held, [str(self.published())] * 2)
        self.assertEqual(self.state()["last_error"], "")

    def published(self):
        return sum(shard["rows"] for shard in self.status()["shards"])

    def at_rest(self):
        before = self.published()
        time.sleep(0.5)
        return self.published() == before

    def wait_for_inserts(self):
        before = self.state()["inserts"]
        wait_for("inserts", lambda: self.state()["inserts"] > before, 120)

    # The embedded server's.

    def killed(self, rng):
        os.kill(self.server.clickhouse_pid(), signal.SIGKILL)
        self.hot_answer()
        if rng.random() < 0.3:  # again while it comes back
            wait_for("another process", self.server.clickhouse_pid)
            os.kill(self.server.clickhouse_pid(), signal.SIGKILL)
        self.wait_for_inserts()

    def stopped(self, rng):
        pid = self.server.clickhouse_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(rng.uniform(1, 15))
            self.hot_answer()
        finally:
            os.kill(pid, signal.SIGCONT)
        self.wait_for_inserts()

    def too_many_parts(self, rng):
        self.ask(f"SYSTEM STOP MERGES {HISTORY}")
        self.ask(f"ALTER TABLE {HISTORY} MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1")
        wait_for("the refusal", lambda: "252" in self.state()["last_error"], 120)
        time.sleep(rng.uniform(0, 5))
        self.hot_answer()
        self.ask(f"ALTER TABLE {HISTORY} RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
        self.ask(f"SYSTEM START MERGES {HISTORY}")
        self.wait_for_inserts()

    def drifted(self, rng):
        self.ask(f"ALTER TABLE {HISTORY} MODIFY COLUMN bid_size Int32")
        wait_for("the hold", lambda: self.state()["held_tables"], 120)
        time.sleep(rng.uniform(0, 5))
        self.hot_answer()
        self.ask(f"ALTER TABLE {HISTORY} MODIFY COLUMN bid_size Int64")
        wait_for("the end of the hold", lambda: not self.state()["held_tables"], 120)

    def test_the_embedded_server(self):
        self.launch()
        self.run_outages([self.killed, self.stopped, self.too_many_parts, self.drifted])

    # A server elsewhere.

    def cut(self, rng):
        self.proxy.close()
        wait_for("the probe to find out", lambda: not self.state()["reachable"], 60)
        time.sleep(rng.uniform(0, 10))
        self.hot_answer()
        self.proxy.listen()
        self.wait_for_inserts()

    def flapping(self, rng):
        for _ in range(10):
            self.proxy.close()
            time.sleep(rng.uniform(0, 0.3))
            self.proxy.listen()
            time.sleep(rng.uniform(0, 0.5))
        self.wait_for_inserts()

    def slow(self, rng):
        self.proxy.delay = rng.uniform(0.2, 1)
        time.sleep(rng.uniform(2, 10))
        self.hot_answer()
        self.proxy.delay = 0
        self.wait_for_inserts()

    def test_a_server_elsewhere(self):
        lone = LoneClickHouse(self)
        self.ask = lone.ask
        self.proxy = Proxy(lone.address)
        self.addCleanup(self.proxy.close)
        self.launch(history=lone.scheme + self.proxy.address)
        self.run_outages([self.cut, self.flapping, self.slow])


if __name__ == "__main__":
    unittest.main()
