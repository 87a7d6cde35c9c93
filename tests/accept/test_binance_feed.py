"""A real feed: the messages of a Binance future, in the order in which they were received, which is not that of their times.

Every message is a row of `feed`, stamped with the exchange's time: thousands come late, and most share their millisecond
with others. What a plain loop over the sorted rows says must come out wherever the seam lies.
"""

import bisect
import collections
import csv
import gzip
import io
import json
import pathlib
import random
import re
import sys
import unittest
from fractions import Fraction

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/process"))

import market  # noqa: E402
from proxist_process import Directory, Server  # noqa: E402
from real_data import DATA, require  # noqa: E402

MESSAGES = DATA / "binance_usdm_btcusdt_20240808.gz"
SYMBOL = "BTCUSDT"
MS = 10**6
SECOND = 10**9
LEAST_LATE = 5000
MOMENTS = 25
DEPTH = 10
ROUNDING = Fraction(3, 2**53)  # a division of sums and one by the scale

TABLES = """\
kind: Table
name: feed
columns:
  - {name: stream, type: symbol}
  - {name: price, type: decimal(2), nullable: true}
  - {name: size, type: decimal(3), nullable: true}
  - {name: bid, type: decimal(2), nullable: true}
  - {name: bid_size, type: decimal(3), nullable: true}
  - {name: ask, type: decimal(2), nullable: true}
  - {name: ask_size, type: decimal(3), nullable: true}
seq: producer
hot: {retain: 24h}
---
kind: Table
name: trades
columns:
  - {name: price, type: decimal(2)}
  - {name: size, type: decimal(3)}
seq: producer
hot: {retain: 24h}
---
kind: Table
name: depth
columns:
  - {name: action, type: symbol}
  - {name: side, type: symbol}
  - {name: price, type: decimal(2)}
  - {name: size, type: decimal(3)}
seq: producer
hot: {retain: 24h}
---
map: feed
header: true
columns:
  symbol: {const: BTCUSDT}
  ts: {column: ms, unit: ms}
  seq: {column: seq}
  stream: {column: stream}
  price: {column: price}
  size: {column: size}
  bid: {column: bid}
  bid_size: {column: bid_size}
  ask: {column: ask}
  ask_size: {column: ask_size}
---
map: trades
header: true
columns:
  symbol: {const: BTCUSDT}
  ts: {column: ms, unit: ms}
  seq: {column: seq}
  price: {column: price}
  size: {column: size}
---
map: depth
header: true
columns:
  symbol: {const: BTCUSDT}
  ts: {column: ms, unit: ms}
  seq: {column: seq}
  action: {column: action}
  side: {column: side}
  price: {column: price}
  size: {column: size}
"""
HEADERS = {
    "feed": "ms,seq,stream,price,size,bid,bid_size,ask,ask_size",
    "trades": "ms,seq,price,size",
    "depth": "ms,seq,action,side,price,size",
}

Message = collections.namedtuple("Message", "ts seq stream price size bid bid_size ask ask_size")
Level = collections.namedtuple("Level", "ts seq action side price size")


def messages():
    """The JSON of every line, a snapshot of the book as a message among the others."""
    with gzip.open(MESSAGES, "rt") as file:
        for line in file:
            message = json.loads(line.split(" ", 1)[1])
            yield message.get("data") or {**message, "e": "snapshot", "b": message["bids"], "a": message["asks"]}


def files():
    """Lines of each table's CSV, in the order of the feed; `seq` numbers the table's rows."""
    lines = {table: [] for table in HEADERS}

    def add(table, *cells):
        lines[table].append((cells[0], len(lines[table]) + 1, *cells[1:]))

    for message in messages():
        ms, event = message["T"], message["e"]
        price, size = (message["p"], message["q"]) if event == "trade" else ("", "")
        quote = [message[key] for key in "bBaA"] if event == "bookTicker" else [""] * 4
        add("feed", ms, event, price, size, *quote)
        if event == "trade":
            add("trades", ms, price, size)
        if event == "snapshot":
            add("depth", ms, "R", "B", "0", "0")
        if event in ("snapshot", "depthUpdate"):
            for side in "ba":
                for price, size in message[side]:
                    add("depth", ms, "S", side.upper(), price, size)
    return lines


def whole(text, scale):
    """The decimal as an integer; None for an empty cell."""
    if not text:
        return None
    head, _, tail = text.partition(".")
    return int(head + tail.ljust(scale, "0"))


