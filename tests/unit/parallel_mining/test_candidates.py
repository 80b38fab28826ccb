"""Which code counts as the same."""

from __future__ import annotations

import pytest

from parallel_mining.candidates import code_hash
from parallel_mining.pairs import Program


def same(language: str, left: str, right: str) -> bool:
    one, other = (code_hash(Program(language, code, "f")) for code in (left, right))
    return one == other


@pytest.mark.parametrize(
    ("language", "left", "right"),
    [
        ("python", "def f(a):\n    return a  # half\n", "def f(a):\n\n    return a\n"),
        (
            "python",
            'def f(a):\n    """Say "a"."""\n    return a\n',
            "def f(a):\n    '''Two\n\n    lines.'''\n    return a\n",
        ),
        ("javascript", "function f(a) { /* a */ return a; } // done", "function f(a) {\n  return a;\n}"),
        ("rust", "/// Half.\nfn f(a: i32) -> i32 { a }", "fn f(a: i32) -> i32 { a }"),
    ],
)
def test_comments_and_blanks_make_no_difference(language: str, left: str, right: str) -> None:
    assert same(language, left, right)


@pytest.mark.parametrize(
    ("language", "left", "right"),
    [
        ("python", "def f(a):\n    return a // 2\n", "def f(a):\n    return a // 3\n"),
        ("python", "def f(a):\n    return a + '#1'\n", "def f(a):\n    return a + '#2'\n"),
        ("python", 'def f(a):\n    return """x"""\n', 'def f(a):\n    return """y"""\n'),
        ("go", 'func f() string { return "//a" }', 'func f() string { return "//b" }'),
        ("javascript", "class A {\n  #x = 1;\n}", "class A {\n  #x = 2;\n}"),
        ("rust", "#[inline]\nfn f() {}", "fn f() {}"),
        ("csharp", "#if A\nint x;\n#endif", "#if B\nint x;\n#endif"),
    ],
)
def test_what_only_looks_like_a_comment_does(language: str, left: str, right: str) -> None:
    assert not same(language, left, right)
