#!/usr/bin/env python3
"""Builds and runs every test stage, or those named; the last line is `N passed, N failed`."""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = str(len(os.sched_getaffinity(0)))
FUZZ_SECONDS = 6
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


class Outcome:
    """Tests that passed and failed, added up."""

    def __init__(self, passed=0, failed=0):
        self.passed = passed
        self.failed = failed

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed

    def closing_line(self):
        return f"{self.passed} passed, {self.failed} failed"


def say(text):
    print(text, flush=True)


def run(command, **options):
    """Runs a command in the root; its output goes where ours goes. Returns whether it succeeded."""
    return subprocess.run(command, cwd=ROOT, **options).returncode == 0


def build(preset, targets=()):
    return (run(["cmake", "--preset", preset], stdout=subprocess.DEVNULL)
            and run(["cmake", "--build", "--preset", preset, "--parallel", JOBS]
                    + (["--target", *targets] if targets else [])))


def ctest_commands(preset):
    """{test name: its command} of a configured build."""
    listed = subprocess.run(["ctest", "--test-dir", f"build/{preset}", "--show-only=json-v1"], cwd=ROOT,
                            check=True, capture_output=True, text=True).stdout
    return {t["name"]: t.get("command", []) for t in json.loads(listed)["tests"]}


def count_cases(directory, failed_binaries):
    """Cases from the reports that the test binaries wrote; a binary that left none counts as one."""
    outcome = Outcome()
    for report in pathlib.Path(directory).glob("*.xml"):
        suite = xml.etree.ElementTree.parse(report).getroot()
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        outcome.add(Outcome(int(suite.get("tests", 0)) - int(suite.get("disabled", 0)) - bad, bad))
    outcome.failed = max(outcome.failed, failed_binaries)
    return outcome


def run_ctest(preset, wanted):
    """Builds the wanted tests of a preset and what they start, then runs them."""
    if not run(["cmake", "--preset", preset], stdout=subprocess.DEVNULL):
        return Outcome(0, 1)
    tests = {name: command for name, command in ctest_commands(preset).items() if wanted(name)}
    targets = sorted({pathlib.Path(command[0]).name if command else name for name, command in tests.items()})
    if not tests:
        say(f"  {preset} has no tests")
        return Outcome(0, 1)
    if not build(preset, targets):
        return Outcome(0, 1)
    pattern = "^(" + "|".join(re.escape(name) for name in sorted(tests)) + ")$"
    with tempfile.TemporaryDirectory() as reports:
        command = ["ctest", "--test-dir", f"build/{preset}", "--output-on-failure", "--parallel", JOBS, "-R", pattern]
        result = subprocess.run(without_randomised_addresses(preset) + command, cwd=ROOT, text=True,
                                env={**os.environ, **SANITIZER_ENV, "GTEST_OUTPUT": f"xml:{reports}/"},
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        failed = re.search(r"(\d+) tests failed out of", result.stdout)
        say(result.stdout.strip())
        return count_cases(reports, int(failed.group(1)) if failed else int(result.returncode != 0))


def without_randomised_addresses(preset):
    """The thread sanitizer of g++ 12 cannot map its shadow under more than 28 random bits."""
    bits = pathlib.Path("/proc/sys/vm/mmap_rnd_bits")
    if preset != "tsan" or not bits.exists() or int(bits.read_text()) <= 28:
        return []
    return ["setarch", "--addr-no-randomize"]


def stage_rules():
    outcome = Outcome()
    for command in (["tools/tidy_test.py"], ["tools/tidy.py"]):
        ok = run([sys.executable] + command)
        outcome.add(Outcome(int(ok), int(not ok)))
    return outcome


class ProcessTests:
    """Tests that start real servers: mostly waiting, so they run beside the stages that mostly compile."""

    def __init__(self):
        self.output = tempfile.TemporaryFile("w+")
        self.began = time.monotonic()
        self.running = subprocess.Popen([sys.executable, "tests/process/run.py"], cwd=ROOT, text=True, stdout=self.output)

    def outcome(self):
        """Waits for the end, says what they said, and counts."""
        status = self.running.wait()
        self.output.seek(0)
        text = self.output.read()
        say(text.strip())
        closing = CLOSING.findall(text)
        outcome = Outcome(*map(int, closing[-1])) if closing else Outcome()
        if status != 0 and outcome.failed == 0:
            outcome.failed = 1
        return outcome


def stage_asan():
    return run_ctest("asan-ubsan", lambda name: True)


def stage_tsan():
    return run_ctest("tsan", lambda name: name.endswith("_test"))


def stage_fuzz():
    names = sorted(source.stem for source in (ROOT / "tests/fuzz").glob("*_fuzz.cc"))
    if not names or not build("asan-ubsan", names):
        return Outcome(0, 1)
    outcome = Outcome()
    for name in names:
        corpus = ROOT / "tests/fuzz/corpus" / name.removesuffix("_fuzz")
        with tempfile.TemporaryDirectory() as found:
            ok = run([f"build/asan-ubsan/bin/{name}", f"-max_total_time={FUZZ_SECONDS}", "-timeout=5", "-rss_limit_mb=2048",
                      "-verbosity=0", "-print_final_stats=0", f"-artifact_prefix={ROOT}/build/asan-ubsan/",
                      found] + ([str(corpus)] if corpus.is_dir() else []),
                     env={**os.environ, **SANITIZER_ENV}, stderr=subprocess.STDOUT)
        say(f"  {name}: {'ok' if ok else 'FAILED'}")
        outcome.add(Outcome(int(ok), int(not ok)))
    return outcome


STAGES = {
    "rules": (stage_rules, "module order, sizes, names, links"),
    "process": (lambda: Outcome(0, int(not build("release"))), "release binaries; real processes then run beside what follows"),
    "asan": (stage_asan, "the suite under the address and undefined-behaviour sanitizers"),
    "tsan": (stage_tsan, "the concurrent parts under the thread sanitizer"),
    "fuzz": (stage_fuzz, "each fuzzer on its corpus for a few seconds"),
}


class Report:
    """What each stage came to."""

    def __init__(self):
        self.total = Outcome()
        self.lines = []

    def add(self, name, began, outcome):
        self.lines.append(f"{name:8} {time.monotonic() - began:6.0f} s  {outcome.closing_line()}")
        say(f"== {self.lines[-1]}")
        self.total.add(outcome)


def run_stages(names, report):
    processes = None
    for name in names:
        stage, what = STAGES[name]
        say(f"== {name}: {what}")
        began = time.monotonic()
        outcome = stage()
        if name == "process" and outcome.failed == 0:
            processes = ProcessTests()
            os.nice(10)  # what follows gives way to servers and their clients
        else:
            report.add(name, began, outcome)
    if processes is not None:
        say("== process: what the real processes said")
        report.add("process", processes.began, processes.outcome())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="stage", help=", ".join(STAGES))
    names = parser.parse_args().stages or list(STAGES)
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        parser.error(f"no stage {unknown[0]}: there are {', '.join(STAGES)}")
    if shutil.which("cmake") is None:
        parser.error("cmake is missing: run make setup-dev")
    report, start = Report(), time.monotonic()
    run_stages(names, report)
    say("\n" + "\n".join(report.lines) + f"\n{'all':8} {time.monotonic() - start:6.0f} s")
    say(report.total.closing_line())
    return 1 if report.total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
