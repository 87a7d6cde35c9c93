"""Queries that are cancelled, too late or too large, cold ones above all: they end, and leave nothing behind."""

import os
import signal
import subprocess
import time
import unittest

import market
from proxist_process import BIN, Directory, Server, wait_for

DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED = 14, 18  # exit codes of pxctl
ROWS = 60_000


class QueryLife(unittest.TestCase):
    options = ()

    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.server = Server(self.directory, *self.options).start()
        self.addCleanup(self.server.end)
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES))
        data = self.directory.file("quotes.csv", market.text(market.numbered(market.quotes(ROWS, seed=1), 1)))
        self.server.pxctl("import", "quotes", "--file", data,
                          "--map", self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP))
        self.server.pxctl("flush", "--wait")

    def evict(self):
        self.server.pxctl("evict", "quotes", "--before", market.START + 10 * market.SESSION)

    def ended(self, code):
        text = f'proxist_queries_total{{code="{code}",operator="range"}} '
        lines = self.server.http_get("/metrics")[1].splitlines()
        return sum(float(line.removeprefix(text)) for line in lines if line.startswith(text))

    def running_in_clickhouse(self):
        return int(self.server.clickhouse(
            "SELECT count() FROM system.processes WHERE query LIKE '%quotes_history%' "
            "AND query NOT LIKE '%system.processes%'"))

    def test_a_cold_query_ends_with_its_deadline_and_with_its_client(self):
        self.evict()
        one = ["query", "range", "quotes", "--symbols", "AIG", "--limit", "5"]
        before = self.server.pxctl(*one)
        pid = self.server.clickhouse_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            code, _, err = self.server.pxctl(*one, "--timeout", "1s", check=False)
            self.assertEqual(code, DEADLINE_EXCEEDED, err)
            self.assertLess(time.monotonic() - began, 20)
            client = subprocess.Popen([str(BIN / "pxctl"), "--server", self.server.grpc, *one],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            self.assertIsNone(client.poll(), "the query waits for ClickHouse")
            client.kill()
            client.wait()
            wait_for("the query of a client that went away has ended", lambda: self.ended("CANCELLED") == 1, 20)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(self.server.pxctl(*one), before)
        wait_for("ClickHouse has dropped the queries as well", lambda: self.running_in_clickhouse() == 0)


class QueryMemory(QueryLife):
    options = ("--query-memory-mb", 1)
    test_a_cold_query_ends_with_its_deadline_and_with_its_client = None

    def test_no_query_holds_more_than_its_memory(self):
        everything = ["query", "rolling", "quotes", "--symbols", "AIG", "--window", "3rows", "--aggregates", "mean(bid)",
                      "--where", "bid > 0", "--columns", "bid,ask,bid_size,ask_size"]
        for where in ("hot", "cold"):
            code, _, err = self.server.pxctl(*everything, check=False)
            self.assertEqual(code, RESOURCE_EXHAUSTED, f"{where}: {err}")
            self.evict()
        self.assertEqual(len(self.server.query("last-by", "quotes", "--symbols", "AIG", "--columns", "bid")), 1)


if __name__ == "__main__":
    unittest.main()
