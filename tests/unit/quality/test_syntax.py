from __future__ import annotations

import pytest

from quality import syntax
from quality.languages import LANGUAGES

GOOD = {
    "python": "# note\nx = [1, 2]\n",
    "java": "// note\nclass A { int f() { return 1; } }\n",
    "javascript": "// note\nconst f = (a) => a + 1;\n",
    "typescript": "// note\nconst f = (a: number): number => a + 1;\n",
    "csharp": "// note\nclass A { int F() { return 1; } }\n",
    "go": "// note\npackage a\n\nfunc f() int { return 1 }\n",
    "rust": "// note\nfn f() -> i32 { 1 }\n",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_good_code_has_no_errors_and_its_comments_are_counted(language: str) -> None:
    text = GOOD.get(language)
    if text is None:
        pytest.skip("no sample for this language")
    found = syntax.parse(text, language)
    solid = len("".join(text.split()))
    assert found.error_ratio == 0
    assert found.comment_ratio == pytest.approx(len(text.split("\n")[0].replace(" ", "")) / solid)
    assert found.nodes > 5


def test_nested_comments_are_counted_once() -> None:
    assert syntax.parse("/// doc\n/* a /* b */ c */\n// d\n", "rust").comment_ratio == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "x = 'no # comment' # one\n",
        "# a\n\n  # b\nx = 1  # c\n'''\n# no comment\n'''\n",
        "#!/usr/bin/python\n# coding: utf-8\n",
    ],
)
def test_comments_are_those_that_a_query_finds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = syntax.parse(text, "python").comment_ratio
    monkeypatch.setattr(syntax, "_LOOKUPS", 0)
    assert syntax.parse(text, "python").comment_ratio == found > 0


def test_a_mark_in_a_string_starts_no_comment() -> None:
    text = 'const u = "http://a"; // one\nconst v = `// no`;\n/* two\n// three */ let w;\n'
    solid = len("".join(text.split()))
    assert syntax.parse(text, "javascript").comment_ratio == pytest.approx(len("//one/*two//three*/") / solid)


PYTHON_2 = [
    "print 'x'\n",
    "print >>f, x\n",
    "if a: print a\n",
    "exec 'a = 1' in b\n",
    "try:\n    pass\nexcept (A, B), error:\n    pass\n",
    "raise E, 'x'\n",
    "if a <> b:\n    pass\n",
]
PYTHON_3 = [
    "print('x')\n",
    "print\n",
    "x = 'print y'\n",
    "# print x\n",
    "'''\nprint 'x'\nexec code\n'''\n",
    "try:\n    pass\nexcept A, B:\n    pass\n",
    "raise E('a, b')\n",
    "a = r'<>'\n",
    "match x:\n    case (print, exec):\n        pass\n",
]


@pytest.mark.parametrize("text", PYTHON_2)
def test_python_2_is_told_by_syntax_that_only_it_has(text: str) -> None:
    assert syntax.dialect(f"import os\n# é\n{text}", "python") == "python2"


@pytest.mark.parametrize("text", PYTHON_3)
def test_python_3_is_not_taken_for_it(text: str) -> None:
    assert syntax.dialect(text, "python") == ""


def test_a_text_is_parsed_once_for_both_its_questions() -> None:
    text = "print 'only here'\n"
    assert syntax.dialect(text, "python") == "python2"
    before = syntax._parsed.cache_info().misses
    syntax.parse(text, "python")
    assert syntax._parsed.cache_info().misses == before


def test_error_ratio_is_the_share_of_broken_bytes() -> None:
    good = "def f(a):\n    return a + 1\n\n" * 20
    broken = good + "x = = =\n"
    ratio = syntax.parse(broken, "python").error_ratio
    assert 0 < ratio < 0.05
    assert syntax.parse("<xml><a>1</a></xml>" * 5, "go").error_ratio > 0.5
    assert syntax.error_ratio(broken, "python") == ratio


def test_the_ending_chooses_the_grammar() -> None:
    text = "const a = <div>{b}</div>;\n"
    assert syntax.parse(text, "typescript", ".tsx").error_ratio == 0
    assert syntax.parse(text, "typescript", ".ts").error_ratio > 0


def test_empty_text() -> None:
    assert syntax.parse("", "python") == syntax.Syntax(0.0, 0.0, 1)


def test_a_runaway_parse_is_stopped_and_the_parser_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntax, "_FREE_STEPS", 3)
    monkeypatch.setattr(syntax, "_STEPS_PER_BYTE", 0.0)
    with pytest.raises(syntax.TooCostly, match="more than 3 parser steps"):
        syntax.parse("x = 1\n" * 2000, "python")
    assert syntax.error_ratio("x = 1\n" * 2000, "python") == 1.0
    monkeypatch.undo()
    assert syntax.parse("x = 1\n" * 2000, "python").error_ratio == 0
