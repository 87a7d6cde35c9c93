"""A small ext4 file system of a test's own, on a loop device: it can fill up, turn read-only, and lose its device."""

import os
import pathlib
import subprocess
import time
import unittest

MIB = 1 << 20


def run(*command):
    """stderr's text when the command fails, else ''."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, timeout=120)
    except FileNotFoundError as missing:
        return str(missing)
    return done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}" if done.returncode else ""


class LoopDisk:
    """Mounted until the test ends, however it ends. Skips the test where mounting is not permitted."""

    def __init__(self, test, directory, megabytes=192, image_directory=None):
        self.path = pathlib.Path(directory) / "disk"
        self.image = pathlib.Path(image_directory or directory) / "disk.img"
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(megabytes * MIB)
        # No blocks are kept for root, so that a server of root meets the end as well.
        # Everything is written when it is made: nothing of it comes up later in the background.
        refused = run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        if refused:
            raise unittest.SkipTest(f"no ext4 can be made here: {refused}")
        test.addCleanup(self.unmount)
        refused = self.mount()
        if refused:
            raise unittest.SkipTest(f"no loop device can be mounted here: {refused}")

    def mount(self, options=""):
        """Why it could not be mounted, or ''."""
        return run("mount", "-o", "loop" + ("," + options if options else ""), self.image, self.path)

    def unmount(self):
        """Gone afterwards: at once when nothing uses it, at the latest when what uses it ends."""
        for _ in range(50):
            if not os.path.ismount(self.path) or not run("umount", self.path):
                return
            time.sleep(0.1)
        run("umount", "-l", self.path)

    def remount(self, options):
        refused = run("mount", "-o", "remount," + options, self.path)
        if refused:
            raise AssertionError(f"remount,{options}: {refused}")

    def turn_read_only(self):
        """What the kernel does when the journal can't be written. Only mounting it anew makes it writable."""
        self.remount("abort")

    def free(self):
        size = os.statvfs(self.path)
        return size.f_bavail * size.f_bsize

    def fill(self, leave=0):
        """Writes a file that leaves `leave` bytes free; the file's path."""
        ballast = self.path / f"ballast-{time.monotonic_ns()}"
        with open(ballast, "wb") as out:
            if self.free() > leave + MIB:
                os.posix_fallocate(out.fileno(), 0, self.free() - leave - MIB)
            out.seek(0, os.SEEK_END)
            while self.free() > leave:
                try:
                    out.write(b"\xa5" * min(MIB, max(self.free() - leave, 1024)))
                    out.flush()
                except OSError:
                    break  # the last block
            os.fsync(out.fileno())
        return ballast
