from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pipelines.exact import exact_hashes
from pipelines.shingles import byte_classes
from quality.text_hash import normalised_hash

SPACES = [chr(point) for point in range(0x3001) if chr(point).isspace()]
TEXTS = [
    "", "\n", " ", "\r", "a", "a\n", "a\n\n", "\na", "\n\na\n", "a \nb", "a\t", "a\r\nb\r\n", "a\rb", "é\n", "à\n",
    "a\0\n", " a\n  b\n", "\ud800\n", *(f"a{space}\nb" for space in SPACES), *(f"a{space}" for space in SPACES),
    *(f"{space}a\n" for space in SPACES),
]  # fmt: skip


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[::-1], TEXTS[:1], []])
def test_hashes_are_those_of_each_text_alone(texts: list[str]) -> None:
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    data, offsets = b"".join(encoded), np.cumsum([0, *map(len, encoded)])
    raw, normalised = exact_hashes(data, offsets, byte_classes(data))
    assert [f"{a:016x}{b:016x}" for a, b in raw.tolist()] == [hashlib.sha256(one).hexdigest()[:32] for one in encoded]
    assert [f"{a:016x}{b:016x}" for a, b in normalised.tolist()] == [normalised_hash(text)[:32] for text in texts]
