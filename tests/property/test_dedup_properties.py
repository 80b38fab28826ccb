"""Duplicates against brute force: true Jaccard of every pair, any order, any batch."""

from __future__ import annotations

import itertools
import re
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dedup import NearDuplicates, deduplicate, jaccards, shingles

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


@settings(max_examples=80, deadline=None)
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


@settings(max_examples=30, deadline=None)
@given(texts)
def test_what_stayed_loses_nothing_in_a_second_run(texts: list[str]) -> None:
    # No bucket is over its limit here, so that all that could meet has met.
    ids = [str(n) for n in range(len(texts))]
    rows = deduplicate(ids, texts, SURE)
    stayed = rows.filter(rows["kept"])["id"].to_pylist()
    again = deduplicate(stayed, [texts[int(one)] for one in stayed], SURE)
    assert again["reason"].to_pylist() == ["unique"] * len(stayed)


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(1, 60), st.integers(1, 4))
def test_the_result_does_not_depend_on_batches_or_threads(texts: list[str], size: int, threads: int) -> None:
    ids = [str(n) for n in range(len(texts))]
    config = NearDuplicates(threshold=0.6, shingle_size=2, bands=8, rows=2, bucket_limit=3)
    whole = deduplicate(ids, texts, config)
    with (
        patch("pipelines.units.BATCH_BYTES", size),
        patch("pipelines.minhash._PAIRS_AT_ONCE", size),
        patch("pipelines.minhash._SIGNED_TEXTS", threads),
        patch("pipelines.dedup._COMPARED_PAIRS", size),
        patch("os.sched_getaffinity", lambda _: set(range(threads))),
    ):
        assert deduplicate(ids, texts, config).equals(whole)


@settings(max_examples=60, deadline=None)
@given(texts)
def test_a_jaccard_is_that_of_a_plain_reading_and_symmetric(texts: list[str]) -> None:
    sets = shingles(texts, 2)
    left, right = (side.ravel() for side in np.indices((len(texts), len(texts))))
    found = jaccards(sets, left, right)
    assert np.array_equal(found, jaccards(sets, right, left))
    plainly = [true_jaccard(texts[i], texts[j]) for i, j in zip(left, right, strict=True)]
    assert np.allclose(found, plainly, rtol=0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(texts, st.data())
def test_repositories_stay_or_go_by_the_union_of_their_files(texts: list[str], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from("xyz"), min_size=len(texts), max_size=len(texts)))
    ids = [str(n) for n in range(len(texts))]
    rows = deduplicate(ids, texts, SURE, repositories=names).to_pylist()
    union = {
        name: frozenset().union(*(plain(t) for t, n in zip(texts, names, strict=True) if n == name)) for name in names
    }
    assert [row["id"] for row in sorted(rows, key=lambda row: row["id"])] == sorted(set(names))
    for row in rows:
        if row["reason"] == "near":
            one, other = union[row["id"]], union[row["cluster"]]
            assert len(one & other) / len(one | other) >= SURE.threshold
