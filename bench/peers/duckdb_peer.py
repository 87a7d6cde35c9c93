#!/usr/bin/env python3
"""The tasks in DuckDB, in this process, through its C interface."""

import ctypes
import pathlib
import sys

from columns import QUOTES, TRADES, WIDTHS, Columns
from tasks import report

LIBRARY = pathlib.Path(__file__).parent / "node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so"
TYPES = {"i32": 4, "i64": 5, "f64": 11}  # of duckdb_type
SQL = {"i32": "INTEGER", "i64": "BIGINT", "f64": "DOUBLE"}
DIALECT = {
    "asof": "SELECT sum(q.bid), sum(q.ask) FROM trades t ASOF JOIN quotes q ON t.sym = q.sym AND t.ts >= q.ts",
    "last": "arg_max",
    "div": "{} // {}",
    "five_minutes": ("ts", 300 * 10**9),
    "one_thread": "SET threads = 1",
}


class Result(ctypes.Structure):
    """duckdb_result: fields that only the library reads."""

    _fields_ = [("counts", ctypes.c_uint64 * 3), ("pointers", ctypes.c_void_p * 3)]


class DuckDb:
    def __init__(self):
        self.lib = ctypes.CDLL(str(LIBRARY))
        for name in ("duckdb_create_logical_type", "duckdb_create_data_chunk", "duckdb_data_chunk_get_vector",
                     "duckdb_vector_get_data"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        self.lib.duckdb_result_error.restype = ctypes.c_char_p
        self.lib.duckdb_vector_size.restype = ctypes.c_uint64
        database, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.lib.duckdb_open(None, ctypes.byref(database)), "open")
        self.check(self.lib.duckdb_connect(database, ctypes.byref(self.connection)), "connect")

    @staticmethod
    def check(state, what):
        if state != 0:
            raise RuntimeError(f"DuckDB: {what} failed")

    def ask(self, sql):
        result = Result()
        state = self.lib.duckdb_query(self.connection, sql.encode(), ctypes.byref(result))
        why = self.lib.duckdb_result_error(ctypes.byref(result)) if state != 0 else b""
        self.lib.duckdb_destroy_result(ctypes.byref(result))
        if state != 0:
            raise RuntimeError(f"DuckDB: {why.decode(errors='replace')}: {sql}")

    def load(self, columns, table, kinds):
        """The rows, then sorted by symbol and time, as an index on them would have it."""
        self.ask(f"CREATE TABLE loaded ({', '.join(f'{name} {SQL[kind]}' for name, kind in kinds.items())})")
        appender = ctypes.c_void_p()
        self.check(self.lib.duckdb_appender_create(self.connection, None, b"loaded", ctypes.byref(appender)), "append")
        types = (ctypes.c_void_p * len(kinds))(
            *(self.lib.duckdb_create_logical_type(TYPES[kind]) for kind in kinds.values()))
        chunk = ctypes.c_void_p(self.lib.duckdb_create_data_chunk(types, ctypes.c_uint64(len(kinds))))
        step = self.lib.duckdb_vector_size()
        views = [(columns.view(table, name, kind), WIDTHS[kind]) for name, kind in kinds.items()]
        for begin in range(0, columns.rows(table), step):
            rows = min(step, columns.rows(table) - begin)
            self.lib.duckdb_data_chunk_reset(chunk)
            for index, (view, width) in enumerate(views):
                vector = ctypes.c_void_p(self.lib.duckdb_data_chunk_get_vector(chunk, ctypes.c_uint64(index)))
                to = ctypes.c_void_p(self.lib.duckdb_vector_get_data(vector))
                ctypes.memmove(to, bytes(view[begin * width:(begin + rows) * width]), rows * width)
            self.lib.duckdb_data_chunk_set_size(chunk, ctypes.c_uint64(rows))
            self.check(self.lib.duckdb_append_data_chunk(appender, chunk), "append")
        self.check(self.lib.duckdb_appender_destroy(ctypes.byref(appender)), "append")
        self.ask(f"CREATE TABLE {table} AS SELECT * FROM loaded ORDER BY sym, ts")
        self.ask("DROP TABLE loaded")


def main():
    columns = Columns(sys.argv[1])
    duckdb = DuckDb()
    duckdb.load(columns, "quotes", QUOTES)
    duckdb.load(columns, "trades", TRADES)
    report(columns, DIALECT, duckdb.ask, int(sys.argv[2]))


if __name__ == "__main__":
    main()
