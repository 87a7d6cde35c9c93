"""Names say a concept of the field; these words say nothing."""

import re

BANNED = {"util", "utils", "utility", "helper", "helpers", "manager", "common", "misc"}
DECLARED = re.compile(r"^\s*(?:template\s*<.*>\s*)?(?:class|struct|union|enum(?:\s+class)?|namespace)\s+"
                      r"(?:PX_\w+\(\w*\(?\"?\w*\"?\)?\)\s+)?([A-Za-z_][\w:]*)")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def banned_word(name):
    return next((word for word in WORD.findall(name) if word.lower() in BANNED), None)


def check(tree):
    for path in tree.files:
        word = banned_word(path)
        if word:
            yield path, 1, f"the path has the empty word '{word}'"
    for path in tree.with_suffix(".h", ".cc", ".proto"):
        for number, line in enumerate(tree.lines(path), 1):
            declared = DECLARED.match(line)
            word = banned_word(declared.group(1)) if declared else None
            if word:
                yield path, number, f"{declared.group(1)} has the empty word '{word}'"
