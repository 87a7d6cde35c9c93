"""Small files: none above the hard limit, most below the soft one, each saying in its first line what it is."""

HARD_LINES = 800
SOFT_LINES = 200
CODE = (".h", ".cc", ".py", ".sh", ".cmake", ".proto")
COMMENT = {".h": "//", ".cc": "//", ".proto": "//", ".sh": "#", ".cmake": "#", ".py": '"""'}


def first_line(lines):
    return lines[1] if lines and lines[0].startswith("#!") and len(lines) > 1 else (lines[0] if lines else "")


def check(tree):
    code = tree.with_suffix(*CODE)
    large = 0
    for path in code:
        lines = tree.lines(path)
        if len(lines) > HARD_LINES:
            yield path, HARD_LINES, f"{len(lines)} lines; no file has more than {HARD_LINES}"
        large += len(lines) > SOFT_LINES
        opening = COMMENT[path[path.rindex("."):]]
        described_by_header = path.endswith(".cc") and path[:-3] + ".h" in tree.files
        if lines and not described_by_header and not first_line(lines).startswith(opening):
            yield path, 1, f"starts without a one-line comment ({opening}) that says what the file is"
        if path.endswith(".h") and "#pragma once" not in lines:
            yield path, 1, "has no #pragma once"
    if large * 2 > len(code):
        yield "src", 1, f"{large} of {len(code)} files have more than {SOFT_LINES} lines; most should have fewer"
