from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quality.artifacts import creating
from quality.mistakes import BadInput
from training.evaluation import IGNORED
from training.translations import (
    mean_bits_per_byte,
    read_instances,
    read_translation_sets,
    translation_sets,
    write_translation_sets,
)

END = 9


def encode(texts: Any) -> list[list[int]]:
    return [[int(digit) for digit in text] for text in texts]


def instance(source: str, target: str, prompt: str, wanted: str, *, seen: bool = True) -> dict[str, Any]:
    return {"source_language": source, "target_language": target, "seen": seen, "prompt": prompt, "target_code": wanted}


ROWS = [
    instance("python", "go", "123", "45"),
    instance("python", "go", "1", "678"),
    instance("python", "go", "1" * 20, "6" * 20),
    instance("go", "rust", "1", "2", seen=False),
    instance("rust", "go", "1" * 99, "2", seen=False),
]


def test_only_the_tokens_of_the_target_count_and_each_is_given_all_before_it() -> None:
    unseen, seen = translation_sets(ROWS, encode, end_of_text=END, sequence_length=32)
    assert (seen.source_language, seen.target_language, seen.seen) == ("python", "go", True)
    assert (seen.target_tokens, seen.target_bytes, seen.left_out) == (5, 5, 1)
    assert seen.inputs[0][:6].tolist() == [END, 1, 2, 3, 4, END]
    assert seen.labels[0][:6].tolist() == [IGNORED, IGNORED, IGNORED, 4, 5, IGNORED]
    assert seen.inputs[1][:4].tolist() == [END, 1, 6, 7]
    assert seen.labels[1][:5].tolist() == [IGNORED, 6, 7, 8, IGNORED]
    assert (unseen.seen, unseen.named["instances"]) == (False, 1)


def test_sets_are_as_wide_as_their_longest_instance_needs() -> None:
    (only,) = translation_sets(ROWS[2:3], encode, end_of_text=END, sequence_length=2048)
    assert only.inputs.shape == (1, 64)
    (exact,) = translation_sets(ROWS[2:3], encode, end_of_text=END, sequence_length=40)
    assert exact.inputs.shape == (1, 40)
    assert exact.labels[0, -1] == 6


def test_an_evaluation_set_of_which_nothing_fits_is_refused() -> None:
    with pytest.raises(BadInput, match="none of its 1 instances fits into a sequence of 39 tokens"):
        translation_sets(ROWS[2:3], encode, end_of_text=END, sequence_length=39)


def test_what_is_no_evaluation_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no finished evaluation here"):
        read_instances(tmp_path / "none")
    with creating(tmp_path / "set", "evaluation", {}) as draft:
        (draft.path / "instances.parquet").write_text("not Parquet")
    with pytest.raises(BadInput, match="make the evaluation set again"):
        read_instances(tmp_path / "set")


def test_means_are_weighted_by_bytes_and_keep_seen_and_unseen_apart() -> None:
    def row(step: int, seen: bool, bits: float, size: int) -> dict[str, Any]:
        return {"step": step, "seen": seen, "bits_per_byte": bits, "evaluated_bytes": size}

    rows = [row(5, True, 9.0, 10), row(9, True, 1.0, 30), row(9, True, 2.0, 10), row(9, False, 3.0, 7)]
    assert mean_bits_per_byte(rows) == {"seen": pytest.approx(1.25), "unseen": pytest.approx(3.0)}
    assert mean_bits_per_byte(rows[:3]) == {"seen": pytest.approx(1.25)}
    assert mean_bits_per_byte([]) == {}


def test_sets_are_read_back(tmp_path: Path) -> None:
    sets = translation_sets(ROWS, encode, end_of_text=END, sequence_length=32)
    write_translation_sets(sets, tmp_path / "sets.npz")
    again = read_translation_sets(tmp_path / "sets.npz")
    assert [one.named for one in again] == [one.named for one in sets]
    for left, right in zip(sets, again, strict=True):
        assert np.array_equal(left.inputs, right.inputs)
        assert np.array_equal(left.labels, right.labels)
        assert left.target_bytes == right.target_bytes
