"""ClickHouse's HTTP interface on Proxist's port: its clients work unchanged, and nothing can be written."""

import gzip
import http.client
import json
import os
import socket
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import market
from live_views import SqlError, SqlServer
from proxist_process import ROOT, wait_for

LONG = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"


class Sql(unittest.TestCase):
    def launch(self, *options, **arguments):
        self.sql = SqlServer(self, *options, **arguments)
        self.sql.load("trades", market.TRADES_MAP, market.trades(200))
        return self.sql

    def running(self, query_id):
        return int(self.sql.server.clickhouse(f"SELECT count() FROM system.processes WHERE query_id = '{query_id}'"))

    def test_clickhouse_s_own_client(self):
        sql = self.launch()
        modules = os.environ.get("PROXIST_NODE_MODULES", str(ROOT / "node_modules"))
        self.assertTrue(os.path.isdir(f"{modules}/@clickhouse/client"), "make setup-dev fetches it")
        out = subprocess.run(["node", str(ROOT / "tests/process/clickhouse_client.mjs"), f"http://{sql.server.http}"],
                             env={**os.environ, "PROXIST_NODE_MODULES": modules}, capture_output=True, timeout=120)
        self.assertEqual(out.returncode, 0, out.stderr.decode())
        seen = json.loads(out.stdout)
        self.assertEqual([seen["ping"], seen["query_id"], seen["streamed"], seen["aborted"]], [True, True, 300000, True])
        sizes = {}
        for symbol, _, _, _, size in market.trades(200):
            sizes[symbol] = sizes.get(symbol, 0) + size
        self.assertEqual({row["symbol"]: row["size"] for row in seen["rows"]}, sizes)
        self.assertEqual(seen["unknown"]["type"], "UNKNOWN_TABLE")
        self.assertEqual(seen["syntax"]["type"], "SYNTAX_ERROR")
        self.assertIn("pxctl import", seen["insert"]["message"])
        self.assertEqual(seen["insert"]["code"], "164")
        self.assertIn("pxctl apply", seen["command"]["message"])
        wait_for("the end of the aborted query", lambda: self.running("the-long-one") == 0)

    def test_curl_in_every_form(self):
        sql = self.launch()

        def curl(*arguments):
            return subprocess.run(["curl", "-sS", *arguments], capture_output=True, timeout=60).stdout

        url = f"http://{sql.server.http}/"
        self.assertEqual(curl(url + "ping"), b"Ok.\n")
        self.assertEqual(curl(url), b"Ok.\n")
        self.assertEqual(curl(url + "?query=SELECT%201"), b"1\n")
        self.assertEqual(curl(url, "-d", "SELECT 1+1 FORMAT CSV"), b"2\n")
        self.assertEqual(curl(url + "?query=SELECT+count()+FROM+trades", "-d", " WHERE size > 0"), b"200\n")
        self.assertEqual(curl(url + "?param_s=AIG&default_format=JSONCompact&output_format_json_quote_64bit_integers=0",
                              "-d", "SELECT count() > 0 AS n FROM trades WHERE symbol = {s:String}")[:8], b'{\n\t"meta')
        self.assertEqual(curl(url + "?database=system", "-d", "SELECT database() FORMAT TSV"), b"system\n")
        self.assertEqual(curl("--compressed", url, "-d", "SELECT count() FROM trades",
                              "-H", "X-ClickHouse-Format: TSVRaw"), b"200\n")
        self.assertEqual(curl("-u", "someone:secret", url, "-d", "SELECT 3"), b"3\n")
        # A body above a megabyte is sent after a 100 Continue.
        numbers = ",".join(str(n) for n in range(200000))
        self.assertEqual(curl(url + "?max_query_size=100000000", "-H", "Expect: 100-continue", "--data-binary", "@" + str(sql.directory.file(
            "long.sql", f"SELECT length([{numbers}])"))), b"200000\n")

    def test_errors_are_clickhouse_s(self):
        sql = self.launch()
        url, user, password = sql.server.clickhouse_address()
        for text in ("SELEC 1", "SELECT * FROM nowhere", "SELECT throwIf(number = 3) FROM numbers(10)",
                     "SELECT 1 SETTINGS no_such_setting = 1"):
            with self.assertRaises(SqlError) as got:
                sql.sql(text)
            request = urllib.request.Request(url + "/?readonly=2", data=text.encode(),
                                             headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": password})
            with self.assertRaises(urllib.error.HTTPError) as direct:
                urllib.request.urlopen(request, timeout=30)
            self.assertEqual(got.exception.status, direct.exception.code)
            self.assertEqual(got.exception.code, direct.exception.headers["X-ClickHouse-Exception-Code"])
            self.assertEqual(got.exception.text, direct.exception.read().decode())

    def test_what_writes_is_told_where_to_go(self):
        sql = self.launch()
        for text, where in (("INSERT INTO trades VALUES (1)", "pxctl import"),
                            ("  -- a word before\n /* and */ insert into trades format Native", "pxctl import"),
                            ("CREATE TABLE t (a Int32) ENGINE = Memory", "pxctl apply"),
                            ("drop table trades", "pxctl apply"), ("ALTER TABLE trades DELETE WHERE 1", "pxctl apply")):
            with self.assertRaises(SqlError) as refused:
                sql.sql(text)
            self.assertEqual((refused.exception.status, refused.exception.code), (403, "164"))
            self.assertIn(where, refused.exception.text)
        # What gets past the first word ClickHouse refuses itself.
        for text in ("SYSTEM SHUTDOWN", "KILL QUERY WHERE 1", "SELECT * FROM url('http://127.0.0.1:9/', 'TSV', 'a String')",
                     "SELECT * FROM file('/etc/passwd', 'TSV', 'a String')", "SET readonly = 0",
                     "SELECT 1 SETTINGS readonly = 0", "EXPLAIN AST INSERT INTO trades_history VALUES (1)"):
            try:
                sql.sql(text)
            except SqlError:
                continue
            self.assertIn(text, ("SET readonly = 0", "EXPLAIN AST INSERT INTO trades_history VALUES (1)"))
        with self.assertRaises(SqlError):
            sql.sql("SELECT 1", readonly=0, session_id="mine")
        self.assertEqual(sql.numbers("SELECT count() FROM trades"), [200])

    def test_a_large_answer_is_streamed_whole(self):
        sql = self.launch()
        body, headers = sql.ask("SELECT number, toString(number) FROM numbers(2000000) FORMAT TSV")
        self.assertEqual(body.count(b"\n"), 2000000)
        self.assertIn("X-ClickHouse-Query-Id", headers)
        packed, headers = sql.ask("SELECT number FROM numbers(1000000) FORMAT TSV",
                                  headers={"Accept-Encoding": "gzip"}, enable_http_compression=1)
        self.assertEqual(headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed).count(b"\n"), 1000000)
        # An error in the middle breaks the answer off; it does not end it.
        with self.assertRaises((http.client.IncompleteRead, http.client.HTTPException, AssertionError)):
            body, _ = sql.ask("SELECT number, toString(number), throwIf(number = 1900000) FROM numbers(2000000) "
                              "SETTINGS max_block_size = 1000, max_threads = 1, http_write_exception_in_output_format = 0")
            self.assertNotIn(b"__exception__", body)

    def test_pages_answer_while_queries_run_and_clients_that_go_cancel_them(self):
        sql = self.launch("--sql-max-queries", 4)
        clients = []
        for index in range(4):
            client = socket.create_connection(sql.server.http.split(":"), timeout=30)
            target = "/?" + urllib.parse.urlencode({"query_id": f"long-{index}"})
            client.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(LONG)}\r\n\r\n{LONG}".encode())
            clients.append(client)
            self.addCleanup(client.close)
        wait_for("the queries to run", lambda: sql.status()["http"]["sql_running"] == 4)
        for path in ("/health", "/status", "/metrics"):
            self.assertEqual(sql.server.http_get(path)[0], 200)
        with self.assertRaises(SqlError) as refused:
            sql.sql("SELECT 1")
        self.assertEqual((refused.exception.status, refused.exception.code), (503, "202"))
        wait_for("the queries in ClickHouse", lambda: self.running("long-0") + self.running("long-3") == 2)
        for client in clients:
            client.close()
        wait_for("their end", lambda: sum(self.running(f"long-{index}") for index in range(4)) == 0)
        wait_for("their places", lambda: sql.status()["http"]["sql_running"] == 0)
        self.assertEqual(sql.status()["http"]["sql_cancelled"], 4)
        self.assertEqual(sql.sql("SELECT 1"), "1")

    def test_bounds(self):
        sql = self.launch("--sql-max-body-mb", 1, "--sql-timeout-s", 2)
        with self.assertRaises(SqlError) as refused:
            sql.sql("SELECT 1" + " " * (2 << 20))
        self.assertEqual(refused.exception.status, 413)
        with self.assertRaises(SqlError) as late:
            sql.sql(LONG)
        self.assertEqual(late.exception.code, "159")
        with self.assertRaises(SqlError) as late:
            sql.sql(LONG, max_execution_time=100000)
        self.assertEqual(late.exception.code, "159")

    def test_clickhouse_away_and_none(self):
        sql = self.launch()
        os.kill(sql.server.clickhouse_pid(), 9)
        try:
            sql.sql("SELECT 1")
        except SqlError as error:
            self.assertEqual((error.status, error.code), (503, "210"))
        wait_for("ClickHouse to be back", lambda: self.answers())
        self.assertEqual(sql.numbers("SELECT count() FROM trades"), [200])
        none = SqlServer(self, history="none", views=[])
        with self.assertRaisesRegex(SqlError, "--history none"):
            none.sql("SELECT 1")

    def answers(self):
        try:
            return self.sql.sql("SELECT 1") == "1"
        except SqlError:
            return False

    def test_many_clients_at_once(self):
        sql = self.launch()
        failed = []

        def ask():
            for _ in range(5):
                try:
                    if sql.numbers("SELECT count() FROM trades") != [200]:
                        failed.append("another count")
                except (SqlError, OSError) as error:
                    failed.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])


if __name__ == "__main__":
    unittest.main()
