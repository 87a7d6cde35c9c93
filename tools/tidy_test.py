#!/usr/bin/env python3
"""Plants violations of each tidy rule in a small tree and expects exactly that finding."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tidy  # noqa: E402
from tidy_rules import functions  # noqa: E402

CLEAN = {
    "src/proxist/base/README.md": "The base.\n",
    "src/proxist/base/time.h": "// Time.\n#pragma once\n",
    "src/proxist/hot/README.md": "The store. See [time](../base/time.h) and [here](#a-heading).\n\n## A heading\n",
    "src/proxist/hot/store.h": '// The store.\n#pragma once\n#include "proxist/base/time.h"\n',
    "src/proxist/hot/store.cc": '#include "proxist/hot/internal/arena.h"\n',
    "src/proxist/hot/internal/arena.h": "// Memory.\n#pragma once\n",
    "tests/unit/hot/arena_test.cc": '// Tests.\n#include "proxist/hot/internal/arena.h"\n',
    "tests/fuzz/hot_arena_fuzz.cc": '// A fuzzer.\n#include "proxist/hot/internal/arena.h"\n',
    "apps/pxctl/main.cc": '// The command line.\n#include "proxist/client/client.h"\n',
}


def body(lines):
    return "{\n" + "  Call();\n" * (lines - 2) + "}\n"


class TidyTest(unittest.TestCase):
    def findings(self, planted):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            content = {**CLEAN, **planted}
            for name, text in content.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return tidy.findings(tidy.Tree(root, sorted(content)))

    def expect(self, planted, path, line, words):
        found = self.findings(planted)
        self.assertEqual([(p, n) for p, n, _ in found], [(path, line)], found)
        self.assertIn(words, found[0][2])

    def test_a_clean_tree_has_no_findings(self):
        self.assertEqual(self.findings({}), [])

    def test_a_module_that_includes_a_higher_one(self):
        planted = {"src/proxist/base/x.h": '// X.\n#pragma once\n#include "proxist/hot/store.h"\n'}
        self.expect(planted, "src/proxist/base/x.h", 3, "stands above")

    def test_an_unknown_module(self):
        planted = {"src/proxist/extra/README.md": "Extra.\n", "src/proxist/extra/x.h": "// X.\n#pragma once\n"}
        self.expect(planted, "src/proxist/extra", 1, "not in the module list")

    def test_an_include_of_an_unknown_module(self):
        planted = {"bench/x.cc": '// X.\n#include "proxist/extra/x.h"\n'}
        self.expect(planted, "bench/x.cc", 2, "not in the module list")

    def test_a_private_header_from_outside(self):
        planted = {"tests/unit/query/x_test.cc": '// X.\n#include "proxist/hot/internal/arena.h"\n'}
        self.expect(planted, "tests/unit/query/x_test.cc", 2, "private to hot")

    def test_generated_code_below_the_api(self):
        planted = {"src/proxist/hot/x.cc": '// X.\n#include "proxist/v1/column.pb.h"\n'}
        self.expect(planted, "src/proxist/hot/x.cc", 2, "only api and above")

    def test_an_include_without_the_module(self):
        planted = {"src/proxist/hot/x.cc": '// X.\n#include "arena.h"\n'}
        self.expect(planted, "src/proxist/hot/x.cc", 2, "inside src/proxist")

    def test_an_executable_that_uses_what_it_may_not(self):
        planted = {"apps/pxctl/x.cc": '// X.\n#include "proxist/shard/shard.h"\n'}
        self.expect(planted, "apps/pxctl/x.cc", 2, "pxctl does without shard")

    def test_a_module_without_a_readme(self):
        planted = {"src/proxist/wal/log.h": "// The log.\n#pragma once\n"}
        self.expect(planted, "src/proxist/wal/README.md", 1, "missing")

    def test_a_file_above_the_hard_limit(self):
        planted = {"src/proxist/hot/x.h": "// X.\n#pragma once\n" + "\n" * 799}
        self.expect(planted, "src/proxist/hot/x.h", 800, "801 lines")

    def test_a_file_that_does_not_say_what_it_is(self):
        planted = {"src/proxist/hot/x.h": "#pragma once\n"}
        self.expect(planted, "src/proxist/hot/x.h", 1, "one-line comment")

    def test_a_header_without_a_guard(self):
        planted = {"src/proxist/hot/x.h": "// X.\n"}
        self.expect(planted, "src/proxist/hot/x.h", 1, "#pragma once")

    def test_mostly_large_files(self):
        planted = {f"src/proxist/hot/x{i}.cc": "// X.\n" + "\n" * 200 for i in range(8)}
        self.expect(planted, "src", 1, "8 of 15 files")

    def test_a_long_function(self):
        planted = {"src/proxist/hot/x.cc": "// X.\nnamespace a {\nvoid Long(int x) " + body(71) + "}\n"}
        self.expect(planted, "src/proxist/hot/x.cc", 3, "Long has 71 lines")
        planted = {"src/proxist/hot/x.cc": "// X.\nnamespace a {\nvoid Long(int x) " + body(70) + "}\n"}
        self.assertEqual(self.findings(planted), [])

    def test_a_long_python_function(self):
        planted = {"tools/x.py": '"""X."""\ndef long():\n' + "    call()\n" * 70}
        self.expect(planted, "tools/x.py", 2, "long has 71 lines")

    def test_an_exception_covers_a_long_function_and_only_shrinks(self):
        long = {"src/proxist/hot/x.cc": "// X.\nvoid Long() " + body(80)}
        exception = {functions.EXCEPTIONS: "# Longest first.\nsrc/proxist/hot/x.cc Long 80\n"}
        self.assertEqual(self.findings({**long, **exception}), [])
        looser = {functions.EXCEPTIONS: "src/proxist/hot/x.cc Long 90\n"}
        self.expect({**long, **looser}, functions.EXCEPTIONS, 1, "lower its entry")
        self.expect(exception, functions.EXCEPTIONS, 2, "remove it")

    def test_empty_words_in_names(self):
        self.expect({"src/proxist/hot/time_utils.h": "// X.\n#pragma once\n"}, "src/proxist/hot/time_utils.h", 1,
                    "utils")
        self.expect({"src/proxist/hot/x.h": "// X.\n#pragma once\nclass ChunkManager {\n};\n"},
                    "src/proxist/hot/x.h", 3, "Manager")

    def test_unfinished_work(self):
        self.expect({"docs/x.md": "A TO" "DO.\n"}, "docs/x.md", 1, "TO" "DO")

    def test_a_registry_host(self):
        self.expect({"docs/x.md": "See npm" "js.com.\n"}, "docs/x.md", 1, "registry host")

    def test_a_path_of_one_machine(self):
        self.expect({"docs/x.md": "See /wo" "rk/main/x.\n"}, "docs/x.md", 1, "one machine")

    def test_trailing_white_space(self):
        self.expect({"Makefile": "all: \n"}, "Makefile", 1, "white space")

    def test_dead_links(self):
        self.expect({"docs/x.md": "[a](gone.md)\n"}, "docs/x.md", 1, "dead link: gone.md")
        self.expect({"docs/x.md": "[a](../src/proxist/hot/README.md#no-such)\n"}, "docs/x.md", 1, "no heading")
        self.assertEqual(self.findings({"docs/x.md": "`[a](gone.md)`\n\n```\n[b](gone.md)\n```\n"}), [])


class FunctionLengthTest(unittest.TestCase):
    def lengths(self, source):
        return {name: (line, lines) for name, line, lines in functions.cpp_functions(source)}

    def test_braces_in_text_and_comments_do_not_count(self):
        source = 'void A() {\n  f("}{", \'{\');  // {\n  g(R"x({{{)x"); /* { */\n  int n = 1\'000;\n}\nvoid B() {\n}\n'
        self.assertEqual(self.lengths(source), {"A": (1, 5), "B": (6, 2)})

    def test_methods_inside_types_and_namespaces_are_found(self):
        source = ("namespace n {\nclass X : public Y {\n public:\n  int Get() const {\n    return 1;\n  }\n"
                  "  enum class E { kA, kB };\n};\n}\n")
        self.assertEqual(self.lengths(source), {"Get": (4, 3)})

    def test_a_signature_over_many_lines_counts(self):
        self.assertEqual(self.lengths("int F(int a,\n      int b) {\n  return a;\n}\n"), {"F": (1, 4)})

    def test_directives_are_skipped(self):
        self.assertEqual(self.lengths("#define M(x) \\\n  if (x) {\nvoid F() {\n}\n"), {"F": (3, 2)})

    def test_nested_blocks_belong_to_their_function(self):
        self.assertEqual(self.lengths("void F() {\n  if (a) {\n    auto l = [](int) {\n    };\n  }\n}\n"), {"F": (1, 6)})


if __name__ == "__main__":
    unittest.main(verbosity=1)
