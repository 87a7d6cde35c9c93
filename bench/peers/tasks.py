"""The tasks of `proxist-bench query --columns` as SQL, and how they are timed."""

import statistics
import time

MINUTE = 60 * 10**9
POINTS, SNAPSHOTS, RANGES = 200, 20, 100
LARGE = 500  # the least size of a large trade
# Peers take milliseconds for what they have no index for: fewer questions show as much.
MOST_QUESTIONS = 50


def questions(columns, dialect):
    """By task, its questions: one statement each."""
    keys = columns.keys
    last = dialect["last"]
    window = ("FROM trades WINDOW w AS (PARTITION BY sym ORDER BY {} RANGE BETWEEN {} PRECEDING AND CURRENT ROW)"
              .format(*dialect["five_minutes"]))
    return {
        "asof_join": [dialect["asof"]],
        "point_asof": [f"SELECT bid FROM quotes WHERE sym = {sym} AND ts <= {ts} ORDER BY ts DESC LIMIT 1"
                       for sym, ts in keys[:POINTS]],
        "snapshot": [f"SELECT sum(b) FROM (SELECT {last}(bid, ts) AS b FROM quotes WHERE ts <= {ts} GROUP BY sym) AS s"
                     for _, ts in keys[:SNAPSHOTS]],
        "last_one": [f"SELECT {last}(bid, ts) FROM quotes WHERE sym = {sym}" for sym, _ in keys[:POINTS]],
        "vwap_bars_1m": [f"SELECT sum(v) FROM (SELECT sum(price * size) / sum(size) AS v FROM trades "
                         f"GROUP BY sym, {dialect['div'].format('ts', MINUTE)}) AS b"],
        "vwap_bars_1m_where": [f"SELECT sum(v) FROM (SELECT sum(price * size) / sum(size) AS v FROM trades "
                               f"WHERE size >= {LARGE} GROUP BY sym, {dialect['div'].format('ts', MINUTE)}) AS b"],
        "rolling_vwap_5m": ["SELECT sum(v) FROM (SELECT sum(price * size) OVER w / sum(size) OVER w AS v "
                            f"{window}) AS r"],
        "rolling_mean_5m": [f"SELECT sum(v) FROM (SELECT avg(price) OVER w AS v {window}) AS r"],
        "range_1m": [f"SELECT sum(bid) FROM quotes WHERE sym = {sym} AND ts >= {ts} AND ts < {ts + MINUTE}"
                     for sym, ts in keys[:RANGES]],
    }


def report(columns, dialect, ask, passes):
    """Prints a line a task: name, median seconds of a question on all threads and on one."""
    shared = dict(measure(columns, dialect, ask, passes))
    ask(dialect["one_thread"])
    for task, seconds in measure(columns, dialect, ask, passes):
        print(task, shared[task], seconds, flush=True)


def measure(columns, dialect, ask, passes):
    """Yields task, median seconds of a question."""
    for task, statements in questions(columns, dialect).items():
        statements = statements[:MOST_QUESTIONS]
        times = []
        for turn in range(passes + 1):
            for statement in statements:
                began = time.perf_counter()
                ask(statement)
                if turn > 0:  # the first pass warms up
                    times.append(time.perf_counter() - began)
        yield task, statistics.median(times)
