"""pxinspect dump: the rows that a stopped server's files hold are those that it answered with."""

import csv
import hashlib
import io
import json
import subprocess
import unittest

import market
from proxist_process import BIN, Directory, Server, wait_for

INVALID_ARGUMENT, NOT_FOUND, DATA_LOSS = 13, 15, 25
TABLE = """\
kind: Table
name: ticks
series: [venue]
columns:
  - {name: venue, type: symbol}
  - {name: price, type: decimal(4), nullable: true}
  - {name: size, type: int16, nullable: true}
  - {name: firm, type: bool, nullable: true}
  - {name: rate, type: float64, nullable: true}
  - {name: sent, type: timestamp_ns, nullable: true}
  - {name: maker, type: symbol, nullable: true}
  - {name: note, type: string, nullable: true}
"""
MORE = "  - {name: added, type: uint8, nullable: true}\n"
MAP = """\
map: ticks
columns:
  seq: {column: 1}
  symbol: {column: 2}
  ts: {column: 3, unit: ns}
  venue: {column: 4}
  price: {column: 5, scaled: 4}
  size: {column: 6}
  firm: {column: 7}
  rate: {column: 8}
  sent: {column: 9, unit: ns}
  maker: {column: 10}
  note: {column: 11}
op: {column: 12}
"""
META = ("symbol", "ts", "seq", "lsn", "shard", "op", "producer", "batch")
ROWS = 3000


def tick(seq, op="put"):
    """A line whose cells are null now and then, and whose time now and then lies before the row before it."""
    ts = market.START + seq * 1000 - (7_000_000 if seq % 97 == 0 else 0)
    cells = [seq * 31 % 900_000 - 450_000, seq % 20_000 - 10_000, ("true", "false")[seq % 2], f"{seq / 7}", ts + 5,
             f"M{seq % 5}", f'"say ""{seq}"", so"']
    cells = ["" if (seq + i) % 6 == 0 else cell for i, cell in enumerate(cells)]
    return [seq, f"S{seq % 3}", ts, "PQ"[seq % 2], *cells, op]


def corrected(seq):
    line = tick(seq)
    line[4], line[10] = 123_456, "corrected"
    return line


