"""What a text reads like: proposals, the features they come from, and the file of weights."""

from __future__ import annotations

import numpy as np
import pytest

from quality import lexical
from quality.languages import LANGUAGES


def test_proposals_are_probabilities_in_order() -> None:
    found = lexical.proposals("package a\n\nfunc f(x int) error {\n\ty := x\n\treturn nil\n}\n")
    assert found[0][0] == "go"
    assert sum(odds for _, odds in found) == pytest.approx(1)
    assert [odds for _, odds in found] == sorted((odds for _, odds in found), reverse=True)
    assert set(LANGUAGES) < {label for label, _ in found}


@pytest.mark.parametrize("text", ["", "\n", "x", "\x00", "\u65e5\u672c", "\ud800", "/*", '"""', "`" * 50])
def test_any_text_has_proposals(text: str) -> None:
    assert len(lexical.proposals(text)) == len(lexical._model().labels)


def test_what_comments_and_long_strings_say_does_not_count() -> None:
    said = "/* import os; def f(self): None */\n// use std::fmt;\nx = `func main() { if err != nil {} }`;\n"
    bare = "/* */\n// \nx = ``;\n"
    assert [token for token in lexical.tokens(said) if token.isalpha()] == ["x"]
    assert lexical.tokens(bare)[0] == lexical.tokens(said)[0] == "/"


def test_only_the_start_is_read() -> None:
    start = "int x = 1;\n" * 2_000
    assert lexical.proposals(start + "def f(self):\n" * 500) == lexical.proposals(start)


def test_features_are_sorted_buckets_each_once() -> None:
    words = {"def": 3, "(": 4}
    found = lexical.features(["def", "f", "(", "def", "f", "("], words)
    assert found.tolist() == sorted(set(found.tolist()))
    assert found.max() < lexical.BUCKETS
    # Three words alone, three pairs and three runs: fewer only where two share a bucket.
    assert 7 <= found.size <= 9
    assert np.array_equal(found, lexical.features(["def", "g", "(", "def", "h", "("], words))


def test_the_weights_are_small_enough_to_ship() -> None:
    assert lexical.WEIGHTS.stat().st_size <= 500_000
