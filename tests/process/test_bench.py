"""proxist-bench gen and query --columns: the check sums are those of a naive computation over the files."""

import array
import bisect
import os
import subprocess
import unittest

from proxist_process import BIN, Directory

MINUTE_NS = 60_000_000_000
RELATIVE = 1e-9


def load(path, code):
    values = array.array(code)
    values.frombytes(path.read_bytes())
    return values


class Columns:
    """The files of one directory as rows of each symbol."""

    def __init__(self, path):
        self.manifest = {name: int(value) for name, value in map(str.split, (path / "manifest.txt").read_text().splitlines())}
        read = lambda name, code: load(path / name, code)  # noqa: E731
        self.quotes = self.by_symbol(read("quotes.sym.i32", "i"), read("quotes.ts.i64", "q"), read("quotes.bid.f64", "d"))
        self.trades = self.by_symbol(read("trades.sym.i32", "i"), read("trades.ts.i64", "q"), read("trades.price.f64", "d"),
                                     read("trades.size.i64", "q"))
        self.keys = list(zip(read("keys.sym.i32", "i"), read("keys.ts.i64", "q")))

    def by_symbol(self, symbols, *columns):
        out = [[[] for _ in columns] for _ in range(self.manifest["n_symbols"])]
        for row, symbol in enumerate(symbols):
            for column, to in zip(columns, out[symbol]):
                to.append(column[row])
        return out

    def bid_at(self, symbol, at):
        ts, bid = self.quotes[symbol]
        after = bisect.bisect_right(ts, at)
        return bid[after - 1] if after else 0.0


def vwap(prices, sizes):
    return sum(p * s for p, s in zip(prices, sizes)) / sum(sizes) if sizes else 0.0


def minute_bars(data, least=0):
    total = 0.0
    for ts, prices, sizes in data.trades:
        bars = {}
        for at, price, size in zip(ts, prices, sizes):
            if size >= least:
                bars.setdefault(at // MINUTE_NS, []).append((price, size))
        total += sum(vwap(*zip(*rows)) for rows in bars.values())
    return total


def rolling(data, value):
    total = 0.0
    for ts, prices, sizes in data.trades:
        for row, at in enumerate(ts):
            first = bisect.bisect_left(ts, at - 5 * MINUTE_NS)
            total += value(prices[first:row + 1], sizes[first:row + 1])
    return total


def ema(data):
    total = 0.0
    for _, prices, _ in data.trades:
        average = prices[0] if prices else 0.0
        for price in prices:
            average = 0.1 * price + 0.9 * average
            total += average
    return total


def span_vwap(data, symbol, begin, length):
    ts, prices, sizes = data.trades[symbol]
    first, last = bisect.bisect_left(ts, begin), bisect.bisect_left(ts, begin + length)
    return vwap(prices[first:last], sizes[first:last])


def range_sum(data, symbol, begin):
    ts, bid = data.quotes[symbol]
    return sum(bid[bisect.bisect_left(ts, begin):bisect.bisect_left(ts, begin + MINUTE_NS)])


def expected(data):
    keys, symbols = data.keys, range(data.manifest["n_symbols"])
    t0, day = data.manifest["t0"], data.manifest["day_ns"]
    spans = {"1s": MINUTE_NS // 60, "1m": MINUTE_NS, "1h": 60 * MINUTE_NS}
    sums = {
        "asof_join": sum(data.bid_at(symbol, at) for symbol in symbols for at in data.trades[symbol][0]),
        "point_asof": sum(data.bid_at(symbol, at) for symbol, at in keys[:200]),
        "snapshot": sum(data.bid_at(symbol, at) for _, at in keys[:20] for symbol in symbols),
        "last_one": sum((data.quotes[symbol][1] or [0.0])[-1] for symbol, _ in keys[:200]),
        "vwap_bars_1m": minute_bars(data),
        "vwap_bars_1m_where": minute_bars(data, 500),
        "rolling_vwap_5m": rolling(data, vwap),
        "rolling_mean_5m": rolling(data, lambda prices, _: sum(prices) / len(prices)),
        "ema_0.1": ema(data),
        "range_1m": sum(range_sum(data, symbol, at) for symbol, at in keys[:100]),
        "long_vwap_day": sum(span_vwap(data, symbol, t0, day) for symbol, _ in keys[:200]),
        "ingest": data.manifest["n_quotes"],
        "ingest_rows_per_s": data.manifest["n_quotes"],
        "quote_row_bytes": data.manifest["n_quotes"],
    }
    for name, length in spans.items():
        sums[f"long_vwap_{name}"] = sum(span_vwap(data, symbol, at, length) for symbol, at in keys[:200])
    return sums


class BenchTest(unittest.TestCase):
    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.columns = self.directory.path / "columns"

    def bench(self, *arguments):
        done = subprocess.run([str(BIN / "proxist-bench"), *map(str, arguments)], capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def generate(self, *options):
        code, _, err = self.bench("gen", "--dir", self.columns, *options)
        self.assertEqual(code, 0, err)

    def query(self):
        code, out, err = self.bench("query", "--columns", self.columns, "--dir", self.directory.path, "--passes", 2)
        self.assertEqual(code, 0, err)
        return [line.split("\t") for line in out.splitlines()]

    def test_check_sums_are_those_of_a_naive_computation(self):
        # Of so many symbols that several threads answer what is asked about all of them.
        self.generate("--quotes", 30000, "--trades", 4000, "--symbols", 100, "--keys", 300, "--seed", 7)
        lines = self.query()
        shared = {"asof_join", "vwap_bars_1m", "vwap_bars_1m_where", "rolling_vwap_5m", "rolling_mean_5m", "ema_0.1"}
        processors = len(os.sched_getaffinity(0))
        for task, total in expected(Columns(self.columns)).items():
            with self.subTest(task):
                of_task = [line for line in lines if line[0] == task]
                self.assertEqual([int(line[1]) for line in of_task],
                                 [1, processors] if task in shared and processors > 1 else [1])
                for _, _, n, p50, p99, _ in of_task:
                    self.assertGreater(int(n), 0)
                    self.assertLessEqual(float(p50), float(p99))
                for line in of_task + [line for line in lines if line[0] == f"{task}.loop"]:
                    self.assertAlmostEqual(float(line[5]), total, delta=RELATIVE * max(1.0, abs(total)))

    def test_more_symbols_than_have_rows(self):
        self.generate("--quotes", 50, "--trades", 20, "--symbols", 200, "--keys", 30)
        lines = self.query()
        for task, total in expected(Columns(self.columns)).items():
            with self.subTest(task):
                for line in (line for line in lines if line[0] == task):
                    self.assertAlmostEqual(float(line[5]), total, delta=RELATIVE * max(1.0, abs(total)))

    def test_a_file_of_another_length_is_refused(self):
        self.generate("--quotes", 100, "--trades", 20, "--symbols", 3, "--keys", 5)
        with open(self.columns / "trades.ts.i64", "ab") as file:
            file.write(bytes(8))
        code, _, err = self.bench("query", "--columns", self.columns, "--dir", self.directory.path)
        self.assertEqual(code, 13)
        self.assertIn("trades.ts.i64", err)


if __name__ == "__main__":
    unittest.main()
