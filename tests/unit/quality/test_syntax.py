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


def test_error_ratio_is_the_share_of_broken_bytes() -> None:
    good = "def f(a):\n    return a + 1\n\n" * 20
    broken = good + "x = = =\n"
    ratio = syntax.parse(broken, "python").error_ratio
    assert 0 < ratio < 0.05
    assert syntax.parse("<xml><a>1</a></xml>" * 5, "go").error_ratio > 0.5


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
    monkeypatch.undo()
    assert syntax.parse("x = 1\n" * 2000, "python").error_ratio == 0
