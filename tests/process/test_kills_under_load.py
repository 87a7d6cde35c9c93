"""SIGKILL and SIGSTOP of the server and its ClickHouse at random moments while rows come in all the time."""

import os
import random
import signal
import subprocess
import threading
import time
import unittest

import market
from proxist_process import BIN, Directory, Server, wait_for

KILLS = int(os.environ.get("PROXIST_KILLS", "12"))
ROWS_A_FILE = 20000
UNAVAILABLE = 24  # pxctl's exit code


class KillsUnderLoad(unittest.TestCase):
    def setUp(self):
        seed = int(os.environ.get("PROXIST_CRASH_SEED", "11"))
        self.random = random.Random(seed)
        self.directory = Directory()
        # Small snapshots all the time: kills hit them as well.
        self.server = Server(self.directory, "--snapshot-interval-s", "1").start()
        self.addCleanup(self.directory.remove)
        self.addCleanup(lambda: self.server.end())
        # The same ports after each start, so that producers find the server again.
        self.server.command[self.server.command.index("--grpc") + 1] = self.server.grpc
        self.server.command[self.server.command.index("--http") + 1] = self.server.http
        self.loaded = 0
        self.failures = []
        self.ending = threading.Event()

    def load(self):
        """Imports file after file; each goes on by itself when the server is back, or is repeated."""
        number = 0
        while not self.ending.is_set():
            lines = market.quotes(ROWS_A_FILE, seed=number)
            data = self.directory.file(f"quotes-{number}.csv",
                                       market.text(market.numbered(lines, number * ROWS_A_FILE + 1)))
            while True:
                # A producer may meet no server for long while blows fall; afterwards it has no excuse.
                undisturbed = self.ending.is_set()
                done = subprocess.run(
                    [str(BIN / "pxctl"), "--server", self.server.grpc, "import", "quotes", "--file", str(data), "--map",
                     str(self.mapping), "--chunk-rows", "250", "--retry-for", "60s"],
                    capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
                if done.returncode != UNAVAILABLE or undisturbed:
                    break
                time.sleep(0.1)
            if done.returncode != 0:
                self.failures.append(done.stderr.decode())
                return
            data.unlink()
            self.loaded += len(lines)
            number += 1

    def stop_and_go(self, pid):
        """SIGSTOP, a moment, SIGCONT; sometimes SIGKILL while it stands."""
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.random.uniform(0.01, 0.8))
        killed = self.random.random() < 0.3
        os.kill(pid, signal.SIGKILL if killed else signal.SIGCONT)
        return killed

    def hurt(self):
        """One blow; returns what it was."""
        what = self.random.choice(("server", "server", "clickhouse", "server stands", "clickhouse stands"))
        clickhouse = self.server.clickhouse_pid()
        if what == "server":
            self.server.kill()
            self.server.start()
        elif what == "server stands":
            if self.stop_and_go(self.server.process.pid):
                self.server.process.wait()
                self.server.process.stdout.close()
                self.server.start()
                what += ", then dies"
        elif clickhouse == 0:
            what = "nothing: ClickHouse is just coming back"
        elif what == "clickhouse":
            os.kill(clickhouse, signal.SIGKILL)
        else:
            what += ", then dies" if self.stop_and_go(clickhouse) else ""
        return what

    def test_nothing_acked_is_lost_or_doubled(self):
        self.mapping = self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP)
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES.split("---")[0]))
        loader = threading.Thread(target=self.load)
        loader.start()
        blows = {}
        for _ in range(KILLS):
            time.sleep(self.random.uniform(0.02, 0.5))
            what = self.hurt()
            blows[what] = blows.get(what, 0) + 1
        self.ending.set()
        loader.join()
        self.assertEqual(self.failures, [])
        print(f"{KILLS} blows under load: {blows}; {self.loaded} rows imported meanwhile", flush=True)
        self.assertGreater(self.loaded, 0)
        self.assertEqual(self.server.status()["tables"][0]["rows_hot"], self.loaded)
        wait_for("ClickHouse is back", lambda: self.server.status()["history"]["reachable"], seconds=120)
        self.server.pxctl("flush", "--wait")
        counts = self.server.clickhouse(
            "SELECT count(), uniqExact(symbol, ts, seq, venue), uniqExact(shard, version), sum(deleted) "
            "FROM default.quotes_history FINAL")
        self.assertEqual(counts.split(), [str(self.loaded)] * 3 + ["0"])
        versions = self.server.clickhouse("SELECT count() - uniqExact(shard, version) FROM default.quotes_history")
        self.assertEqual(versions, "0")
        self.server.kill()
        self.server.start()
        self.assertEqual(self.server.status()["tables"][0]["rows_hot"], self.loaded)
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
