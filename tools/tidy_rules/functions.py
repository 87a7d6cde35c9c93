"""Functions stay short; the exceptions stand in a list that only shrinks."""

import ast
import re

MAX_LINES = 70
EXCEPTIONS = "tools/tidy_exceptions.txt"

TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|'
    r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'", re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
LEADING = re.compile(r"(?:\s|\b(?:public|private|protected)\s*:(?!:))*")
NAME = re.compile(r"([A-Za-z_~][\w:~]*(?:\s*operator\s*[^\s(]+)?|operator\s*[^\s(]+)\s*\(")
TYPE = re.compile(r"\b(?:class|struct|union)\b(?![^<]*>\s*$)")


def blanked(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def kind_of(head):
    """What the brace after `head` opens, seen from a namespace or a type."""
    if re.search(r"\bnamespace\b", head) or re.search(r'\bextern\s*$', head):
        return "scope"
    if re.search(r"\benum\b", head):
        return "other"
    if TYPE.search(head.split("(")[0]) and not re.search(r"\)\s*(?:const|noexcept|override|->.*)*\s*$", head):
        return "scope"
    return "function" if "(" in head else "other"


def cpp_functions(source):
    """Yields (name, first line, lines) of each function with a body; lambdas count to their function."""
    code = DIRECTIVE.sub(blanked, TOKEN.sub(blanked, source))
    stack, start = [], 0
    for at in (m.start() for m in re.finditer(r"[{};]", code)):
        inside = any(kind != "scope" for kind, _, _ in stack)
        char = code[at]
        if char == "{":
            head = code[start:at]
            kind = "other" if inside else kind_of(head)
            stack.append((kind, head, start + LEADING.match(head).end()))
        elif char == "}" and stack:
            kind, head, begin = stack.pop()
            if kind == "function":
                name = NAME.search(head)
                first = code.count("\n", 0, begin) + 1
                yield (name.group(1) if name else "lambda"), first, code.count("\n", begin, at) + 1
        if not any(kind != "scope" for kind, _, _ in stack):
            start = at + 1


def python_functions(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def read_exceptions(tree):
    """{(path, name): (line in the list, lines allowed)}; each line is `path name lines`."""
    allowed = {}
    if EXCEPTIONS in tree.files:
        for number, line in enumerate(tree.lines(EXCEPTIONS), 1):
            if line.strip() and not line.startswith("#"):
                path, name, lines = line.split()
                allowed[path, name] = (number, int(lines))
    return allowed


def check(tree):
    allowed = read_exceptions(tree)
    used = set()
    for path in tree.with_suffix(".h", ".cc", ".py"):
        functions = python_functions if path.endswith(".py") else cpp_functions
        try:
            found = list(functions(tree.text(path)))
        except SyntaxError as error:
            yield path, error.lineno or 1, f"does not parse: {error.msg}"
            continue
        for name, line, lines in found:
            number, limit = allowed.get((path, name), (0, MAX_LINES))
            if lines > limit:
                yield path, line, f"{name} has {lines} lines, {limit} are allowed"
            if number and MAX_LINES < lines:
                used.add((path, name))
                if lines < limit:
                    yield EXCEPTIONS, number, f"{path} {name} has {lines} lines now: lower its entry"
    for key in sorted(set(allowed) - used):
        yield EXCEPTIONS, allowed[key][0], f"{key[0]} {key[1]} needs no exception: remove it"