class Dump(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)

    def start(self, *options, history="none"):
        self.server = Server(self.directory, "--shards", 2, *options, history=history).start()
        self.addCleanup(self.server.end)

    def load(self, lines):
        self.server.pxctl("import", "ticks", "--file", self.directory.file("ticks.csv", market.text(lines)), "--map",
                          self.directory.file("ticks.map.yaml", MAP), "--chunk-rows", 500)

    def wait_for_snapshots(self):
        wait_for("snapshots of everything", lambda: all(
            shard["snapshot_lsn"] == shard["published_lsn"] > 0
            for shard in json.loads(self.server.http_get("/status")[1])["shards"]))

    def run_dump(self, *arguments):
        """Exit code, standard output and error; the directory is the same afterwards."""
        before = self.content()
        done = subprocess.run([str(BIN / "pxinspect"), "dump", str(self.directory.data), *map(str, arguments)],
                              capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(self.content(), before, "something was written")
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def content(self):
        """All files but ClickHouse's, which may still be ending."""
        return {str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
                for path in sorted(self.directory.data.rglob("*"))
                if path.is_file() and self.directory.data / "clickhouse" not in path.parents}

    def dump(self, *arguments):
        code, out, err = self.run_dump("--table", "ticks", "--time", "ns", *arguments)
        self.assertEqual((code, err), (0, ""))
        return list(csv.DictReader(io.StringIO(out)))

    def resolved(self, rows):
        """What a query answers from the versions: the highest of each key, without cancels."""
        newest = {}
        for row in rows:
            key = (row["symbol"], int(row["ts"]), int(row["seq"]), row["venue"])
            if key not in newest or int(newest[key]["lsn"]) < int(row["lsn"]):
                newest[key] = row
        return [{name: value for name, value in row.items() if name not in META or name in ("symbol", "ts", "seq")}
                for _, row in sorted(newest.items()) if row["op"] == "put"]

    def make_versions(self):
        """Rows in a snapshot and in the log above it, with corrections, cancels, and a column that came later."""
        self.start("--snapshot-interval-s", 1)
        self.server.pxctl("apply", "-f", self.directory.file("table.yaml", TABLE))
        self.load([tick(seq) for seq in range(1, ROWS + 1)])
        self.load([corrected(10), tick(11, "cancel")])
        self.wait_for_snapshots()
        self.assertEqual(self.server.stop(), 0)
        self.start()
        self.server.pxctl("apply", "-f", self.directory.file("table.yaml", TABLE + MORE))
        self.load([tick(seq) for seq in range(ROWS + 1, ROWS + 601)])
        self.load([corrected(20), tick(21, "cancel"), tick(10, "cancel"), corrected(11), corrected(ROWS + 5)])
        answer = self.server.query("range", "ticks")
        self.assertEqual(len(answer), ROWS + 600 - 2)
        self.server.kill()
        return answer

    def test_it_holds_what_the_server_answered(self):
        answer = self.make_versions()
        rows = self.dump()
        self.assertEqual(self.resolved(rows), answer)
        self.assertEqual(len(rows), ROWS + 600 + 2 + 5)
        order = [(row["symbol"], row["venue"], int(row["ts"]), int(row["seq"]), int(row["lsn"])) for row in rows]
        self.assertEqual(order, sorted(order))
        self.assertEqual({row["added"] for row in rows}, {""})
        versions = {seq: [(row["op"], row["price"], row["batch"]) for row in rows if row["seq"] == str(seq)]
                    for seq in (10, 11, 20, 21, ROWS + 5)}
        price = {seq: [row["price"] for row in answer if row["seq"] == str(seq)] for seq in versions}
        self.assertEqual([op for op, _, _ in versions[10]], ["put", "put", "cancel"])
        self.assertEqual(versions[10][1][1], "12.3456")
        self.assertEqual([op for op, _, _ in versions[11]], ["put", "cancel", "put"])
        self.assertEqual([op for op, _, _ in versions[21]], ["put", "cancel"])
        self.assertEqual((versions[20][1][1], price[20], price[10], price[21]), ("12.3456", ["12.3456"], [], []))
        # Each file is a producer of its own, of batches of 500 lines.
        self.assertEqual(len({row["producer"] for row in rows}), 4)
        self.assertTrue(all(row["producer"].startswith("import-") for row in rows))
        self.assertEqual({row["batch"] for row in rows if int(row["seq"]) in range(501, 1001)}, {"2"})

    def test_what_is_chosen_and_how_it_looks(self):
        self.make_versions()
        rows = self.dump()
        self.assertEqual(self.dump("--symbol", "S1"), [row for row in rows if row["symbol"] == "S1"])
        self.assertEqual(self.dump("--symbol", "S2", "--symbol", "S0"), [row for row in rows if row["symbol"] != "S1"])
        self.assertEqual(self.dump("--symbol", "nobody"), [])
        first, last = market.START + 700_000, market.START + 3_100_000
        chosen = self.dump("--from", first, "--to", last)
        self.assertEqual(chosen, [row for row in rows if first <= int(row["ts"]) < last])
        self.assertTrue(0 < len(chosen) < len(rows))
        code, out, err = self.run_dump("--table", "ticks", "--output", "json", "--time", "ns")
        self.assertEqual((code, err), (0, ""))
        lines = [json.loads(line, parse_int=str, parse_float=str) for line in out.splitlines()]
        flat = [{**{name: line[name] for name in META}, **line["columns"]} for line in lines]
        text = [{name: "" if value is None else str(value).lower() if isinstance(value, bool) else value
                 for name, value in row.items()} for row in flat]
        self.assertEqual(text, rows)
        code, out, _ = self.run_dump("--table", "ticks", "--symbol", "S1")
        self.assertEqual(code, 0)
        self.assertRegex(out.splitlines()[1], r"^S1,2013-10-09T13:\d\d:\d\d\.\d{9}Z,")
        self.assertEqual(self.run_dump("--table", "nothing")[0], NOT_FOUND)
        self.assertEqual(self.run_dump("--table", "ticks", "--from", "yesterday")[0], INVALID_ARGUMENT)
        self.assertEqual(self.run_dump()[0], 2)

    def test_a_late_row_stands_above_what_was_evicted(self):
        self.start("--snapshot-interval-s", 1, "--flush-min-ms", 30000, "--flush-max-ms", 30000, history="embedded")
        self.server.pxctl("apply", "-f", self.directory.file("table.yaml", TABLE))
        self.load([tick(seq) for seq in range(1, ROWS + 1)])
        self.server.pxctl("flush", "--wait")
        border = market.START + ROWS * 500
        self.server.pxctl("evict", "ticks", "--before", border)
        self.load([corrected(ROWS + 12)[:2] + [market.START + 1] + corrected(ROWS + 12)[3:], tick(ROWS + 1)])
        self.wait_for_snapshots()
        answer = self.server.query("range", "ticks")
        self.server.kill()
        rows = self.dump()
        (late,) = [row for row in rows if row["seq"] == str(ROWS + 12)]
        self.assertEqual((late["ts"], late["price"], late["note"]), (str(market.START + 1), "12.3456", "corrected"))
        held = [row for row in answer if int(row["ts"]) >= border or row["seq"] == late["seq"]]
        self.assertEqual(self.resolved([row for row in rows if int(row["ts"]) >= border or row is late]), held)

    def test_damage_is_said_and_passed_over(self):
        answer = self.make_versions()
        chunks = sorted((self.directory.data / "snapshots").glob("*/*.chunks"))
        self.assertTrue(chunks)
        for path in chunks:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        # The log reaches back to the first row.
        code, out, err = self.run_dump("--table", "ticks", "--time", "ns")
        self.assertEqual(code, 0, err)
        self.assertRegex(err, r"pxinspect: shard \d: passed over: .*\.chunks")
        whole = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual(self.resolved(whole), answer)
        # Now half of a log is gone as well. How many frames there are depends on what came together.
        left = 0
        for shard in (0, 1):
            segment = self.directory.data / "wal" / str(shard) / "0000000000000001.wal"
            shown = subprocess.run([str(BIN / "pxinspect"), "wal", str(segment.parent), "--records", "--json"],
                                   capture_output=True, check=True)
            frames = [line for line in map(json.loads, shown.stdout.splitlines()) if line["type"] == "frame"]
            left += len(frames) // 2
            with open(segment, "r+b") as file:
                file.seek(frames[len(frames) // 2]["offset"] + 300)
                byte = file.read(1)[0]
                file.seek(-1, 1)
                file.write(bytes([byte ^ 1]))
        code, out, err = self.run_dump("--table", "ticks", "--time", "ns")
        self.assertEqual(code, DATA_LOSS)
        self.assertRegex(err, r"pxinspect: DATA_LOSS: .*0000000000000001\.wal: damaged at offset \d+")
        some = list(csv.DictReader(io.StringIO(out)))
        self.assertLess(len(some), len(whole))
        self.assertEqual(len(some) > 0, left > 0)


if __name__ == "__main__":
    unittest.main()
