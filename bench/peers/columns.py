"""The directory of raw arrays that `proxist-bench gen` writes."""

import array
import mmap
import pathlib
import struct

QUOTES = {"ts": "i64", "sym": "i32", "bid": "f64", "ask": "f64", "bsize": "i64", "asize": "i64"}
TRADES = {"ts": "i64", "sym": "i32", "price": "f64", "size": "i64"}
WIDTHS = {"i64": 8, "i32": 4, "f64": 8}
FORMATS = {"i64": "q", "i32": "i", "f64": "d"}


class Columns:
    """The arrays as views into their files."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        lines = (self.directory / "manifest.txt").read_text().split("\n")
        self.manifest = {name: int(value) for name, value in (line.split() for line in lines if line)}
        self.keys = list(zip(self.read("keys.sym.i32", "i"), self.read("keys.ts.i64", "q")))

    def read(self, name, code):
        values = array.array(code)
        values.frombytes((self.directory / name).read_bytes())
        return values

    def view(self, table, column, kind):
        """The bytes of a column."""
        with open(self.directory / f"{table}.{column}.{kind}", "rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def rows(self, table):
        return self.manifest[f"n_{table}"]


def native_block(columns, table, kinds, types, begin, end):
    """Rows [begin, end) of a table as a block of ClickHouse's Native format."""
    parts = [varint(len(kinds)), varint(end - begin)]
    for name, kind in kinds.items():
        width = WIDTHS[kind]
        parts += [text(name), text(types[kind]), columns.view(table, name, kind)[begin * width:end * width]]
    return b"".join(parts)


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + struct.pack("B", value)


def text(value):
    return varint(len(value)) + value.encode()
