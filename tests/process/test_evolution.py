"""Tables that change while rows come in, rows that outlive their retention, and what was known at an earlier moment."""

import csv
import io
import json
import random
import re
import subprocess
import time
import unittest

from proxist_process import BIN, CommandFailed, Directory, Server, wait_for

DAY = 86400 * 10**9
START = 1381325400 * 10**9  # 2013-10-09T13:30:00Z


def table(columns, *more, name="ticks"):
    lines = [f"  - {{{column}}}" for column in ("name: venue, type: symbol", *columns)]
    return "\n".join(["kind: Table", f"name: {name}", "series: [venue]", "columns:", *lines, "seq: producer", *more, ""])


class TableTest(unittest.TestCase):
    OPTIONS = ()

    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.files = 0
        self.server = Server(self.directory, *self.OPTIONS).start()
        self.addCleanup(lambda: self.server.end())

    def file(self, suffix, text):
        self.files += 1
        return self.directory.file(f"{self.files}.{suffix}", text)

    def apply(self, text, *flags, check=True):
        return self.server.pxctl("apply", "-f", self.file("yaml", text), *flags, check=check)

    def crash(self):
        self.server.kill()
        self.server.start()

    def start_import(self, mapping, rows, name="ticks"):
        data = self.file("csv", "".join(",".join(map(str, row)) + "\n" for row in rows))
        command = ["import", name, "--file", str(data), "--map", str(mapping), "--chunk-rows", "200", "--retry-for", "0s"]
        return data, subprocess.Popen([str(BIN / "pxctl"), "--server", self.server.grpc, *command],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def load(self, mapping, rows, name="ticks"):
        _, loading = self.start_import(mapping, rows, name)
        _, err = loading.communicate(timeout=120)
        self.assertEqual(loading.returncode, 0, err.decode())

    def answer(self, *query):
        return list(csv.DictReader(io.StringIO(self.server.pxctl("query", *query, "--output", "csv", "--time", "ns"))))

    def live_count(self, column=""):
        """None while the view is being replaced."""
        try:
            return self.server.clickhouse(f"SELECT count({column}) FROM ticks")
        except OSError:
            return None


class Evolution(TableTest):
    OPTIONS = ("--snapshot-interval-s", "1")  # so that restarts read chunks of earlier versions
    V1 = ("name: size, type: int16", "name: price, type: float32", "name: extra, type: int64, nullable: true")
    V2 = ("name: size, type: int64", "name: price, type: float64", "name: extra, type: int64, nullable: true")
    V3 = ("name: amount, type: int64, aliases: [size]", "name: price, type: float64",
          "name: extra, type: int64, nullable: true", "name: mark, type: uint8, nullable: true")
    V4 = ("name: amount, type: int64", "name: price, type: float64", "name: mark, type: uint32, nullable: true")

    def mapping(self, *names):
        columns = "".join(f"  {name}: {{column: {place}}}\n" for place, name in enumerate(names, 5))
        return self.file("yaml", "map: ticks\ncolumns:\n  seq: {column: 1}\n  symbol: {column: 2}\n"
                                 "  ts: {column: 3, unit: ns}\n  venue: {column: 4}\n" + columns)

    def rows(self, count, *values):
        """Rows with values by column, of which some are out of order; they are expected from now on."""
        out = []
        for _ in range(count):
            self.seq += 1
            at = START + self.seq * 10**6 - (self.random.randrange(10**9) if self.random.random() < 0.1 else 0)
            row = (self.seq, self.random.choice("AB"), at, self.random.choice("PQ"), *(value() for value in values))
            out.append(row)
        return out

    def check(self, columns):
        """Every row that was acked is there, with its values, in memory, in history and over both."""
        expected = sorted((row["symbol"], row["ts"], row["seq"], row["venue"], *(row.get(c, "") for c in columns))
                          for row in self.expected)
        names = ("symbol", "ts", "seq", "venue", *columns)

        def found():
            rows = self.answer("range", "ticks", "--columns", ",".join(("venue", *columns)))
            return sorted(tuple(row[name] for name in names) for row in rows)

        self.assertEqual(found(), expected)
        self.server.pxctl("flush", "--wait", "--timeout", "60s")
        middle = START + self.seq * 10**6 // 2
        self.server.pxctl("evict", "ticks", "--before", middle)
        self.assertEqual(found(), expected)
        code, out, err = self.server.pxctl("verify-seam", "ticks", check=False)
        self.assertEqual(code, 0, out + err)

    def expect(self, rows, names):
        for row in rows:
            seq, symbol, ts, venue = map(str, row[:4])
            self.expected.append({"seq": seq, "symbol": symbol, "ts": ts, "venue": venue,
                                  **{name: str(value) for name, value in zip(names, row[4:])}})

    def change_under_import(self, mapping, rows, change):
        """`change` happens, and the server dies, while the rows come in."""
        data, loading = self.start_import(mapping, rows)
        time.sleep(self.random.uniform(0, 0.1))
        change()
        time.sleep(self.random.uniform(0, 0.1))
        self.server.kill()
        loading.communicate()
        self.server.start()
        again = subprocess.run([str(BIN / "pxctl"), "--server", self.server.grpc, "import", "ticks", "--file", str(data),
                                "--map", str(mapping), "--chunk-rows", "200"], capture_output=True, timeout=120)
        self.assertEqual(again.returncode, 0, again.stderr.decode())

    def test_a_table_changes_under_ingest_and_crashes(self):
        self.random = random.Random(5)
        self.seq, self.expected = 0, []
        small, real = lambda: self.random.randrange(-2**15, 2**15), lambda: self.random.randrange(-1000, 1000) / 8
        large = lambda: self.random.randrange(-2**62, 2**62)
        first = self.mapping("size", "price", "extra")
        self.apply(table(self.V1))
        rows = self.rows(3000, small, real, large)
        self.expect(rows, ("size", "price", "extra"))
        self.load(first, rows)
        self.check_numbers(("size", "price", "extra"))

        rows = self.rows(12000, small, real, large)
        self.expect(rows, ("size", "price", "extra"))
        self.change_under_import(first, rows, lambda: self.apply(table(self.V2)))
        self.check_numbers(("size", "price", "extra"))

        precise = lambda: self.random.random()
        rows = self.rows(2000, large, precise, large)
        self.expect(rows, ("size", "price", "extra"))
        self.load(first, rows)
        self.crash()
        self.check_numbers(("size", "price", "extra"))

        rows = self.rows(8000, large, precise, large)
        self.expect(rows, ("size", "price", "extra"))
        self.change_under_import(first, rows, lambda: self.apply(table(self.V3)))
        self.check_numbers(("size", "price", "extra"))  # by its old name
        for row in self.expected:
            row["amount"] = row["size"]
        rows = self.rows(1000, large, precise, lambda: self.random.randrange(256))
        self.expect(rows, ("amount", "price", "mark"))
        self.load(self.mapping("size", "price", "mark"), rows)

        code, _, err = self.apply(table(self.V4), check=False)
        self.assertEqual(code, 19, err)
        self.assertIn("column 'extra' is missing", err)
        self.assertIn("--confirm-drop", err)
        rows = self.rows(8000, large, precise, lambda: self.random.randrange(256))
        self.expect(rows, ("amount", "price", "mark"))
        self.change_under_import(self.mapping("amount", "price", "mark"), rows,
                                 lambda: self.apply(table(self.V4), "--confirm-drop"))
        self.check_numbers(("amount", "price", "mark"))
        self.crash()
        self.check_numbers(("amount", "price", "mark"))
        self.check_clickhouse()
        self.check_refusals()

    def check_numbers(self, columns):
        for row in self.expected:  # as the table shows floats
            if "." in row.get("price", ""):
                row["price"] = self.shown(float(row["price"]))
        self.check(columns)

    @staticmethod
    def shown(value):
        return repr(value).removesuffix(".0")

    def check_clickhouse(self):
        columns = dict(line.split("\t") for line in self.server.clickhouse(
            "SELECT name, type FROM system.columns WHERE table = 'ticks_history' FORMAT TSV").splitlines())
        self.assertEqual((columns["size"], columns["amount"], columns["price"]), ("Int64", "Int64", "Float64"))
        self.assertEqual(columns["mark"], "Nullable(UInt32)")
        self.assertNotIn("extra", columns)
        count = str(len(self.expected))
        self.assertEqual(self.server.clickhouse("SELECT count(), countIf(size = amount) FROM ticks_history FINAL"),
                         f"{count}\t{count}")
        wait_for("the live view", lambda: self.live_count("amount") == count, 40)

    def check_refusals(self):
        for column, reason in (("name: price, type: float32", "stored values may not fit"),
                               ("name: price, type: decimal(4)", "not exact"),
                               ("name: price, type: string", "not stored alike")):
            columns = ("name: amount, type: int64", column, "name: mark, type: uint32, nullable: true")
            code, _, err = self.apply(table(columns), check=False)
            self.assertEqual(code, 19, err)
            self.assertIn(reason, err)
        again = (*self.V4, "name: extra, type: int64, nullable: true")
        code, _, err = self.apply(table(again), check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("was dropped", err)
        with self.assertRaises(CommandFailed) as refused:
            self.answer("range", "ticks", "--columns", "extra")
        self.assertIn("has no column 'extra'", str(refused.exception))


class Retention(TableTest):
    COLUMNS = ("name: size, type: int64",)

    def assert_floor(self, floor):
        """What status and metrics say of the time before which rows are gone; None: there is no table or none such."""
        tables = json.loads(self.server.http_get("/status")[1])["tables"]
        self.assertEqual([table["history_floor_ns"] for table in tables], [floor] if floor else [])
        self.assertEqual([table["history_floor"] for table in self.server.status()["tables"]], [floor] if floor else [])
        metric = re.findall(r"\nproxist_table_history_floor_seconds\{.*table=\"ticks\"\} (\S+)\n",
                            self.server.http_get("/metrics")[1])
        self.assertEqual([float(value) * 10**9 for value in metric], [float(floor)] if floor else [])
        if floor:
            day = time.strftime("%Y-%m-%d", time.gmtime(floor // 10**9))
            self.assertRegex(self.server.pxctl("status"), rf"\nticks .* {day}  ")

    def test_rows_beyond_the_retention_are_gone_wherever_they_lie(self):
        today = time.time_ns() // DAY * DAY
        mapping = self.file("yaml", "map: ticks\ncolumns:\n  seq: {line: true}\n  symbol: {column: 1}\n"
                                    "  ts: {column: 2, unit: ns}\n  venue: {column: 3}\n  size: {column: 4}\n")
        ages = (0, 1, 2, 3, 4, 40)
        rows = [("A", today - age * DAY + offset, "P", age) for age in ages for offset in (0, 1, DAY - 1)
                if age > 0 or offset < 2]
        self.assert_floor(None)
        self.apply(table(self.COLUMNS, "history: {retain: 3d}"))
        self.load(mapping, rows)
        self.assert_floor(today - 3 * DAY)

        def expect(days):
            kept = sorted((str(row[1]), str(row[3])) for row in rows if row[3] <= days)
            for query in (("range", "ticks"), ("last-by", "ticks", "--count", "100")):
                self.assertEqual(sorted((row["ts"], row["size"]) for row in self.answer(*query)), kept)
            first = self.answer("first-by", "ticks", "--at", "1970-01-01")
            self.assertEqual([(row["ts"], row["size"]) for row in first], kept[:1])
            before = self.answer("last-by", "ticks", "--at", today - days * DAY - 1)
            self.assertEqual(before, [])
            counts = self.answer("aggregate", "ticks", "--aggregates", "count,sum(size)")
            self.assertEqual(counts[0]["count"], str(len(kept)))
            wait_for("the live view", lambda: self.live_count() == str(len(kept)), 40)

        expect(3)
        self.server.pxctl("flush", "--wait")
        expect(3)
        # A row that is late beyond the retention is taken and not seen.
        self.load(self.file("yaml", "map: ticks\ncolumns:\n  seq: {value: 1000}\n  symbol: {column: 1}\n"
                                    "  ts: {column: 2, unit: ns}\n  venue: {column: 3}\n  size: {column: 4}\n"
                            .replace("{value: 1000}", "{column: 5}")),
                  [("A", today - 50 * DAY, "P", 50, 1000)])
        expect(3)
        self.server.pxctl("evict", "ticks", "--before", "now")
        expect(3)
        self.assertIn("TTL toDate(ts) + toIntervalDay(5)", self.server.clickhouse(
            "SELECT engine_full FROM system.tables WHERE name = 'ticks_history'"))
        self.server.clickhouse("OPTIMIZE TABLE ticks_history FINAL")
        self.assertEqual(self.server.clickhouse("SELECT countIf(size >= 40) FROM ticks_history"), "0")
        expect(3)
        code, out, err = self.server.pxctl("verify-seam", "ticks", check=False)
        self.assertEqual(code, 0, out + err)
        self.assertEqual(self.server.http_get("/health")[0], 200)
        self.apply(table(self.COLUMNS, "history: {retain: 1d}"))
        expect(1)
        # What is gone stays gone.
        self.apply(table(self.COLUMNS))
        expect(1)
        self.crash()
        expect(1)
        self.assert_floor(today - DAY)
        self.assertNotIn("TTL", self.server.clickhouse(
            "SELECT engine_full FROM system.tables WHERE name = 'ticks_history'"))
        for text in ("history: {retain: 36h}", "history: {retain: 0s}"):
            self.assertNotEqual(self.apply(table(self.COLUMNS, text), check=False)[0], 0)


class KnownThen(TableTest):
    COLUMNS = ("name: price, type: decimal(4)", "name: size, type: int64")
    QUERIES = (("range", "ticks"), ("last-by", "ticks"), ("first-by", "ticks", "--at", "1970-01-01"),
               ("range", "ticks", "--where", "size > 50"),
               ("bars", "ticks", "--interval", "10m", "--aggregates", "count,sum(size),vwap,first(size),last(price)"),
               ("last-by", "ticks", "--at", START + 1800 * 10**9, "--by", "venue"),
               ("asof", "--left", "ticks", "--right", "ticks", "--strict"))

    def answers(self, *moment):
        return [self.answer(*query, *moment) for query in self.QUERIES]

    def test_a_day_is_answered_as_it_was_at_each_moment(self):
        dice = random.Random(11)
        mapping = self.file("yaml", "map: ticks\ncolumns:\n  seq: {column: 1}\n  symbol: {column: 2}\n"
                                    "  ts: {column: 3, unit: ns}\n  venue: {column: 4}\n  price: {column: 5}\n"
                                    "  size: {column: 6}\nop: {column: 7}\n")
        self.apply(table(self.COLUMNS, "versions: all"))
        moments, rows = [], []
        for step in range(8):
            batch = {}
            for _ in range(200):
                kind = dice.random()
                if rows and kind < 0.25:  # a correction or a cancel, perhaps of a late row
                    seq, symbol, ts, venue = dice.choice(rows)[:4]
                    op = "cancel" if kind < 0.1 else "put"
                else:
                    seq, symbol, venue, op = len(rows) + len(batch) + 1, dice.choice("AB"), dice.choice("PQ"), "put"
                    late = dice.randrange(3600) if kind < 0.5 else 0
                    ts = START + (step * 600 + dice.randrange(600) - late) * 10**9
                key = (seq, symbol, ts, venue)
                batch[key] = (*key, f"{dice.randrange(400, 500)}.25", dice.randrange(100), op)
            rows += [row for row in batch.values() if row[6] == "put" and row[0] > len(rows)]
            self.load(mapping, batch.values())
            lsn = self.server.status()["shards"][0]["published_lsn"]
            moments.append((str(lsn), time.time_ns(), self.answers()))
            time.sleep(0.005)
            if step == 3:
                self.server.pxctl("flush", "--wait")
                self.server.pxctl("evict", "ticks", "--before", START + 1200 * 10**9)
            if step == 5:
                self.crash()
        self.assertNotEqual(moments[0][2], moments[-1][2])

        def compare():
            for lsn, at, then in moments:
                iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 10**9)) + f".{at % 10**9:09d}Z"
                self.assertEqual(self.answers("--as-of-log", lsn), then, lsn)
                self.assertEqual(self.answers("--as-of-log", iso), then, iso)
                self.assertEqual(self.answers("--as-of-log", f"0:{lsn}"), then, lsn)
            self.assertEqual(self.answers("--as-of-log", "now"), self.answers())
            self.assertEqual(self.answers("--as-of-log", "0")[0], [])

        compare()
        self.server.pxctl("flush", "--wait")
        self.server.pxctl("evict", "ticks", "--before", START + 3000 * 10**9)
        compare()
        self.server.pxctl("evict", "ticks", "--before", "now")
        self.server.clickhouse("OPTIMIZE TABLE ticks_history FINAL")
        self.crash()
        compare()
        self.assertEqual(self.server.clickhouse("SELECT engine FROM system.tables WHERE name = 'ticks_history'"),
                         "MergeTree")
        count = str(len(self.answer("range", "ticks")))
        wait_for("the live view", lambda: self.server.clickhouse("SELECT count() FROM ticks") == count, 40)
        self.check_refusals()

    def check_refusals(self):
        self.apply(table(self.COLUMNS, name="plain"))
        code, _, err = self.server.pxctl("query", "range", "plain", "--as-of-log", "5", check=False)
        self.assertEqual(code, 19, err)
        self.assertIn("versions: all", err)
        code, _, err = self.server.pxctl("query", "range", "ticks", "--as-of-log", "7:5", check=False)
        self.assertEqual(code, 13, err)
        self.assertIn("shard 0", err)
        code, _, err = self.server.pxctl("query", "range", "ticks", "--as-of-log", "yesterday", check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("--as-of-log", err)
        code, _, err = self.apply(table(self.COLUMNS), check=False)
        self.assertEqual(code, 19, err)
        self.assertIn("versions is 'all' and can't become 'latest'", err)


if __name__ == "__main__":
    unittest.main()
