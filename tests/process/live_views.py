"""What tests of live views and SQL share: a server with tables, and SQL over its HTTP port."""

import contextlib
import json
import shutil
import sqlite3
import urllib.error
import urllib.parse
import urllib.request

import market
from proxist_process import Directory, Server, wait_for


class SqlError(Exception):
    """ClickHouse, or Proxist before it, refused."""

    def __init__(self, status, code, text):
        super().__init__(f"HTTP {status}, code {code}: {text}")
        self.status, self.code, self.text = status, code, text


class SqlServer:
    """A proxistd with the market's tables and their live views."""

    def __init__(self, test, *options, tables=market.TABLES, views=("quotes", "trades"), **arguments):
        self.directory = Directory()
        test.addCleanup(self.directory.remove)
        self.server = Server(self.directory, *options, **arguments).start()
        test.addCleanup(self.server.end)
        if tables:
            self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", tables))
            self.wait_for_views(len(views))

    def wait_for_views(self, count):
        wait_for("the live views", lambda: self.status()["live_views"]["views"] == count)

    def status(self):
        return json.loads(self.server.http_get("/status")[1])

    def load(self, table, mapping, lines, *options):
        """Imports lines of a file."""
        data = self.directory.file(f"{table}.csv", market.text(lines))
        self.server.pxctl("import", table, "--file", data,
                          "--map", self.directory.file(f"{table}.map.yaml", mapping), *options)

    def ask(self, sql, headers=None, timeout=120, **parameters):
        """(body, headers) of a query."""
        url = f"http://{self.server.http}/?{urllib.parse.urlencode(parameters)}"
        request = urllib.request.Request(url, data=sql.encode(), headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            raise SqlError(error.code, error.headers.get("X-ClickHouse-Exception-Code"),
                           error.read().decode()) from None

    def sql(self, text, **parameters):
        return self.ask(text, **parameters)[0].decode().strip()

    def numbers(self, text, **parameters):
        return [int(field) for field in self.sql(text, **parameters).split()]

    def token(self):
        """The secret of the views, which ClickHouse hides."""
        copy = self.directory.path / "metadata"
        copy.mkdir(exist_ok=True)
        for path in self.directory.data.glob("meta.db*"):
            shutil.copy(path, copy)
        with contextlib.closing(sqlite3.connect(copy / "meta.db")) as metadata:
            (token,), = metadata.execute("SELECT value FROM entries WHERE key = CAST('node/live_token' AS BLOB)")
        return token.decode()

    def published(self):
        """Rows that the shards have published since they were opened."""
        return sum(shard["rows"] for shard in self.status()["shards"])
