"""Snapshots bound the log and the restart, and a crash beside one loses nothing."""

import json
import subprocess
import unittest

import market
from proxist_process import BIN, Directory, Server, wait_for

SYMBOLS = [f"S{i:02}" for i in range(40)]
BATCHES = 4
ROWS = 700_000  # of each; about a segment of log


class Snapshots(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)

    def start(self, *options, history):
        self.server = Server(self.directory, "--shards", "1", "--segment-mb", "50", *options, history=history).start()
        self.addCleanup(self.server.end)
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES.split("---")[0]))
        self.mapping = self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP)

    def shard(self):
        code, body = self.server.http_get("/status")
        self.assertEqual(code, 200)
        return json.loads(body)["shards"][0]

    def load(self, first, rows):
        lines = "".join(
            f"{seq},{SYMBOLS[seq % 40]},{market.START + seq * 1000},P,475000,{seq % 50 + 1},475100,7,put\n"
            for seq in range(first, first + rows))
        data = self.directory.file("quotes.csv", lines)
        self.server.pxctl("import", "quotes", "--file", data, "--map", self.mapping)

    def answers(self):
        return [self.server.query("last-by", "quotes", "--at", "now", "--columns", "bid,bid_size,ask,ask_size"),
                self.server.query("range", "quotes", "--symbols", "S07", "--from", market.START, "--to",
                                  market.START + 10**10, "--limit", 5000)]

    def test_log_and_restart_stay_bounded_under_long_retention(self):
        self.start("--snapshot-log-mb", "50", "--snapshot-interval-s", "2", history="none")
        for batch in range(BATCHES):
            self.load(batch * ROWS + 1, ROWS)
        rows = BATCHES * ROWS
        wait_for("a snapshot of everything", lambda: self.shard()["snapshot_lsn"] == self.shard()["published_lsn"])
        # One segment is open, at most one more is closed and waits for the next look.
        wait_for("a recycled log", lambda: self.shard()["log_live_bytes"] <= 2 * 50 * 2**20)
        before = self.answers()
        self.server.kill()
        self.server.start()
        self.assertEqual(self.server.status()["tables"][0]["rows_hot"], rows)
        self.assertEqual(self.answers(), before)
        self.assertIn(f"recovered {rows} rows from the snapshot", self.server.tail(50))
        self.load(rows + 1, 1000)
        self.assertEqual(self.server.status()["tables"][0]["rows_hot"], rows + 1000)
        self.assertEqual(self.server.stop(), 0)
        self.verify_finds_damage()

    def verify_finds_damage(self):
        """In whichever file of the snapshots it is, and when a snapshot is gone that the log counts on."""
        code, out, err = self.verify()
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"snapshot .*/snapshot-[0-9a-f]{16}: 40 series, \d+ sealed chunks, \d+ rows, whole")
        snapshots = self.directory.data / "snapshots" / "0"
        newest = sorted(snapshots.glob("snapshot-*"))[-1]
        for path, place in ((newest, 200), (max(snapshots.glob("*.chunks"), key=lambda p: p.stat().st_size), 5000)):
            whole = path.read_bytes()
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1:])
            code, out, err = self.verify()
            self.assertEqual(code, 1, path)
            self.assertRegex(err, rf"{path.name}: .*offset \d+")
            path.write_bytes(whole)
        self.assertEqual(self.verify()[0], 0)
        for path in snapshots.glob("snapshot-*"):
            path.unlink()
        code, out, err = self.verify()
        self.assertEqual(code, 1)
        self.assertRegex(err, r"wal/0: begins behind LSN \d+, but there is no whole snapshot")

    def verify(self):
        result = subprocess.run([str(BIN / "pxinspect"), "verify", str(self.directory.data)], capture_output=True, text=True,
                                timeout=120)
        return result.returncode, result.stdout, result.stderr

    def test_rows_that_are_not_in_history_yet_reach_it_after_a_restart_from_a_snapshot(self):
        self.start("--snapshot-interval-s", "1", "--flush-min-ms", "20000", "--flush-max-ms", "20000",
                   history="embedded")
        self.load(1, 50_000)
        wait_for("a snapshot", lambda: self.shard()["snapshot_lsn"] > 0)
        before = self.answers()
        self.server.kill()
        self.server.start()
        self.assertEqual(self.answers(), before)
        self.server.pxctl("flush", "--wait")
        counts = self.server.clickhouse(
            "SELECT count(), uniqExact(symbol, ts, seq, venue), sum(deleted) FROM default.quotes_history FINAL")
        self.assertEqual(counts.split(), ["50000", "50000", "0"])
        self.server.pxctl("evict", "quotes", "--before", "2100-01-01T00:00:00Z")
        self.assertEqual(self.server.status()["tables"][0]["rows_hot"], 0)
        # A floor that was raised after the snapshot holds: nothing comes back.
        self.server.kill()
        self.server.start()
        self.assertEqual(self.server.status()["tables"][0]["rows_hot"], 0)
        self.assertEqual(self.answers(), before)
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
