"""Encryption at rest: no file shows the rows, keys change under load, and a wrong key changes nothing."""

import hashlib
import os
import secrets
import subprocess
import unittest

import market
from proxist_process import BIN, Directory, Server, wait_for

SYMBOLS = [f"NEEDLE{i:02}" for i in range(20)]
FAILED_PRECONDITION = 19

NOTES = """\
kind: Table
name: notes
columns:
  - {name: text, type: string}
seq: producer
"""
NOTES_MAP = """\
map: notes
columns:
  symbol: {column: 1}
  seq: {column: 2}
  ts: {column: 2, unit: s}
  text: {column: 3}
"""


class Encryption(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.key = self.directory.file("master.key", secrets.token_hex(32) + "\n")

    def server(self, *options, key=None):
        server = Server(self.directory, "--shards", "1", "--snapshot-interval-s", "1",
                        "--master-key", key or f"file:{self.key}", *options, history="none")
        self.addCleanup(server.end)
        return server

    def load(self, server, first, rows):
        lines = "".join(
            f"{seq},{SYMBOLS[seq % 20]},{market.START + seq * 1000},VENUENEEDLE,475000,{seq % 50 + 1},475100,7,put\n"
            for seq in range(first, first + rows))
        server.pxctl("import", "quotes", "--file", self.directory.file("quotes.csv", lines),
                     "--map", self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP))

    def answers(self, server):
        return [server.query("last-by", "quotes", "--at", "now", "--columns", "venue,bid,bid_size"),
                server.query("range", "quotes", "--symbols", SYMBOLS[7], "--from", market.START,
                             "--to", market.START + 10**10)]

    def files(self):
        """Every file of log and snapshots, and its bytes."""
        return {path: path.read_bytes() for folder in ("wal", "snapshots")
                for path in (self.directory.data / folder).rglob("*") if path.is_file()}

    def fingerprint(self):
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in self.directory.data.rglob("*")
                if path.is_file() and path.name not in ("LOCK", "meta.db-shm")}

    def fails_to_start(self, *options):
        command = [str(BIN / "proxistd"), "--data", str(self.directory.data), "--grpc", "127.0.0.1:0",
                   "--http", "127.0.0.1:0", "--history", "none", *options]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                                env={**os.environ, "PROXIST_TEST_KEY": "not a key"})
        self.assertNotEqual(result.returncode, 0)
        return result.returncode, result.stderr

    def inspect(self, *arguments):
        return subprocess.run([str(BIN / "pxinspect"), *map(str, arguments)], capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL)

    def start_with_rows(self):
        server = self.server().start()
        server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES.split("---")[0]))
        self.load(server, 1, 60_000)
        return server

    def test_rows_survive_and_no_file_shows_them(self):
        server = self.start_with_rows()
        wait_for("a snapshot", lambda: any(path.name.endswith(".chunks") for path in self.files()))
        before = self.answers(server)
        self.assertEqual(len(before[1]), 3000)
        server.kill()
        for path, content in self.files().items():
            self.assertNotIn(b"NEEDLE", content, path)
        server.start()
        self.assertEqual(self.answers(server), before)
        self.assertIn("1  ", server.pxctl("keys", "list"))
        self.assertIn("key 2 is the current one", server.pxctl("keys", "rotate"))
        self.load(server, 60_001, 30_000)
        wait_for("a snapshot under the new key", lambda: self.keys_of_snapshots(server) == {2})
        before = self.answers(server)
        server.kill()
        server.start()
        self.assertEqual(self.answers(server), before)
        self.assertEqual(server.stop(), 0)
        # The tools read it with the key, and say what they need without.
        for command in (["wal", self.directory.data, "--records"], ["verify", self.directory.data],
                        ["snapshot", self.directory.data], ["chunks", self.directory.data]):
            without = self.inspect(*command)
            self.assertNotEqual(without.returncode, 0, command)
            self.assertIn("--master-key", without.stderr)
            self.assertNotIn("NEEDLE", without.stdout)
            result = self.inspect(*command, "--master-key", f"file:{self.key}")
            self.assertEqual(result.returncode, 0, (command, result.stderr))

    def test_a_key_that_no_file_needs_is_retired(self):
        server = Server(self.directory, "--shards", "1", "--snapshot-interval-s", "1", "--segment-mb", "50",
                        "--master-key", f"file:{self.key}").start()
        self.addCleanup(server.end)
        server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES.split("---")[0]))
        server.pxctl("apply", "-f", self.directory.file("notes.yaml", NOTES))
        self.load(server, 1, 60_000)
        self.assertNotIn("retired", server.pxctl("keys", "rotate"))
        self.assertIn(1, self.keys_in_files())
        self.load_notes(server, 110)  # the log's segment is full, and the next one takes the new key
        rows = 60_000

        def only_new_files():
            nonlocal rows
            self.load(server, rows + 1, 100)
            rows += 100
            server.pxctl("flush", "--wait")
            for table in ("quotes", "notes"):
                server.pxctl("evict", table, "--before", "now")
            return 1 not in self.keys_in_files()
        wait_for("files under the new key alone", only_new_files, 60)
        self.assertIn(2, self.keys_in_files())
        before = self.answers(server)
        self.assertIn("key 1 is retired", server.pxctl("keys", "rotate"))
        self.assertEqual([line.split()[0] for line in server.pxctl("keys", "list").splitlines()[1:]], ["2", "3"])
        self.assertEqual(self.answers(server), before)
        server.kill()
        verified = self.inspect("verify", self.directory.data, "--master-key", f"file:{self.key}")
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        server.start()
        self.assertEqual(self.answers(server), before)
        self.assertEqual([line.split()[0] for line in server.pxctl("keys", "list").splitlines()[1:]], ["2", "3"])

    def load_notes(self, server, count):
        lines = "".join(f"N,{i + 1},{'x' * 500_000}\n" for i in range(count))
        server.pxctl("import", "notes", "--file", self.directory.file("notes.csv", lines),
                     "--map", self.directory.file("notes.map.yaml", NOTES_MAP))

    def keys_in_files(self):
        """What the headers of segments that are in use, manifests and chunk files name."""
        places = {"*/*.wal": 72, "*/snapshot-*": 64, "*/*.chunks": 64}
        keys = set()
        for folder in ("wal", "snapshots"):
            for pattern, at in places.items():
                for path in (self.directory.data / folder).glob(pattern):
                    if path.name.startswith("free-"):
                        continue
                    try:
                        with open(path, "rb") as file:
                            keys.add(int.from_bytes(file.read(at + 4)[at:], "little"))
                    except FileNotFoundError:
                        continue  # recycled or removed meanwhile
        return keys - {0}

    def keys_of_snapshots(self, server):
        del server
        keys = set()
        newest = max((path for path in self.files() if path.name.startswith("snapshot-")
                      and not path.name.endswith(".tmp")), default=None)
        if newest is not None:
            keys.add(int.from_bytes(newest.read_bytes()[64:68], "little"))
        return keys

    def test_a_wrong_or_missing_key_changes_nothing(self):
        server = self.start_with_rows()
        before = self.answers(server)
        self.assertEqual(server.stop(), 0)
        other = self.directory.file("other.key", secrets.token_hex(32))
        shape = self.fingerprint()
        cases = {
            (): "is encrypted: start with the --master-key",
            ("--master-key", f"file:{other}"): "does not open data key 1",
            ("--master-key", f"file:{self.directory.path}/none"): "cannot be opened",
            ("--master-key", "env:PROXIST_TEST_KEY"): "64 hexadecimal digits",
            ("--master-key", "command:exit 4"): "exit code 4",
            ("--master-key", "somewhere"): "file:PATH",
        }
        for options, message in cases.items():
            code, error = self.fails_to_start(*options)
            self.assertIn(message, error)
            if not options or str(other) in options[1]:
                self.assertEqual(code, FAILED_PRECONDITION)
            self.assertEqual(self.fingerprint(), shape, options)
        server = self.server().start()
        self.assertEqual(self.answers(server), before)

    def test_a_new_master_key_takes_over(self):
        server = self.start_with_rows()
        before = self.answers(server)
        server.kill()
        other = self.directory.file("other.key", secrets.token_hex(32))
        server = self.server("--previous-master-key", f"file:{self.key}", key=f"file:{other}").start()
        self.assertEqual(self.answers(server), before)
        self.assertEqual(server.stop(), 0)
        self.assertIn("does not open", self.fails_to_start("--master-key", f"file:{self.key}")[1])
        server = self.server(key=f"command:cat {other}").start()
        self.assertEqual(self.answers(server), before)

    def test_a_plain_directory_is_encrypted_from_then_on(self):
        server = Server(self.directory, "--shards", "1", history="none").start()
        self.addCleanup(server.end)
        server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES.split("---")[0]))
        self.load(server, 1, 10_000)
        code, _, error = server.pxctl("keys", "rotate", check=False)
        self.assertEqual(code, FAILED_PRECONDITION)
        self.assertIn("--master-key", error)
        before = self.answers(server)
        server.kill()
        server = self.server().start()
        self.assertEqual(self.answers(server), before)
        self.load(server, 10_001, 10_000)
        before = self.answers(server)
        server.kill()
        server.start()
        self.assertEqual(self.answers(server), before)
