"""Which units are candidates, and which code counts as the same."""

from __future__ import annotations

import math
from typing import Any

import pytest

from parallel_mining.candidates import candidates, code_hash, signature_text, suits
from parallel_mining.pairs import Program
from parallel_mining.signatures import Parameter, Signature, call_compatible
from parallel_mining.types import parse_type
from parallel_mining.units import Origin, Unit, extract
from quality.languages import LANGUAGES


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


def unit(language: str, number: int, words: dict[str, int], takes: str = "int", repo: str = "r") -> Unit:
    kind = parse_type(takes)
    program = Program(language, f"code {language} {number}", "f")
    return Unit(f"{number:032x}", program, Signature((Parameter("x", kind),)), Origin("d", repo, "p"), words, ())


def found(units: list[Unit], pivot: str, **options: Any) -> list[tuple[int, int]]:
    return [(int(c.left.unit_id, 16), int(c.right.unit_id, 16)) for c in candidates(units, pivot, **options)]


UNITS = [
    unit("python", 1, {"fold:gcd": 1, "id:rest": 2}),
    unit("go", 2, {"fold:gcd": 1, "id:rest": 2}),
    unit("java", 3, {"fold:gcd": 1, "id:step": 1}),
    unit("java", 4, {"fold:gcd": 1, "id:rest": 1}, takes="str"),
    unit("java", 5, {"fold:other": 1}),
]


def test_pairs_go_through_the_pivot_unless_asked() -> None:
    assert found(UNITS, "python") == [(1, 2), (1, 3)]
    assert found(UNITS, "java") == [(3, 2), (3, 1)]
    assert found(UNITS, "python", through_pivot=False) == [(1, 2), (1, 3), (2, 3)]


def test_each_side_keeps_its_most_similar_ones() -> None:
    near = [unit("go", 10 + n, {"fold:gcd": 1, "id:rest": 1 + n}) for n in range(3)]
    assert found([UNITS[0], *near], "python", per_unit=2) == [(1, 11), (1, 12)]
    assert found([UNITS[0], *near], "go", per_unit=2) == [(11, 1), (12, 1)]


def test_two_that_are_each_others_most_similar_need_less_in_common() -> None:
    own = {f"id:python{n}": 1 for n in range(2)}
    other = {f"id:go{n}": 1 for n in range(2)}
    units = [
        *(unit("java", 10 + n, {f"id:java{n}": 1}) for n in range(20)),
        unit("python", 1, {"id:rest": 1, **own}),
        unit("go", 2, {"id:rest": 1, **other}),
        unit("go", 3, {"id:rest": 1, **other, "id:more": 2}),
    ]
    [one] = candidates(units, "python")
    assert (int(one.right.unit_id, 16), one.score < 0.25) == (2, True)
    assert candidates(units, "python", min_mutual_score=0.25) == []
    assert len(candidates(units, "python", min_score=one.score / 2)) == 2


def test_a_score_is_the_cosine_of_the_weighted_words() -> None:
    [one, other] = candidates(UNITS, "python")
    assert one.score == 1.0
    rare, common, lone = (math.log(6 / n) for n in (4, 3, 1))
    left = (5 * rare, (1 + math.log(2)) * common)
    right = (5 * rare, lone)
    expected = left[0] * right[0] / (math.hypot(*left) * math.hypot(*right))
    assert other.score == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("types", [["int"], [None, "list[tuple[int,str]]"], ["dict[str,optional[int]]", "str"], []])
def test_a_signature_is_compared_by_its_line(types: list[str | None]) -> None:
    one = Signature(
        tuple(Parameter("x", parse_type(t) if t else None, i > 0) for i, t in enumerate(types)), parse_type("int")
    )
    others = [one, UNITS[0].signature, UNITS[3].signature, Signature((Parameter("y"), Parameter("z")))]
    for other in others:
        assert suits(signature_text(one), signature_text(other)) == call_compatible(one, other)


def test_how_often_a_function_loops_and_decides_is_counted_alike_in_all_languages() -> None:
    codes = {
        "python": "def f(a: int) -> int:\n  for i in range(a):\n    if a % 3 == i:\n      return 7\n  return 5\n",
        "java": "class A { static int f(int a) { for (int i = 0; i < a; i++) if (a % 3 == i) return 7; return 5; } }",
        "go": "package a\nfunc F(a int) int {\nfor i := 0; i < a; i++ {\nif a%3 == i { return 7 }\n }\n return 5\n}\n",
    }
    rows = [
        {"id": f"{i}", "text": code, "language": name, "repo_name": "r", "path": "a" + LANGUAGES[name].extensions[0]}
        | {"license_type": "permissive"}
        for i, (name, code) in enumerate(codes.items())
    ]
    units = extract(rows, workers=1).units
    assert {u.language for u in units} == codes.keys()
    for found in units:
        flow = {word for word in found.words if word.startswith("flow:")}
        assert "flows:loop1 if1" in found.words
        assert flow == {"flow:loop1", "flow:if1", "flow:return2", "flow:%1"}
