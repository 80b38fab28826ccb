from __future__ import annotations

import random

import pytest

from parallel_mining import stdin
from parallel_mining.cases import cases, probes
from parallel_mining.pairs import STDIN


def test_the_same_seed_gives_the_same_texts_and_another_others():
    one, other = stdin.texts(72, 17), stdin.texts(72, 18)
    assert one == stdin.texts(72, 17)
    assert len({case[0] for case in one}) == len(one) == 72
    assert len({case[0] for case in one} & {case[0] for case in other}) < 60
    assert cases((STDIN,), 72, 17) == one
    assert len(probes((STDIN,), 17)) == 16


def test_many_forms_of_input_are_among_the_first():
    texts = [case[0] for case in stdin.texts(72, 17, (3, "(", "push"))]
    lines = [text.split("\n") for text in texts]
    assert "" in texts
    assert any(not text.endswith("\n") for text in texts if text)
    assert any(not text.isascii() for text in texts)
    assert any(text.strip().isdigit() for text in texts)
    assert any(
        first.isdigit() and len(rest) == int(first) + 1 and len(rest) > 2 and rest[0].lstrip("-").isdigit()
        for first, *rest in lines
    )
    assert any(len(first.split()) == 2 and len(rest) > 1 for first, *rest in lines)
    assert any("push" in text for text in texts)
    assert any("(" in text and ")" in text for text in texts)
    numbers = [int(w) for text in texts for w in text.split() if w.lstrip("-").isdigit()]
    assert min(numbers) < 0
    assert max(map(abs, numbers)) < 2**31


def test_what_comments_show_as_input_is_tried_and_its_like():
    code = '"""Adds.\n\nInput:\n2\n10 20\n\nOutput:\n30\n"""\nn = input()\n# Sample input 2: 7 8\n# Output: 15\n'
    assert stdin.examples(code) == (("2\n10 20\n",), ("7 8\n",))
    assert stdin.examples("// Example input:\n// a b\n// -> b a\n") == (("a b\n",),)
    assert ("2\n10 20\n",) in stdin.texts(40, 17, shown=stdin.examples(code))


def test_texts_lie_within_plain_lines_where_these_are_asked_for():
    plain = stdin.plain_lines("types")
    found = stdin.texts(60, 17, restrictions=(plain,))
    assert len(found) > 30
    assert all(plain.holds(case) and case[0].isascii() and case[0].endswith("\n") for case in found)
    assert not any(plain.holds((text,)) for text in ("", "a", "a  b\n", "\n", "é\n", "a \n", "a\n\nb\n"))


def test_half_are_like_the_seeds_where_there_are_some():
    found = stdin.texts(80, 17, seeds=[("begin 1 end\n",), ("begin 20 30 end\n",)])
    assert 25 <= sum("begin" in case[0] or "end" in case[0] for case in found) <= 60


@pytest.mark.parametrize("seed", range(20))
def test_a_right_count_stays_right(seed):
    rng = random.Random(seed)
    text = "3\n10\n20\n30\n"
    for _ in range(20):
        first, *rest = [line for line in stdin.varied(text, rng).split("\n") if line]
        assert len(rest) == int(first) or (len(rest) == 3 and first != "3")
