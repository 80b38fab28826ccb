from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from quality.mistakes import BadInput
from training.evaluation import bits_per_byte, validation_set
from training.stores import TokenStore


def store(tokens: int) -> TokenStore:
    ids = np.arange(tokens, dtype="<u2") % 10
    ends, sizes = np.array([tokens], np.int64), np.array([int((ids % 10).sum())], np.int64)
    return TokenStore(Path("go/validation"), "go", "validation", "", ids, ends, sizes, np.arange(10, dtype=np.int64))


def test_eight_bits_a_byte_is_what_uniform_bytes_cost() -> None:
    assert bits_per_byte(math.log(256) * 50, 50) == pytest.approx(8)
    assert bits_per_byte(2 * math.log(2), 4) == pytest.approx(0.5)


def test_sequences_are_spread_do_not_overlap_and_their_bytes_are_exact() -> None:
    chosen = validation_set(store(1001), sequence_length=10, wanted=305)
    assert chosen.sequences.shape == (30, 11)
    assert chosen.target_tokens == 300
    assert chosen.target_bytes == int((chosen.sequences[:, 1:] % 10).sum()) == 30 * 45
    everything = validation_set(store(1001), sequence_length=10, wanted=10**9)
    assert everything.sequences[:, 1:].ravel().tolist() == (np.arange(1, 1001) % 10).tolist()


def test_a_store_without_a_sequence_is_refused() -> None:
    with pytest.raises(BadInput, match=r"go/validation: holds 10 tokens, a sequence takes 11"):
        validation_set(store(10), sequence_length=10, wanted=100)
    with pytest.raises(BadInput, match="less than one sequence"):
        validation_set(store(100), sequence_length=10, wanted=9)