def price_text(value):
    return market.decimal(value, 2)


def size_text(value):
    return market.decimal(value, 3)


class Vwap:
    """Sums over rows that come and go."""

    def __init__(self):
        self.products = self.sizes = self.count = 0

    def add(self, row, sign=1):
        if row.price is not None:
            self.products += sign * row.price * row.size
            self.sizes += sign * row.size
            self.count += sign

    def value(self):
        return Fraction(self.products, self.sizes * 100) if self.sizes else None


class BinanceFeed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        require(MESSAGES)
        cls.lines = files()
        cls.answers = {}
        cls.directory = Directory()
        cls.tables = cls.directory.file("tables.yaml", TABLES)
        cls.files = {table: cls.directory.file(f"{table}.csv", HEADERS[table] + "\n" + market.text(lines))
                     for table, lines in cls.lines.items()}
        # In the order of (ts, seq), as queries see them.
        cls.feed = sorted(Message(ms * MS, seq, stream, whole(price, 2), whole(size, 3), whole(bid, 2), whole(bid_size, 3),
                                  whole(ask, 2), whole(ask_size, 3))
                          for ms, seq, stream, price, size, bid, bid_size, ask, ask_size in cls.lines["feed"])
        cls.trades = sorted(Message(ms * MS, seq, "trade", whole(price, 2), whole(size, 3), *[None] * 4)
                            for ms, seq, price, size in cls.lines["trades"])
        cls.depth = sorted(Level(ms * MS, seq, action, side, whole(price, 2), whole(size, 3))
                           for ms, seq, action, side, price, size in cls.lines["depth"])
        cls.times = sorted({row.ts for row in cls.feed})
        cls.server = Server(cls.directory).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.end()
        cls.directory.remove()

    # --- The import ---

    def late(self):
        """Rows with a time before that of a row that was received before them."""
        newest = late = 0
        for ms, *_ in self.lines["feed"]:
            late += ms < newest
            newest = max(newest, ms)
        return late

    def load(self, table):
        """Rows, batches, and batches that the server had, as the import says."""
        text = self.server.pxctl("import", table, "--file", self.files[table], "--map", self.tables, "--chunk-rows", 1000)
        return tuple(map(int, re.match(r"imported (\d+) rows in (\d+) batches \((\d+) duplicate\)", text).groups()))

    def load_all(self, again):
        for table, lines in self.lines.items():
            rows, batches, duplicate = self.load(table)
            self.assertEqual((rows, duplicate), (len(lines), batches if again else 0), table)
            self.assertGreaterEqual(batches, len(lines) // 1000)

    def check_counts(self, hot):
        counts = {table: len(lines) for table, lines in self.lines.items()}
        if hot:
            held = {table["name"]: table["rows_hot"] for table in self.server.status()["tables"]}
            self.assertEqual(held, counts)
        for table, count in counts.items():
            answer = self.ask("aggregate", table, "--aggregates", "count")
            self.assertEqual(answer, [["symbol", "count"], [SYMBOL, str(count)]])

    # --- The questions ---

    def ask(self, *question):
        text = self.server.pxctl("query", *question, "--output", "csv", "--time", "ns")
        return list(csv.reader(io.StringIO(text)))

    def same(self, question, header, expected):
        """The answer has these rows, and is to the letter what it was before; the first row that differs is named. A
        Fraction in a row stands for the float near it."""
        got = self.ask(*question)
        self.assertEqual(got[0], ["symbol", *header], question)
        before = self.answers.setdefault(question, got)
        for index, (row, want, was) in enumerate(zip(got[1:], expected, before[1:])):
            for cell, value in zip(row[1:], want):
                if isinstance(value, Fraction):
                    self.assertLess(abs(Fraction(cell) - value), value * ROUNDING, f"{self.where}, {question}: row {index}")
            want = [cell if isinstance(value, Fraction) else value for cell, value in zip(row[1:], want)]
            self.assertEqual(row, [SYMBOL, *(value or "" for value in want)], f"{self.where}, {question}: row {index}")
            self.assertEqual(row, was, f"{self.where}, {question}: row {index}")
        self.assertEqual(len(got) - 1, len(expected), f"{self.where}, {question}")
        self.compared += len(expected)

    def check_asof(self):
        quotes = [row for row in self.feed if row.bid is not None]
        for rows, flags in ((quotes, ("--right-where", "bid is not null")), (self.feed, ())):
            times = [row.ts for row in rows]
            for strict in (False, True):
                find = bisect.bisect_left if strict else bisect.bisect_right
                expected = []
                for trade in self.trades:
                    at = find(times, trade.ts)
                    match = rows[at - 1] if at else None
                    expected.append([str(trade.ts), str(trade.seq), price_text(trade.price),
                                     *((match.stream, price_text(match.bid), size_text(match.ask_size), str(match.seq),
                                        str(match.ts)) if match else [""] * 5)])
                self.same(("asof", "--left", "trades", "--right", "feed", "--columns", "price", "--right-columns",
                           "stream,bid,ask_size,seq", *flags, *(("--strict",) if strict else ())),
                          ["ts", "seq", "price", "stream", "bid", "ask_size", "right_seq", "right_ts"], expected)
        # The feed with itself, forwards: each trade with the next quote, at most 2 ms away.
        times = [row.ts for row in quotes]
        expected = []
        for row in self.feed:
            if row.stream == "trade":
                at = bisect.bisect_left(times, row.ts)
                near = at < len(times) and times[at] - row.ts <= 2 * MS
                expected.append([str(row.ts), str(row.seq), price_text(row.price),
                                 *((price_text(quotes[at].ask), str(times[at])) if near else ("", ""))])
        self.same(("asof", "--left", "feed", "--right", "feed", "--where", "stream = 'trade'", "--right-where",
                   "ask is not null", "--direction", "forward", "--tolerance", "2ms", "--columns", "price",
                   "--right-columns", "ask"), ["ts", "seq", "price", "ask", "right_ts"], expected)

    def check_bars(self):
        for table, rows in (("feed", self.feed), ("trades", self.trades)):
            for name, interval in (("1s", SECOND), ("1m", 60 * SECOND)):
                bars = collections.defaultdict(list)
                for row in rows:
                    bars[row.ts // interval * interval].append(row)
                expected = []
                for start, inside in sorted(bars.items()):
                    priced = [row for row in inside if row.price is not None]
                    prices, vwap = [row.price for row in priced], Vwap()
                    for row in priced:
                        vwap.add(row)
                    ends = (prices[0], max(prices), min(prices), prices[-1]) if prices else [None] * 4
                    expected.append([str(start), *map(price_text, ends),
                                     size_text(vwap.sizes if priced else None), str(len(inside)), vwap.value()])
                aggregates = ["open", "high", "low", "close", "volume", "count", "vwap"]
                self.same(("bars", table, "--interval", name, "--aggregates", ",".join(aggregates)), ["ts", *aggregates],
                          expected)

    def check_rolling(self):
        for table, rows in (("feed", self.feed), ("trades", self.trades)):
            for name, width, length in (("5s", 5 * SECOND, None), ("50rows", None, 50)):
                window, vwap, expected = collections.deque(), Vwap(), []
                for row in rows:
                    window.append(row)
                    vwap.add(row)
                    while window[0].ts < row.ts - width if width else len(window) > length:
                        vwap.add(window.popleft(), -1)
                    expected.append([str(row.ts), str(row.seq), price_text(row.price), str(len(window)), str(vwap.count),
                                     size_text(vwap.sizes if vwap.count else None), vwap.value()])
                self.same(("rolling", table, "--window", name, "--columns", "price", "--aggregates",
                           "count,count(price),sum(size),vwap"),
                          ["ts", "seq", "price", "count", "count(price)", "sum(size)", "vwap"], expected)

    def check_last_by(self):
        moments = random.Random(7).sample(self.times, MOMENTS - 2) + [self.times[0] - 1, self.times[-1]]
        keys = [row.ts for row in self.feed]
        for moment in moments:
            rows = self.feed[:bisect.bisect_right(keys, moment)]
            last = {}
            for row in rows:
                last.setdefault(row.stream, collections.deque(maxlen=2)).append(row)
            # Two of each stream, then one of them all.
            expected = [row for stream in last.values() for row in stream]
            self.same(("last-by", "feed", "--by", "stream", "--count", 2, "--at", moment, "--columns", "stream,price,bid",
                       "--order", "ts,seq"), ["ts", "seq", "stream", "price", "bid"],
                      [[str(row.ts), str(row.seq), row.stream, price_text(row.price), price_text(row.bid)]
                       for row in sorted(expected)])
            self.same(("last-by", "feed", "--at", moment, "--columns", "stream"), ["ts", "seq", "stream"],
                      [[str(row.ts), str(row.seq), row.stream] for row in rows[-1:]])

    def check_range(self):
        draw = random.Random(11)
        spans = [(self.times[0], self.times[-1] + 1)]
        spans += [tuple(sorted(draw.sample(self.times, 2))) for _ in range(5)]
        # A millisecond that holds many rows, and its borders.
        busy = collections.Counter(row.ts for row in self.feed).most_common(1)[0][0]
        spans += [(busy, busy + 1), (busy + 1, busy + SECOND), (busy - SECOND, busy)]
        for begin, end in spans:
            inside = [row for row in self.feed if begin <= row.ts < end]
            self.same(("range", "feed", "--from", begin, "--to", end),
                      ["ts", "seq", "stream", "price", "size", "bid", "bid_size", "ask", "ask_size"],
                      [[str(row.ts), str(row.seq), row.stream, price_text(row.price), size_text(row.size),
                        price_text(row.bid), size_text(row.bid_size), price_text(row.ask), size_text(row.ask_size)]
                       for row in inside])
            self.same(("range", "feed", "--from", begin, "--to", end, "--where", "ask - bid > 0.10 or size >= 1",
                       "--columns", "ask - bid as spread, size"), ["ts", "seq", "spread", "size"],
                      [[str(row.ts), str(row.seq), price_text(None if row.bid is None else row.ask - row.bid),
                        size_text(row.size)]
                       for row in inside
                       if (row.bid is not None and row.ask - row.bid > 10) or (row.size or 0) >= 1000])

    def check_book(self):
        times = sorted({row.ts for row in self.depth})
        levels, at = {"B": {}, "A": {}}, 0
        for moment in sorted(random.Random(3).sample(times, MOMENTS - 2) + [times[0], times[-1]]):
            while at < len(self.depth) and self.depth[at].ts <= moment:
                row = self.depth[at]
                if row.action == "R":
                    levels = {"B": {}, "A": {}}
                else:
                    levels[row.side][row.price] = row.size
                at += 1
            expected = []
            for side, reverse in (("B", True), ("A", False)):
                there = sorted((price for price, size in levels[side].items() if size > 0), reverse=reverse)
                expected += [[side, str(level), price_text(price), size_text(levels[side][price]), "1"]
                             for level, price in enumerate(there[:DEPTH], 1)]
            self.same(("book", "depth", "--at", moment, "--depth", DEPTH, "--clear", "action = 'R'"),
                      ["side", "level", "price", "size", "orders"], expected)

    def check(self, where):
        self.where, self.compared = where, 0
        self.check_asof()
        self.check_bars()
        self.check_rolling()
        self.check_last_by()
        self.check_range()
        self.check_book()
        print(f"{self.compared} rows of answers, {where}: as the plain loops say", flush=True)

    # --- The feed's day ---

    def evict(self, moment):
        for table in self.lines:
            self.server.pxctl("evict", table, "--before", moment)

    def test_the_feed(self):
        s = self.server
        late = self.late()
        self.assertGreater(late, LEAST_LATE)
        print(f"{len(self.feed)} messages, {late} of them late; {len(self.depth)} changes of levels", flush=True)
        s.pxctl("apply", "-f", self.tables)
        self.load_all(again=False)
        self.check_counts(hot=True)
        self.check("all hot")
        self.load_all(again=True)
        self.check_counts(hot=True)
        s.kill()
        s.start()
        self.load_all(again=True)
        self.check_counts(hot=True)
        s.pxctl("flush", "--wait", "--timeout", "300s")
        for table, lines in self.lines.items():
            self.assertEqual(int(s.clickhouse(f"SELECT count() FROM default.{table}_history")), len(lines))
        self.verify_seam()
        # At a moment that several rows share, so that the seam stands between rows received one after the other.
        middle = self.times[len(self.times) // 2]
        self.evict(middle)
        self.check(f"the seam at {middle}")
        self.verify_seam()
        self.evict(middle + 1)
        self.check("1 ns above")
        self.load_all(again=True)
        self.evict(self.times[-1] + 1)
        self.assertEqual({table["name"]: table["rows_hot"] for table in s.status()["tables"]}, dict.fromkeys(self.lines, 0))
        self.check_counts(hot=False)
        self.check("all cold")
        self.assertEqual(s.stop(), 0)

    def verify_seam(self):
        for table in self.lines:
            self.assertIn("no difference", self.server.pxctl("verify-seam", table, "--timeout", "30s"))


if __name__ == "__main__":
    unittest.main()
