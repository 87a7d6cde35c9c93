"""Naive models: every row in a list, plain loops, written from the definitions and nothing else."""

from fractions import Fraction


class Tick:
    """One row of a resolved table."""

    __slots__ = ("symbol", "ts", "seq", "values")

    def __init__(self, symbol, ts, seq, values):
        self.symbol, self.ts, self.seq, self.values = symbol, ts, seq, values

    def order(self, series):
        return (self.symbol, self.ts, self.seq, *(self.values[name] for name in series))


def resolve(versions, series):
    """versions: (op, Tick) in the order they were written. The last version of a key wins, cancelled keys drop."""
    rows = {}
    for op, tick in versions:
        key = tick.order(series)
        rows[key] = None if op == "cancel" else tick
    return [rows[key] for key in sorted(rows) if rows[key] is not None]


def last_by(ticks, at, by=(), where=lambda tick: True):
    """The last row with ts <= at of each (symbol, by...)."""
    last = {}
    for tick in ticks:  # in order
        if tick.ts <= at and where(tick):
            last[(tick.symbol, *(tick.values[name] for name in by))] = tick
    return list(last.values())


def first_by(ticks, at, by=(), where=lambda tick: True):
    """The first row with ts >= at of each (symbol, by...)."""
    first = {}
    for tick in ticks:
        if tick.ts >= at and where(tick):
            first.setdefault((tick.symbol, *(tick.values[name] for name in by)), tick)
    return list(first.values())


def asof(left, right, by=(), where=lambda tick: True, forward=False, strict=False, tolerance=None):
    """For each left row the right row that it matches, or None."""
    groups = {}
    for tick in right:
        if where(tick):
            groups.setdefault((tick.symbol, *(tick.values[name] for name in by)), []).append(tick)
    answer = []
    for tick in left:
        match = None
        rows = groups.get((tick.symbol, *(tick.values[name] for name in by)), [])
        low, high = 0, len(rows)
        # Rows below `low` have ts < tick.ts (forward strict and backward inclusive: <= tick.ts).
        inclusive = strict if forward else not strict
        while low < high:
            middle = (low + high) // 2
            below = rows[middle].ts <= tick.ts if inclusive else rows[middle].ts < tick.ts
            low, high = (middle + 1, high) if below else (low, middle)
        if forward and low < len(rows):
            match = rows[low]
        elif not forward and low > 0:
            match = rows[low - 1]
        if match is not None and tolerance is not None and abs(match.ts - tick.ts) > tolerance:
            match = None
        answer.append((tick, match))
    return answer


def bars(ticks, interval, price="price", size="size"):
    """(symbol, start) -> dict of open high low close volume count vwap (a Fraction, or None)."""
    groups = {}
    for tick in ticks:
        groups.setdefault((tick.symbol, tick.ts // interval * interval), []).append(tick)
    answer = {}
    for key, rows in groups.items():
        prices = [tick.values[price] for tick in rows if tick.values[price] is not None]
        sizes = [tick.values[size] for tick in rows if tick.values[size] is not None]
        both = [(tick.values[price], tick.values[size]) for tick in rows
                if tick.values[price] is not None and tick.values[size] is not None]
        weight = sum(s for _, s in both)
        answer[key] = {
            "open": prices[0] if prices else None, "close": prices[-1] if prices else None,
            "high": max(prices, default=None), "low": min(prices, default=None),
            "volume": sum(sizes), "count": len(rows),
            "vwap": Fraction(sum(p * s for p, s in both), weight) if weight else None,
        }
    return answer


def rolling_sum(ticks, column, window_ns=None, window_rows=None):
    """For each row the exact sum over its trailing window, of its symbol, itself included."""
    answer = []
    history = {}
    for tick in ticks:
        rows = history.setdefault(tick.symbol, [])
        rows.append(tick)
        inside = rows[-window_rows:] if window_rows else [r for r in rows if r.ts >= tick.ts - window_ns]
        values = [r.values[column] for r in inside if r.values[column] is not None]
        answer.append((tick, sum(values) if values else None))
    return answer
