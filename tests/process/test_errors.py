"""Bad input from outside: each has its message and exit code, and changes nothing."""

import os
import pathlib
import socket
import subprocess
import tempfile
import unittest

import market
from proxist_process import BIN, Directory, Server

USAGE = 2
INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION, DATA_LOSS = 13, 15, 17, 19, 25


class ClientErrors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = Directory()
        cls.server = Server(cls.directory, history="none").start()
        cls.server.pxctl("apply", "-f", cls.directory.file("tables.yaml", market.TABLES))
        cls.mapping = cls.directory.file("quotes.map.yaml", market.QUOTES_MAP)
        cls.data = cls.directory.file("quotes.csv", market.text(market.quotes(100)))
        cls.server.pxctl("import", "quotes", "--file", cls.data, "--map", cls.mapping)

    @classmethod
    def tearDownClass(cls):
        cls.server.end()
        cls.directory.remove()

    def refused(self, code, pattern, *arguments):
        before = self.server.status()["tables"]
        got, out, err = self.server.pxctl(*arguments, check=False)
        self.assertEqual(got, code, err)
        self.assertRegex(err, pattern)
        self.assertEqual(out, "")
        self.assertEqual(self.server.status()["tables"], before)

    def test_unknown_table_and_column(self):
        self.refused(NOT_FOUND, "nothing.*quotes", "query", "range", "nothing")
        self.refused(INVALID_ARGUMENT, "colour.*bid", "query", "range", "quotes", "--columns", "colour")
        self.refused(INVALID_ARGUMENT, "colour", "query", "last-by", "quotes", "--by", "colour")
        self.refused(INVALID_ARGUMENT, "price", "query", "bars", "quotes", "--interval", "1m", "--aggregates", "open")

    def test_predicates_point_at_the_character(self):
        self.refused(INVALID_ARGUMENT, "character 6", "query", "range", "quotes", "--where", "bid >> 0")
        self.refused(INVALID_ARGUMENT, "character", "query", "range", "quotes", "--where", "bid > 'x'")
        self.refused(INVALID_ARGUMENT, "character", "query", "range", "quotes", "--where", "(" * 5000)

    def test_times_and_windows(self):
        self.refused(USAGE, "yesterday", "query", "last-by", "quotes", "--at", "yesterday")
        self.refused(USAGE, "5 parsecs", "query", "bars", "trades", "--interval", "5 parsecs", "--aggregates", "open")
        self.refused(USAGE, "interval.*above zero", "query", "bars", "trades", "--interval", "0s", "--aggregates",
                     "open")

    def test_computed_columns_and_orders(self):
        self.refused(INVALID_ARGUMENT, "columns: at character 7: there is no column 'cost'", "query", "range", "quotes",
                     "--columns", "bid + cost as x")
        self.refused(INVALID_ARGUMENT, "columns: 'bid' is chosen twice", "query", "range", "quotes", "--columns",
                     "bid,ask as bid")
        self.refused(INVALID_ARGUMENT, "'ts' is a name that answers have already", "query", "last-by", "quotes",
                     "--columns", "bid as ts")
        self.refused(INVALID_ARGUMENT, "order: the answer has no column 'ask'; it has symbol, ts, seq, bid", "query",
                     "range", "quotes", "--columns", "bid", "--order", "ask desc")
        self.refused(USAGE, "--order: 'bid' stands twice", "query", "range", "quotes", "--order", "bid, bid desc")

    def test_sources_of_queries(self):
        self.refused(USAGE, "--right or --join", "query", "asof", "--left", "quotes")
        self.refused(USAGE, "'sort' is not by, columns, where", "query", "asof", "--left", "quotes", "--join",
                     "quotes sort bid")
        self.refused(USAGE, "inner query: 'select' is not last-by", "query", "range", "(select bid)")
        self.refused(USAGE, "'--window' is no flag of range", "query", "range", "(range quotes --window 5m)")
        self.refused(INVALID_ARGUMENT, "in the inner query: columns: table quotes has no column 'cost'", "query", "range",
                     "(range quotes --columns cost)")
        self.refused(INVALID_ARGUMENT, "the inner query's answer has no column 'ts'", "query", "range",
                     "(aggregate quotes --aggregates count)")
        deep = "quotes"
        for _ in range(9):
            deep = f"(range {deep})"
        self.refused(USAGE, "more than 8 queries stand in each other", "query", "range", deep)

    def test_files_of_rows(self):
        def asked(code, pattern, text):
            path = self.directory.file("rows.csv", text)
            self.refused(code, pattern, "query", "asof", "--left", f"@{path}", "--right", "quotes")

        asked(USAGE, "rows.csv: the file is empty, a header is expected", "")
        asked(USAGE, "line 3: 1 fields, the header has 2", "symbol,ts\nAIG,5\nAIG\n")
        asked(USAGE, "line 2, ts: 'soon' is not", "symbol,ts\nAIG,soon\n")
        asked(USAGE, "line 2, ts: '-5' is", "symbol,ts\nAIG,-5\n")
        asked(USAGE, "line 2, size: 'x' is not an integer that fits int32", "symbol,ts,size:int32\nAIG,5,x\n")
        asked(USAGE, "line 1, size", "symbol,ts,size:length\nAIG,5,1\n")
        asked(USAGE, "line 2, symbol: it is empty", "symbol,ts\n,5\n")
        asked(INVALID_ARGUMENT, "the list of rows has no column 'ts'", "symbol,size\nAIG,5\n")
        asked(INVALID_ARGUMENT, "the list of rows has column 'size' twice", "symbol,ts,size,size\nAIG,5,1,2\n")
        self.refused(USAGE, "nowhere.csv", "query", "range", "@nowhere.csv")

    def test_an_incompatible_table_change(self):
        changed = market.TABLES.replace("bid, type: decimal(4)", "bid, type: decimal(2)")
        self.refused(FAILED_PRECONDITION, "bid", "apply", "-f", self.directory.file("changed.yaml", changed))
        dropped = market.TABLES.replace("  - {name: ask_size, type: int64, nullable: true}\n", "")
        self.refused(FAILED_PRECONDITION, "ask_size", "apply", "-f", self.directory.file("dropped.yaml", dropped))

    def test_a_bad_table_file(self):
        for text, pattern in (("kind: Table\nname: 9x\ncolumns:\n  - {name: x, type: int64}\n", "9x"), ("kind: Table\nname: a\nbogus: 1\n", "bogus"),
                              ("kind: [", "line"), ("kind: Table\nname: a\ncolumns:\n  - {name: x, type: int99}\n",
                                                    "int99")):
            self.refused(INVALID_ARGUMENT, pattern, "apply", "-f", self.directory.file("bad.yaml", text))
        self.refused(NOT_FOUND, "missing.yaml", "apply", "-f", self.directory.path / "missing.yaml")

    def test_a_bad_line_stops_an_import(self):
        good = market.quotes(5)
        for bad, pattern in (("AIG,notatime,P,1,1,,,put", r"line 3, column 2.*notatime"),
                             ("AIG,1381325400000000000,P,1.5,1,,,put", r"line 3, column 4"),
                             ("AIG,1381325400000000000,P,1,1,,,swap", r"line 3, column 8.*swap"),
                             ("AIG,1381325400000000000", r"line 3"),
                             ("AIG,-1,P,1,1,,,put", r"1970"),
                             ("AIG,9000000000000000000,P,1,1,,,put", r"2149|2148"),
                             ("AIG,1381325400000000000,P,1,1,,,put,extra", r"line 3"),
                             (",1381325400000000000,P,1,1,,,put", r"symbol")):
            lines = market.text(good[:2]) + bad + "\n" + market.text(good[2:])
            self.refused(INVALID_ARGUMENT, pattern, "import", "quotes", "--file",
                         self.directory.file("bad.csv", lines), "--map", self.mapping)

    def test_import_files(self):
        self.refused(NOT_FOUND, "missing.csv", "import", "quotes", "--file", self.directory.path / "missing.csv",
                     "--map", self.mapping)
        self.refused(DATA_LOSS, "broken.gz.*damaged", "import", "quotes", "--file",
                     self.directory.file("broken.gz", b"\x1f\x8b\x08\x00broken"), "--map", self.mapping)
        self.refused(INVALID_ARGUMENT, "trades", "import", "trades", "--file", self.data, "--map", self.mapping)

    def test_duplicate_keys_in_a_batch(self):
        line = "1," + market.text(market.quotes(1))
        data = self.directory.file("twice.csv", line + line)
        mapping = self.directory.file("seq.map.yaml", market.QUOTES_SEQ_MAP)
        self.refused(INVALID_ARGUMENT, "twice|duplicate|same key", "import", "quotes", "--file", data, "--map",
                     mapping)

    def test_nobody_listens(self):
        result = subprocess.run([str(BIN / "pxctl"), "--server", "127.0.0.1:9", "status"], capture_output=True,
                                timeout=60)
        self.assertEqual(result.returncode, 24, result.stderr)
        self.assertIn(b"127.0.0.1:9", result.stderr)

    def test_usage(self):
        self.refused(USAGE, "frobnicate|subcommand|required", "frobnicate")
        self.refused(USAGE, "--left", "query", "asof")

    def test_http(self):
        self.assertEqual(self.server.http_get("/nothing")[0], 404)
        self.assertEqual(self.server.http_get("/health")[0], 200)
        status, metrics = self.server.http_get("/metrics")
        self.assertEqual(status, 200)
        self.assertIn("proxist_", metrics)
        host, port = self.server.http.split(":")
        for request in (b"BREW / HTTP/1.1\r\n\r\n", b"\x00\xff\x00\xff\r\n\r\n", b"GET /" + b"a" * 100000):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(request)
                try:
                    connection.recv(4096)
                except OSError:
                    pass
        self.assertEqual(self.server.http_get("/health")[0], 200)

    def test_garbage_on_the_grpc_port(self):
        host, port = self.server.grpc.split(":")
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 512):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                try:
                    connection.sendall(garbage)
                    connection.recv(4096)
                except OSError:
                    pass
        self.assertEqual(len(self.server.status()["tables"]), 2)


