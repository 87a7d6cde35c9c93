"""kill -9 at moments spread over import, flush and replay: every acked row is there once."""

import os
import random
import subprocess
import threading
import time
import unittest

import market
from proxist_process import BIN, Directory, Server

ROUNDS = int(os.environ.get("PROXIST_CRASH_ROUNDS", "8"))
ROWS_A_ROUND = 30000


class Crashes(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.server = Server(self.directory).start()
        self.addCleanup(self.directory.remove)
        self.addCleanup(lambda: self.server.end())
        self.random = random.Random(int(os.environ.get("PROXIST_CRASH_SEED", "7")))

    def start_import(self, data):
        return subprocess.Popen(
            [str(BIN / "pxctl"), "--server", self.server.grpc, "import", "quotes", "--file", str(data), "--map",
             str(self.mapping), "--chunk-rows", "500", "--retry-for", "0s"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def crash_during(self, moment, data):
        """Kills the server at a random point of `moment`; returns what it was doing, for the record."""
        if moment == "import":
            loading = self.start_import(data)
            delay = self.random.uniform(0.0, 0.12)
            time.sleep(delay)
            self.server.kill()
            loading.communicate()
        elif moment == "flush":
            self.start_import(data).communicate()
            flushing = threading.Thread(target=self.server.pxctl, args=("flush", "--wait"),
                                        kwargs={"check": False})
            flushing.start()
            delay = self.random.uniform(0.0, 0.15)
            time.sleep(delay)
            self.server.kill()
            flushing.join()
        else:  # replay: the next start is killed before it is ready
            self.start_import(data).communicate()
            self.server.kill()
            log = open(self.directory.log, "ab")
            replaying = subprocess.Popen(self.server.command, stdout=subprocess.DEVNULL, stderr=log,
                                         stdin=subprocess.DEVNULL)
            log.close()
            delay = self.random.uniform(0.0, 0.3)
            time.sleep(delay)
            replaying.kill()
            replaying.wait()
        return f"{moment} after {delay * 1000:.0f} ms"

    def verify(self, expected):
        """Every row of every file is there once, in memory and, after a flush, in ClickHouse."""
        hot = self.server.status()["tables"][0]["rows_hot"]
        self.assertEqual(hot, expected)
        self.server.pxctl("flush", "--wait")
        counts = self.server.clickhouse(
            "SELECT count(), uniqExact(symbol, ts, seq, venue), sum(deleted) FROM default.quotes_history FINAL")
        self.assertEqual(counts.split(), [str(expected), str(expected), "0"])

    def test_kill_9_loses_and_doubles_nothing(self):
        self.mapping = self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP)
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES.split("---")[0]))
        expected = 0
        for number in range(ROUNDS):
            lines = market.quotes(ROWS_A_ROUND, seed=number)
            # Each file has sequence numbers of its own.
            data = self.directory.file(f"quotes-{number}.csv",
                                       market.text(market.numbered(lines, number * ROWS_A_ROUND + 1)))
            moment = ("import", "flush", "replay")[number % 3]
            what = self.crash_during(moment, data)
            self.server.start()
            held = self.server.status()["tables"][0]["rows_hot"]
            print(f"round {number + 1}/{ROUNDS}: killed in {what}; {held - expected} of {len(lines)} rows "
                  "of this file were acked before", flush=True)
            again = self.start_import(data)
            out, err = again.communicate(timeout=120)
            self.assertEqual(again.returncode, 0, err.decode())
            expected += len(lines)
            self.verify(expected)
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
