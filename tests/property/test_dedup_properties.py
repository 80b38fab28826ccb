"""Duplicates against brute force: true Jaccard of every pair, any order, any batch."""

from __future__ import annotations

import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dedup import NearDuplicates, deduplicate

# One row a band: a pair of Jaccard 0.5 is missed with probability 0.5 ** 128.
SURE = NearDuplicates(threshold=0.5, shingle_size=2, bands=128, rows=1, bucket_limit=10_000)
WORDS = ["alpha", "beta", "(", ")", "+", "x1", "é", "\n"]
texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join), min_size=1, max_size=12)


def plain(text: str) -> frozenset[tuple[str, ...]]:
    tokens = re.findall(r"\w+|[^\w\s]+", text)
    if len(tokens) == 1:
        return frozenset([tuple(tokens)])
    return frozenset(itertools.pairwise(tokens))


def true_jaccard(left: str, right: str) -> float:
    a, b = plain(left), plain(right)
    return len(a & b) / len(a | b) if a and b else 0.0


@settings(max_examples=150, deadline=None)
@given(texts)
def test_removed_is_similar_to_its_survivor_and_kept_to_no_other_kept(texts: list[str]) -> None:
    ids = [str(n) for n in range(len(texts))]
    text_of = dict(zip(ids, texts, strict=True))
    rows = deduplicate(ids, texts, SURE).to_pylist()
    assert sorted(row["id"] for row in rows) == sorted(ids)
    kept = [row["id"] for row in rows if row["kept"]]
    assert kept
    for row in rows:
        assert row["kept"] == (row["id"] == row["cluster"])
        assert row["cluster"] in kept
        if row["reason"] == "near":
            true = true_jaccard(text_of[row["id"]], text_of[row["cluster"]])
            assert abs(row["similarity"] - true) < 1e-12
            assert true >= SURE.threshold
    for place, one in enumerate(kept):
        for other in kept[place + 1 :]:
            assert true_jaccard(text_of[one], text_of[other]) < SURE.threshold


@settings(max_examples=60, deadline=None)
@given(texts, st.randoms(use_true_random=False))
def test_the_result_does_not_depend_on_the_order(texts: list[str], random: object) -> None:
    pairs = [(str(n), text) for n, text in enumerate(texts)]
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    config = NearDuplicates(threshold=0.6, shingle_size=2, bands=8, rows=2, bucket_limit=3)
    first = deduplicate([p[0] for p in pairs], [p[1] for p in pairs], config)
    second = deduplicate([p[0] for p in shuffled], [p[1] for p in shuffled], config)
    assert first.equals(second)
