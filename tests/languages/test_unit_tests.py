"""Solutions with unit tests in the published form: right, wrong, broken and leaving ones, in every language."""

from __future__ import annotations

import os

import pytest

from parallel_mining import sandbox
from parallel_mining.execute import Unavailable, available
from parallel_mining.unit_tests import Solution, run_tests
from quality.languages import LANGUAGES
from quality.mistakes import BadInput

pytestmark = pytest.mark.toolchain

# Prompt, a right body, one that leaves with status 0, and tests: `twice(n)` and a pair of what it gives.
PROBLEMS: dict[str, tuple[str, str, str, str]] = {
    "python": (
        'def twice(n: int) -> int:\n    """ Twice. >>> twice(2)\n    4\n    """\n',
        "    return 2 * n",
        "    import os, sys\n    sys.exit(0)",
        "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n\n"
        "def test_check():\n    check(twice)\n\ntest_check()\n",
    ),
    "javascript": (
        "//Twice.\nfunction twice(n){\n",
        "  return 2 * n;\n}",
        "  process.exit(0);\n}",
        "const assert = require('node:assert');\n\n\nfunction test() {\n  let candidate = twice;\n"
        "  assert.deepEqual(candidate(2),4);\n  assert.deepEqual(candidate(-1),-2);\n}\n\ntest();",
    ),
    "typescript": (
        "//Twice.\nfunction twice(n: number): number {\n",
        "  return 2 * n;\n}",
        "  process.exit(0);\n}",
        "declare var require: any;\nconst assert = require('node:assert');\n\n\nfunction test() {\n"
        "  let candidate = twice;\n  assert.deepEqual(candidate(2),4);\n  assert.deepEqual(candidate(-1),-2);\n}\n\n"
        "test();",
    ),
    "java": (
        "import java.util.*;\nimport org.javatuples.*;\nimport java.util.stream.*;\nclass Problem {\n    // Twice.\n"
        "    public static Pair<Long, Long> twice(long n) {\n",
        "        return Pair.with(n, 2 * n);",
        "        System.exit(0); return null;",
        "    }\n    public static void main(String[] args) {\n    assert(twice((2l)).equals((Pair.with(2l, 4l))));\n"
        "    assert(twice((-1l)).getValue1() == (-2l));\n    }\n\n}\n",
    ),
    "csharp": (
        "using System;\nusing System.Diagnostics;\nusing System.Collections.Generic;\nusing System.Linq;\n"
        "class Problem {\n    // Twice.\n    public static long Twice(long n) {\n",
        "        return 2 * n;",
        "        Environment.Exit(0); return 0;",
        "    }\n    public static void Main(string[] args) {\n    Debug.Assert(Twice((2L)) == (4L));\n"
        "    Debug.Assert(Twice((-1L)) == (-2L));\n    }\n\n}\n",
    ),
    "go": (
        'package twice_test\n\nimport (\n    "testing"\n    "fmt"\n)\n\n// Twice.\nfunc twice(n int) int {\n',
        "    return 2 * n\n}",
        '    panic(fmt.Sprint("left"))\n}',
        "func TestTwice(t *testing.T) {\n  candidate := twice\n\ttype test struct {\n\t\tactual   interface{}\n"
        "\t\texpected interface{}\n\t}\n   tests := []test{\n     { actual: candidate(2), expected: 4 },\n"
        "     { actual: candidate(-1), expected: -2 },\n   }\n\n\tfor i, tc := range tests {\n"
        '\t\tt.Run(fmt.Sprintf("test num % d", i), func(t *testing.T) {\n'
        '\t\t\tif fmt.Sprintf("%v", tc.actual) != fmt.Sprintf("%v", tc.expected) {\n'
        "\t\t\t\tt.Errorf(\"expected '%s', got '%s'\", tc.expected, tc.actual)\n\t\t\t}\n\t\t})\n\t}\n}\n",
    ),
    "rust": (
        "/// Twice.\nfn twice(n: isize) -> isize {\n",
        "    2 * n",
        "    std::process::exit(0)",
        "}\n\nfn main() {\n    let candidate = twice;\n    assert_eq!(candidate(2), 4);\n"
        "    assert_eq!(candidate(-1), -2);\n}\n",
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_what_passes_all_its_tests_passes(language: str) -> None:
    tools = available(language)
    if isinstance(tools, Unavailable) or sandbox.ready():
        if os.environ.get("POLYMIX_ALL_TOOLCHAINS") == "1":
            pytest.fail(f"{language} cannot be run here: {tools}")
        pytest.skip(f"{language} cannot be run here")
    prompt, right, leaving, tests = PROBLEMS[language]
    wrong = right.replace("2 * n", "2 + n")
    bodies = [right, wrong, leaving, "    ((("]
    found = run_tests([Solution(language, prompt + body, tests) for body in bodies])
    assert [one.passed for one in found] == [True, False, False, False], found
    assert found[1].reason.startswith("failed: ")
    assert found[2].reason.startswith(("left: ", "failed: "))
    assert found[3].reason.startswith("broken: ")


def test_a_language_that_cannot_be_tested_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Unavailable:
        return Unavailable(name, "no tool on the path", "install it")

    monkeypatch.setattr("parallel_mining.unit_tests.available", missing)
    with pytest.raises(BadInput, match="go: no tool on the path; install it"):
        run_tests([Solution("go", "", "")])
