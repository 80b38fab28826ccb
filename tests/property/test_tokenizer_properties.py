"""What must hold of encoding, whatever the text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.tokenizer import END_OF_TEXT, Encoder, load_tokenizer, train_tokenizer
from training.stores import DTYPES, token_byte_lengths

# White space of many kinds, line ends, control characters, letters and digits beyond ASCII, control tokens spelt out.
PIECES = ["\n", "\r\n", "\r", "  ", "\t", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u2028", "\u3000", "\0"]
PIECES += [
    "a",
    "B",
    "_x",
    "foo",
    "9",
    "12",
    "(",
    "+=",
    "//",
    "é",
    "ß",
    "中",
    "٣",
    "Ⅷ",
    "e\u0301",
    "😀",
    END_OF_TEXT,
    "<|",
]
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(train_tokenizer([p.read_text() for p in sorted(Path(json.__file__).parent.glob("*.py"))], 500))
    encoder = Encoder(path, DTYPES["uint32"])
    encoder.path = path  # type: ignore[attr-defined]
    return encoder


@settings(deadline=None, max_examples=250)
@given(st.lists(texts, max_size=4))
@example(["a\n\n  b", "a \n é\n\nb", "x\n\u3000y\nz", "\n\x1c\n", " \x1fa", "é\n \nb"])
def test_encoding_is_the_library_s_own_and_loses_nothing(encoder: Encoder, given_texts: list[str]) -> None:
    tokenizer = load_tokenizer(encoder.path)  # type: ignore[attr-defined]
    sizes = token_byte_lengths(encoder.path)  # type: ignore[attr-defined]
    packed = encoder.encode(given_texts)
    assert len(packed) == len(given_texts)
    for text, own in zip(given_texts, packed, strict=True):
        ids = np.frombuffer(own, DTYPES["uint32"])
        assert ids.tolist() == tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids.tolist(), skip_special_tokens=False) == text
        assert sizes[ids].sum() == len(text.encode())
        assert 0 not in ids
