#!/usr/bin/env python3
"""Runs the real-process tests here, or those of tests/accept or tests/soak, on release binaries, and counts them."""

import argparse
import os
import pathlib
import sys
import time
import unittest
import uuid

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))


class TimedResult(unittest.TextTestResult):
    """Says each test's outcome and time on one line as it ends."""

    began = time.monotonic()  # of a class whose setup fails no test has begun

    def startTest(self, test):
        unittest.TestResult.startTest(self, test)
        self.began = time.monotonic()

    def say(self, outcome, test, why=""):
        self.stream.writeln(f"  {outcome:6} {time.monotonic() - self.began:6.1f} s  {test.id()}" + (f": {why}" if why else ""))
        self.stream.flush()

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.say("ok", test)

    def addFailure(self, test, err):
        unittest.TestResult.addFailure(self, test, err)
        self.say("FAILED", test)

    def addError(self, test, err):
        unittest.TestResult.addError(self, test, err)
        self.say("ERROR", test)

    def addSkip(self, test, reason):
        unittest.TestResult.addSkip(self, test, reason)
        self.say("skip", test, reason)


def processes_of(run):
    """Ids of living processes that were started, directly or not, by this run."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"PROXIST_TEST_RUN={run}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--accept", action="store_true", help="the tests on real data")
    parser.add_argument("--soak", action="store_true", help="the long tests")
    parser.add_argument("names", nargs="*", help="only tests whose id contains one of these")
    arguments = parser.parse_args()
    run = str(uuid.uuid4())
    os.environ["PROXIST_BIN"] = str(arguments.bin.resolve())
    os.environ["PROXIST_TEST_RUN"] = run

    suite = unittest.TestSuite()
    folder = str(ROOT / "tests/accept" if arguments.accept else ROOT / "tests/soak" if arguments.soak else HERE)
    for group in unittest.defaultTestLoader.discover(folder, pattern="test_*.py", top_level_dir=folder):
        for test in flattened(group):
            if not arguments.names or any(name in test.id() for name in arguments.names):
                suite.addTest(test)
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=TimedResult, verbosity=0).run(suite)

    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    passed = result.testsRun - failed - len(result.skipped)
    left = processes_of(run)
    if left:
        print(f"processes left behind: {left}")
        failed += 1
    if result.testsRun == 0:
        print("no test was found")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def flattened(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flattened(item)
        else:
            yield item


if __name__ == "__main__":
    sys.exit(main())
