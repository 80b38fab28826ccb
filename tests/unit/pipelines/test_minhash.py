from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.minhash import bucket_matrix, buckets, candidate_pairs, signatures
from pipelines.near_duplicates import NearDuplicates
from pipelines.shingles import jaccard, shingles


def words(count: int, start: int = 0) -> str:
    return " ".join(f"word{n}" for n in range(start, start + count))


@pytest.mark.parametrize("overlap", [10, 50, 80, 95])
def test_signatures_estimate_jaccard_as_well_as_datasketch(overlap: int) -> None:
    from datasketch import MinHash

    left, right = words(400), words(400, 400 - 4 * overlap)
    sets = shingles([left, right], 1)
    true = jaccard(sets.of(0), sets.of(1))
    permutations = 512
    ours = signatures(sets, permutations, 7)
    reference = [MinHash(num_perm=permutations, seed=7) for _ in range(2)]
    for index, sketch in enumerate(reference):
        sketch.update_batch([int(value).to_bytes(8, "little") for value in sets.of(index)])
    spread = np.sqrt(true * (1 - true) / permutations)
    estimate = np.mean(ours[0] == ours[1])
    assert abs(estimate - true) <= 4 * spread
    assert abs(estimate - reference[0].jaccard(reference[1])) <= 6 * spread


def test_texts_without_shingles_have_no_buckets_and_others_one_a_band() -> None:
    config = NearDuplicates(bands=7, rows=3)
    assert [len(found) for found in buckets(shingles(["", "a", words(9)], 5), config.signing)] == [0, 7, 7]
    assert buckets(shingles([], 5), config.signing) == []


def test_recall_is_the_share_of_pairs_that_meet_in_a_bucket() -> None:
    config = NearDuplicates(bands=6, rows=4)
    sets = shingles([w for n in range(300) for w in (words(40, n * 1000), words(40, n * 1000 + 10))], 1)
    found = buckets(sets, config.signing)
    met = np.mean([bool(set(found[n]) & set(found[n + 1])) for n in range(0, 600, 2)])
    assert met == pytest.approx(config.recall(30 / 50), abs=4 * np.sqrt(0.25 / 300))


def in_bucket(members: list[int], limit: int) -> list[tuple[int, int]]:
    """Each member with the `limit` best before it, plainly."""
    return [(better, worse) for place, worse in enumerate(members) for better in members[: min(place, limit)]]


@pytest.mark.parametrize("limit", [1, 2, 3, 64])
def test_pairs_of_all_buckets_are_the_candidates_of_each(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.minhash._PAIRS_AT_ONCE", 3)
    matrix = np.random.default_rng(1).integers(0, 6, (40, 3)).astype(np.uint64)
    expected: set[tuple[int, int]] = set()
    for band in range(3):
        for value in range(6):
            expected.update(in_bucket(np.flatnonzero(matrix[:, band] == value).tolist(), limit))
    better, worse = candidate_pairs(matrix, np.arange(40), limit)
    assert sorted(expected) == sorted(zip(better.tolist(), worse.tolist(), strict=True))
    assert len(better) == len(expected)


def test_no_texts_make_no_pairs() -> None:
    for number in (0, 1):
        better, worse = candidate_pairs(np.zeros((2, 3), np.uint64), np.arange(number), 4)
        assert len(better) == len(worse) == 0


def test_buckets_do_not_depend_on_how_many_are_signed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = NearDuplicates(bands=4, rows=3)
    sets = shingles([words(20, n) for n in range(9)], 2)
    together = signatures(sets, 12, 5)
    monkeypatch.setattr("pipelines.minhash._SIGNED_TEXTS", 2)
    assert np.array_equal(signatures(sets, 12, 5), together)
    assert bucket_matrix(together, config.signing).shape == (9, 4)


def test_settings_refuse_nonsense() -> None:
    for wrong in ({"threshold": 0.0}, {"bands": 0}, {"rows": 0}, {"shingle_size": 0}, {"perms": 3}):
        with pytest.raises(ValidationError):
            NearDuplicates.model_validate(wrong)
