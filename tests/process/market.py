"""Generated ticks with the habits of real feeds: ties, rows identical but for seq, rows out of order."""

import random

TABLES = """\
kind: Table
name: quotes
series: [venue]
columns:
  - {name: venue, type: symbol}
  - {name: bid, type: decimal(4), nullable: true}
  - {name: bid_size, type: int64, nullable: true}
  - {name: ask, type: decimal(4), nullable: true}
  - {name: ask_size, type: int64, nullable: true}
seq: producer
hot: {retain: 24h}
---
kind: Table
name: trades
series: [venue]
columns:
  - {name: venue, type: symbol}
  - {name: price, type: decimal(4)}
  - {name: size, type: int64}
seq: producer
hot: {retain: 24h}
"""

QUOTES_MAP = """\
map: quotes
columns:
  symbol: {column: 1}
  ts: {column: 2, unit: ns}
  seq: {line: true}
  venue: {column: 3}
  bid: {column: 4, scaled: 4}
  bid_size: {column: 5}
  ask: {column: 6, scaled: 4}
  ask_size: {column: 7}
op: {column: 8}
"""

# The same with the sequence number in the first column.
QUOTES_SEQ_MAP = """\
map: quotes
columns:
  seq: {column: 1}
  symbol: {column: 2}
  ts: {column: 3, unit: ns}
  venue: {column: 4}
  bid: {column: 5, scaled: 4}
  bid_size: {column: 6}
  ask: {column: 7, scaled: 4}
  ask_size: {column: 8}
op: {column: 9}
"""

TRADES_MAP = """\
map: trades
columns:
  symbol: {column: 1}
  ts: {column: 2, unit: ns}
  seq: {line: true}
  venue: {column: 3}
  price: {column: 4, scaled: 4}
  size: {column: 5}
"""

# 2013-10-09T13:30:00Z and the length of a session, in nanoseconds.
START = 1381325400 * 10**9
SESSION = 6 * 3600 * 10**9


def decimal(value, scale=4):
    """The text Proxist prints for a decimal held as an integer."""
    if value is None:
        return ""
    sign, digits = "-" if value < 0 else "", str(abs(value)).zfill(scale + 1)
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}"


def quotes(count, symbols=("AIG", "IBM"), seed=1):
    """Lines of a quotes file: one-sided quotes at millisecond times, 29% identical to another row but for seq."""
    random.seed(seed)
    lines, ts = [], START
    for _ in range(count):
        if lines and random.random() < 0.29:
            lines.append(lines[-1])
            continue
        if random.random() > 0.35:
            ts += random.randrange(1, 2 * SESSION // count // 10**6 + 2) * 10**6
        at = ts - random.randrange(0, 5000) * 10**6 if random.random() < 0.05 else ts
        price, size = 475000 + random.randrange(-500, 500) * 100, random.randrange(1, 50)
        side = (price, size, "", "") if random.random() < 0.5 else ("", "", price + 100, size)
        lines.append((random.choice(symbols), at, random.choice("PQTZ"), *side, "put"))
    return lines


def trades(count, symbols=("AIG", "IBM"), seed=2):
    """Lines of a trades file; many share a millisecond with a quote."""
    random.seed(seed)
    lines, ts = [], START
    for _ in range(count):
        if random.random() > 0.3:
            ts += random.randrange(1, 2 * SESSION // count // 10**6 + 2) * 10**6
        lines.append((random.choice(symbols), ts, random.choice("PQTZ"),
                      475000 + random.randrange(-500, 500) * 100, random.randrange(1, 900)))
    return lines


def numbered(lines, first):
    """The lines with sequence numbers from `first` in front."""
    return [(first + index, *line) for index, line in enumerate(lines)]


def text(lines):
    return "".join(",".join(map(str, line)) + "\n" for line in lines)
