from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import pytest

from parallel_mining.documents import pair_documents, pair_source, starts_right, translation_prompt
from quality.languages import LANGUAGES
from quality.mistakes import BadInput

PAIR = {
    "pair_id": "p1",
    "left_language": "python",
    "left_code": "\n    def gcd(a, b):\n        return a\n\n",
    "right_language": "go",
    "right_code": "func Gcd(a, b int) int {\n\treturn a\n}\n",
}
LEFT = "    def gcd(a, b):\n        return a\n"
RIGHT = "func Gcd(a, b int) int {\n\treturn a\n}\n"


def test_a_prompt_document_is_code_throughout() -> None:
    [document] = pair_documents(PAIR, "prompt", "forward")
    assert document.text == f"# Python\n{LEFT}\n// The same in Go, translated from Python\n{RIGHT}"
    assert (document.id, document.sides) == ("p1", ("left", "right"))
    assert "".join(part.text for part in document.parts if part.is_code) == LEFT + RIGHT


def test_a_plain_document_is_both_halves_and_nothing_else() -> None:
    [document] = pair_documents(PAIR, "plain", "forward")
    assert document.text == f"{LEFT}\n{RIGHT}"
    [document] = pair_documents(PAIR, "plain", "backward")
    assert document.text == f"{RIGHT}\n{LEFT}"


@pytest.mark.parametrize("into", [name for name in LANGUAGES if name != "java"])
def test_the_prompt_is_how_the_document_begins(into: str) -> None:
    pair = {"pair_id": "p", "left_language": "java", "left_code": "int x;", "right_language": into, "right_code": "x"}
    [document] = pair_documents(pair, "prompt", "forward")
    prompt = translation_prompt("int x;\n", "java", into)
    assert document.text == f"{prompt}x\n"
    assert prompt.splitlines()[0] == "// Java"
    assert prompt.splitlines()[-1].startswith(LANGUAGES[into].line_comment)


def test_alternating_turns_about_half_of_the_pairs_round() -> None:
    ids = [f"pair{number}" for number in range(400)]
    assert 160 < sum(starts_right(pair_id) for pair_id in ids) < 240
    right_first = next(pair_id for pair_id in ids if starts_right(pair_id))
    pair = {**PAIR, "pair_id": right_first}
    assert pair_documents(pair, "prompt", "alternate") == pair_documents(pair, "prompt", "backward")
    [document] = pair_documents(pair, "prompt", "alternate")
    assert document.text.startswith("// Go\nfunc Gcd")
    assert "# The same in Python, translated from Go\n    def gcd" in document.text


def test_all_styles_hold_the_same_code_the_same_number_of_times() -> None:
    pairs = [{**PAIR, "pair_id": f"pair{n}", "left_code": f"a = {n}", "right_code": f"b := {n}"} for n in range(40)]
    for direction in ("forward", "backward", "alternate", "both"):
        code = {
            style: Counter(
                part.text
                for pair in pairs
                for document in pair_documents(pair, style, direction)
                for part in document.parts
                if part.is_code
            )
            for style in ("prompt", "plain", "shuffled")
        }
        assert code["prompt"] == code["plain"] == code["shuffled"]
        assert set(code["plain"].values()) == {2 if direction == "both" else 1}


def test_parted_halves_are_documents_of_their_own_in_an_order_that_keeps_no_pair_together() -> None:
    pairs = [{**PAIR, "pair_id": f"pair{n:03d}"} for n in range(200)]
    documents = sorted((d for p in pairs for d in pair_documents(p, "shuffled", "forward")), key=lambda d: d.id)
    assert [d.text for d in documents if d.sides == ("left",)] == [LEFT] * 200
    assert [d.text for d in documents if d.sides == ("right",)] == [RIGHT] * 200
    named = [d.id.split(":")[1] for d in documents]
    assert sum(one == other for one, other in pairwise(named)) < 10
    assert len({d.id for d in documents}) == 400


def test_ids_are_unique_in_every_style_and_direction() -> None:
    for style, direction in product(("prompt", "plain", "shuffled"), ("forward", "backward", "alternate", "both")):
        ids = [document.id for document in pair_documents(PAIR, style, direction)]
        assert len(set(ids)) == len(ids) == (1 + (style == "shuffled")) * (1 + (direction == "both"))
        assert ids == sorted(ids)
        assert all("p1" in document_id for document_id in ids)


def test_sources_name_both_languages() -> None:
    assert pair_source("python", "go") == "pair:python-go"
    with pytest.raises(BadInput, match="'cobol' is not in the registry"):
        translation_prompt("x", "cobol", "go")
