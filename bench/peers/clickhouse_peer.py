#!/usr/bin/env python3
"""The tasks in ClickHouse, in this process, out of libchdb."""

import ctypes
import pathlib
import sys
import tempfile

from columns import QUOTES, TRADES, Columns, native_block
from tasks import report

LIBRARY = pathlib.Path(__file__).resolve().parents[2] / "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"
TYPES = {"i32": "Int32", "i64": "Int64", "f64": "Float64"}
BLOCK_ROWS = 500_000
DIALECT = {
    "asof": "SELECT sum(q.bid), sum(q.ask) FROM trades AS t ASOF JOIN quotes AS q ON t.sym = q.sym AND t.ts >= q.ts "
            "SETTINGS join_algorithm = 'hash'",
    "last": "argMax",
    "div": "intDiv({}, {})",
    # Frames take 32 bits; generated times are whole microseconds.
    "five_minutes": ("intDiv(ts, 1000)", 300 * 10**6),
    "one_thread": "SET max_threads = 1",
}


class ClickHouse:
    def __init__(self, directory):
        self.lib = ctypes.CDLL(str(LIBRARY))
        self.lib.chdb_connect.restype = ctypes.POINTER(ctypes.c_void_p)
        self.lib.chdb_query.restype = ctypes.c_void_p
        self.lib.chdb_query.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
        self.lib.chdb_result_error.restype = ctypes.c_char_p
        self.lib.chdb_result_error.argtypes = [ctypes.c_void_p]
        self.lib.chdb_destroy_query_result.argtypes = [ctypes.c_void_p]
        arguments = (ctypes.c_char_p * 2)(b"clickhouse", f"--path={directory}".encode())
        self.connection = self.lib.chdb_connect(2, arguments)
        if not self.connection:
            raise RuntimeError("ClickHouse: it does not open")

    def ask(self, sql):
        result = self.lib.chdb_query(self.connection[0], sql.encode(), b"TabSeparated")
        why = self.lib.chdb_result_error(result)
        self.lib.chdb_destroy_query_result(result)
        if why:
            raise RuntimeError(f"ClickHouse: {why.decode(errors='replace')}: {sql}")

    def load(self, columns, table, kinds, directory):
        declared = ", ".join(f"{name} {TYPES[kind]}" for name, kind in kinds.items())
        self.ask(f"CREATE TABLE {table} ({declared}) ENGINE = MergeTree ORDER BY (sym, ts)")
        file = pathlib.Path(directory) / "block.native"
        for begin in range(0, columns.rows(table), BLOCK_ROWS):
            end = min(begin + BLOCK_ROWS, columns.rows(table))
            file.write_bytes(native_block(columns, table, kinds, TYPES, begin, end))
            self.ask(f"INSERT INTO {table} SELECT * FROM file('{file}', Native)")
        file.unlink()
        self.ask(f"OPTIMIZE TABLE {table} FINAL")


def main():
    columns = Columns(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=sys.argv[3]) as directory:
        clickhouse = ClickHouse(directory + "/data")
        clickhouse.load(columns, "quotes", QUOTES, directory)
        clickhouse.load(columns, "trades", TRADES, directory)
        report(columns, DIALECT, clickhouse.ask, int(sys.argv[2]))
        clickhouse.lib.chdb_close_conn(clickhouse.connection)


if __name__ == "__main__":
    main()
