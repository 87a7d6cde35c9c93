"""Tables: every type there and back bit for bit, assigned seq, a column added to a live table."""

import unittest

from proxist_process import Directory, Server

TYPES = """\
kind: Table
name: everything
series: [venue]
columns:
  - {name: venue, type: symbol}
  - {name: flag, type: bool, nullable: true}
  - {name: i8, type: int8, nullable: true}
  - {name: i16, type: int16, nullable: true}
  - {name: i32, type: int32, nullable: true}
  - {name: i64, type: int64, nullable: true}
  - {name: u8, type: uint8, nullable: true}
  - {name: u16, type: uint16, nullable: true}
  - {name: u32, type: uint32, nullable: true}
  - {name: u64, type: uint64, nullable: true}
  - {name: f32, type: float32, nullable: true}
  - {name: f64, type: float64, nullable: true}
  - {name: dec, type: decimal(4), nullable: true}
  - {name: at, type: timestamp_ns, nullable: true}
  - {name: note, type: string, nullable: true}
  - {name: code, type: symbol, nullable: true}
seq: producer
"""
NAMES = ["venue", "flag", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "dec", "at", "note", "code"]
DAY = 15987 * 86400 * 10**9

# Extremes of each type, in the text that comes back.
ROWS = [
    ["X", "true", "-128", "-32768", "-2147483648", "-9223372036854775808", "0", "0", "0", "0", "-0", "-0",
     "-99999999999999.9999", "1970-01-01T00:00:00.000000000Z", "tab\there", "tab\tcode"],
    ["X", "false", "127", "32767", "2147483647", "9223372036854775807", "255", "65535", "4294967295",
     "18446744073709551615", "3.4028235e+38", "1.7976931348623157e+308", "99999999999999.9999",
     "2148-12-31T23:59:59.999999999Z", 'quote " and, comma', "it's"],
    ["Y", "", "", "", "", "", "", "", "", "", "nan", "nan", "", "", "", ""],
    ["Y", "true", "1", "1", "1", "1", "1", "1", "1", "1", "1e-45", "5e-324", "0.0001",
     "2013-10-09T00:00:00.000000001Z", "new\nline", "déjà vu ✓"],
    ["é✓", "true", "1", "1", "1", "1", "1", "1", "1", "1", "inf", "-inf", "-0.0001",
     "2013-10-09T23:59:59.999999999Z", "back\\slash", "x"],
]


def quoted(cell):
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in '",\n\r') else cell


def data_map(table, names, **rules):
    columns = ["symbol: {column: 1}", "ts: {column: 2, unit: ns}"]
    if rules.pop("seq", True):
        columns.append("seq: {line: true}")
    for index, name in enumerate(names, 3):
        rule = rules.get(name, "")
        columns.append(f"{name}: {{column: {index}{rule}}}")
    return f"map: {table}\ncolumns:\n" + "".join(f"  {line}\n" for line in columns)


class Tables(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.server = Server(self.directory).start()
        self.addCleanup(self.server.end)

    def load(self, table, mapping, lines):
        text = "".join(",".join(quoted(str(cell)) for cell in line) + "\n" for line in lines)
        self.server.pxctl("import", table, "--file", self.directory.file(f"{table}.csv", text), "--map",
                          self.directory.file(f"{table}.map.yaml", mapping))

    def everywhere(self, table, check):
        """Runs the check hot, at a seam, and cold."""
        check("hot")
        self.server.pxctl("flush", "--wait")
        self.server.pxctl("evict", table, "--before", DAY + 2)
        check("seam")
        self.server.pxctl("evict", table, "--before", "2149-01-01")
        check("cold")
        self.server.kill()
        self.server.start()
        check("cold after a crash")

    def test_every_type_comes_back(self):
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", TYPES))
        lines = [["AIG", DAY + index, *row] for index, row in enumerate(ROWS)]
        self.load("everything", data_map("everything", NAMES, at=", format: iso"), lines)

        def check(where):
            got = self.server.pxctl("query", "range", "everything", "--output", "csv")
            import csv
            import io
            rows = list(csv.reader(io.StringIO(got, newline="")))
            self.assertEqual(rows[0], ["symbol", "ts", "seq", *NAMES], where)
            self.assertEqual([row[3:] for row in rows[1:]], ROWS, where)
            picked = self.server.query("range", "everything", "--where",
                                       "u64 = 18446744073709551615 and dec > 99999999999999.99985 and code = 'it''s'")
            self.assertEqual([row["seq"] for row in picked], ["2"], where)

        self.everywhere("everything", check)

    def test_assigned_sequence_numbers(self):
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", (
            "kind: Table\nname: ticks\ncolumns:\n  - {name: price, type: int64}\nseq: assigned\n")))
        lines = [["AIG", DAY + index // 3, index] for index in range(10)]
        self.load("ticks", data_map("ticks", ["price"], seq=False), lines)
        self.load("ticks", data_map("ticks", ["price"], seq=False), lines)

        def check(where):
            rows = self.server.query("range", "ticks")
            self.assertEqual([int(row["price"]) for row in rows], list(range(10)), where)
            seqs = [int(row["seq"]) for row in rows]
            self.assertEqual(seqs, sorted(set(seqs)), where)

        self.everywhere("ticks", check)

    def test_a_column_is_added_while_rows_come_in(self):
        old = "kind: Table\nname: ticks\ncolumns:\n  - {name: price, type: int64}\nseq: producer\n"
        new = old.replace("seq: producer", "  - {name: note, type: string, nullable: true}\nseq: producer")
        self.server.pxctl("apply", "-f", self.directory.file("old.yaml", old))
        self.load("ticks", data_map("ticks", ["price"]), [["AIG", DAY, 1], ["AIG", DAY + 1, 2]])
        self.server.pxctl("flush", "--wait")
        self.server.pxctl("apply", "-f", self.directory.file("new.yaml", new))
        self.load("ticks", data_map("ticks", ["price", "note"]).replace("seq: {line: true}", "seq: {column: 5}"),
                  [["AIG", DAY + 2, 3, "three", 3], ["AIG", DAY + 3, 4, "four", 4]])
        # A producer that does not know the column yet goes on.
        self.load("ticks", data_map("ticks", ["price"]).replace("seq: {line: true}", "seq: {column: 4}"),
                  [["AIG", DAY + 4, 5, 5]])

        def check(where):
            rows = self.server.query("range", "ticks")
            self.assertEqual([(row["price"], row["note"]) for row in rows],
                             [("1", ""), ("2", ""), ("3", "three"), ("4", "four"), ("5", "")], where)
            named = self.server.query("range", "ticks", "--where", "note is null")
            self.assertEqual([row["price"] for row in named], ["1", "2", "5"], where)

        self.everywhere("ticks", check)
        again = self.server.pxctl("apply", "-f", self.directory.file("new.yaml", new))
        self.assertIn("unchanged", again)


if __name__ == "__main__":
    unittest.main()
