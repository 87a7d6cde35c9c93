"""pxinspect on the directory of a stopped server: what it shows, what it finds, what it cuts, and that it writes nothing."""

import hashlib
import json
import re
import subprocess
import unittest

import market
from proxist_process import BIN, Directory, Server

DATA_LOSS = 25


class Inspect(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.server = Server(self.directory, "--shards", 1, history="none").start()
        self.addCleanup(lambda: self.server.end())
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES))
        self.data = self.directory.file("quotes.csv", market.text(market.quotes(5000)))
        self.mapping = self.directory.file("quotes.map.yaml", market.QUOTES_MAP)
        self.rows = self.load()
        self.assertEqual(self.server.stop(), 0)
        self.log = self.directory.data / "wal" / "0"

    def load(self):
        self.server.pxctl("import", "quotes", "--file", self.data, "--map", self.mapping, "--chunk-rows", "500")
        return self.server.status()["tables"][0]["rows_hot"]

    def inspect(self, *arguments):
        before = self.content()
        result = subprocess.run([str(BIN / "pxinspect"), *map(str, arguments)], capture_output=True, timeout=120)
        if "--write" not in arguments:
            self.assertEqual(self.content(), before, "something was written")
        return result.returncode, result.stdout.decode(), result.stderr.decode()

    def content(self):
        return {str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
                for path in sorted(self.directory.data.rglob("*")) if path.is_file()}

    def frames(self):
        code, out, err = self.inspect("wal", self.log, "--records", "--json")
        self.assertEqual(code, 0, err)
        return [line for line in map(json.loads, out.splitlines()) if line["type"] == "frame"]

    def flip(self, offset):
        with open(self.log / "0000000000000001.wal", "r+b") as segment:
            segment.seek(offset)
            byte = segment.read(1)[0]
            segment.seek(offset)
            segment.write(bytes([byte ^ 1]))

    def test_records_say_what_they_hold(self):
        code, out, err = self.inspect("wal", self.directory.data, "--records", "--json")
        self.assertEqual(code, 0, err)
        batches = [line["batch"] for line in map(json.loads, out.splitlines()) if line["type"] == "record"]
        self.assertEqual(sum(batch["rows"] for batch in batches), 5000)
        self.assertEqual([batch["batch_number"] for batch in batches], list(range(1, 11)))
        self.assertTrue(batches[0]["producer"].startswith("import-"))
        code, out, err = self.inspect("wal", self.directory.data, "--records")
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"500 rows of table id 1 version 1 in tenant default, producer \"import-\w+\" batch 10, ")
        self.assertRegex(out, r"watermark: segment 0000000000000001 at offset \d+")

    def test_verify_finds_damage_and_repair_cuts_it(self):
        code, out, err = self.inspect("verify", self.directory.data)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("10 records", out)
        damaged = self.frames()[-1]
        self.flip(damaged["offset"] + 300)
        code, out, err = self.inspect("verify", self.directory.data)
        self.assertEqual(code, 1)
        self.assertRegex(err, rf"0000000000000001\.wal: damaged at offset {damaged['offset']}: .*durable up to")
        # The last frame: nothing but the watermark tells that it was there.
        refused = subprocess.run(self.server.command, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        self.assertEqual(refused.returncode, DATA_LOSS)
        self.assertIn(f"damaged at offset {damaged['offset']}", refused.stderr.decode())

        place = f"0000000000000001:{damaged['offset']}"
        code, out, err = self.inspect("repair", "--truncate-at", place, self.log)
        self.assertEqual(code, 0, err)
        self.assertIn("nothing was changed", out)
        kept = int(re.search(r"up to LSN (\d+)", out)[1])
        self.assertEqual(kept, damaged["first_lsn"] - 1)
        code, out, err = self.inspect("repair", "--truncate-at", place, self.log, "--write")
        self.assertEqual(code, 0, err)
        self.assertEqual(self.inspect("verify", self.directory.data)[0], 0)
        self.server.start()
        self.assertEqual(self.server.status()["tables"][0]["rows_hot"], kept)
        # A running server's log is not cut.
        code, out, err = self.inspect("repair", "--truncate-at", place, self.log, "--write")
        self.assertEqual(code, 19, out)
        self.assertIn("is held by process", err)
        # The producer sends the rest again.
        self.assertEqual(self.load(), self.rows)

    def test_bad_arguments(self):
        self.assertEqual(self.inspect("repair", self.log)[0], 2)
        self.assertEqual(self.inspect("repair", "--truncate-at", "here", self.log)[0], 13)
        self.assertEqual(self.inspect("repair", "--truncate-at", "1:8193", self.log)[0], 13)
        self.assertEqual(self.inspect("repair", "--truncate-at", "7:8192", self.log)[0], 15)
        self.assertEqual(self.inspect("verify", self.directory.path)[0], 1)
        self.assertEqual(self.inspect("wal", self.directory.path)[0], 15)


if __name__ == "__main__":
    unittest.main()
