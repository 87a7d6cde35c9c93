"""verify-seam on a live server: silent while history is sound, loud when somebody deletes a row of it."""

import unittest

import market
from proxist_process import Directory, Server

DATA_LOSS = 10 + 15


class VerifySeam(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.server = Server(self.directory, "--shards", 2).start()
        self.addCleanup(self.directory.remove)
        self.addCleanup(self.server.end)
        d, s = self.directory, self.server
        s.pxctl("apply", "-f", d.file("tables.yaml", market.TABLES))
        self.lines = market.quotes(3000)
        s.pxctl("import", "quotes", "--file", d.file("quotes.csv", market.text(self.lines)),
                "--map", d.file("quotes.map.yaml", market.QUOTES_MAP))
        s.pxctl("flush", "--wait")

    def test_a_row_deleted_by_hand_is_found(self):
        s = self.server
        self.assertIn("no difference", s.pxctl("verify-seam", "quotes"))
        s.pxctl("evict", "quotes", "--before", market.START + market.SESSION // 4)
        self.assertIn("no difference", s.pxctl("verify-seam", "quotes", "--seed", 7))
        query = "range quotes --symbols AIG --where 'bid > 0'"
        self.assertIn("1 queries", s.pxctl("verify-seam", "quotes", "--query", query))
        # The last line of the file is a row that memory holds.
        seq, (symbol, ts) = len(self.lines), self.lines[-1][:2]
        s.clickhouse(f"DELETE FROM default.quotes_history WHERE seq = {seq} AND symbol = '{symbol}'")
        code, out, err = s.pxctl("verify-seam", "quotes", check=False)
        self.assertEqual(code, DATA_LOSS, out + err)
        self.assertIn(f"ts={ts} seq={seq}", out)
        code, out, _ = s.pxctl("verify-seam", "quotes", "--query", f"last-by quotes --symbols {symbol}", check=False)
        self.assertEqual(code, DATA_LOSS, out)
        # Small bounds are kept, and said.
        code, out, _ = s.pxctl("verify-seam", "quotes", "--max-rows", 10, check=False)
        self.assertIn("the bound on rows or time came first", out)

    def test_bad_arguments_are_refused(self):
        s = self.server
        for arguments in (("nothing",), ("quotes", "--max-rows", "0"), ("quotes", "--query", "bars quotes"),
                          ("quotes", "--query", "range nothing")):
            code, out, err = s.pxctl("verify-seam", *arguments, check=False)
            if arguments[-1] == "range nothing":
                self.assertIn("not compared: range nothing", out)
            else:
                self.assertNotEqual(code, 0, arguments)


if __name__ == "__main__":
    unittest.main()
