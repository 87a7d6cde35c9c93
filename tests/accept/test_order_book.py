"""A real book: every order event of a future's session, and its depth at a hundred moments beside a plain replay."""

import csv
import gzip
import pathlib
import random
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/process"))

from proxist_process import Directory, Server  # noqa: E402
from real_data import DATA, require  # noqa: E402

EVENTS = DATA / "esh4_mbo_20231225.csv.gz"
MOMENTS = 100
DEPTH = 5

TABLE = """\
kind: Table
name: orders
columns:
  - {name: order_id, type: int64}
  - {name: action, type: symbol}
  - {name: side, type: symbol}
  - {name: price, type: decimal(9)}
  - {name: size, type: int64}
seq: producer
hot: {retain: 24h}
"""

MAP = """\
map: orders
header: true
columns:
  symbol: {const: ESH4}
  ts: {column: ts_event, unit: ns}
  seq: {line: true}
  order_id: {column: order_id}
  action: {column: action}
  side: {column: side}
  price: {column: price_1e9, scaled: 9}
  size: {column: size}
"""


class Replay:
    """The state of every order after the events so far."""

    def __init__(self):
        self.orders = {}

    def apply(self, event):
        action, order = event["action"], event["order_id"]
        if action == "R":
            self.orders.clear()
        elif action == "C":
            self.orders.pop(order, None)
        elif action in "AM":
            self.orders[order] = (event["side"], int(event["price_1e9"]), int(event["size"]))

    def depth(self):
        lines = []
        for side, sign in (("B", -1), ("A", 1)):
            levels = {}
            for of_side, price, size in self.orders.values():
                if of_side == side and size > 0:
                    total, count = levels.get(price, (0, 0))
                    levels[price] = (total + size, count + 1)
            for level, price in enumerate(sorted(levels, key=lambda p: sign * p)[:DEPTH], 1):
                size, count = levels[price]
                lines.append(f"ESH4,{side},{level},{price // 10**9}.{price % 10**9:09d},{size},{count}")
        return lines


class OrderBook(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        require(EVENTS)
        with gzip.open(EVENTS, "rt") as file:
            events = list(csv.DictReader(file))
        # Events of one moment stand in the order of the file; some moments come late in it.
        cls.events = sorted(enumerate(events), key=lambda e: (int(e[1]["ts_event"]), e[0]))
        cls.directory = Directory()
        cls.server = Server(cls.directory).start()
        cls.server.pxctl("apply", "-f", cls.directory.file("orders.yaml", TABLE))
        cls.server.pxctl("import", "orders", "--file", str(EVENTS),
                         "--map", cls.directory.file("orders.map.yaml", MAP))

    @classmethod
    def tearDownClass(cls):
        cls.server.end()
        cls.directory.remove()

    def check(self):
        times = sorted({int(event["ts_event"]) for _, event in self.events})
        picked = sorted(random.Random(7).sample(times, MOMENTS - 2) + [times[0], times[-1]])
        replay, at, shown = Replay(), 0, 0
        for moment in picked:
            while at < len(self.events) and int(self.events[at][1]["ts_event"]) <= moment:
                replay.apply(self.events[at][1])
                at += 1
            answer = self.server.pxctl("query", "book", "orders", "--key", "order_id",
                                       "--where", "action in ('A', 'M', 'C', 'R')", "--remove", "action = 'C'",
                                       "--clear", "action = 'R'", "--depth", DEPTH, "--at", moment, "--output", "csv")
            expected = replay.depth()
            self.assertEqual(answer.splitlines()[1:], expected, f"at {moment}")
            shown += len(expected)
        self.assertGreater(shown, MOMENTS * DEPTH)

    def test_1_in_memory(self):
        self.check()

    def test_2_in_history(self):
        self.server.pxctl("flush", "--wait")
        self.server.pxctl("evict", "orders", "--before", "2023-12-25T14:00:00Z")
        self.check()
        self.server.pxctl("evict", "orders", "--before", "2024-01-01T00:00:00Z")
        self.check()


if __name__ == "__main__":
    unittest.main(verbosity=2)
