"""A real proxistd under test: started on free loopback ports in a directory of its own, ended by pid."""

import csv
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("PROXIST_BIN", ROOT / "build/release/bin"))
READY = re.compile(r"ready grpc=(\S+) http=(\S+)")
START_SECONDS = 90


class CommandFailed(Exception):
    """pxctl exited with a code that the test did not expect."""

    def __init__(self, arguments, code, out, err):
        super().__init__(f"pxctl {' '.join(map(str, arguments))}: exit {code}: {err.strip()}")
        self.code, self.out, self.err = code, out, err


class Directory:
    """A temporary directory for one test: data, inputs and the server's log."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="proxist-test-"))
        self.data = self.path / "data"
        self.log = self.path / "server.log"

    def file(self, name, text):
        path = self.path / name
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text)
        return path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """One proxistd process over a Directory."""

    def __init__(self, directory, *options, history="embedded", prefix=()):
        self.directory = directory
        self.command = [*prefix, str(BIN / "proxistd"), "--data", str(directory.data), "--grpc", "127.0.0.1:0",
                        "--http", "127.0.0.1:0", "--history", history, *map(str, options)]
        self.process = None
        self.grpc = self.http = None

    def start(self):
        log = open(self.directory.log, "ab")
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log,
                                        stdin=subprocess.DEVNULL)
        log.close()
        line = self.process.stdout.readline().decode()
        match = READY.match(line)
        if not match:
            code = self.process.wait(timeout=START_SECONDS)
            raise AssertionError(f"proxistd did not start (exit {code}): {line!r}\n{self.tail()}")
        self.grpc, self.http = match.groups()
        return self

    def tail(self, lines=30):
        return "\n".join(self.directory.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self):
        """kill -9, as a crash."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """A clean stop; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("proxistd did not stop within 60 s\n" + self.tail())
        finally:
            self.process.stdout.close()
        return code

    def end(self):
        """Whatever state it is in: it is gone afterwards."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def pxctl(self, *arguments, check=True, stdin=None, timeout=300):
        result = subprocess.run([str(BIN / "pxctl"), "--server", self.grpc, *map(str, arguments)],
                                capture_output=True, timeout=timeout, stdin=stdin or subprocess.DEVNULL)
        out, err = result.stdout.decode(errors="surrogateescape"), result.stderr.decode(errors="replace")
        if check and result.returncode != 0:
            raise CommandFailed(arguments, result.returncode, out, err)
        return out if check else (result.returncode, out, err)

    def query(self, *arguments):
        """The answer as a list of dicts of strings; a null is ''."""
        text = self.pxctl("query", *arguments, "--output", "csv", "--time", "ns")
        return list(csv.DictReader(io.StringIO(text)))

    def status(self):
        return json.loads(self.pxctl("status", "--output", "json"))

    def http_get(self, path):
        import urllib.request
        import urllib.error
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def clickhouse(self, sql):
        """Asks the embedded ClickHouse directly, as Proxist's own user."""
        import urllib.request
        url, user, password = self.clickhouse_address()
        request = urllib.request.Request(url + "/", data=sql.encode(),
                                         headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": password})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode().strip()

    def clickhouse_address(self):
        url = self.status()["history"]["url"]
        for path in (self.directory.data / "clickhouse").glob("**/password"):
            return url, "proxist", path.read_text().strip()
        raise AssertionError("the embedded server's password file is missing")

    def clickhouse_pid(self):
        """The pid of the child that runs ClickHouse."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/children")
        for pid in " ".join(path.read_text() for path in children).split():
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"proxist-clickhouse" in command:
                return int(pid)
        return 0


def wait_for(what, condition, seconds=60):
    """Polls until `condition()` is true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
