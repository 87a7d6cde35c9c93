"""durability: process: acked from the page cache, nothing acked is lost by kill -9, changed on a live table."""

import unittest

import market
from proxist_process import Directory, Server, wait_for

QUOTES = market.TABLES.split("---")[0]
PROCESS = QUOTES + "durability: process\n"


class Durability(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        # Syncs come late, so that most rows are in the page cache alone when the server is killed.
        self.server = Server(self.directory, "--max-unsynced-ms", 60000).start()
        self.addCleanup(lambda: self.server.end())
        self.mapping = self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP)

    def apply(self, text):
        return self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", text))

    def load(self, number, rows=5000):
        lines = market.numbered(market.quotes(rows, seed=number), number * rows + 1)
        self.server.pxctl("import", "quotes", "--file", self.directory.file(f"{number}.csv", market.text(lines)),
                          "--map", self.mapping, "--chunk-rows", "100")
        return len(lines)

    def shards(self):
        return self.server.status()["shards"]

    def table(self):
        return self.server.status()["tables"][0]

    def test_kill_9_keeps_every_acked_row(self):
        self.apply(PROCESS)
        self.assertEqual(self.table()["durability"], "process")
        self.assertIn("durability: process", self.server.pxctl("tables", "quotes"))
        expected = 0
        for number in range(4):
            expected += self.load(number)
            behind = [s for s in self.shards() if s["durable_lsn"] < s["published_lsn"]]
            self.assertTrue(behind, "nothing is unsynced, so the kill shows nothing")
            for shard in self.shards():
                self.assertLessEqual(shard["persisted_lsn"], shard["durable_lsn"])
            self.server.kill()
            self.server.start()
            self.assertEqual(self.table()["rows_hot"], expected)
            for shard in self.shards():
                self.assertEqual(shard["durable_lsn"], shard["published_lsn"])
        self.server.pxctl("flush", "--wait")
        count = self.server.clickhouse("SELECT uniqExact(symbol, ts, seq, venue) FROM default.quotes_history FINAL")
        self.assertEqual(int(count), expected)

    def test_a_live_table_changes_both_ways(self):
        self.assertIn("created", self.apply(QUOTES))
        expected = self.load(0)
        self.assertEqual(self.table()["durability"], "sync")
        for shard in self.shards():
            self.assertEqual(shard["durable_lsn"], shard["published_lsn"])
        self.assertIn("changed", self.apply(PROCESS))
        expected += self.load(1)
        self.assertTrue(any(s["durable_lsn"] < s["published_lsn"] for s in self.shards()))
        # The first synced write makes everything before it durable.
        self.assertIn("changed", self.apply(QUOTES))
        expected += self.load(2)
        for shard in self.shards():
            self.assertEqual(shard["durable_lsn"], shard["published_lsn"])
        self.assertEqual(self.table()["rows_hot"], expected)
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.assertEqual(self.table()["rows_hot"], expected)

    def test_rows_become_durable_by_themselves_and_at_a_stop(self):
        self.assertEqual(self.server.stop(), 0)
        self.server = Server(self.directory, "--max-unsynced-ms", 20).start()
        self.apply(PROCESS)
        expected = self.load(0)
        wait_for("all rows are durable",
                 lambda: all(s["durable_lsn"] == s["published_lsn"] for s in self.shards()))
        status, metrics = self.server.http_get("/metrics")
        self.assertEqual(status, 200)
        syncs = [float(line.split()[-1]) for line in metrics.splitlines()
                 if line.startswith("proxist_shard_log_syncs_total{")]
        self.assertGreater(sum(syncs), 0)
        self.server.pxctl("flush", "--wait")
        self.assertEqual(self.table()["rows_hot"], expected)


if __name__ == "__main__":
    unittest.main()
