"""Faults that the kernel itself makes: a full disk, one that turns read-only, one that fails, missing permissions."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import threading
import unittest

import market
from loop_disk import MIB, LoopDisk, run
from proxist_process import BIN, Directory, Server, wait_for

PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE = 17, 18, 24
ROWS, BATCH = 2500, 500  # of a file, of a write
NOTE = "filled with text, so that few rows fill a log segment; " * 40
TABLE = """\
kind: Table
name: notes
columns:
  - {name: price, type: decimal(4), nullable: true}
  - {name: note, type: string}
"""
MAP = """\
map: notes
columns:
  seq: {column: 1}
  symbol: {column: 2}
  ts: {column: 3, unit: ns}
  price: {column: 4, scaled: 4}
  note: {column: 5}
"""
MAX_FILES = 60
NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def content(directory):
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(pathlib.Path(directory).rglob("*")) if path.is_file()}


class Faults(unittest.TestCase):
    """A server over a directory of its own, and files with ever new rows to import into it."""

    def setUp(self):
        self.directory = Directory()
        self.addCleanup(self.directory.remove)
        self.number = 0
        self.acked = 0  # rows of imports that ended well

    def start(self, *options, prefix=(), program=BIN / "proxistd"):
        self.server = Server(self.directory, "--shards", 1, "--segment-mb", 50, *options, history="none", prefix=prefix)
        self.server.command[len(prefix)] = str(program)
        self.addCleanup(self.server.end)
        self.server.start()
        self.mapping = self.directory.file("notes.map.yaml", MAP)
        self.server.pxctl("apply", "-f", self.directory.file("tables.yaml", TABLE))

    def import_next(self):
        """pxctl's exit code and message for a file of new rows; the same file again after a failure."""
        data = self.directory.file("notes.csv", market.text(self.rows(self.number)))
        code, _, err = self.server.pxctl("import", "notes", "--file", data, "--map", self.mapping,
                                         "--chunk-rows", BATCH, "--retry-for", "0s", check=False)
        if code == 0:
            self.number += 1
            self.acked += ROWS
        return code, err

    @staticmethod
    def rows(number):
        """The lines of a file: seq, symbol, ts, price without its point or nothing, text."""
        for seq in range(number * ROWS + 1, (number + 1) * ROWS + 1):
            price = seq * 37 % 900_000 if seq % 5 else ""
            yield seq, f"S{seq % 7}", market.START + seq * 1000, price, f'"{seq}: {NOTE}"'

    def expected(self, number):
        """The same rows as a query shows them."""
        for seq, symbol, ts, price, note in self.rows(number):
            yield f"{symbol},{ts},{seq},{market.decimal(None if price == '' else price)},{note}"

    def import_until_refused(self):
        for _ in range(MAX_FILES):
            code, err = self.import_next()
            if code != 0:
                return code, err
        raise AssertionError(f"{MAX_FILES} files were taken: the fault never showed")

    def held(self):
        (table,) = self.server.status()["tables"]
        return table["rows_hot"]

    def answers(self):
        """How many rows queries see, and what they answer. (A poisoned shard also holds rows that stay unseen.)"""
        rows = self.server.pxctl("query", "range", "notes", "--output", "csv")
        last = self.server.pxctl("query", "last-by", "notes", "--at", "now", "--output", "csv")
        return rows.count("\n") - 1, last, hashlib.sha256(rows.encode()).hexdigest()

    def problems(self):
        status, body = self.server.http_get("/health")
        return body if status == 503 else ""

    def refused_start(self, code, pattern):
        """The server ends with this code and message, and has said nothing on standard output."""
        done = subprocess.run(self.server.command, capture_output=True, timeout=90, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        self.assertRegex(done.stderr.decode(), pattern)
        self.assertEqual(done.stdout, b"")

    def check_whole(self, before, under_way=0):
        """After the fault is mended and a start: every row is there, and the rest of the file goes in once.

        Of the batches that were `under_way`, and refused in the end, whole ones may be there too.
        """
        self.server.start()
        if under_way == 0:
            self.assertEqual(self.answers(), before)
        self.assertIn(self.held() - before[0], [batches * BATCH for batches in range(under_way + 1)])
        self.assertGreaterEqual(before[0], self.acked)
        self.assertEqual(self.import_next(), (0, ""))
        self.assertEqual(self.held(), self.acked)
        rows = self.server.pxctl("query", "range", "notes", "--output", "csv", "--time", "ns").splitlines()[1:]
        self.assertEqual(len(rows), self.acked)
        expected = sum(hash(line) for number in range(self.number) for line in self.expected(number))
        self.assertEqual(sum(map(hash, rows)), expected, "other rows came back than went in")
        self.assertEqual(self.server.stop(), 0)
        verified = subprocess.run([str(BIN / "pxinspect"), "verify", str(self.directory.data)], capture_output=True)
        self.assertEqual((verified.returncode, verified.stderr), (0, b""))


class FullDisk(Faults):
    def setUp(self):
        super().setUp()
        self.disk = LoopDisk(self, self.directory.path)
        self.directory.data = self.disk.path / "data"

    def test_writing_goes_on_when_there_is_room_again(self):
        self.start("--snapshot-interval-s", 1)
        ballast = self.disk.fill(leave=MIB)
        code, err = self.import_until_refused()
        self.assertEqual(code, RESOURCE_EXHAUSTED, err)
        self.assertRegex(err, r"RESOURCE_EXHAUSTED: .*\.wal.*: .*No space left on device")
        before = self.answers()
        self.assertGreaterEqual(before[0], self.acked)
        self.assertGreater(self.acked, 0)
        self.assertEqual(self.import_next()[0], RESOURCE_EXHAUSTED)
        # Batches of the refused file may fit, one by one, into what is left of the open segment.
        self.assertIn(self.answers()[0] - before[0], range(0, ROWS, BATCH))
        wait_for("the snapshot that has no room is a problem",
                 lambda: "snapshot failed" in self.problems() and "No space left" in self.problems())
        self.assertNotIn("takes no writes", self.problems())
        ballast.unlink()
        self.assertEqual(self.import_next(), (0, ""))
        self.assertEqual(self.held(), self.acked)
        wait_for("no problem is left", lambda: self.problems() == "")
        before = self.answers()
        self.server.kill()
        self.check_whole(before)

    def test_kill_9_on_a_full_disk_and_a_start_on_one(self):
        self.start()
        ballast = [self.disk.fill(leave=MIB)]
        self.assertEqual(self.import_until_refused()[0], RESOURCE_EXHAUSTED)
        ballast.append(self.disk.fill())
        before = self.answers()
        self.server.kill()
        ballast.append(self.disk.fill())
        logs = content(self.directory.data / "wal")
        self.refused_start(RESOURCE_EXHAUSTED, r"proxistd: .*(disk is full|No space left on device)")
        self.refused_start(RESOURCE_EXHAUSTED, r"proxistd: .*(disk is full|No space left on device)")
        self.assertEqual(content(self.directory.data / "wal"), logs)
        for file in ballast:
            file.unlink()
        self.check_whole(before)

    def test_a_new_data_directory_on_a_full_disk(self):
        ballast = self.disk.fill()
        self.server = Server(self.directory, history="none")
        self.refused_start(RESOURCE_EXHAUSTED, r"proxistd: .*(disk is full|No space left on device)")
        ballast.unlink()
        self.start()
        self.assertEqual(self.import_next(), (0, ""))
        self.assertEqual(self.server.stop(), 0)


class OwnDisk(Faults):
    def test_a_disk_of_its_own_is_an_empty_directory(self):
        self.directory.data = LoopDisk(self, self.directory.path).path
        self.assertEqual([path.name for path in self.directory.data.iterdir()], ["lost+found"])
        self.start()
        self.assertEqual(self.import_next(), (0, ""))
        self.assertEqual(self.server.stop(), 0)


class ReadOnlyDisk(Faults):
    def setUp(self):
        super().setUp()
        self.disk = LoopDisk(self, self.directory.path)
        self.directory.data = self.disk.path / "data"

    def test_the_kernel_turns_it_read_only_under_load(self):
        self.start()
        outcome = []
        loader = threading.Thread(target=lambda: outcome.append(self.import_until_refused()))
        loader.start()
        wait_for("rows came in", lambda: self.held() > ROWS)
        self.disk.turn_read_only()
        loader.join()
        ((code, err),) = outcome
        self.assertEqual(code, UNAVAILABLE, err)
        self.assertRegex(err, r"shard 0 takes no writes since a log write or sync failed \(.*\); reads go on")
        self.assertRegex(self.problems(), "shard 0 takes no writes since a log write or sync failed")
        before = self.answers()
        self.assertGreaterEqual(before[0], self.acked)
        self.assertEqual(self.import_next()[0], UNAVAILABLE)
        self.assertEqual(self.answers(), before)
        self.assertEqual(self.server.stop(), 0)
        self.refused_start(PERMISSION_DENIED, r"data/LOCK: .*Read-only file system")
        self.disk.unmount()
        self.assertEqual(self.disk.mount(), "")
        # A write that fails may have reached the disk all the same.
        self.check_whole(before, under_way=ROWS // BATCH)

    def test_a_start_on_a_read_only_disk_changes_nothing(self):
        self.start()
        self.assertEqual(self.import_next(), (0, ""))
        before = self.answers()
        self.server.kill()
        self.disk.remount("ro")
        files = content(self.directory.data)
        self.refused_start(PERMISSION_DENIED, r"data/LOCK: .*Read-only file system")
        for command in ("verify", "wal"):
            looked = subprocess.run([str(BIN / "pxinspect"), command, str(self.directory.data)], capture_output=True)
            self.assertEqual((looked.returncode, looked.stderr), (0, b""))
        self.assertEqual(content(self.directory.data), files)
        self.disk.remount("rw")
        self.check_whole(before)


class FailingDisk(Faults):
    """The disk's image lies on a smaller file system, so writes of new blocks fail in the device."""

    def setUp(self):
        super().setUp()
        self.below = self.directory.path / "below"
        self.below.mkdir()
        refused = run("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", self.below)
        if refused:
            self.skipTest(f"no file system can be mounted here: {refused}")
        self.addCleanup(run, "umount", "-l", self.below)
        self.disk = LoopDisk(self, self.directory.path, image_directory=self.below)
        self.directory.data = self.disk.path / "data"

    def test_a_device_that_takes_no_more(self):
        """What fails depends on whose blocks come first: the next segment's, or the journal's under a write."""
        self.start()
        size = os.statvfs(self.below)
        used = (size.f_blocks - size.f_bfree) * size.f_bsize
        self.assertEqual(run("mount", "-o", f"remount,size={used + MIB}", self.below), "")
        code, err = self.import_until_refused()
        if code == UNAVAILABLE:
            self.assertRegex(err, r"shard 0 takes no writes since a log write or sync failed \(.*"
                                  r"(Input/output error|Read-only file system|No space left on device)")
            self.assertRegex(self.problems(), "shard 0 takes no writes since a log write or sync failed")
            self.assertEqual(self.import_next()[0], UNAVAILABLE)
        else:
            self.assertEqual(code, RESOURCE_EXHAUSTED, err)
            self.assertRegex(err, r"\.wal\.tmp: .*No space left on device")
        before = self.answers()
        self.assertGreaterEqual(before[0], self.acked)
        self.assertGreater(self.acked, 0)
        self.server.kill()
        self.assertEqual(run("mount", "-o", "remount,size=400m", self.below), "")
        self.disk.unmount()
        self.assertEqual(self.disk.mount(), "")
        self.check_whole(before, under_way=ROWS // BATCH)


@unittest.skipUnless(os.geteuid() == 0, "giving up rights needs root")
class Permissions(Faults):
    """A server of another user, which the modes of files bind."""

    def setUp(self):
        super().setUp()
        self.directory.path.chmod(0o755)
        # The build may lie below a private home.
        self.program = self.directory.path / "proxistd"
        shutil.copyfile(BIN / "proxistd", self.program)
        self.program.chmod(0o755)
        self.directory.data.mkdir()
        os.chown(self.directory.data, NOBODY, NOBODY)
        refused = run(*AS_NOBODY, "test", "-x", self.program)
        if refused:
            self.skipTest(f"nothing can be run as another user: {refused}")
        self.start(prefix=AS_NOBODY, program=self.program)
        self.log = self.directory.data / "wal" / "0"

    @staticmethod
    def protect(path, writable):
        """Takes the right to write from a tree, or gives it back."""
        for one in (path, *path.rglob("*")):
            one.chmod((0o700 if one.is_dir() else 0o600) if writable else (0o500 if one.is_dir() else 0o400))

    def test_a_data_directory_that_may_not_be_written(self):
        self.assertEqual(self.import_next(), (0, ""))
        before = self.answers()
        self.server.kill()
        self.protect(self.directory.data, writable=False)
        files = content(self.directory.data)
        self.refused_start(PERMISSION_DENIED, r"data/LOCK: .*Permission denied")
        self.assertEqual(content(self.directory.data), files)
        self.protect(self.directory.data, writable=True)
        self.check_whole(before)

    def test_a_log_that_may_not_be_written(self):
        self.assertEqual(self.import_next(), (0, ""))
        before = self.answers()
        self.server.kill()
        self.protect(self.log, writable=False)
        files = content(self.log)
        self.refused_start(PERMISSION_DENIED, r"wal/0/\S+: .*Permission denied")
        self.assertEqual(content(self.log), files)
        self.protect(self.log, writable=True)
        self.check_whole(before)

    def test_a_log_directory_that_loses_its_permission_under_load(self):
        self.assertEqual(self.import_next(), (0, ""))
        self.log.chmod(0o500)
        code, err = self.import_until_refused()
        self.assertEqual(code, UNAVAILABLE, err)
        self.assertRegex(err, r"shard 0 takes no writes since a log write or sync failed \(.*Permission denied")
        self.assertRegex(self.problems(), "shard 0 takes no writes since a log write or sync failed")
        before = self.answers()
        self.server.kill()
        self.log.chmod(0o700)
        self.check_whole(before)


class FullOutput(Faults):
    """What a program prints and can't be written is an error, not a success."""

    def run_into_dev_full(self, program, *arguments):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([str(BIN / program), *map(str, arguments)], stdout=full, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, timeout=120)
        return done.returncode, done.stderr.decode()

    def assert_unavailable(self, program, *arguments):
        code, err = self.run_into_dev_full(program, *arguments)
        self.assertEqual(code, UNAVAILABLE, err)
        self.assertRegex(err, rf"^{program}: .*cannot write to stdout: No space left on device\n$")

    def test_dev_full(self):
        self.start("--snapshot-interval-s", 1)
        self.assertEqual(self.import_next(), (0, ""))
        client = ("--server", self.server.grpc)
        for output in ("table", "csv", "json"):
            self.assert_unavailable("pxctl", *client, "query", "range", "notes", "--output", output)
        self.assert_unavailable("pxctl", *client, "query", "last-by", "notes", "--at", "now")
        self.assert_unavailable("pxctl", *client, "tables")
        self.assert_unavailable("pxctl", *client, "status")
        data = self.directory.data
        wait_for("a snapshot", lambda: json.loads(self.server.http_get("/status")[1])["shards"][0]["snapshot_lsn"] > 0)
        self.assertEqual(self.server.stop(), 0)
        for command in (("wal", data), ("wal", data, "--records", "--json"), ("snapshot", data, "--series"),
                        ("chunks", data, "--json")):
            self.assert_unavailable("pxinspect", *command)
        code, err = self.run_into_dev_full("pxinspect", "verify", data)
        self.assertEqual(code, 1)
        self.assertIn("cannot write to stdout: No space left on device", err)
        self.assert_unavailable("proxist-bench", "ack", "--dir", self.directory.path, "--rounds", 10)
        code, err = self.run_into_dev_full("proxistd", "--print-config-reference")
        self.assertEqual(code, 1)
        self.assertEqual(err, "proxistd: cannot write to stdout: No space left on device\n")


if __name__ == "__main__":
    unittest.main()
