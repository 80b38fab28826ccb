from __future__ import annotations

import re

import numpy as np
import pytest

from pipelines.shingles import Shingles, batches, jaccard, jaccards, joined, shingles

TOKEN = re.compile(rb"[A-Za-z0-9_$\x80-\xff]+|[^A-Za-z0-9_$\x80-\xff\s\0]+")


def words(count: int, start: int = 0) -> str:
    return " ".join(f"word{n}" for n in range(start, start + count))


def plain_shingles(text: str, size: int) -> set[tuple[bytes, ...]]:
    tokens = TOKEN.findall(text.encode())
    if 0 < len(tokens) < size:
        return {tuple(tokens)}
    return {tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1)}


def plain_jaccard(left: str, right: str, size: int = 5) -> float:
    a, b = plain_shingles(left, size), plain_shingles(right, size)
    return len(a & b) / len(a | b) if a and b else 0.0


TEXTS = [
    words(300),
    words(290) + " tail" * 3,
    words(150) + " other " + words(150, 400),
    "x = 1",
    "x  =\n1",
    "x = 2",
    "",
    "  \n",
    "é = ü($a_1) ++ [b];",
    "a+b",
    "a-b",
]


def test_shingle_sets_and_their_jaccard_are_those_of_a_plain_reading() -> None:
    sets = shingles(TEXTS, 5)
    for i, left in enumerate(TEXTS):
        assert len(sets.of(i)) == len(plain_shingles(left, 5))
        for j, right in enumerate(TEXTS):
            assert jaccard(sets.of(i), sets.of(j)) == pytest.approx(plain_jaccard(left, right))


def test_shingles_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    together = shingles(TEXTS, 3)
    monkeypatch.setattr("pipelines.shingles.BATCH_BYTES", 1)
    apart = shingles(TEXTS, 3)
    assert together.offsets.tolist() == apart.offsets.tolist()
    assert together.values.tolist() == apart.values.tolist()


def test_a_token_hash_does_not_depend_on_where_the_token_stands() -> None:
    sets = shingles([f"{'pad ' * n}alpha beta" for n in range(50)], 2)
    last = shingles(["alpha beta"], 2).of(0)
    assert all(last[0] in sets.of(n) for n in range(50))


def test_a_token_of_any_length_is_told_from_one_that_differs_in_one_byte() -> None:
    for length in [*range(1, 45), 64, 200, 5000]:
        token = "x" * length
        others = {token[:at] + "y" + token[at + 1 :] for at in {0, length // 2, length - 1}} | {token + "x"}
        sets = shingles([token, *sorted(others)], 1)
        assert len({int(sets.of(one)[0]) for one in range(len(sets))}) == len(others) + 1
        assert all(len(sets.of(one)) == 1 for one in range(len(sets)))


def test_tokens_that_differ_in_their_last_bytes_make_different_shingles() -> None:
    # A hash that is linear in the words of tokens meets here: 62 * 62 pairs of last bytes, in two places.
    ends = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    sets = shingles([" ".join(f"indexed{a} indexed{b}" for b in ends) for a in ends], 2)
    assert len(np.unique(sets.values)) == sum(
        len(plain_shingles(" ".join(f"indexed{a} indexed{b}" for b in ends), 2)) for a in ends
    ) - _shared_pairs(ends)


def _shared_pairs(ends: str) -> int:
    found = [plain_shingles(" ".join(f"indexed{a} indexed{b}" for b in ends), 2) for a in ends]
    return sum(map(len, found)) - len(set().union(*found))


def test_nul_separates_tokens() -> None:
    sets = shingles(["a\0b", "a b", "ab", "\0\0"], 1)
    assert sets.of(0).tolist() == sets.of(1).tolist() != sets.of(2).tolist()
    assert len(sets.of(3)) == 0


def test_many_pairs_are_compared_as_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = shingles(TEXTS, 5)
    left, right = (grid.ravel() for grid in np.meshgrid(np.arange(len(TEXTS)), np.arange(len(TEXTS))))
    one_by_one = [jaccard(sets.of(i), sets.of(j)) for i, j in zip(left, right, strict=True)]
    assert jaccards(sets, left, right).tolist() == one_by_one
    monkeypatch.setattr("pipelines.shingles._COMPARED_SHINGLES", 3)
    assert jaccards(sets, left, right).tolist() == one_by_one
    assert jaccards(sets, left[:0], right[:0]).tolist() == []


def test_sets_can_be_taken_and_joined() -> None:
    sets = shingles(TEXTS, 5)
    taken = sets.take(np.array([3, 0, 0, 6]))
    assert [taken.of(n).tolist() for n in range(4)] == [sets.of(n).tolist() for n in (3, 0, 0, 6)]
    both = joined([taken, sets])
    assert len(both) == 4 + len(sets)
    assert both.of(5).tolist() == sets.of(1).tolist()
    assert len(joined([])) == 0


def test_a_text_larger_than_a_batch_is_a_batch_of_its_own() -> None:
    offsets = np.cumsum([0, 1, 1, 9, 1, 0, 1])
    assert [(part.start, part.stop) for part in batches(offsets, 2)] == [(0, 2), (2, 3), (3, 6)]


def test_an_empty_set_of_texts() -> None:
    assert len(shingles([], 5)) == 0
    assert isinstance(shingles(["", " "], 5), Shingles)
