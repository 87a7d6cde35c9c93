#!/usr/bin/env python3
"""Formatting, tidy rules, shell syntax and clang-tidy: a few checks on changed files, or with --full all on all."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import tidy

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = "build/lint"
JOBS = len(os.sched_getaffinity(0))
QUICK_CHECKS = ("-*,clang-diagnostic-*,bugprone-use-after-move,bugprone-dangling-handle,bugprone-infinite-loop,"
                "bugprone-sizeof-expression,bugprone-suspicious-*,bugprone-undefined-memory-manipulation,"
                "cppcoreguidelines-slicing,performance-for-range-copy,performance-unnecessary-value-param")
QUICK_FILES = 12


def output_of(command):
    """(succeeded, stdout and stderr) of a command run in the root."""
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode == 0, done.stdout


def in_parallel(commands):
    """Runs commands on all cores; the outputs of those that failed."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return [out for ok, out in pool.map(output_of, commands) if not ok]


def sources(*suffixes):
    return [f for f in tidy.tracked_files(ROOT) if f.endswith(suffixes)]


def check_format():
    files = sources(".h", ".cc")
    failed = in_parallel(["clang-format-16", "--dry-run", "-Werror", *files[i::JOBS]] for i in range(min(JOBS, len(files))))
    return [line for out in failed for line in out.splitlines() if "error:" in line]


def check_rules():
    return in_parallel([[sys.executable, "tools/tidy_test.py"], [sys.executable, "tools/tidy.py"]])


def check_scripts():
    shell = [f for f in sources(".sh", ".ci/run")]
    python = sources(".py")
    compiled = "import sys\nfor f in sys.argv[1:]: compile(open(f, encoding='utf-8').read(), f, 'exec')"
    return in_parallel([["bash", "-n", f] for f in shell] + [[sys.executable, "-c", compiled, *python]])


def configure(network):
    """A clang configuration whose compile commands the checks read; generated code is built when it is needed."""
    ok, out = output_of(["cmake", "-S", ".", "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                         "-DCMAKE_CXX_COMPILER=clang++-16", "-DCMAKE_C_COMPILER=clang-16", "-DPROXIST_CCACHE=",
                         f"-DPROXIST_NETWORK={'ON' if network else 'OFF'}"])
    if ok and network:
        ok, out = output_of(["cmake", "--build", BUILD, "--target", "proxist_proto"])
    return [] if ok else [out]


def compiled_files():
    """Sources with a compile command, relative to the root, without generated ones."""
    commands = json.loads((ROOT / BUILD / "compile_commands.json").read_text())
    inside = (os.path.relpath(c["file"], ROOT) for c in commands)
    return sorted(f for f in inside if not f.startswith(("build/", "..")))


def changed_files():
    """Sources that differ from the commit before the last one, and those not yet added."""
    names = set()
    for command in (["diff", "--name-only", "HEAD~1"], ["diff", "--name-only", "HEAD"],
                    ["ls-files", "--others", "--exclude-standard"]):
        ok, out = output_of(["git", "-c", "safe.directory=*", *command])
        names.update(out.split() if ok else [])
    return names


def run_clang_tidy(files, *options):
    failed = in_parallel(["clang-tidy-16", "-p", BUILD, "--quiet", *options, f] for f in files)
    return [re.sub(r"^\d+ warnings? generated\.\n", "", out, flags=re.M) for out in failed]


def check_changed():
    failed = configure(network=False)
    if failed:
        return failed
    files = sorted(changed_files() & set(compiled_files()))
    if len(files) > QUICK_FILES:
        print(f"  {len(files)} files changed, the first {QUICK_FILES} are checked: make lint-full checks all")
    return run_clang_tidy(files[:QUICK_FILES], f"--checks={QUICK_CHECKS}")


def check_all():
    failed = configure(network=True)
    return failed or run_clang_tidy(compiled_files())


def check_headers():
    """Each public or private header compiles alone."""
    commands = json.loads((ROOT / BUILD / "compile_commands.json").read_text())
    sample = next(c for c in commands if "/src/proxist/server/" in c["file"] or "/src/proxist/api/" in c["file"])
    flags = [f for f in sample["command"].split()[1:] if f.startswith(("-I", "-D", "-std", "-W"))]
    system = re.findall(r"-isystem (\S+)", sample["command"])
    flags += [word for path in system for word in ("-isystem", path)] + ["-Wno-pragma-once-outside-header"]
    return in_parallel(["clang++-16", *flags, "-Isrc", "-I.", f"-I{BUILD}/src/proxist/api", "-fsyntax-only", "-x", "c++", h]
                       for h in sources(".h"))


QUICK = (("format", check_format), ("rules", check_rules), ("scripts", check_scripts), ("changed", check_changed))
FULL = (*QUICK[:3], ("clang-tidy", check_all), ("headers", check_headers))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    failures = 0
    for name, check in FULL if parser.parse_args().full else QUICK:
        began = time.monotonic()
        failed = check()
        print(f"lint {name:10} {time.monotonic() - began:6.1f} s  {'FAILED' if failed else 'ok'}", flush=True)
        for out in failed:
            print(out.rstrip())
        failures += bool(failed)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
