"""Module order, private headers, module READMEs, what the executables may use."""

import re

# Lowest first: a module includes only modules that stand before it.
ORDER = ("base", "env", "column", "wal", "exec", "hot", "meta", "history", "shard", "query", "control",
         "security", "observe", "api", "connect", "server", "client", "sim")
# Modules that an executable does without: pxctl sees only the network, pxinspect only files.
APP_MAY_NOT = {
    "apps/pxctl/": ("env", "wal", "hot", "history", "shard", "server", "sim"),
    "apps/pxinspect/": ("client", "server", "api", "sim"),
    "apps/proxistd/": ("client", "sim"),
    "apps/proxist-clickhouse/": ("api", "client", "server", "sim"),
    "apps/proxist-bench/": ("sim",),
}
FIRST_WITH_PROTO = ORDER.index("api")

INCLUDE = re.compile(r'^\s*#\s*include\s*"proxist/([a-z0-9_]+)/([^"]+)"')
QUOTED = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def module_of(path):
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[:2] == ["src", "proxist"] else None


def owner_of(path):
    """The module whose private headers a file may include: its own, or the one it tests."""
    parts = path.split("/")
    if parts[:2] == ["tests", "unit"] and len(parts) > 3:
        return parts[2]
    return module_of(path)


def check_include(path, number, included, rest):
    module = module_of(path)
    if included == "v1":
        if module is not None and ORDER.index(module) < FIRST_WITH_PROTO:
            yield path, number, f"{module} includes the generated proxist/v1/{rest}: only api and above may"
        return
    if included not in ORDER:
        yield path, number, f"includes proxist/{included}/{rest}: {included} is not in the module list"
        return
    if module is not None and ORDER.index(included) > ORDER.index(module):
        yield path, number, f"{module} includes proxist/{included}/{rest}, which stands above it"
    fuzzer = path.startswith("tests/fuzz/")  # one aims at a single parser, which is often private
    if rest.startswith("internal/") and owner_of(path) != included and not fuzzer:
        yield path, number, f"proxist/{included}/{rest} is private to {included}"
    for app, forbidden in APP_MAY_NOT.items():
        if path.startswith(app) and included in forbidden:
            yield path, number, f"{app[5:-1]} does without {included}"


def check_file(tree, path):
    for number, line in enumerate(tree.lines(path), 1):
        found = INCLUDE.match(line)
        if found:
            yield from check_include(path, number, *found.groups())
        elif module_of(path) and QUOTED.match(line):
            yield path, number, f'{line.strip()}: inside src/proxist write "proxist/<module>/<file>"'


def check(tree):
    known = {module_of(path) for path in tree.with_suffix(".h", ".cc")} - {None}
    for module in sorted(known):
        if module not in ORDER:
            yield f"src/proxist/{module}", 1, f"{module} is not in the module list of tools/tidy_rules/modules.py"
        readme = f"src/proxist/{module}/README.md"
        if readme not in tree.files:
            yield readme, 1, "missing: each module says in one sentence what it is"
    for path in tree.with_suffix(".h", ".cc"):
        if module_of(path) is None or module_of(path) in ORDER:
            yield from check_file(tree, path)
