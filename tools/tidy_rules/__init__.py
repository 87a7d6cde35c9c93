"""One file a rule; each has check(tree), which yields (path, line, text)."""
