"""A running ClickHouse without history, which no flush looks after."""

import os
import signal

from proxist_process import Directory, Server, wait_for


class LoneClickHouse:
    """Ends with the test `case`. `address`: (host, port); `scheme`: what stands before an address in a URL."""

    def __init__(self, case):
        directory = Directory()
        case.addCleanup(directory.remove)
        host = Server(directory).start()
        case.addCleanup(host.end)
        wait_for("ClickHouse", lambda: host.status()["history"]["reachable"])
        self.pid = host.clickhouse_pid()
        url, user, password = host.clickhouse_address()
        # The server that started it stands still from now on and cannot be asked where it is.
        host.clickhouse_address = lambda: (url, user, password)
        os.kill(host.process.pid, signal.SIGSTOP)
        self.ask = host.clickhouse
        self.ask("DROP DATABASE proxist SYNC")
        name, port = url.removeprefix("http://").split(":")
        self.address = (name, int(port))
        self.scheme = f"http://{user}:{password}@"