class StartErrors(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)

    def run_server(self, *options, prefix=()):
        options = list(map(str, options))
        for flag, value in (("--history", "none"), ("--grpc", "127.0.0.1:0"), ("--http", "127.0.0.1:0")):
            if flag not in options:
                options += [flag, value]
        return subprocess.run([*prefix, str(BIN / "proxistd"), *options],
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL)

    def assert_refused(self, result, code, pattern):
        self.assertEqual(result.returncode, code, result.stderr.decode())
        self.assertRegex(result.stderr.decode(), pattern)
        self.assertEqual(result.stdout, b"")

    def test_usage(self):
        self.assert_refused(self.run_server(), USAGE, "--data")
        self.assert_refused(self.run_server("--data", self.directory.data, "--bogus"), USAGE, "bogus")
        self.assert_refused(self.run_server("--data", self.directory.data, "--history", "ftp://x"), INVALID_ARGUMENT,
                            "ftp")

    def test_a_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for flag in ("--grpc", "--http"):
                self.assert_refused(self.run_server("--data", self.directory.data, flag, address),
                                    FAILED_PRECONDITION, address)

    def test_an_open_address_needs_insecure(self):
        for flag in ("--grpc", "--http"):
            self.assert_refused(self.run_server("--data", self.directory.data, flag, "0.0.0.0:0"), INVALID_ARGUMENT,
                                "--insecure")
        server = Server(self.directory, "--insecure", history="none")
        server.command[server.command.index("--grpc") + 1] = "0.0.0.0:0"
        server.start()
        try:
            self.assertRegex(self.directory.log.read_text(), "(?i)insecure")
        finally:
            self.assertEqual(server.stop(), 0)

    def test_a_directory_in_use(self):
        server = Server(self.directory, history="none").start()
        try:
            self.assert_refused(self.run_server("--data", self.directory.data), FAILED_PRECONDITION,
                                str(server.process.pid))
        finally:
            self.assertEqual(server.stop(), 0)

    def test_a_directory_of_something_else(self):
        self.directory.data.mkdir()
        precious = self.directory.data / "thesis.txt"
        precious.write_text("precious")
        self.assert_refused(self.run_server("--data", self.directory.data), FAILED_PRECONDITION, "thesis.txt")
        self.assertEqual([path.name for path in self.directory.data.iterdir()], ["thesis.txt"])

    def test_another_layout_version(self):
        import sqlite3
        Server(self.directory, history="none").start().stop()
        database = self.directory.data / "meta.db"
        connection = sqlite3.connect(database)
        changed = connection.execute("UPDATE meta SET value = 99 WHERE name = 'layout'").rowcount
        connection.commit()
        connection.close()
        self.assertEqual(changed, 1)
        self.assert_refused(self.run_server("--data", self.directory.data), FAILED_PRECONDITION, "layout.*99|99.*layout")

    def test_another_number_of_shards(self):
        Server(self.directory, "--shards", "2", history="none").start().stop()
        self.assert_refused(self.run_server("--data", self.directory.data, "--shards", "3"), FAILED_PRECONDITION,
                            "2 shards")

    def test_paths_that_cannot_be(self):
        file = self.directory.file("file", "x")
        result = self.run_server("--data", file / "data")
        self.assertNotIn(result.returncode, (0, USAGE))
        self.assertIn(str(file), result.stderr.decode())
        self.assertEqual(file.read_text(), "x")

    @unittest.skipUnless(os.geteuid() == 0, "dropping privileges needs root")
    def test_no_permission(self):
        self.directory.data.mkdir(mode=0o700)
        os.chmod(self.directory.path, 0o755)
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        probe = subprocess.run([*nobody, "test", "-x", str(BIN / "proxistd")], check=False)
        if probe.returncode != 0:
            # The build lies below a private home: run a copy.
            copy = self.directory.path / "bin"
            copy.mkdir(mode=0o755)
            target = copy / "proxistd"
            target.write_bytes((BIN / "proxistd").read_bytes())
            target.chmod(0o755)
            command = [*nobody, str(target)]
        else:
            command = [*nobody, str(BIN / "proxistd")]
        result = subprocess.run([*command, "--data", str(self.directory.data), "--history", "none", "--grpc",
                                 "127.0.0.1:0", "--http", "127.0.0.1:0"], capture_output=True, timeout=60,
                                stdin=subprocess.DEVNULL)
        self.assert_refused(result, PERMISSION_DENIED, str(self.directory.data))
        self.assertEqual(list(self.directory.data.iterdir()), [])


