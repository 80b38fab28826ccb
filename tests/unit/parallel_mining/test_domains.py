from __future__ import annotations

import random

from parallel_mining.domains import comments, documented, examples, learned, repaired, type_of, within
from parallel_mining.types import parse_type

PIVOT = '''
def rotate(items, n):
    """Rotate a list.

    >>> rotate([1, 2, 3], 1)
    [2, 3, 1]
    >>> rotate([4, 5], 2)
    [4, 5]
    """
    return rotate(items[1:] + items[:1], n - 1) if n else items
'''


def words(restrictions) -> set[tuple[object, str, str]]:
    return {(r.parameter, r.what, r.source) for r in restrictions}


def test_examples_are_calls_with_plain_values_in_comments():
    assert examples(PIVOT, "rotate") == (([1, 2, 3], 1), ([4, 5], 2))
    assert examples("/** f(true, null) is 1; f(x) is not */ function f(a) { return f(1); }", "f") == ((True, None),)
    assert examples("// g('a(b', 2) gives 3\n", "A.g") == (("a(b", 2),)
    assert "return" not in comments(PIVOT)


def test_types_of_examples():
    assert str(type_of([[1, 2], []])) == "list[int]"
    assert str(type_of([1, 2.5])) == "float"
    assert str(type_of([("a", 1), ("b", 2)])) == "tuple[str,int]"
    assert str(type_of([None, "a"])) == "optional[str]"
    assert type_of([1, "a"]) is None


def test_what_examples_have_in_common_restricts():
    types = [parse_type("list[int]"), parse_type("int")]
    found = documented(comments(PIVOT), examples(PIVOT, "rotate"), types)
    assert {(0, "not empty", "doctest"), (1, "from 1 to the length of argument 0", "doctest")} <= words(found)
    assert not documented("", (([1, 2, 3], 1),), types), "one example is an accident"
    mended = repaired(([4, 5], -7), found, random.Random(1))
    assert within(mended, found)
    assert repaired(([],), found[:1], random.Random(1)) == ([],), "what an empty list would hold is not known"
    assert not within(([], -7), found)


def test_rows_of_examples_give_their_width():
    types = [parse_type("list[list[int]]")]
    pairs = documented("", (([(1, 2), (3, 4)],), ([(5, 6)],)), types)
    assert (0, "lists of 2 items in it", "doctest") in words(pairs)
    square = documented("", (([[1, 2], [3, 4]],), ([[1, 2, 3], [4, 5, 6]],)), types)
    assert (0, "lists of as many items in it", "doctest") in words(square)
    mended = repaired(([[7], [1, 2, 3], []],), pairs, random.Random(1))
    assert within(mended, pairs)
    assert {len(row) for row in mended[0]} == {2}


def test_words_of_a_docstring_restrict():
    types = [parse_type("int"), parse_type("list[int]")]
    assert (0, "numbers >= 1", "docstring") in words(documented("Given a positive integer n", (), types))
    assert (1, "not empty", "docstring") in words(documented("a non-empty list", (), types))
    assert (1, "sorted", "docstring") in words(documented("Search in a sorted list.", (), types))
    assert not documented("Returns the items as a sorted list.", (), types)


def test_what_the_left_raises_on_is_described_by_few_words():
    values = [([1],), ([1, 2],), ([-3],)]
    assert words(learned(values, [([],)], ["ValueError: empty"])) == {(0, "not empty", "pivot raises")}
    assert words(learned([(1,), (4,), (9,)], [(-1,), (-5,)], ["ValueError"])) == {(0, "numbers >= 0", "pivot raises")}
    [odd] = learned([("a",), ("b",)], [("c",), ("d",)], ["KeyError: 'c'"])
    assert odd.what == "where the left side does not raise (KeyError)"
