#!/usr/bin/env python3
"""Checks what compilers do not: module order, sizes, names, links, words. Prints each finding as path:line: text."""

import argparse
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tidy_rules import functions, modules, names, sizes, text  # noqa: E402

RULES = (modules.check, sizes.check, functions.check, names.check, text.check)


def tracked_files(root):
    """Files that git tracks or would add, as sorted paths relative to `root`."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listed.split("\0") if name and (root / name).is_file()})


class Tree:
    """The files under check and their text, read once."""

    def __init__(self, root, files):
        self.root = root
        self.files = files
        self._text = {}

    def text(self, path):
        if path not in self._text:
            self._text[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._text[path]

    def lines(self, path):
        return self.text(path).splitlines()

    def with_suffix(self, *suffixes):
        return [f for f in self.files if f.endswith(suffixes)]


def findings(tree):
    """Every finding of every rule as (path, line, text), sorted."""
    found = []
    for rule in RULES:
        found.extend(rule(tree))
    return sorted(set(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root.resolve()
    tree = Tree(root, tracked_files(root))
    found = findings(tree)
    for path, line, what in found:
        print(f"{path}:{line}: {what}")
    print(f"tidy: {len(tree.files)} files, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