class FullDisk(unittest.TestCase):
    """A file system of a few hundred megabytes that fills up under the log."""

    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.directory.data.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(self.directory.data)],
                                 capture_output=True)
        if mounted.returncode != 0:
            self.fail(f"this test mounts a small file system and needs root: {mounted.stderr.decode()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.directory.data)], check=False)

    def test_writes_are_refused_reads_go_on_and_nothing_acked_is_lost(self):
        server = Server(self.directory, history="none").start()
        self.addCleanup(server.end)
        server.pxctl("apply", "-f", self.directory.file("tables.yaml", market.TABLES))
        mapping = self.directory.file("quotes.map.yaml", market.QUOTES_SEQ_MAP)
        filler = self.directory.data / "filler"
        size = os.statvfs(self.directory.data)
        with open(filler, "wb") as out:
            out.write(b"\0" * (size.f_bavail * size.f_bsize - (1 << 20)))
        lines = market.quotes(40000)
        code, number = 0, 0
        while code == 0 and number < 80:
            data = self.directory.file("quotes.csv", market.text(market.numbered(lines, number * 40000 + 1)))
            code, _, err = server.pxctl("import", "quotes", "--file", data, "--map", mapping, "--retry-for", "0s",
                                        check=False)
            number += 1
        self.assertNotEqual(code, 0, "the disk never filled up")
        self.assertRegex(err, "(?i)no space|full|room|disk")
        held = server.status()["tables"][0]["rows_hot"]
        self.assertGreater(held, 0)
        self.assertEqual(len(server.query("last-by", "quotes", "--symbols", "AIG", "--at", "now")), 1)
        filler.unlink()
        server.kill()
        server.start()
        self.assertEqual(server.status()["tables"][0]["rows_hot"], held)
        server.pxctl("import", "quotes", "--file", data, "--map", mapping)
        self.assertEqual(server.status()["tables"][0]["rows_hot"], number * 40000)
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
