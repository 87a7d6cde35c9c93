"""Words and links: nothing left to do later, no registry hosts, no machine's own paths, no dead links."""

import os
import re
import urllib.parse

TEXT = (".h", ".cc", ".py", ".sh", ".cmake", ".proto", ".md", ".txt", ".yaml", ".yml", ".json", "Makefile",
        ".npmrc", ".ci/run", ".clang-tidy", ".clang-format", ".gitignore")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
REGISTRY = re.compile(r"\bregistry\.[a-z0-9-]+\.[a-z]+|\b(?:deb|security|ftp|snapshot)\.debian\.[a-z]+"
                      r"|\bpypi\.[a-z]+|\bcrates\.io\b|\bproxy\.golang\.[a-z]+|\bnpmjs\.[a-z]+")
MACHINE = re.compile(r"(?<![\w.$}])/(?:work|root|home)/[\w.]+")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^\s*```")


def check_words(tree, path):
    for number, line in enumerate(tree.lines(path), 1):
        found = UNFINISHED.search(line)
        if found:
            yield path, number, f"'{found.group(0)}': do it, or describe the limit in docs/limits.md"
        found = REGISTRY.search(line)
        if found:
            yield path, number, f"names the package registry host {found.group(0)}"
        found = MACHINE.search(line)
        if found:
            yield path, number, f"{found.group(0)} is a path of one machine"
        if line != line.rstrip() and not path.endswith(".md"):
            yield path, number, "ends with white space"


def anchors(tree, path):
    """The fragment names of the headings of a Markdown file."""
    found = set()
    for line in tree.lines(path):
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def check_links(tree, path):
    fenced = False
    for number, line in enumerate(tree.lines(path), 1):
        if FENCE.match(line):
            fenced = not fenced
        for target in [] if fenced else LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, fragment = urllib.parse.unquote(target).partition("#")
            linked = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not (tree.root / linked).exists():
                yield path, number, f"dead link: {target}"
            elif fragment and linked.endswith(".md") and fragment not in anchors(tree, linked):
                yield path, number, f"dead link: {linked} has no heading #{fragment}"


def check(tree):
    for path in tree.with_suffix(*TEXT):
        yield from check_words(tree, path)
    for path in tree.with_suffix(".md"):
        yield from check_links(tree, path)
