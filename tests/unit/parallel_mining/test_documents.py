from __future__ import annotations

import pytest

from parallel_mining.documents import pair_source, parallel_document, render_pair, starts_right, translation_prompt
from quality.languages import LANGUAGES
from quality.mistakes import BadInput

PAIR = {
    "pair_id": "p1",
    "left_language": "python",
    "left_code": "\n    def gcd(a, b):\n        return a\n\n",
    "right_language": "go",
    "right_code": "func Gcd(a, b int) int {\n\treturn a\n}\n",
}


def test_a_prompt_document_is_code_throughout() -> None:
    assert render_pair(PAIR, "prompt", "forward") == (
        "# Python\n    def gcd(a, b):\n        return a\n\n"
        "// The same in Go, translated from Python\nfunc Gcd(a, b int) int {\n\treturn a\n}\n"
    )


def test_a_plain_document_is_both_halves_and_nothing_else() -> None:
    assert render_pair(PAIR, "plain", "forward") == (
        "    def gcd(a, b):\n        return a\n\nfunc Gcd(a, b int) int {\n\treturn a\n}\n"
    )


@pytest.mark.parametrize("into", [name for name in LANGUAGES if name != "java"])
def test_the_prompt_is_how_the_document_begins(into: str) -> None:
    document = parallel_document("int x;\n", "java", "x = 1", into, "prompt")
    prompt = translation_prompt("int x;\n", "java", into)
    assert document == f"{prompt}x = 1\n"
    assert prompt.splitlines()[0] == "// Java"
    assert prompt.splitlines()[-1].startswith(LANGUAGES[into].line_comment)


def test_alternating_turns_about_half_of_the_pairs_round() -> None:
    ids = [f"pair{number}" for number in range(400)]
    turned = [starts_right(pair_id, "alternate") for pair_id in ids]
    assert 160 < sum(turned) < 240
    assert turned == [starts_right(pair_id, "alternate") for pair_id in ids]
    assert not any(starts_right(pair_id, "forward") for pair_id in ids)
    right_first = next(pair_id for pair_id in ids if starts_right(pair_id, "alternate"))
    text = render_pair({**PAIR, "pair_id": right_first}, "prompt", "alternate")
    assert text.startswith("// Go\nfunc Gcd")
    assert "# The same in Python, translated from Go\n    def gcd" in text


def test_sources_name_both_languages() -> None:
    assert pair_source("python", "go") == "pair:python-go"
    with pytest.raises(BadInput, match="'cobol' is not in the registry"):
        translation_prompt("x", "cobol", "go")
